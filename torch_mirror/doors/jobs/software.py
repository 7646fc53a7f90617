"""What judges: this package, what is installed beside it, the processor. All of it bears on a verdict."""

import hashlib
import platform
import sys
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import numpy as np

import reference
import torch_mirror

OURS = tuple(Path(package.__file__ or "").resolve().parent for package in (reference, torch_mirror))
"""The folders of our two packages."""


def digest(contents: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(contents).hexdigest()


@cache
def software() -> dict[str, str]:
    """Python, this package and all that is installed, by what each is; the same wherever a verdict is the same."""
    import torch  # noqa: PLC0415 - costs seconds that neither check nor a name that is unknown needs

    code = hashlib.sha256()
    for folder in OURS:
        for path in sorted(folder.rglob("*.py")):
            code.update(f"{folder.name}/{path.relative_to(folder).as_posix()}\0{digest(path.read_bytes())}\0".encode())
    installed = sorted({f"{d.name} {d.version}" for d in distributions()})
    return {
        "python": sys.version,
        "torch-mirror": f"{torch_mirror.__version__} {code.hexdigest()}",
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "installed": digest("\n".join(installed).encode()),
    }


@cache
def hardware() -> dict[str, str]:
    """What of the processor NumPy and torch compute with."""
    import torch  # noqa: PLC0415 - the same

    config = np.show_config(mode="dicts")
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "numpy": repr(config["SIMD Extensions"]["found"]),
        "torch": torch.backends.cpu.get_cpu_capability(),
    }
