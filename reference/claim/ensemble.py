"""Many training runs at once that differ in nothing but their numbers.

The equations leave leading axes alone, so K runs of one network are one run whose parameters, data and
losses have an axis in front, the members'. Small networks are all overhead, and K of them cost little
more than one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from reference.arrays import Array
from reference.claim.batches import Batches
from reference.claim.experiment import Experiment
from reference.claim.objective import Network, Parameters
from reference.claim.tree import named, zip_with
from reference.errors import InputError
from reference.losses import SquaredError
from reference.optimizers.sgd import SGD


@dataclass(frozen=True, eq=False, repr=False)
class Ensemble:
    """K training runs, its members: an Experiment each, that share everything but start and data.

    parameters: the starts, (K, ...) each, in the network's own Parameters type; x: (K, samples, in);
    t: (K, samples, out). Everything else is as in Experiment, and every member sees the same rows of its
    data at the same step. Raises InputError when a member would be no Experiment, or where the numbers of
    members differ.
    """

    network: Network
    parameters: Parameters
    x: Array
    t: Array
    loss: SquaredError
    sgd: SGD
    steps: int
    name: str = "unnamed"
    seed: int | None = None
    batches: Batches | None = None

    def __post_init__(self) -> None:
        if not hasattr(self.parameters, "_fields"):
            raise InputError("parameters", "a NamedTuple of arrays", type(self.parameters).__name__)
        tensors = {"x": self.x, "t": self.t, **named(self.parameters)}
        for name, array in tensors.items():
            if not isinstance(array, np.ndarray):
                raise InputError(f"tensor {name}", "a NumPy array", type(array).__name__)
            if array.ndim == 0 or len(array) != len(self.x) or len(array) == 0:
                members = len(self.x) if self.x.ndim else 0
                expected = f"{members} members, as x has" if members else "one member or more along its first axis"
                raise InputError(f"tensor {name}", expected, f"shape {array.shape}")
        first = self.first
        for what in ("network", "sgd", "loss"):  # in the form that an experiment gives them
            object.__setattr__(self, what, getattr(first, what))
        for name, array in tensors.items():
            bad = () if np.isfinite(array).all() else np.argwhere(~np.isfinite(array))[0]
            if len(bad):
                where = tuple(int(i) for i in bad)
                raise InputError(f"tensor {name}", "finite numbers", f"{array[where]} at {where}")

    @staticmethod
    def of(members: Sequence[Experiment]) -> "Ensemble":
        """The ensemble of these experiments. Raises InputError where they share not what members share."""
        if not members:
            raise InputError("members", "one experiment or more", "none")
        first = members[0]
        for k, e in enumerate(members):
            for what in ("network", "loss", "sgd", "steps", "batches", "dtype"):
                if getattr(e, what) != getattr(first, what):
                    expected = f"the {what} of member 0, {getattr(first, what)}"
                    raise InputError(f"member {k}", expected, str(getattr(e, what)))
            if e.x.shape != first.x.shape:
                raise InputError(f"tensor x of member {k}", f"shape {first.x.shape}, as member 0 has", str(e.x.shape))
        starts = [named(e.parameters) for e in members]
        return Ensemble(
            first.network,
            zip_with(lambda name, _: np.stack([start[name] for start in starts]), first.parameters),
            np.stack([e.x for e in members]),
            np.stack([e.t for e in members]),
            first.loss, first.sgd, first.steps, first.name, first.seed, first.batches,
        )  # fmt: skip

    def __repr__(self) -> str:
        if self.members == 1:
            return f"Ensemble.of([{self.member(0)!r}])"
        numbers = f"{self.members} members of {self.x.shape[1]} samples, {self.dtype}"  # too many to be told
        return (
            f"<Ensemble of {self.network!r}: {numbers}, {self.loss!r}, {self.sgd!r}, steps={self.steps}, "
            f"batches={self.batches!r}>"
        )

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: FBT001 - the signature that IPython asks for
        """The same for IPython and hypothesis, which would otherwise tell every field of a dataclass."""
        printer.text(repr(self))

    @property
    def members(self) -> int:
        """K, the number of members."""
        return len(self.x)

    @cached_property
    def first(self) -> Experiment:
        """Member 0."""
        return self.member(0)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The precision of the runs."""
        return self.x.dtype

    @property
    def buffers(self) -> list[str]:
        """The names of the momentum buffers, as in Experiment."""
        return self.first.buffers

    def member(self, k: int) -> Experiment:
        """One of the runs, 0 ... K - 1, as an experiment of its own; its arrays are views."""
        return Experiment(
            self.network,
            zip_with(lambda _, a: a[k], self.parameters),
            self.x[k],
            self.t[k],
            self.loss, self.sgd, self.steps, self.name, self.seed, self.batches,
        )  # fmt: skip

    def some(self, members: slice) -> "Ensemble":
        """The ensemble of some of the members alone. Raises InputError if there is none."""
        return replace(
            self,
            parameters=zip_with(lambda _, a: a[members], self.parameters),
            x=self.x[members],
            t=self.t[members],
        )
