"""What a report was made with: versions and threads."""

import os
import platform
from importlib.metadata import version

PACKAGES = ("torch-mirror", "numpy", "torch", "scikit-learn")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def prefer_one_thread() -> None:
    """One thread for NumPy and for torch, unless the user said otherwise; of use only before they load.

    Two pools of threads in one process wait for each other, which costs many times what they give.
    """
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def versions() -> dict[str, str]:
    """Of Python and of what computes, by name."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def threads() -> dict[str, int]:
    """Of torch, and of each library with a pool of its own that is loaded, by its name."""
    import threadpoolctl  # asked for a report only
    import torch  # takes a second to load

    pools: dict[str, int] = {"torch": torch.get_num_threads()}
    for pool in threadpoolctl.threadpool_info():
        name = str(pool["internal_api"])
        pools[name] = max(pools.get(name, 0), int(pool["num_threads"]))
    return pools
