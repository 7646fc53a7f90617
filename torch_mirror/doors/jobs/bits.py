"""All bits of a training run on both sides, as one digest: of a run while it is judged, or of one that is made for it.

Of torch's run it is every tensor of every step; of NumPy's the parameters and the optimizer's states, on which all
else of a step follows by the same code. Segments of any size give the same digest.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import names
from reference.traces import training as of_numpy
from reference.traces.trace import Trace
from torch_mirror.training import loop as of_torch
from torch_mirror.training.convolutions import term_by_term
from torch_mirror.training.session import gradients_on, session, session_by
from torch_mirror.training.threads import one_thread


@dataclass
class Bits:
    """Takes each segment of torch's run and of NumPy's, as ``verify(observe=)`` hands them out."""

    of: dict[str, Any] = field(default_factory=dict)  # what was hashed so far, by side and tensor

    def __call__(self, torch: Trace, numpy: Trace) -> None:
        self.add("torch", torch.first, {**torch.parameters, **torch.states})
        self.add("torch", None, torch.tensors)
        self.add("numpy", numpy.first, {**numpy.parameters, **numpy.states})

    def add(self, side: str, first: int | None, arrays: Mapping[str, Array]) -> None:
        """Add a segment's rows. first: of parameters and states, which have a row before the first step, too."""
        for name, array in arrays.items():
            whole = self.of.setdefault(f"{side} {name}", hashlib.sha256(f"{array.dtype.str}{array.shape[1:]}".encode()))
            whole.update(np.ascontiguousarray(array[1:] if first else array).tobytes())

    def digest(self) -> str:
        """In hexadecimal digits."""
        parts = (f"{name}\0{whole.hexdigest()}\0" for name, whole in sorted(self.of.items()))
        return hashlib.sha256("".join(parts).encode()).hexdigest()


def bits_of(
    e: Experiment, using: Callable[[Experiment], Any] | None, also: Callable[[Trace, Trace], object] | None = None
) -> str:
    """The digest of a run that is made for it, as ``verify`` makes it. Raises what the run raises.

    also: takes each segment of torch's run and of NumPy's, too.
    """
    bits, kept = Bits(), names(e.slots, "parameter", "state")
    with one_thread(), term_by_term(), gradients_on(), np.errstate(all="ignore"):
        runs = of_torch.segments(e, using=session_by(using or session, e)), of_numpy.segments(e, kept)
        for torch, numpy in zip(*runs, strict=True):
            bits(torch, numpy)
            if also is not None:
                also(torch, numpy)
    return bits.digest()
