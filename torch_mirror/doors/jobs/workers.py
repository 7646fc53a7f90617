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
from torch_mirror.doors.jobs.software import software
from torch_mirror.doors.jobs.unit import Answer, Unit, work

PATIENCE = 10
"""Seconds that a scheduler may take to answer."""


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


def by_cluster(units: Sequence[Unit], address: str) -> Generator[tuple[int, Answer], None, None]:
    """As ``by_processes``, by the workers of the Dask cluster whose scheduler has this address.

    A run whose worker dies is judged by another one. Raises InputError where no scheduler answers, no worker is there,
    or a run has ended several workers.
    """
    from distributed import Client, KilledWorker  # noqa: PLC0415 - an extra of its own

    versions = {name: software()[name] for name in ("python", "torch-mirror", "numpy", "torch")}
    asked = [unit._replace(software=versions) for unit in units]
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]  # theirs
    except (OSError, TimeoutError, ValueError) as error:
        expected = "the address of a Dask scheduler that answers"
        raise InputError("--scheduler", expected, f"{address}: {error}") from error
    try:
        with client:
            if not client.scheduler_info()["workers"]:
                raise InputError("--scheduler", "a Dask scheduler that has workers", f"{address}, which has none")
            with parallel_config("dask", client=client):
                parallel = Parallel(batch_size=1, pre_dispatch="all", return_as="generator_unordered")
            with closing(parallel(delayed(_placed)(place, unit) for place, unit in enumerate(asked))) as answers:
                yield from answers
    except KilledWorker as error:
        expected = "workers that live until a run is judged"
        raise InputError("--scheduler", expected, "a run that ended several: too little memory?") from error


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
