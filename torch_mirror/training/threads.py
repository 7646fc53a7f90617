"""One thread for both libraries, unless the user says otherwise.

Two thread pools in one process cost a small network nothing and a large one 4 to 60 times.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What the user may set to say otherwise; the command line sets them to 1 where they are not set."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, NumPy's BLAS and torch use one thread, unless one of VARIABLES is set."""
    if any(name in os.environ for name in VARIABLES):
        yield
        return
    import threadpoolctl
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpoolctl.threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)
