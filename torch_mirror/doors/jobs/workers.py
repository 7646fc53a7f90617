"""Units done by other processes, of this machine or of a cluster, as they are finished.

Those of this machine are loky's, which joblib ships: a process of its own for each, that may die without the others.
A Dask cluster's workers are handed their units by joblib.
"""

import signal
import threading
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from reference.errors import InputError
from torch_mirror.doors.jobs.software import software
from torch_mirror.doors.jobs.unit import Answer, Died, Unit, work
from torch_mirror.training.threads import VARIABLES

PATIENCE = 10
"""Seconds that a scheduler may take to answer."""


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
    try:
        with _deaf():
            futures = {executor.submit(_noted, unit, str(notes / str(place))): place for place, unit in units.items()}
        broken = None
        for future in as_completed(futures):
            if isinstance(future.exception(), BrokenProcessPool):
                broken = future.exception()
            else:
                yield futures[future], future.result()
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


def by_cluster(units: Sequence[Unit], address: str) -> Generator[tuple[int, Answer], None, None]:
    """As ``by_processes``, by the workers of the Dask cluster whose scheduler has this address.

    A run whose worker dies is judged by another one. Raises InputError where no scheduler answers, no worker is there,
    or a run has ended several workers.
    """
    from distributed import Client, KilledWorker  # noqa: PLC0415 - an extra of its own

    versions = {name: software()[name] for name in ("python", "torch-mirror", "numpy", "torch")}
    asked = [unit._replace(software=versions) for unit in units]
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]  # it has no types
    except (OSError, TimeoutError, ValueError) as error:
        expected = "the address of a Dask scheduler that answers"
        raise InputError("--scheduler", expected, f"{address}: {error}") from error
    left = dict(enumerate(units))
    try:
        with client:
            if not client.scheduler_info()["workers"]:
                raise InputError("--scheduler", "a Dask scheduler that has workers", f"{address}, which has none")
            with parallel_config("dask", client=client):
                parallel = Parallel(batch_size=1, pre_dispatch="all", return_as="generator_unordered")
            with closing(parallel(delayed(_placed)(place, unit) for place, unit in enumerate(asked))) as answers:
                for place, answer in answers:
                    del left[place]
                    yield place, answer
    except KilledWorker as error:
        names = ", ".join(unit.name for unit in left.values())
        came = f"a run that ended several: one of {names}; too little memory?"
        raise InputError("--scheduler", "workers that live until a run is judged", came) from error


def _placed(place: int, unit: Unit) -> tuple[int, Answer]:
    return place, work(unit)


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
