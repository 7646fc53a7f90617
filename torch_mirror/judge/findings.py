"""What was found, as rows: one for each tensor, check and side. Plain data; no arithmetic on tensors here.

Everything that is said of a run is read from its rows: the verdict, the totals, the reports.
"""

from collections.abc import Callable, Iterable
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


Sign = Literal["factor", "element", "size", "formula"]
"""What a doubt goes by (doubts.py). factor: the whole tensor is so many times what its equation gives. element: one
error is too many standard deviations. size: all errors together are. formula: torch's operations in float64 are so many
radii off, of which rounding in sums is no part (checks/formula.py)."""


class Doubt(NamedTuple):
    """What speaks against a tensor that is within its radius: no refutation, as it rests on an assumption.

    The assumption: roundings are independent of each other, and as often up as down; of a formula, that constants are
    rounded once, and then the probability is 0.
    """

    sign: Sign
    figure: float       # factor: seen / expected. element: its error; size: the root mean square of all; in deviations.
    #                     formula: the largest error, in radii
    probability: float  # that this, or more, comes up anywhere in a run of right code, if the assumption holds


class Row(NamedTuple):
    """What one check found of one tensor, over all steps that it looked at.

    An element is vacuous, and not among the judged, if it could not have failed: its radius is infinite
    (overflow), or exceeds the largest |value| that the equation gives for the tensor of that step, and it is
    within it. The second is counted where the radii of a whole comparison were evaluated, which is wherever
    most elements differ from their equation or something may overflow; elsewhere such an element counts as judged.
    An element that is 0 goes with most of the others.
    Where the tensor is 0 nothing says what a large radius is, and no finite one is vacuous.

    resolution: at every entry looked at, a change of the whole tensor by this relative amount or more would
    have been refuted; or, of a gradient, counted among ``forms`` and noted, where another form of it may round as
    much (checks/forms.py), which is evaluated only where something is outside. Looked at is the last entry of each
    comparison, and there one of the largest elements: the figure is an upper bound. None where all of these were 0,
    of which nothing can be told; infinite where a radius is.

    A tensor tells at a step if of most of its elements that are not 0 half, or one and a half, of what the equation
    gives would have been outside, or they are what it gives to the last bit (compare.py). One that tells at no step,
    as the sides of a comparison may be equal or not, has the places of such comparisons in ``open_at``
    (checks/branches.py). That is empty where they are not known, and the coarse radii then come from rounding.
    """

    tensor: str
    check: Check
    side: Side
    comparisons: int = 0             # tensors of steps
    judged: int = 0                  # elements that could have failed
    vacuous: int = 0                 # elements that could not
    infinite: int = 0                # of the vacuous: those whose radius is infinite
    worst: Finding | None = None     # of the elements that were named
    under: float = 0.0               # the elements of which none was named have at most this error / radius
    first: Finding | None = None     # the worst element outside its radius of the earliest step that has one
    resolution: float | None = None
    zero: bool = True                # whether the tensor was 0 at every step
    forms: int = 0                   # elements outside their radius and inside that of another form (checks/forms.py)
    beyond: float = 0.0              # the largest error / radius of these, by the radius of the reference's own form
    sought: int = 0                  # tensors of steps that were looked at for a doubt, a sample of all
    doubt: Doubt | None = None       # what was found there
    unbounded: Finding | None = None  # the first element whose radius is infinite, of the earliest step that has one
    cancels: bool = False            # 0 but for rounding, so that no factor could show (checks/cancelling.py)
    open_at: str | None = None       # None: the tensor tells at some step; else where a comparison is open, if known

    @property
    def looked_at(self) -> int:
        """Elements, judged and vacuous."""
        return self.judged + self.vacuous

    @property
    def decides(self) -> bool:
        """Whether no radius is infinite, half of the elements at least could have failed, and no branch hides them.

        Those of a tensor that is 0 but for rounding could have failed as far as that goes.
        """
        return not self.infinite and (self.vacuous <= self.judged or self.cancels) and not self.open_at


