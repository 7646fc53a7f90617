"""Hold a PyTorch mirror up to networks written by hand in NumPy, and judge every tensor of every step.

The public names are imported when they are first asked for, so that importing the package costs
nothing: the command line and the tools that load it in every process need neither NumPy nor torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch_mirror.ensembles import verify_ensemble
    from torch_mirror.judge.ball import Ball
    from torch_mirror.judge.certificate import Certificate
    from torch_mirror.judge.certify import certify
    from torch_mirror.properties import minimised
    from torch_mirror.training import train
    from torch_mirror.verification import verify

__all__ = ["Ball", "Certificate", "__version__", "certify", "minimised", "train", "verify", "verify_ensemble"]
__version__ = "0.1.0"

_HOME = {
    "Ball": "torch_mirror.judge.ball",
    "Certificate": "torch_mirror.judge.certificate",
    "certify": "torch_mirror.judge.certify",
    "minimised": "torch_mirror.properties",
    "train": "torch_mirror.training",
    "verify": "torch_mirror.verification",
    "verify_ensemble": "torch_mirror.ensembles",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # found without asking next time
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
