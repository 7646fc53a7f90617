"""The verdict on a run, and what it is made of. Plain data; no arithmetic on tensors here."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Side = Literal["torch", "numpy", "both"]
"""Whose tensor was judged: torch's trace, NumPy's trace, or the two against each other."""

Check = Literal["local", "end to end", "trajectory", "start", "unbatched"]
"""local: one equation on the trace's own inputs. end to end: gradients from identical weights.
trajectory: the distance of the two free runs. start: the given values, bit for bit. unbatched: end to
end, of an ensemble's member that was trained alone, without torch.vmap."""


class Finding(NamedTuple):
    """One judged element that is worth naming: the worst, or one outside its radius."""

    ratio: float             # error / radius: above 1 is refuted
    step: int                # of the run, from 0; a parameter's step is the one that made it
    tensor: str
    side: Side
    check: Check
    index: tuple[int, ...]   # type: ignore[assignment]  # in the tensor of that step; hides tuple.index, which nobody calls
    seen: float              # what the trace holds
    expected: float          # what the equation gives
    radius: float            # largest admissible |seen - expected|
    ulp: float               # |seen - expected| in units in the last place of expected
    outside: int = 0         # elements of this tensor at this step outside their radius
    size: int = 1            # elements of this tensor at this step
    member: int | None = None  # of an ensemble


Words = Literal[
    "the reference's backward does not belong to its own forward",
    "forwards differ",
    "the mirror strays",
    "the reference strays",
    "both stray",
    "no derivative exists there",
    "the run did not start from the given values",
    "exact arithmetic does not confirm it",
    "too large for exact arithmetic",
    "needs python-flint",
    "no ruling",
]
"""Which side is wrong, as exact arithmetic sees it; see arbiter.py for what each of them rests on."""


class Ruling(NamedTuple):
    """What the arbiter says of a finding. The numbers are rounded to floats."""

    verdict: Words
    tensor: str
    step: int
    index: tuple[int, ...] = ()      # type: ignore[assignment]  # the element ruled on; hides tuple.index, as above
    derivative: float | None = None  # of the reference's own forward and loss, by the value whose gradient this is
    reference: float | None = None   # what the reference's equations give for the tensor, in exact arithmetic
    mirror: float | None = None      # what the mirror's trace holds
    left: float | None = None        # the one-sided derivatives, where they differ
    right: float | None = None
    note: str = ""                   # what else a reader must know: why there is no ruling, what was exceeded


@dataclass(frozen=True)
class Certificate:
    """What was judged of a run, and the verdict.

    judged counts elements that could have failed; vacuous those that could not, because their
    radius is infinite (overflow). refutations holds the first finding of each refuted tensor, in the
    order in which a step evaluates them. idle says, in words, why nothing at all could have failed.
    """

    experiment: str
    dtype: str
    seed: int | None
    steps: int
    tensors: int = 0                            # tensors of steps judged
    judged: int = 0
    vacuous: int = 0
    worst: Finding | None = None
    refutations: tuple[Finding, ...] = ()
    idle: tuple[str, ...] = ()
    end_distance: float | None = None           # |torch - numpy| over all parameters at the end, Euclidean
    end_distance_relative: float | None = None  # the same over the Euclidean norm of NumPy's parameters
    seconds: float = 0.0
    notes: tuple[str, ...] = field(default=())
    ruling: Ruling | None = None                # of the arbiter on the first wrong tensor

    @property
    def verdict(self) -> Literal["certified", "refuted", "vacuous"]:
        """refuted if anything is outside its radius; vacuous if something could not have failed."""
        if self.refutations:
            return "refuted"
        return "vacuous" if self.vacuous or self.idle or not self.judged else "certified"

    @property
    def first(self) -> Finding | None:
        """The first wrong tensor: the earliest step, and within it the first equation."""
        return min(self.refutations, key=lambda f: f.step, default=None)
