"""What a run was computed with, as far as its bits depend on it. Where two of these are equal, bits can be compared."""

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ASKED = ("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")
"""Variables that choose among MKL's kernels, which it does not tell."""


def surroundings() -> dict[str, str]:
    """Python, NumPy, torch, the BLAS of each, processor and threads, by name."""
    import numpy as np  # asked for a report only
    import threadpoolctl
    import torch

    pools = threadpoolctl.threadpool_info()
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "numpy blas": blas(pools),
        "torch blas": next((part for part in lines_of(torch.__config__.show()) if "Math Kernel" in part), "none named"),
        "torch kernels": torch.backends.cpu.get_cpu_capability(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "processor features": features(),
        "threads": f"torch {torch.get_num_threads()}, blas {max(threads_of(pools), default=1)}",
    }


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """What differs: (name, then, now), "none" for what one of them does not tell."""
    names = sorted({*then, *now})
    pairs = ((name, then.get(name, "none"), now.get(name, "none")) for name in names)
    return tuple((name, a, b) for name, a, b in pairs if a != b)


def blas(pools: Iterable[Mapping[str, Any]]) -> str:
    """The BLAS that NumPy calls: its name, version and the processor whose kernels it has chosen."""
    found = sorted(
        " ".join(str(pool[key]) for key in ("internal_api", "version", "architecture") if pool.get(key))
        for pool in pools
        if pool["user_api"] == "blas"
    )
    return ", ".join(found) or "none named"


def threads_of(pools: Iterable[Mapping[str, Any]]) -> list[int]:
    """The threads of each BLAS."""
    return [int(pool["num_threads"]) for pool in pools if pool["user_api"] == "blas"]


def lines_of(text: str) -> list[str]:
    """The items of a list in text, one a line, without their dashes."""
    return [line.strip().removeprefix("- ") for line in text.splitlines()]


def processor() -> str:
    """Its model, which decides how BLAS cuts a product into blocks; "not told" where the system does not say."""
    if sys.platform == "linux":
        path = Path("/proc/cpuinfo")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
        told = dict(line.split(":", 1) for line in lines if ":" in line)  # of the last one, all are alike
        items = {key.strip(): value.strip() for key, value in told.items()}
        named = [items[key] for key in ("model name", "cpu family", "model", "stepping") if key in items]
        return " ".join(named) or "not told"
    return platform.processor() or "not told"


def features() -> str:
    """Those for which NumPy has kernels of its own, and what chooses among MKL's."""
    import numpy as np

    told: Any = np.show_config(mode="dicts")
    found = told.get("SIMD Extensions", {}).get("found", [])
    return " ".join([*found, *(f"{name}={os.environ[name]}" for name in ASKED if os.environ.get(name))]) or "none"
