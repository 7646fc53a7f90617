"""Units done by other processes of this machine, as they are finished.

They are loky's, which joblib ships: a process of its own for each, that may die without the others.
"""

import signal
import threading
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from reference.errors import InputError
from torch_mirror.doors.jobs.unit import Answer, Died, Unit, work
from torch_mirror.training.threads import VARIABLES

AHEAD = 2
"""Units for each process that are handed out at once: one to do and one that is there when it is done.

loky's queue of what its processes take has room for so many (process_executor.py, _setup_queues). What does not fit
waits in its thread, which, told to end, looks for the first of those where it has just struck them all off, and dies of
a KeyError (_ExecutorManagerThread.run, 3.6.0).
"""


def by_processes(units: Sequence[Unit], jobs: int) -> Generator[tuple[int, Answer], None, None]:
    """The answers with the places of their units, as they come; in so many processes, each of one thread.

    However this ends, the processes are ended first. If one of them dies, what is finished stands, and what was begun
    and is not finished is done once more, by itself: of what dies then the answer is ``Died``, which names it. Raises
    InputError where processes die before they begin.
    """
    left = dict(enumerate(units))
    while left:
        with TemporaryDirectory() as notes:
            try:
                with closing(_pool(left, jobs, Path(notes))) as answers:
                    for place, answer in answers:
                        del left[place]
                        yield place, answer
                continue
            except BrokenProcessPool as error:
                begun = [place for place in left if Path(notes, str(place)).exists()]
                if not begun:
                    came = "some that end at once: too little memory?"
                    raise InputError("-j", "processes that begin", came) from error
        for place in begun:
            yield place, _alone(left.pop(place))


def _alone(unit: Unit) -> Answer:
    with TemporaryDirectory() as notes, closing(_pool({0: unit}, 1, Path(notes))) as answers:
        try:
            ((_, answer),) = answers
        except BrokenProcessPool:
            return Answer(error=Died("-j", unit.name))
        return answer


def _pool(units: Mapping[int, Unit], jobs: int, notes: Path) -> Generator[tuple[int, Answer], None, None]:
    """As they come, from one pool of processes. Raises BrokenProcessPool once one has died, behind what is finished."""
    executor = get_reusable_executor(max_workers=jobs, env=dict.fromkeys(VARIABLES, "1"), reuse=False, timeout=None)
    coming, given = iter([*units.items()]), dict[Future[Answer], int]()

    def give(most: int) -> None:
        for place, unit in islice(coming, most):
            given[executor.submit(_noted, unit, str(notes / str(place)))] = place

    broken = None
    try:
        with _deaf():
            give(AHEAD * jobs)
        while given:
            done, _ = wait(given, return_when=FIRST_COMPLETED)
            finished = {given.pop(future): future for future in done}
            for place, future in finished.items():
                if isinstance(future.exception(), BrokenProcessPool):
                    broken = future.exception()
                else:
                    yield place, future.result()
            if broken is None:
                try:
                    give(len(done))
                except BrokenProcessPool as error:
                    broken = error
        if broken is not None:
            raise broken
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what was killed: we say what became of it
            executor.shutdown(wait=True, kill_workers=True)


def _noted(unit: Unit, note: str) -> Answer:
    """The answer; an empty file says that it was begun."""
    Path(note).touch()
    return work(unit)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started within it do not hear Ctrl-C, which reaches all that run in a terminal.

    Who started them hears it and ends them. A process starts with the signals ignored that its parent ignores.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
