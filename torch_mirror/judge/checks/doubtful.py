"""Doubts about a trace's tensors, each by its own equation, at a sample of the steps: doubts.py says what one is.

The sampled steps are evaluated with radii that are one deviation of a sum (balls/rules/sums.py), in the run's precision
or, of float32, in float64. Most tensors are cleared by that: no error is above it, and no factor above SAME units. The
others are looked at in a wider precision, where the error of the trace alone is known; without one (longdouble is no
wider than float64 everywhere) there are no doubts. Two radii, of one and of two deviations, tell what sums bring from
what everything else does. Of a gradient or an update of torch's that then is doubted, it is asked what another form of it may
round; and of every one, what the reference's own code makes of the same operands.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import names
from reference.claim.tree import zip_with
from reference.errors import TorchMirrorError
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.checks.forms import forms_of, of_update
from torch_mirror.judge.doubts import SAME, Sample, doubt_of
from torch_mirror.judge.findings import Findings, Row, Side
from torch_mirror.judge.replay import Part, as_ball, evaluate, judge_givens, lifted, loss_of, parts, together


class _Steps(NamedTuple):
    """Sampled steps of one length, in the run's precision and in the wider one."""

    own: Part
    wide: Part


def judge_doubts(e: Experiment, sample: Sequence[Trace], side: Side, found: Findings, *, stacks: bool) -> Findings:
    """What was found, with what was sought and found in a sample of the steps: one trace each.

    Of a tensor that is refuted or undecided nothing more is said. side: of the traces.
    """
    wanted = [row for row in found.rows if (row.check, row.side) == ("local", side) and not row.first and row.decides]
    rows = {row.tensor: row._replace(sought=len(sample)) for row in wanted if row.tensor in e.slots}
    if not sample or not rows:
        return found
    with np.errstate(all="ignore"):
        steps = [_Steps(*pair) for pair in _alike(e, sample, stacks=stacks)]
        left = _left(e, steps, rows) if side == "torch" else _others(e, steps, rows)
        wider = np.finfo(_wider(e)).eps < np.finfo(e.dtype).eps
        for name in left if wider else ():
            rows[name] = rows[name]._replace(doubt=_doubt(e, steps, rows[name], len(rows)))
    return Findings(
        tuple(rows.get(row.tensor, row) if (row.check, row.side) == ("local", side) else row for row in found.rows)
    )


def one_step(trace: Trace, t: int) -> Trace:
    """A step of the run in memory of its own, but for what is the same at every step."""
    one = trace.at(slice(t - trace.first, t - trace.first + 1))
    of_step, p, s = ({n: np.array(a) for n, a in group.items()} for group in (one.tensors, one.parameters, one.states))
    return Trace(1, one.constants, p, of_step, one.first, s)


def _wider(e: Experiment) -> np.dtype[Any]:
    return np.dtype(np.float64 if e.dtype == np.float32 else np.longdouble)


def _alike(e: Experiment, sample: Sequence[Trace], *, stacks: bool) -> Iterator[tuple[Part, Part]]:
    """The steps, those of one length together where they stack."""
    alike: dict[int, list[tuple[Part, Part]]] = {}
    for trace in sample:
        pair = []
        for one in (trace, trace.astype(_wider(e))):
            _, givens = judge_givens(e, one, "numpy")  # the side is only told in what is found
            pair += list(parts(e, one, givens, stacks=stacks))
        alike.setdefault(e.batch_length(trace.first) if stacks else -trace.first - 1, []).append((pair[0], pair[1]))
    for pairs in alike.values():
        own, wide = zip(*pairs, strict=True)
        yield together(own), together(wide)


def _held(part: Part, rows: Mapping[str, Row]) -> dict[str, Array]:
    return {n: a for n, a in {**part.tensors, **part.after}.items() if n in rows and a.dtype.kind == "f"}


# --- cleared at once ------------------------------------------------------------------------------------


def _left(e: Experiment, steps: Sequence[_Steps], rows: Mapping[str, Row]) -> list[str]:
    """The tensors with an error above its radius of one deviation, or with a factor above SAME units.

    Without either none of the three signs of a doubt can come: see doubts.py.
    """
    u = format_of(e.dtype).u
    outside: set[str] = set()
    along, norm = dict.fromkeys(rows, 0.0), dict.fromkeys(rows, 0.0)
    for own, wide in steps:
        part = wide if e.dtype == np.float32 else own
        balls = _evaluated(e, part, 1.0)
        for name, seen in _held(part, rows).items():
            x = balls[name].value
            r = balls[name].slack * (1 + 64 * u) * balls[name].radius
            error = seen - x
            if not (np.abs(error) <= r).all():
                outside.add(name)
            weighted = x / (r + u * np.abs(x) + format_of(e.dtype).tiny) ** 2
            along[name] += float(np.vdot(weighted, error))
            norm[name] += float(np.vdot(weighted, x))
    return [name for name in rows if name in outside or not abs(along[name]) <= SAME * u * norm[name]]


