"""The verdict on a run, and what it is made of. Plain data; no arithmetic on tensors here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from torch_mirror.judge.findings import Finding, Findings, Row, zero_throughout
from torch_mirror.judge.notebook import as_html

if TYPE_CHECKING:
    from torch_mirror.judge.series import Series

Words = Literal[
    "the reference's backward does not belong to its own forward",
    "forwards differ",
    "updates differ",
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
"""Which side is wrong, as exact arithmetic sees it, or a derivative with a radius; ruling.py and referee.py say why."""


NOT_ITS_OWN: Words = "the reference's backward does not belong to its own forward"

NEITHER = (
    "neither the reference nor the mirror has the derivative of the reference's own forward: both are wrong, or it is "
    "not meant (a straight-through estimator, a gradient that is stopped or reversed), and then it does not tell them "
    "apart unless it is declared by torch_mirror.surrogate"
)

WITHIN = "rounding, or a branch that it leaves open, may take a right gradient as far from the derivative as these are"


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


Verdict = Literal["certified", "refuted", "vacuous", "doubted"]


@dataclass(frozen=True)
class Certificate:
    """What was judged of a run, and the verdict.

    rows are in the order in which a step evaluates their tensors; the totals are read from them.
    idle says, in words, why nothing at all could have failed. strict: whether a doubt is enough to fail.
    """

    experiment: str
    dtype: str
    seed: int | None
    steps: int
    rows: tuple[Row, ...] = ()
    idle: tuple[str, ...] = ()
    end_distance: float | None = None           # |torch - numpy| over all parameters at the end, Euclidean
    end_distance_relative: float | None = None  # the same over the Euclidean norm of NumPy's parameters
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    ruling: Ruling | None = None                # of the arbiter on the first wrong tensor
    strict: bool = False
    why: tuple[str, ...] = ()                   # lines and causes of what the ruling found wrong (doors/why.py)
    series: "Series | None" = field(default=None, compare=False, repr=False)  # curves for a report, if asked for

    def _repr_html_(self) -> str:
        return as_html(self)

    @property
    def verdict(self) -> Verdict:
        """refuted if anything is outside its radius; vacuous if nothing, or not all of some tensor, could have failed.

        A tensor voids the verdict if no check that looked at all of it decides: each has an infinite radius
        there, or most of its elements are vacuous, or an open comparison hides them (checks/branches.py). What a check
        could not decide and another one could voids nothing.
        What else would be certified is doubted, if there is a doubt and strict.
        """
        if any(row.first for row in self.rows):
            return "refuted"
        if self.idle or not self.judged or self.undecided:
            return "vacuous"
        return "doubted" if self.strict and self.doubts else "certified"

    @property
    def doubts(self) -> tuple[Row, ...]:
        """The rows with a doubt (doubts.py), in the order of evaluation."""
        return Findings(self.rows).doubts

    @property
    def first(self) -> Finding | None:
        """The first wrong tensor: the earliest step, and within it the first equation."""
        return Findings(self.rows).first

    @property
    def tensors(self) -> int:
        """Tensors of steps judged."""
        return Findings(self.rows).tensors

    @property
    def judged(self) -> int:
        """Elements that could have failed."""
        return Findings(self.rows).judged

    @property
    def vacuous(self) -> int:
        """Elements that could not have failed; ``Row`` says which these are."""
        return Findings(self.rows).vacuous

    @property
    def worst(self) -> Finding | None:
        """The element with the largest error / radius."""
        return Findings(self.rows).worst

    @property
    def resolutions(self) -> dict[str, float]:
        """Of each tensor the relative change of the whole that would have been seen in torch's: the finest of its rows.

        Of NumPy's where torch's was not judged; a tensor that was 0 wherever it was looked at has none.
        """
        found: dict[str, float] = {}
        by_torch = {row.tensor for row in self.rows if row.side != "numpy"}
        for row in self.rows:
            if row.resolution is not None and (row.side != "numpy" or row.tensor not in by_torch):
                found[row.tensor] = min(row.resolution, found.get(row.tensor, row.resolution))
        return found

    @property
    def refutations(self) -> tuple[Finding, ...]:
        """The first finding of each refuted tensor, by step, and within it in the order of evaluation."""
        return Findings(self.rows).refutations

    @property
    def undecided(self) -> tuple[str, ...]:
        """The tensors that void the verdict."""
        return Findings(self.rows).undecided


def still(findings: Findings, gradients: Mapping[str, str], moved: Collection[str]) -> tuple[str, ...]:
    """Notes of what no factor could show in: gradients that were 0 at every step, and updates that changed nothing.

    gradients: of each parameter by its name. moved: the parameters that were not the same all the time. Nothing is
    said where all gradients were 0: then nothing could have failed, and ``idle`` says it; nor of updates in a run that
    is refuted, as it may be for one that did not come.
    """
    zero = zero_throughout(findings, gradients.values())
    if zero and set(zero) == {row.tensor for row in findings.rows} & set(gradients.values()):
        return ()
    still_right = findings.first is None
    stuck = [name for name, gradient in gradients.items() if still_right and name not in moved and gradient not in zero]
    said = []
    if zero:
        was, it = ("was", "it") if len(zero) == 1 else ("were", "them")
        said.append(f"{', '.join(zero)} {was} 0 at every step: no factor in {it} could have failed")
    if stuck:
        its = "its" if len(stuck) == 1 else "their"
        said.append(f"{', '.join(stuck)} never moved: no factor in {its} update could have failed")
    return tuple(said)


def open_branches(findings: Findings) -> tuple[str, ...]:
    """Notes of the tensors of which nothing could be told because of an open comparison: its line, and the way out."""
    tensors: dict[str, list[str]] = {}
    for row in findings.rows:
        if row.open_at and row.tensor not in tensors.setdefault(row.open_at, []):
            tensors[row.open_at].append(row.tensor)
    return tuple(
        f"open comparison: {places} hides {', '.join(names)}: rounding may turn it either way, and the radius holds "
        "both; mark an element by its place (argmax), or compare x with x.max(...) of the same x"
        for places, names in tensors.items()
    )


def cancelling(findings: Findings) -> tuple[str, ...]:
    """The note of the gradients that are 0 but for rounding."""
    names = tuple(dict.fromkeys(row.tensor for row in findings.rows if row.cancels))
    if not names:
        return ()
    are, it, their = ("is", "it", "its") if len(names) == 1 else ("are", "them", "their")
    told = f"{', '.join(names)} {are} 0 but for rounding: longdouble gives another number"
    return (f"{told}, and no factor in {it} could show; more than the rounding of {their} terms would have failed",)


def other_forms(findings: Findings) -> tuple[str, ...]:
    """Notes of the tensors that are right up to the rounding of another form, and by how much another one."""
    return tuple(
        f"{row.tensor} ({row.check}): equal up to the rounding of another form in {row.forms} of {row.looked_at} "
        f"elements, {_beyond(row.beyond)}"
        for row in findings.rows
        if row.forms
    )


def _beyond(ratio: float) -> str:
    """How far that is, in words."""
    if ratio == float("inf"):
        return "in some of which the reference's own form rounds nothing"
    return f"which are up to {ratio:.3g} radii of the reference's own form away"
