"""Many training runs at once that differ in nothing but their numbers.

The equations leave leading axes alone, so K runs of one network are one run whose parameters, data and
losses have an axis in front, the members'. Small networks are all overhead, and K of them cost little
more than one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from reference.arrays import Array
from reference.claim.batches import Batches
from reference.claim.experiment import Experiment, check_array, checked_experiment, named_parts
from reference.claim.tree import Tree, named, zip_with
from reference.errors import InputError
from reference.options import whole

OWN = ("parameters", "x", "t")
"""What members do not share; an ensemble has every field of an experiment, and these with an axis in front."""


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
        for name, array in {**self.named_data, **named(self.parameters)}.items():
            check_array(name, array)  # of every member; the rest is said of the first
            if array.ndim == 0 or len(array) != self.members or len(array) == 0:
                expected = "one member or more along its first axis"
                if self.members:
                    expected = f"{self.members} members, as x has"
                raise InputError(f"tensor {name}", expected, f"shape {array.shape}")
        for what in ("network", "optimizer"):  # in the form that an experiment gives them
            object.__setattr__(self, what, getattr(self.first, what))

    @staticmethod
    def of(members: Sequence[Experiment]) -> "Ensemble":
        """The ensemble of these experiments. Raises InputError where they share not what members share."""
        if not isinstance(members, Sequence) or isinstance(members, (str, bytes)):
            raise InputError("members", "a list of experiments", repr(members))
        if not members:
            raise InputError("members", "one experiment or more", "none")
        first = checked_experiment(members[0])
        for k, e in enumerate(map(checked_experiment, members)):
            for what in ("network", "loss", "optimizer", "steps", "batches", "dtype", "penalty", "accumulate"):
                if getattr(e, what) != getattr(first, what):
                    expected = f"the {what} of member 0, {getattr(first, what)}"
                    raise InputError(f"member {k}", expected, str(getattr(e, what)))
            for name, a in e.named_data.items():
                shape = first.named_data[name].shape if name in first.named_data else None
                if a.shape != shape:
                    raise InputError(f"tensor {name} of member {k}", f"shape {shape}, as member 0 has", str(a.shape))

        def stacked(what: str) -> Tree:
            return zip_with(lambda _, *arrays: np.stack(arrays), *(getattr(e, what) for e in members))

        return Ensemble(**{f.name: getattr(first, f.name) for f in fields(first)} | {w: stacked(w) for w in OWN})

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
    def named_data(self) -> Mapping[str, Array]:
        """The arrays of x and t by name, as in Experiment, (K, samples, ...) each."""
        return named_parts((self.x,) if self.t is None else (self.x, self.t))

    @cached_property
    def members(self) -> int:
        """K, the number of members."""
        first = next(iter({**self.named_data, **named(self.parameters)}.values()))
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
        number = whole("member", k)
        if number >= self.members:
            raise InputError("member", f"a number below {self.members}", repr(k))
        return Experiment(**{f.name: getattr(self, f.name) for f in fields(self)} | self._own(number))

    def some(self, members: slice) -> "Ensemble":
        """The ensemble of some of the members alone. Raises InputError if there is none."""
        if not isinstance(members, slice):
            raise InputError("some of the members", "a slice", repr(members))
        return replace(self, **self._own(members))

    def _own(self, index: int | slice) -> dict[str, Tree]:
        return {what: zip_with(lambda _, a: a[index], getattr(self, what)) for what in OWN}
