"""Many training runs at once that differ in nothing but their numbers.

The equations leave leading axes alone, so K runs of one network are one run whose parameters, data and
losses have an axis in front, the members'. Small networks are all overhead, and K of them cost little
more than one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from reference.arrays import Array
from reference.claim.batches import Batches
from reference.claim.experiment import Experiment
from reference.claim.tree import Tree, named, zip_with
from reference.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class Ensemble:
    """K training runs, its members: an Experiment each, that share everything but start and data.

    parameters, x, t: trees as in Experiment whose arrays have an axis of K members in front. Everything else is as in
    Experiment, and every member sees the same rows of its data at the same step. Raises InputError when a member
    would be no Experiment, or where the numbers of members differ.
    """

    network: Any
    parameters: Tree
    x: Tree
    t: Tree
    loss: Any
    optimizer: Any
    steps: int
    name: str = "unnamed"
    seed: int | None = None
    batches: Batches | None = None
    penalty: Any = None
    accumulate: int = 1

    def __post_init__(self) -> None:
        tensors = self._arrays
        if not named(self.parameters):
            raise InputError("parameters", "a tree of arrays", type(self.parameters).__name__)
        for name, array in tensors.items():
            if not isinstance(array, np.ndarray):
                raise InputError(f"tensor {name}", "a NumPy array", type(array).__name__)
            if array.ndim == 0 or len(array) != self.members or len(array) == 0:
                expected = "one member or more along its first axis"
                if self.members:
                    expected = f"{self.members} members, as x has"
                raise InputError(f"tensor {name}", expected, f"shape {array.shape}")
        first = self.first
        for what in ("network", "optimizer"):  # in the form that an experiment gives them
            object.__setattr__(self, what, getattr(first, what))
        for name, array in tensors.items():
            bad = np.argwhere(~np.isfinite(array)).tolist() if array.dtype.kind == "f" else []
            if bad:
                where = tuple(bad[0])
                raise InputError(f"tensor {name}", "finite numbers", f"{array[where]} at {where}")

    @staticmethod
    def of(members: Sequence[Experiment]) -> "Ensemble":
        """The ensemble of these experiments. Raises InputError where they share not what members share."""
        if not members:
            raise InputError("members", "one experiment or more", "none")
        first = members[0]
        for k, e in enumerate(members):
            for what in ("network", "loss", "optimizer", "steps", "batches", "dtype", "penalty", "accumulate"):
                if getattr(e, what) != getattr(first, what):
                    expected = f"the {what} of member 0, {getattr(first, what)}"
                    raise InputError(f"member {k}", expected, str(getattr(e, what)))
            for name, a in e.named_data.items():
                shape = first.named_data[name].shape if name in first.named_data else None
                if a.shape != shape:
                    raise InputError(f"tensor {name} of member {k}", f"shape {shape}, as member 0 has", str(a.shape))

        def stacked(trees: list[Tree]) -> Tree:
            return zip_with(lambda _, *arrays: np.stack(arrays), *trees)

        return Ensemble(
            first.network,
            stacked([e.parameters for e in members]),
            stacked([e.x for e in members]),
            stacked([e.t for e in members]),
            first.loss, first.optimizer, first.steps, first.name, first.seed, first.batches, first.penalty,
            first.accumulate,
        )  # fmt: skip

    def __repr__(self) -> str:
        if self.members == 1:
            return f"Ensemble.of([{self.member(0)!r}])"
        numbers = f"{self.members} members of {self.first.samples} samples, {self.dtype}"  # too many to be told
        return (
            f"<Ensemble of {self.network!r}: {numbers}, {self.loss!r}, {self.optimizer!r}, steps={self.steps}, "
            f"batches={self.batches!r}>"
        )

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: FBT001 - the signature that IPython asks for
        """The same for IPython and hypothesis, which would otherwise tell every field of a dataclass."""
        printer.text(repr(self))

    @cached_property
    def _arrays(self) -> Mapping[str, Array]:
        """Every array by name: x, t and the parameters."""
        data = {f"{what}.{name}": a for what, part in (("x", self.x), ("t", self.t)) for name, a in named(part).items()}
        return {name.removesuffix(".p"): a for name, a in data.items()} | named(self.parameters)

    @property
    def named_data(self) -> dict[str, Array]:
        """The arrays of x and t by name, as in Experiment, (K, samples, ...) each."""
        return {name: a for name, a in self._arrays.items() if name not in named(self.parameters)}

    @cached_property
    def members(self) -> int:
        """K, the number of members."""
        first = next(iter(self._arrays.values()))
        return len(first) if getattr(first, "ndim", 0) else 0

    @cached_property
    def first(self) -> Experiment:
        """Member 0."""
        return self.member(0)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The precision of the runs."""
        return self.first.dtype

    def member(self, k: int) -> Experiment:
        """One of the runs, 0 ... K - 1, as an experiment of its own; its arrays are views."""
        parameters, x, t = (zip_with(lambda _, a: a[k], tree) for tree in (self.parameters, self.x, self.t))
        return Experiment(
            self.network, parameters, x, t,
            self.loss, self.optimizer, self.steps, self.name, self.seed, self.batches, self.penalty, self.accumulate,
        )  # fmt: skip

    def some(self, members: slice) -> "Ensemble":
        """The ensemble of some of the members alone. Raises InputError if there is none."""
        parameters, x, t = (zip_with(lambda _, a: a[members], tree) for tree in (self.parameters, self.x, self.t))
        return replace(self, parameters=parameters, x=x, t=t)
