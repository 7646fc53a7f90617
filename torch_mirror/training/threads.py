"""One thread for both libraries, unless the user says otherwise.

Two thread pools in one process cost a small network nothing and a large one 4 to 60 times.

A pool's number of threads belongs to the process, or with OpenMP to the thread that asks. Several threads may verify
at once: so what is the process's is changed by the first that enters and set back by the last that leaves, and what
is a thread's own by that thread. Otherwise the second to enter would take 1 for what had been there before.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What the user may set to say otherwise; the command line sets them to 1 where they are not set."""

_entering = threading.Lock()
_inside: list[Callable[[], None]] = []
"""How to set back what is the process's, once for each thread that is inside: the first entry counts, the last runs."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, NumPy's BLAS and torch use one thread, unless one of VARIABLES is set."""
    if any(name in os.environ for name in VARIABLES):
        yield
        return
    import threadpoolctl
    import torch

    pools = threadpoolctl.ThreadpoolController()
    with ExitStack() as of_this_thread:
        with _entering:
            before = 0 if _inside else torch.get_num_threads()  # which gives a thread its number if it has none yet
            of_this_thread.enter_context(_selected(pools, "openmp").limit(limits=1))
            _inside.append(_inside[0] if _inside else _limit_process(pools, before))
        try:
            yield
        finally:
            with _entering:
                set_back = _inside.pop()
                if not _inside:
                    set_back()


def _limit_process(pools: Any, before: int) -> Callable[[], None]:
    """Limit what belongs to the process; returns what sets it back. before: torch's number of threads."""
    import torch

    of_process = ExitStack()
    _take_control(pools)
    of_process.enter_context(_selected(pools, "blas").limit(limits=1))
    torch.set_num_threads(1)

    def set_back() -> None:
        torch.set_num_threads(before)
        _take_control(pools)
        of_process.close()

    return set_back


def _selected(pools: Any, kind: str) -> Any:
    """The pools of a kind alone: a limit sets back every pool that it knows, whichever it has limited."""
    return pools.select(user_api=kind)


def _take_control(pools: Any) -> None:
    """Let this thread set the process's pools: newer threadpoolctl leaves it to whoever was first."""
    for pool in pools.lib_controllers:
        if hasattr(pool, "clear_controlling_thread"):
            pool.clear_controlling_thread(force=True)