class Findings(NamedTuple):
    """What came of some comparisons: rows, in the order in which a step evaluates their tensors."""

    rows: tuple[Row, ...] = ()

    @property
    def tensors(self) -> int:
        """Tensors of steps judged."""
        return sum(row.comparisons for row in self.rows)

    @property
    def judged(self) -> int:
        """Elements that could have failed."""
        return sum(row.judged for row in self.rows)

    @property
    def vacuous(self) -> int:
        """Elements that could not have failed."""
        return sum(row.vacuous for row in self.rows)

    @property
    def worst(self) -> Finding | None:
        """The element with the largest error / radius."""
        return max((row.worst for row in self.rows if row.worst), key=lambda f: f.ratio, default=None)

    @property
    def refutations(self) -> tuple[Finding, ...]:
        """The first finding of each row that has one: by step, and within it in the order of the rows."""
        return tuple(sorted((row.first for row in self.rows if row.first), key=lambda f: f.step))

    @property
    def first(self) -> Finding | None:
        """The first wrong tensor: the earliest step, and within it the first row."""
        return next(iter(self.refutations), None)

    @property
    def unbounded(self) -> Finding | None:
        """Where the first radius became infinite: the earliest step, and within it the first row."""
        return min((row.unbounded for row in self.rows if row.unbounded), key=lambda f: f.step, default=None)

    @property
    def doubts(self) -> tuple[Row, ...]:
        """The rows with a doubt, in their order."""
        return tuple(row for row in self.rows if row.doubt)

    @property
    def undecided(self) -> tuple[str, ...]:
        """Tensors of which no check that looked at all of it decides; NumPy's own run has names of its own.

        So an infinite radius end to end does not void what was judged locally, and what a sample of the
        steps or the start alone would show does not stand for the others.
        """
        return self._without(lambda row: row.decides)

    @property
    def untold(self) -> tuple[str, ...]:
        """The same, and tensors that tell at no step by any such check."""
        return self._without(lambda row: row.decides and row.open_at is None)

    def _without(self, enough: Callable[[Row], bool]) -> tuple[str, ...]:
        """Tensors for which no check that looked at all of them is enough."""
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            if row.looked_at:
                groups.setdefault((_run(row), row.tensor), []).append(row)
        names = []
        for (_, tensor), rows in groups.items():
            most = max(row.looked_at for row in rows)
            if not any(enough(row) for row in rows if row.looked_at == most):
                names.append(tensor)
        return tuple(dict.fromkeys(names))


def refuted_by(finding: Finding) -> Findings:
    """The row of a finding that is no element of a tensor, such as a distance."""
    return Findings((Row(finding.tensor, finding.check, finding.side, first=finding, zero=False),))


def merge(parts: Iterable[Findings]) -> Findings:
    """All of them in one: rows in the order of their first appearance, counts summed, the worst and the first kept."""
    groups: dict[tuple[str, Check, Side], list[Row]] = {}
    for part in parts:
        for row in part.rows:
            groups.setdefault(row[:3], []).append(row)
    return Findings(tuple(rows[0] if len(rows) == 1 else _joined(rows) for rows in groups.values()))


def zero_throughout(findings: Findings, tensors: Iterable[str]) -> tuple[str, ...]:
    """Those of the tensors that the run judged holds and that were 0 at every step, wherever they were looked at."""
    rows = [row for row in findings.rows if row.looked_at and row.check != "start" and _run(row) != "numpy"]
    seen, moved = {row.tensor for row in rows}, {row.tensor for row in rows if not row.zero}
    return tuple(name for name in tensors if name in seen - moved)


def _run(row: Row) -> str:
    """Whose run the row is about: what is said of one decides nothing of another, nor does a start of its steps."""
    if row.check in ("start", "unbatched"):
        return f"{row.check} {row.side}"
    return "numpy" if row.side == "numpy" else "torch"


def _joined(rows: list[Row]) -> Row:
    """Rows of the same tensor, check and side in one; of equals the first stays."""
    return Row(
        *rows[0][:3],
        comparisons=sum(row.comparisons for row in rows),
        judged=sum(row.judged for row in rows),
        vacuous=sum(row.vacuous for row in rows),
        infinite=sum(row.infinite for row in rows),
        worst=max((row.worst for row in rows if row.worst), key=lambda f: f.ratio, default=None),
        under=max(row.under for row in rows),
        first=min((row.first for row in rows if row.first), key=lambda f: (f.step, f.member or 0), default=None),
        resolution=max((row.resolution for row in rows if row.resolution is not None), default=None),
        zero=all(row.zero for row in rows),
        forms=sum(row.forms for row in rows),
        beyond=max(row.beyond for row in rows),
        sought=sum(row.sought for row in rows),
        doubt=min((row.doubt for row in rows if row.doubt), key=lambda d: d.probability, default=None),
        unbounded=min(
            (row.unbounded for row in rows if row.unbounded), key=lambda f: (f.step, f.member or 0), default=None
        ),
        cancels=any(row.cancels for row in rows),
        open_at=None if any(row.open_at is None for row in rows) else max(str(row.open_at) for row in rows),
    )
