"""What a report was made with: versions and threads."""

import platform
from importlib.metadata import PackageNotFoundError, version

from torch_mirror import __version__

PACKAGES = ("numpy", "torch", "scikit-learn")


def versions() -> dict[str, str]:
    """Of Python and of what computes, by name; what is not installed is left out."""
    found = {"python": platform.python_version(), "torch-mirror": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an extra
    return found


def threads() -> dict[str, int]:
    """Of torch, and of each library with a pool of its own that is loaded, by its name."""
    import threadpoolctl  # asked for a report only
    import torch  # takes a second to load

    pools: dict[str, int] = {"torch": torch.get_num_threads()}
    for pool in threadpoolctl.threadpool_info():
        name = str(pool["internal_api"])
        pools[name] = max(pools.get(name, 0), int(pool["num_threads"]))
    return pools
