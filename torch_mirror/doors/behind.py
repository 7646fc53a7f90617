"""Judging one segment behind the run: in a second thread, while this one trains on.

NumPy and torch let other threads run while they work on large arrays, so that on two cores a large network is trained
and judged at once. A small one, whose steps are mostly Python's own work, gains nothing: Python runs in one thread at a
time. The run stays in the thread of the caller, as torch has modes that hold for a thread alone (autocast is one).
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from typing import TypeVar

import numpy as np

from torch_mirror.training.threads import one_thread

T = TypeVar("T")


def in_turn(made: Iterable[T], judge: Callable[[T], object]) -> Generator[T, None, None]:
    """Each of what is made, once it is judged."""
    for one in made:
        judge(one)
        yield one


def one_behind(made: Iterable[T], judge: Callable[[T], object]) -> Generator[T, None, None]:
    """The same, in the same order, but that each is judged in a second thread while the next one is made here.

    So two of them must be able to be there at once. What judge raises is raised here, before what comes of the next
    one. What is being judged is judged to its end, on the way out and on Ctrl-C, too. Close it.
    """
    before: tuple[T, Future[object]] | None = None
    with ThreadPoolExecutor(1, "torch-mirror judge") as worker, _settled(worker):
        try:
            for one in made:
                if before is not None:
                    before[1].result()
                judged, before = before, (one, worker.submit(copy_context().run, judge, one))
                if judged is not None:
                    yield judged[0]
        except Exception:
            if before is not None:
                before[1].result()
            raise
        if before is not None:
            before[1].result()
            yield before[0]


@contextmanager
def _settled(worker: ThreadPoolExecutor) -> Iterator[None]:
    """Within it the worker's one thread computes as verify's own does: it settles what is a thread's own."""
    own = ExitStack()
    for context in (one_thread(), np.errstate(all="ignore")):
        worker.submit(own.enter_context, context).result()
    try:
        yield
    finally:
        worker.submit(own.close).result()
