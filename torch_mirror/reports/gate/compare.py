"""A baseline held against what is there now: what has changed, and whether that fails.

**In the same environment** the same code gives the same bits, so every change has a cause, and figures are compared row
by row. Where no bit of a run has changed, nor may its resolution: then its radii are what has changed. Where bits have,
a resolution may move a little, as it is a radius over a value: ROOM.

**In another environment** (another processor, NumPy, torch, BLAS, number of threads) other bits are as right. What is
compared there is what does not hang on the last bits of a number; ELSEWHERE and ``_elsewhere`` say what that is, and
docs/gate.md what was measured.

    elements     as many are looked at by every check: the steps and the shapes are the same. Of NumPy's own run that
                 holds of none, but that some are: how many of its steps are depends on how fast the runs part.
    judged       of a local check at least half of what was: else its radii have become too wide for the numbers
    resolution   a quarter of a run's local checks may not all be ELSEWHERE times as coarse. Of one row it says
                 nothing: it is a radius over a value, and where a run has converged, a gradient is what roundings
                 have left of it.
    headroom     half of a run's rows may not all use more of their radius, by the square of the factor. Of one row it
                 says nothing: where few roundings are done, one processor's are 0 and another one's are not.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

from torch_mirror.judge.findings import Doubt
from torch_mirror.reports.gate.bits import begun, changed_bits
from torch_mirror.reports.gate.claim import Baseline, Claim, Figure
from torch_mirror.reports.gate.surroundings import changed

Kind: TypeAlias = Literal[
    "refuted", "vacuous", "doubted", "doubt grew", "vanished", "not in the baseline", "another run", "no longer judged",
    "fewer judged", "resolution", "headroom", "bits", "newly judged",
]  # fmt: skip
"""What has changed."""

TELLS_ONLY: tuple[Kind, ...] = ("bits", "newly judged")
"""Of these nothing fails."""

FACTOR = 2.0
"""By how much headroom may grow, by default."""

ROOM = 2.0
"""By how much a resolution may grow where bits have changed."""

SHORT = 1.002
"""By how much a figure may seem to grow that is kept in four digits."""

ELSEWHERE = 1.5
"""By how much the resolution of a quarter of a run's local checks may grow in another environment: the upper quartile
grew 1.12 times at most in what docs/gate.md tells of, and the median never."""


class Change(NamedTuple):
    """What has changed of one run, or of one row of it. then, now: the figures, where it is one that has changed."""

    kind: Kind
    words: str
    tensor: str = ""
    side: str = ""
    check: str = ""
    then: float | None = None
    now: float | None = None

    @property
    def fails(self) -> bool:
        """Whether the gate lets it pass."""
        return self.kind not in TELLS_ONLY


class Outcome(NamedTuple):
    """What came of one run."""

    name: str
    dtype: str
    verdict: str          # "none" where it was not judged
    judged: int           # elements
    changes: tuple[Change, ...] = ()
    why: tuple[str, ...] = ()  # of what is not certified, in words

    @property
    def passed(self) -> bool:
        """Whether nothing in it fails."""
        return not any(change.fails for change in self.changes)


class Comparison(NamedTuple):
    """What has changed: of the environment (name, then, now), and of each run; those of now first."""

    environment: tuple[tuple[str, str, str], ...]
    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> bool:
        """Whether something was judged and nothing fails."""
        return bool(self.outcomes) and all(outcome.passed for outcome in self.outcomes)


def compare(then: Baseline, now: Baseline, factor: float = FACTOR) -> Comparison:
    """What has changed between a baseline and now. factor: by how much a headroom may grow."""
    environment = changed(then.environment, now.environment)
    before = {c.key: c for c in then.claims}
    outcomes = [_outcome(before.get(c.key), c, factor, same=not environment) for c in now.claims]
    judged = {c.key for c in now.claims}
    outcomes += [_vanished(c) for c in then.claims if c.key not in judged]
    return Comparison(environment, tuple(outcomes))


def _vanished(c: Claim) -> Outcome:
    words = "it is in the baseline and was not judged: name it, or take it out by --update"
    return Outcome(c.name, c.dtype, "none", 0, (Change("vanished", words),))


def _outcome(then: Claim | None, now: Claim, factor: float, *, same: bool) -> Outcome:
    changes = [*_verdict(now)]
    if then is None:
        changes.append(Change("not in the baseline", "it is not in the baseline: --update takes it in"))
    elif (then.steps, then.seed) != (now.steps, now.seed):
        run, other = (f"{c.steps} steps, seed {c.seed}" for c in (then, now))
        changes.append(Change("another run", f"the baseline has a run of {run}; this one has {other}"))
    else:
        changes += _of_rows(then, now, _same(then, now, factor) if same else _elsewhere, factor)
        changes += _bits(then, now) if same else _over_rows(then, now, factor)
    return Outcome(now.name, now.dtype, now.verdict, now.judged, tuple(changes), now.why)


def _verdict(now: Claim) -> Iterator[Change]:
    if now.verdict == "refuted":
        yield Change("refuted", next(iter(now.why), "refuted"))
    elif now.verdict == "vacuous":
        yield Change("vacuous", next(iter(now.why), "nothing could have failed"))


# --- row by row -----------------------------------------------------------------------------------

_Rule: TypeAlias = Callable[[Figure, Figure], Iterable[Change]]


def _of_rows(then: Claim, now: Claim, rule: _Rule, factor: float) -> Iterator[Change]:
    after, before = {f.place: f for f in now.figures}, {f.place: f for f in then.figures}
    for place, f in before.items():
        if place not in after:
            yield _row("no longer judged", f, f"{f.judged} elements judged before, none now")
    for place, g in after.items():
        if place not in before:
            doubt = _doubted(g)
            if g.judged:
                yield _row("newly judged", g, f"{g.judged} elements that the baseline does not have")
        else:
            doubt = _doubted(g) if before[place].doubt is None else _doubt_grew(before[place], g, factor)
            yield from rule(before[place], g)
        yield from doubt


def _same(then: Claim, now: Claim, factor: float) -> _Rule:
    """The rule for the same environment."""
    room = SHORT if then.prints and then.prints == now.prints else ROOM

    def rule(f: Figure, g: Figure) -> Iterator[Change]:
        if g.judged < f.judged:
            yield _fewer(f, g)
        if _wrong(now, g):
            return  # which is told: its radii are those of wrong numbers
        yield from _coarser(f, g, room)
        if not g.bound and g.headroom > factor * f.headroom:  # of a bound nobody knows whether it is reached
            words = f"headroom {_from_to(f.headroom, g.headroom)}, of which 1 is the whole radius"
            yield _row("headroom", g, words, f.headroom, g.headroom)

    return rule


def _wrong(now: Claim, g: Figure) -> bool:
    """Whether it is a row for which the run is refuted: some element is outside its radius, or NaN is its error."""
    return now.verdict == "refuted" and not (g.bound or g.headroom <= 1)


def _elsewhere(f: Figure, g: Figure) -> Iterator[Change]:
    """The rule for another environment."""
    if g.side == "numpy":
        fewer = f.judged > 0 and not g.judged
    else:
        fewer = g.judged + g.vacuous < f.judged + f.vacuous or (g.check == "local" and 2 * g.judged < f.judged)
    if fewer:
        yield _fewer(f, g)
    yield from _of_zeros(f, g)


def _of_zeros(f: Figure, g: Figure) -> Iterator[Change]:
    """A tensor that is 0 now wherever it is looked at, and was not: 0 is within every radius, whatever the factor."""
    if f.check == "local" and f.judged and f.resolution is not None and g.resolution is None:
        words = f"resolution {f.resolution:.3g} -> none: it is 0 now wherever it is looked at, and no factor could fail"
        yield _row("resolution", g, words, f.resolution)


def _coarser(f: Figure, g: Figure, room: float) -> Iterator[Change]:
    """Nothing where the tensor was 0 wherever it was looked at: of that no resolution can be told."""
    yield from _of_zeros(f, g)
    if f.resolution is not None and g.resolution is not None and g.resolution > room * f.resolution:
        words = f"resolution {_from_to(f.resolution, g.resolution)}: the check became blinder"
        yield _row("resolution", g, words, f.resolution, g.resolution)


def _fewer(f: Figure, g: Figure) -> Change:
    vacuous = "" if g.vacuous == f.vacuous else f" (vacuous: {f.vacuous} before, {g.vacuous} now)"
    words = f"{f.judged} elements judged before, {g.judged} now{vacuous}"
    return _row("fewer judged", g, words, f.judged, g.judged)


def _doubted(g: Figure) -> list[Change]:
    if g.doubt is None:
        return []
    return [_row("doubted", g, f"doubted anew: {_of_doubt(g.doubt)}")]


def _doubt_grew(f: Figure, g: Figure, factor: float) -> list[Change]:
    """A doubt that was known, now by another sign or of a larger fault.

    Its probability does not count: more samples of the same fault lower it.
    """
    if f.doubt is None or g.doubt is None:
        return []
    if f.doubt.sign != g.doubt.sign:
        words = f"{_of_doubt(g.doubt)}; the doubt of the baseline is another one: {_of_doubt(f.doubt)}"
        return [_row("doubt grew", g, words)]
    if _size(g.doubt) > factor * _size(f.doubt):
        words = f"the doubt grew: {_of_doubt(f.doubt)} -> {_of_doubt(g.doubt)}"
        return [_row("doubt grew", g, words, f.doubt.figure, g.doubt.figure)]
    return []


def _size(doubt: Doubt) -> float:
    """Of the fault that a doubt is about: of a factor what it is away from 1; else in deviations."""
    return abs(doubt.figure - 1) if doubt.sign == "factor" else doubt.figure


def _of_doubt(doubt: Doubt) -> str:
    return f"{doubt.sign} {doubt.figure:.7g}, probability {doubt.probability:.2g}"


def _row(kind: Kind, f: Figure, words: str, then: float | None = None, now: float | None = None) -> Change:
    return Change(kind, f"{f.tensor}, {f.side}, {f.check}: {words}", f.tensor, f.side, f.check, then, now)


def _from_to(then: float, now: float) -> str:
    times = f" ({now / then:.3g} times)" if 0 < then < math.inf and now < math.inf else ""
    return f"{then:.3g} -> {now:.3g}{times}"


# --- over all rows of a run -----------------------------------------------------------------------


def _over_rows(then: Claim, now: Claim, factor: float) -> Iterator[Change]:
    blinder, worse = growth(then, now)
    if blinder > ELSEWHERE:
        words = f"resolution: a quarter of its local checks became blinder, {blinder:.3g} times or more"
        yield Change("resolution", words, then=1, now=blinder)
    if worse > factor**2:
        words = f"headroom: half of its rows use {worse:.3g} times as much of their radius, or more"
        yield Change("headroom", words, then=1, now=worse)


def growth(then: Claim, now: Claim) -> tuple[float, float]:
    """By how much, or more, the resolution of a quarter of a run's local checks grew, and half of its headrooms."""
    after = {f.place: f for f in now.figures}
    pairs = [(f, g) for f in then.figures if (g := after.get(f.place)) is not None and not _wrong(now, g)]
    resolutions = ((f.resolution, g.resolution) for f, g in pairs if f.check == "local")
    return _grown(resolutions, 0.25), _grown(((f.headroom, g.headroom) for f, g in pairs), 0.5)


def _grown(pairs: Iterable[tuple[float | None, float | None]], share: float) -> float:
    """What this share of all has grown by, or more; of the pairs that are numbers above 0. 1 where there is none."""
    grown = sorted(now / then for then, now in pairs if then and now and then < math.inf)
    return grown[math.floor((1 - share) * len(grown))] if grown else 1.0


# --- bits -----------------------------------------------------------------------------------------


def _bits(then: Claim, now: Claim) -> Iterator[Change]:
    """Of each tensor whose bits have changed, the earliest first."""
    order = {f.tensor: i for i, f in reversed(list(enumerate(now.figures)))}
    moved = changed_bits(then.prints, now.prints, now.dtype, begun(then.timelines, now.timelines))
    found = sorted(moved, key=lambda c: (c.since or (math.inf, math.inf), order.get(c.tensor, -1)))
    for one in found:
        yield Change("bits", f"{one.tensor}, {one.side}: {one.words}", one.tensor, one.side)
    if found and then.distance != now.distance:
        apart = ["unknown" if d is None else f"{d:.3g}" for d in (then.distance, now.distance)]
        yield Change("bits", f"the free runs ended {apart[0]} apart, and end {apart[1]} apart now")