def _others(e: Experiment, steps: Sequence[_Steps], rows: Mapping[str, Row]) -> list[str]:
    """The tensors that the reference's code does not make of the same operands, to the last bit."""
    differ = set()
    for own, _ in steps:
        again = _again(e, own)
        differ |= {n for n, a in _held(own, rows).items() if not np.array_equal(a, again[n], equal_nan=True)}
    return [name for name in rows if name in differ]


# --- looked at more closely ----------------------------------------------------------------------------


def _doubt(e: Experiment, steps: Sequence[_Steps], row: Row, rows: int) -> Any:
    sample = _sample(e, steps, row.tensor)
    doubt = doubt_of(sample, rows)
    if doubt is None or row.side == "numpy":
        return doubt
    with_forms = _with_forms(e, steps, row.tensor, sample)
    return doubt if with_forms is None else doubt_of(with_forms, rows)


def _sample(e: Experiment, steps: Sequence[_Steps], name: str) -> Sample:
    columns: list[list[Array]] = [[] for _ in range(7)]
    labels = 0
    for own, wide in steps:
        one, two, again = _evaluated(e, wide, 1.0)[name], _evaluated(e, wide, 2.0)[name], _again(e, own)[name]
        deviation = np.maximum(two.radius - one.radius, 0)
        seen = {**wide.tensors, **wide.after}[name]
        row, column = _labels(seen.shape)
        arrays = seen, one.value, np.maximum(one.radius - deviation, 0), deviation, again, row + labels, column + labels
        for all_of_it, a in zip(columns, arrays, strict=True):
            all_of_it.append(np.asarray(a).reshape(-1))
        labels += seen.size
    seen, x, drift, deviation, again, row, column = (np.concatenate(some) for some in columns)
    rows = [np.unique(a, return_inverse=True)[1] for a in (row, column)]
    whole = all(n in steps[0].own.tensors for n in names(e.slots, "value", "gradient"))
    again = again.astype(x.dtype)
    return Sample(seen, x, drift, deviation, np.zeros_like(x), again, rows, format_of(e.dtype).u, whole)


def _labels(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Of each element a number that it shares with those of its step and first index, and of its last index."""
    step = np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
    first, last = (np.zeros(shape, np.intp) + step * n for n in (shape[1] if len(shape) > 1 else 1, shape[-1]))
    if len(shape) > 1:
        first += np.arange(shape[1]).reshape(-1, *(1,) * (len(shape) - 2))
        last += np.arange(shape[-1])
    return first, last


def _with_forms(e: Experiment, steps: Sequence[_Steps], name: str, sample: Sample) -> Sample | None:
    """With what another form of a gradient or update may round beside; None of what has none."""
    found = []
    for _, wide in steps:
        try:
            if name in wide.after:
                forms = of_update(e, wide)[name]
            elif e.slots[name].role == "gradient":
                forms = forms_of(e, wide, [name])[name]
            else:
                return None
        except TorchMirrorError:
            return None
        found.append(np.maximum(forms.other.radius - forms.own.radius, 0).reshape(-1))
    form = np.concatenate(found)
    return sample._replace(form=np.where(np.isfinite(form), form, np.inf)) if form.any() else None


def _evaluated(e: Experiment, part: Part, spread: float) -> dict[str, Ball]:
    """Every tensor's equation on the trace's values, with radii of so many deviations of each sum."""
    fmt = format_of(e.dtype)._replace(spread=spread)

    def anew(_name: str, a: Any) -> Any:
        return Ball(a.value, 0 if a.exact else a.radius, fmt) if isinstance(a, Ball) else a

    def noted(equation: Any) -> Any:
        return as_ball(equation, fmt)

    return _run(e, _each(part, anew), noted, lambda a: lifted(a, fmt))


def _again(e: Experiment, part: Part) -> dict[str, Any]:
    """What the reference's own code makes of the trace's values."""

    def plain(_name: str, a: Any) -> Any:
        return a.value if isinstance(a, Ball) else a

    return _run(e, _each(part, plain), np.array, np.array)


def _each(part: Part, change: Callable[[str, Any], Any]) -> Part:
    p, state = zip_with(change, part.p), zip_with(change, part.state)
    return part._replace(p=p, state=state, data=tuple(zip_with(change, tree) for tree in part.data))


def _run(
    e: Experiment, part: Part, noted: Callable[[Any], Any], lift: Callable[[Array], Any]
) -> dict[str, Any]:
    """Every tensor's equation, by name, on what the part holds of its operands."""
    held = {**part.tensors, **part.after}
    found: dict[str, Any] = {}

    def plant(name: str, equation: Any) -> Any:
        found[name] = noted(equation)
        planted = lift(held[name]) if name in held else equation
        if name == "y" and e.objective.deferred and "loss" in held:
            found["loss"] = noted(loss_of(e, part, planted))
        return planted

    evaluate(e, part, plant)
    return found
