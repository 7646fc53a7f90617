"""Hold a PyTorch mirror up to networks written by hand in NumPy, and judge every tensor of every step.

The public names stand in ``__init__.pyi``, a line each, for type checkers and for this file alike. They are imported
when they are first asked for, so that importing the package costs nothing: the command line and the tools that load
it in every process need neither NumPy nor torch.
"""

import importlib
import pkgutil
from typing import Any

__version__ = "0.1.0"


def _homes(stub: str) -> dict[str, str]:
    """The module of each public name, from lines such as ``from torch_mirror.doors.verify import verify as verify``."""
    words = [line.split() for line in stub.splitlines() if line.startswith("from ")]
    return {name: module for _, module, _, name, *_ in words}


_HOME = _homes((pkgutil.get_data(__name__, "__init__.pyi") or b"").decode())

__all__ = [*sorted(_HOME), "__version__"]  # noqa: PLE0604  # names, all of them


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # found without asking next time
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
