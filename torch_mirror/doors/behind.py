"""Judging one segment behind the run: in a second thread, while this one trains on.

NumPy and torch let other threads run while they work on large arrays, so that on two cores a large network is trained
and judged at once. A small one, whose steps are mostly Python's own work, gains nothing: Python runs in one thread at a
time. The run stays in the thread of the caller, as torch has modes that hold for a thread alone (autocast is one).

Both threads evaluate the network's equations. A network that keeps something between its calls, such as its parameters
or what its backward pass needs, would mix up those of the two; so only what is known to keep nothing is judged behind.
"""

import inspect
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from typing import Any, TypeVar

import numpy as np

from torch_mirror.training.threads import one_thread

T = TypeVar("T")

HOME = "reference."


def keeps_nothing(part: Any) -> bool:
    """Whether a part of an experiment may be called by two threads at once: those of the reference, and what says so.

    A network, loss or optimizer of one's own says it by ``pure = True``, and a function by ``function.pure = True``.
    """
    if getattr(part, "pure", False) is True or part is None or isinstance(part, (str, int, float, np.ndarray)):
        return True
    if isinstance(part, (tuple, list, set, frozenset)) and type(part).__module__ == "builtins":
        return all(keeps_nothing(one) for one in part)
    home = part.__module__ if inspect.isroutine(part) else type(part).__module__
    if not f"{home}.".startswith(HOME):
        return False
    inside = part if isinstance(part, tuple) else getattr(part, "__dict__", {}).values()
    return all(keeps_nothing(one) for one in inside)


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
