"""What is added to the loss for the parameters' own sake, with its gradient beside it.

R  = strength sum W^2            over all elements of the penalised parameters
dW = 2 strength W

strength is lambda / 2 in books that write lambda / 2 sum W^2. Source: Goodfellow, Bengio and Courville, Deep Learning
(2016), section 7.1.1.
"""

from typing import Any, NamedTuple

from reference.arrays import Array
from reference.claim.tree import Tree, named, zip_with
from reference.errors import InputError, UnknownNameError
from reference.options import not_negative


class L2(NamedTuple):
    """The sum of squares of the parameters of these names, or of all, times ``strength``.

    lead: how many axes stand in front of a parameter's own, where steps are stacked.
    """

    strength: float
    names: tuple[str, ...] | None = None
    lead: int = 0

    def validated(self) -> "L2":
        """With a plain number. Raises InputError for a negative strength, one that is not finite, and no names."""
        names = self.names
        if names is not None and (not isinstance(names, (tuple, list, set, frozenset, dict)) or not names):
            raise InputError("names of the penalty", "a tuple of parameters' names, or None for all", repr(names))
        names = None if names is None else tuple(names)
        strength = not_negative("strength of the penalty", self.strength, "weight decay")
        return self._replace(strength=strength, names=names)

    def checked(self, p: Tree) -> "L2":
        """The same. Raises UnknownNameError for a name that p does not have."""
        known = list(named(p))
        for name in self.names or ():
            if name not in known:
                raise UnknownNameError("parameter of the penalty", name, known)
        return self

    def value(self, p: Tree) -> Array:
        """R. Returns (...)."""
        squares = [(w * w).sum(axis=tuple(range(self.lead, w.ndim))) for w in self._penalised(p)]
        return self.strength * sum(squares[1:], start=squares[0])

    def gradient(self, p: Tree) -> Tree:
        """dR by each parameter, in the form of p; None where a parameter is not penalised."""
        wanted = set(named(p) if self.names is None else self.names)
        return zip_with(lambda name, w: (2 * self.strength) * w if name in wanted else None, p)

    def _penalised(self, p: Tree) -> list[Any]:
        return [w for name, w in named(p).items() if self.names is None or name in self.names]
