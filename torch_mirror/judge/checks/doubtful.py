"""Doubts about a trace's tensors, each by its own equation, at a sample of the steps: doubts.py says what one is.

A tensor is first looked at by the radii of one deviation of a sum (balls/rules/sums.py), in the run's precision or, of
float32, in float64. Most are cleared by that: see ``_cleared``. Of the others a second radius, of two deviations,
tells what sums bring from what everything else does. What is doubted then is looked at once more in a wider
precision, where the error of the trace alone is known; without one (longdouble is no wider than float64 everywhere)
there are no doubts. Of a gradient or an update of torch's it is asked what another form of it may round, and of every
tensor what the reference's own code makes of the same operands.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import names
from reference.claim.tree import zip_with
from reference.errors import TorchMirrorError
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format, format_of
from torch_mirror.judge.checks.forms import forms_of, of_update
from torch_mirror.judge.compare import block
from torch_mirror.judge.doubts import COMMON, SAME, Sample, doubt_of
from torch_mirror.judge.findings import Doubt, Findings, Side
from torch_mirror.judge.replay import Givens, Part, as_ball, evaluate, judge_givens, lifted, loss_of, parts, together

CLEAR = 4.0
"""Deviations that no error of a sum may exceed for it to be cleared at once: fewer than would be a doubt."""

LARGE = 1 << 18
"""Elements of a tensor from which it is looked at in blocks."""

BLOCK = 1 << 14
"""Elements of a block."""

LIKELY = 0.01
"""The probability below which more steps are looked at, where there are some."""


def judge_doubts(
    e: Experiment, sample: Sequence[Trace], few: int, side: Side, found: Findings, *, stacks: bool
) -> Findings:
    """What was found, with what was sought and found in a sample of the steps: one trace each.

    few: of the sample, the last steps, at which every tensor is looked at; at the others only what is doubtful there.
    Of a tensor that is refuted or undecided nothing more is said. side: of the traces.
    """

    def looked_at(row: Any) -> bool:
        return (row.check, row.side) == ("local", side) and not row.first and row.decides and row.tensor in once

    once = {*names(e.slots, "value", "gradient", "loss", "parameter", "state")}
    wanted = [row.tensor for row in found.rows if looked_at(row)]
    if not sample or not wanted:
        return found
    with np.errstate(all="ignore"):
        doubts = _doubts(e, sample, few, wanted, side, stacks=stacks)
    sought = len(sample[-few:])
    rows = (
        row._replace(sought=sought, doubt=doubts.get(row.tensor)) if looked_at(row) else row for row in found.rows
    )
    return Findings(tuple(rows))


def _doubts(
    e: Experiment, sample: Sequence[Trace], few: int, wanted: Sequence[str], side: Side, *, stacks: bool
) -> dict[str, Doubt]:
    """The doubts about these tensors, by name."""
    wider = np.dtype(np.float64 if e.dtype == np.float32 else np.longdouble)
    first = np.dtype(np.float64)
    steps = _alike(e, sample[-few:], first, stacks=stacks)
    tallies = [_tallies(e, part, wanted) for part in steps]
    left = [name for name in wanted if not _cleared([some[name] for some in tallies], format_of(e.dtype).u)]
    samples = _samples(e, steps, left)
    left = [name for name, one in samples.items() if doubt_of(one, len(wanted), LIKELY)]
    if not left or not format_of(wider).u < format_of(e.dtype).u:
        return {}
    if wider != first or len(sample) > few:
        steps = _alike(e, sample, wider, stacks=stacks)
        samples = _samples(e, steps, left)
    again = [_again(e, part) for part in _alike(e, sample, e.dtype, stacks=stacks)]
    doubts: dict[str, Doubt] = {}
    for name in left:
        own = np.concatenate([np.asarray(values[name]).reshape(-1) for values in again])
        one = samples[name]._replace(own=own.astype(wider))
        if side == "torch":
            form, common = _forms(e, steps, name)
            one = one._replace(form=one.form + form, common=one.common + common)
        doubt = doubt_of(one, len(wanted))
        if doubt:
            doubts[name] = doubt
    return doubts


def one_step(trace: Trace, t: int) -> Trace:
    """A step of the run in memory of its own, but for what is the same at every step."""
    one = trace.at(slice(t - trace.first, t - trace.first + 1))
    of_step, p, s = ({n: np.array(a) for n, a in group.items()} for group in (one.tensors, one.parameters, one.states))
    return Trace(1, one.constants, p, of_step, one.first, s)


def _alike(e: Experiment, sample: Sequence[Trace], dtype: np.dtype[Any], *, stacks: bool) -> list[Part]:
    """The steps in that precision, those of one length together where they stack."""
    alike: dict[int, list[Part]] = {}
    givens: Givens | None = None
    for trace in sample:
        one = trace if dtype == e.dtype else trace.astype(dtype)
        if givens is None:
            _, givens = judge_givens(e, one, "torch")  # the side is told in what is found, and it is judged elsewhere
        (part,) = parts(e, one, givens, stacks=stacks)
        alike.setdefault(e.batch_length(trace.first) if stacks else -trace.first - 1, []).append(part)
    return [together(some) for some in alike.values()]


def _held(part: Part, name: str) -> Array:
    """What the trace has of a tensor that it holds."""
    return part.after[name] if name in part.after else part.tensors[name]


class _Tally(NamedTuple):
    """How the errors of a tensor lie in the radii r = q + d of one deviation."""

    worst: float    # the largest |error| / r
    size: int
    squares: float  # the sum of (error / r)^2
    along: float    # that of error x / r^2
    norm: float     # that of (x / r)^2
    sums: bool      # whether it is one sum of exact operands


def _tallies(e: Experiment, part: Part, wanted: Sequence[str]) -> dict[str, _Tally]:
    """Of these tensors by name, each as soon as its equation is known: no radius of another is held then."""
    names, fmt = {*wanted}, format_of(e.dtype)
    tallies: dict[str, _Tally] = {}

    def note(name: str, ball: Ball) -> None:
        if name in names:
            tallies[name] = _tally(ball, _held(part, name), fmt)

    _run_on_balls(e, part, 1.0, note)
    return tallies


def _tally(ball: Ball, seen: Array, fmt: Format) -> _Tally:
    """Of an elementwise equation in blocks that fit a cache; a sum has all its radii at once."""
    is_sum = ball.open is not None
    worst = squares = along = norm = 0.0
    for start in range(0, max(seen.size, 1), seen.size or 1 if seen.size < LARGE else BLOCK):
        take = block(seen.shape, slice(start, start + (BLOCK if seen.size >= LARGE else seen.size)))
        x = take(ball.value)
        error = take(seen) - x
        if not error.any():  # what is exact is cleared by any radius
            continue
        r = ball.slack * (1 + 64 * fmt.u) * (take(ball.radius) if is_sum else ball.e(take)) + fmt.tiny
        ratio = error / r
        worst = max(worst, float(np.abs(ratio).max(initial=0)))
        squares += float(np.vdot(ratio, ratio))
        along += float(np.vdot(ratio / r, x))
        x = x / r
        norm += float(np.vdot(x, x))
    return _Tally(worst, seen.size, squares, along, norm, is_sum and ball.open.at is not None)


def _cleared(tallies: Sequence[_Tally], u: float) -> bool:
    """Whether none of the three signs of a doubt can come, by the radii r = q + d of one deviation.

    None does where no error is above its r and no factor above SAME units. Where the tensor is one sum of exact
    operands q is 0, and then errors may be up to CLEAR r, if their root mean square is at most r.
    """
    worst, size = max(t.worst for t in tallies), sum(t.size for t in tallies)
    squares, along, norm = (sum(t[i] for t in tallies) for i in (2, 3, 4))
    within = worst <= CLEAR and squares <= size if all(t.sums for t in tallies) else worst <= 1
    return within and (abs(along) <= SAME * u * norm)


def _samples(e: Experiment, steps: Sequence[Part], wanted: Sequence[str]) -> dict[str, Sample]:
    """What is known of these tensors, the reference's own evaluation apart, for which the exact value stands."""
    one, two = ([_evaluated(e, part, spread) for part in steps] if wanted else [] for spread in (1.0, 2.0))
    return {name: _sample(e, steps, one, two, name) for name in wanted}


