"""Hold a PyTorch mirror up to networks written by hand in NumPy, and judge every tensor of every step.

The public names stand in ``__init__.pyi``, a line each, for type checkers and for this file alike. They are imported
when they are first asked for, so that importing the package costs nothing: the command line and the tools that load
it in every process need neither NumPy nor torch.
"""

import importlib

from torch_mirror.neighbour import check_reference

TYPE_CHECKING = False  # as in ``typing``, which takes longer to load than all the rest of a command's beginning
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"


def _homes(stub: str) -> dict[str, str]:
    """The module of each public name, from lines such as ``from torch_mirror.doors.verify import verify as verify``."""
    words = [line.split() for line in stub.splitlines() if line.startswith("from ")]
    return {name: module for _, module, _, name, *_ in words}


with open(f"{__file__}i", encoding="utf-8") as _stub:  # noqa: PTH123 - pathlib takes longer to load than this package
    _HOME = _homes(_stub.read())

__all__ = [*sorted(_HOME), "__version__"]  # noqa: PLE0604  # names, all of them


def __getattr__(name: str) -> "Any":
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_reference()
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # found without asking next time
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
