"""Units judged by other processes, of this machine or of a cluster, as they are finished.

joblib hands them out, one at a time: to processes that it starts here, or to the workers of a Dask cluster.
"""

import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from reference.errors import InputError
from torch_mirror.doors.jobs.unit import Answer, Unit, work


def by_processes(units: Sequence[Unit], jobs: int) -> Generator[tuple[int, Answer], None, None]:
    """The answers with the places of their units, as they come; in so many processes, each of one thread.

    However this ends, the processes are ended first. Raises InputError if one of them dies.
    """
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        parallel = Parallel(batch_size=1, return_as="generator_unordered")
    try:
        with _deaf():
            answers = parallel(delayed(_placed)(place, unit) for place, unit in enumerate(units))
        with closing(answers):
            yield from answers
    except BrokenProcessPool as error:
        expected = "a process that lives until its run is judged"
        raise InputError("-j", expected, "one that ended before: too little memory, or the run ends it") from error
    finally:
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


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