def _sample(
    e: Experiment,
    steps: Sequence[Part],
    one: Sequence[Mapping[str, Ball]],
    two: Sequence[Mapping[str, Ball]],
    name: str,
) -> Sample:
    columns: list[tuple[Array, ...]] = []
    labels = 0
    for part, first, second in zip(steps, one, two, strict=True):
        r = first[name].slack * first[name].radius
        deviation = np.maximum(first[name].slack * second[name].radius - r, 0)
        row, column = (own + labels for own in _labels(r.shape))
        labels += r.size
        columns.append((_held(part, name), first[name].value, np.maximum(r - deviation, 0), deviation, row, column))
    seen, x, drift, deviation, row, column = (
        np.concatenate([np.reshape(a, -1) for a in some]) for some in zip(*columns, strict=True)
    )
    whole = all(n in steps[0].tensors for n in names(e.slots, "value", "gradient"))
    none = np.zeros_like(x)
    return Sample(seen, x, drift, deviation, none, drift / COMMON, x, (row, column), format_of(e.dtype).u, whole)


def _labels(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Of each element a number that it shares with those of its step and first index, and of its last index."""
    step = np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
    first, last = (np.zeros(shape, np.intp) + step * n for n in (shape[1] if len(shape) > 1 else 1, shape[-1]))
    if len(shape) > 1:
        first += np.arange(shape[1]).reshape(-1, *(1,) * (len(shape) - 2))
        last += np.arange(shape[-1])
    return first, last


def _forms(e: Experiment, steps: Sequence[Part], name: str) -> tuple[Array | float, Array | float]:
    """What another form may round beside a gradient's or an update's own, and what of it all elements may share.

    Both 0 of what has no other form. A constant of an update is the same for all; of the roundings of a form one in
    COMMON is, as of one's own; those of operands are not, which a sum or a product brings from other tensors.
    """
    more: list[Array] = []
    common: list[Array] = []
    for part in steps:
        try:
            if name in part.after:
                forms = of_update(e, part)[name]
            elif e.slots[name].role == "gradient":
                forms = forms_of(e, part, [name])[name]
            else:
                return 0.0, 0.0
        except TorchMirrorError:
            return 0.0, 0.0
        wider = forms.other.radius - forms.own.radius
        more.append(np.where(np.isfinite(wider), np.maximum(wider, 0), np.inf).reshape(-1))
        share = np.minimum(more[-1], np.broadcast_to(forms.same, wider.shape).reshape(-1) / COMMON)
        common.append(more[-1] if name in part.after else share)
    return np.concatenate(more), np.concatenate(common)


def _evaluated(e: Experiment, part: Part, spread: float) -> dict[str, Ball]:
    """Every tensor's equation on the trace's values, with radii of so many deviations of each sum."""
    found: dict[str, Ball] = {}
    _run_on_balls(e, part, spread, found.__setitem__)
    return found


def _run_on_balls(e: Experiment, part: Part, spread: float, note: Callable[[str, Ball], None]) -> None:
    fmt = format_of(e.dtype)._replace(spread=spread)

    def anew(_name: str, a: Any) -> Any:
        return Ball(a.value, 0 if a.exact else a.radius, fmt) if isinstance(a, Ball) else a

    def as_it_is(name: str, equation: Any) -> None:
        note(name, as_ball(equation, fmt))

    _run(e, _each(part, anew), as_it_is, lambda a: lifted(a, fmt))


def _again(e: Experiment, part: Part) -> dict[str, Any]:
    """What the reference's own code makes of the trace's values."""

    def plain(_name: str, a: Any) -> Any:
        return a.value if isinstance(a, Ball) else a

    found: dict[str, Any] = {}
    _run(e, _each(part, plain), lambda name, value: found.update({name: np.array(value)}), np.array)
    return found


def _each(part: Part, change: Callable[[str, Any], Any]) -> Part:
    p, state = zip_with(change, part.p), zip_with(change, part.state)
    return part._replace(p=p, state=state, data=tuple(zip_with(change, tree) for tree in part.data))


def _run(e: Experiment, part: Part, note: Callable[[str, Any], None], lift: Callable[[Array], Any]) -> None:
    """Note every tensor's equation, by name, on what the part holds of its operands."""
    held = {**part.tensors, **part.after}

    def plant(name: str, equation: Any) -> Any:
        note(name, equation)
        planted = lift(held[name]) if name in held else equation
        if name == "y" and e.objective.deferred and "loss" in held:
            note("loss", loss_of(e, part, planted))
        return planted

    evaluate(e, part, plant)
