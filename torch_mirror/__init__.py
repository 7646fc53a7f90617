"""Hold a PyTorch mirror up to networks written by hand in NumPy, and judge every tensor of every step.

The public names are imported when they are first asked for, so that importing the package costs
nothing: the command line and the tools that load it in every process need neither NumPy nor torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch_mirror.balls.cell import Ball
    from torch_mirror.doors.certify import certify
    from torch_mirror.doors.check.derivative import check
    from torch_mirror.doors.check.forward import check_forward
    from torch_mirror.doors.check.layer import check_layer
    from torch_mirror.doors.check.result import Checked, Refuted
    from torch_mirror.doors.check.step import check_step
    from torch_mirror.doors.ensembles import verify_ensemble
    from torch_mirror.doors.minimised import minimised
    from torch_mirror.doors.verify import verify
    from torch_mirror.judge.verdict import Certificate
    from torch_mirror.training.loop import train
    from torch_mirror.training.session import Session, session

__all__ = [
    "Ball",
    "Certificate",
    "Checked",
    "Refuted",
    "Session",
    "__version__",
    "certify",
    "check",
    "check_forward",
    "check_layer",
    "check_step",
    "minimised",
    "session",
    "train",
    "verify",
    "verify_ensemble",
]
__version__ = "0.1.0"

_HOME = {
    "Ball": "torch_mirror.balls.cell",
    "Certificate": "torch_mirror.judge.verdict",
    "Session": "torch_mirror.training.session",
    "Checked": "torch_mirror.doors.check.result",
    "Refuted": "torch_mirror.doors.check.result",
    "certify": "torch_mirror.doors.certify",
    "check": "torch_mirror.doors.check.derivative",
    "check_forward": "torch_mirror.doors.check.forward",
    "check_layer": "torch_mirror.doors.check.layer",
    "check_step": "torch_mirror.doors.check.step",
    "minimised": "torch_mirror.doors.minimised",
    "session": "torch_mirror.training.session",
    "train": "torch_mirror.training.loop",
    "verify": "torch_mirror.doors.verify",
    "verify_ensemble": "torch_mirror.doors.ensembles",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # found without asking next time
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
