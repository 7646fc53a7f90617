"""Another form of a right gradient is no fault: what it may round, beyond what the reference's own form rounds.

The local check takes an equation's operands from the trace as exact. A right backward may be written from other
ones: from z instead of a = f(z), from x - mean instead of x_hat. Where that matters (a + 1 for exp(z), where a is
near -1), it is outside the radius for exact operands, and no fault. So a gradient of torch's that is refuted is
looked at once more, with two more radii. A certified run never comes here.

**Operands.** Each value of the forward pass that the gradient's equation takes from the trace carries the radius of
its own equation. That is one form deep: the value's equation is itself evaluated on exact operands. It suffices, as a
backward pass starts from what its own forward pass kept: values of the trace, or ones on the way from some of them to
the next; the next one differs from what is computed of these by no more than the roundings of one equation. Everything
else stays exact: a value that is a sum of products, as no program keeps a part of one, and its radius is that of its
worst order; a gradient and a parameter, which a backward pass is handed as the trace holds them; the operands of
forward equations and of the loss, which have nothing else to start from; the gradient that an update is handed. A mask
is taken from the value that the trace holds, too, so that every branch is the one that the trace took. Where nothing
rounds every one of these radii is 0, and equality is demanded as before.

**Terms that cancel.** Where a value v goes into the next one, w = f(v), element by element, its gradient is
dw f'(v), and f' may be written as a difference: 1 - tanh(v)^2, a (1 - a), 1 / (1 + |v|) - |v| / (1 + |v|)^2. What is
subtracted is rounded by u of its own size, whatever is left of it. Its size is the sum of the magnitudes of the partial
derivatives along all ways from v to w, which is what a sweep back adds up; or 1, where it is written by w itself. The
first is measured: of an evaluation on balls every operand's radius goes all ways by itself, so that the radius of w
grows by just that sum times the radius of v. So

    |another form - dw f'(v)|  <=  gamma_FORM |dw| max(1, growth of w / radius of v)

for a form of at most FORM roundings, which is the one assumption here. The same holds of dy, and of the loss's
growth by each element of y. It is not granted where the gradient's own equation rounds nothing, and not where v goes
into other elements of w as well, as through a product: nothing is subtracted there but terms of the sum, which has a
radius of its own. (Of a tensor of one element that cannot be seen.)

**Constants of an update.** A moving average has 0.001 in one program and 1 - 0.999 in the other, which are 8 u apart.
A Python number c between 0 and 1 may stand for 1 - c', with c' = fl(1 - c): their distance is known, and is its radius.

Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), sections 1.5 (backward errors) and 3.1.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import gradient_of, names
from reference.claim.tree import named, zip_with
from reference.errors import InputError, TorchMirrorError
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.compare import Where, allowed, compare
from torch_mirror.judge.findings import Findings, Row
from torch_mirror.judge.replay import Part, as_ball, evaluate, lifted, loss_of, single

FORM = 16
"""Roundings of a form of a derivative: da (1 - tanh(z) tanh(z)) has four, and eight for each tanh."""

SHARE = 2.0**-8
"""Of the operands' radii: a power of two, small enough for what is in proportion to them to be seen apart."""

MANY = 24
"""Gradients of an end-to-end step up to which each is looked at for terms that cancel; of more dy alone, as the radii
that propagate from the step's start allow for most of it."""

ELEMENTS = 1024
"""Elements of y of one step up to which the loss is evaluated once for each of them."""

NOT_ON_THESE = InputError, TypeError
"""What equations raise that ran on exact balls: a branch is open now, and some NumPy code must have it decided."""


class Forms(NamedTuple):
    """A gradient's equation. Both have the trace's own values for centre."""

    own: Ball    # on exact operands
    other: Ball  # what any other form may give
    same: Array | float = 0.0  # of the wider radius what is in the gradient's own roundings, and not in its operands


def judge_other_forms(e: Experiment, part: Part, found: Findings) -> Findings:
    """What was found locally of torch's steps, the refuted tensors once more by what another form may round.

    Each is looked at first at the first step at which it is outside: what no form explains there is refuted, and the
    other steps need no look.
    """
    rows = {row.tensor: row for row in found.rows}
    explained = wrong = {name: row.first.step for name, row in rows.items() if row.first}
    if len(part.steps) > 1:
        for step in sorted(set(wrong.values())):
            here = [rows[name] for name, first in wrong.items() if first == step]
            held = _held(e, single(part, part.steps.index(step)), here)
            rows |= {name: rows[name]._replace(first=row.first) for name, row in held.items()}
        explained = {name: step for name, step in wrong.items() if not rows[name].first}
    rows |= _held(e, part, [rows[name] for name in explained])
    return Findings(tuple(rows[row.tensor] for row in found.rows))


def _held(e: Experiment, part: Part, rows: Sequence[Row]) -> dict[str, Row]:
    """The rows of these tensors by what any form of them may round, at every step of the part."""
    gradients = [row.tensor for row in rows if e.slots[row.tensor].role == "gradient"]
    forms = forms_of(e, part, gradients) if gradients else {}
    seen = {**part.tensors, **part.after}
    if any(row.tensor in part.after for row in rows):
        forms |= of_update(e, part)

    def again(row: Row) -> Row:
        where = Where(row.tensor, row.side, row.check, part.steps)
        return held_up(row, seen[row.tensor], forms[row.tensor], where)

    return {row.tensor: again(row) for row in rows if row.tensor in forms}


def forms_of(e: Experiment, part: Part, wanted: Collection[str]) -> dict[str, Forms]:
    """The equations of these gradients, by name."""
    with np.errstate(all="ignore"):
        own = _evaluated(e, part, {})
        values = {name: ball.value for name, ball in own.items()} | dict(part.tensors)
        kept = [name for name in names(e.slots, "value") if name in part.tensors and own[name].open is None]
        try:
            grown = _growth(e, part, {name: own[name].radius for name in kept})
        except NOT_ON_THESE:
            grown = {name: np.zeros_like(own[name].value) for name in wanted}
        extra = cancelled(e, part, values, wanted)
        return {
            name: Forms(own[name], _wider(own[name], grown[name], extra.get(name)), extra.get(name, 0.0))
            for name in wanted
        }


def _wider(own: Ball, grown: Array | float, extra: Array | None) -> Ball:
    """With the growth by the operands' radii; and where something rounds, with the terms that cancel."""
    radius = own.radius + grown
    return Ball(own.value, radius if extra is None else radius + np.where(radius > 0, extra, 0), own.format)


def _growth(e: Experiment, part: Part, radii: Mapping[str, Array]) -> dict[str, Array]:
    """By how much the operands' radii widen that of each equation, to first order, every branch as the trace has it.

    Of the radii's shares s and s / 2 the radius is r + g s + h and r + g s / 2 + h: g is sought, and h, the distance of
    two branches that even the smaller share leaves open, is not granted. Any backward pass takes a mask from the values
    that the trace holds, so that no form of it has the branch on the other side.
    """
    wide, narrow = (_evaluated(e, part, {name: s * r for name, r in radii.items()}) for s in (SHARE, SHARE / 2))
    grown: dict[str, Array] = {}
    for name, ball in wide.items():
        r = narrow[name].radius
        grown[name] = np.where(np.isfinite(r), np.maximum(ball.radius - r, 0) * (2 / SHARE), np.inf)
    return grown


def of_update(e: Experiment, part: Part) -> dict[str, Forms]:
    """The equations of the parameters and states after the steps, whose constants may be complements."""
    with np.errstate(all="ignore"):
        own = _evaluated(e, part, {})
        other = _evaluated(e, _with_complements(e, part), {})
        return {name: Forms(own[name], _where_it_rounds(own[name], other[name].radius)) for name in part.after}


def _where_it_rounds(own: Ball, radius: Array) -> Ball:
    return Ball(own.value, np.where(own.radius > 0, radius, 0), own.format)


def _with_complements(e: Experiment, part: Part) -> Part:
    """The part with parameters and states beside which a Python number may be a complement."""
    fmt = format_of(e.dtype)._replace(complements=True)

    def anew(_name: str, ball: Any) -> Any:
        return Ball(ball.value, 0, fmt) if isinstance(ball, Ball) else ball

    return part._replace(p=zip_with(anew, part.p), state=zip_with(anew, part.state))


def _evaluated(e: Experiment, part: Part, radii: Mapping[str, Array]) -> dict[str, Ball]:
    """Every tensor's equation, by name, on the trace's values, which have these radii; the others are exact."""
    fmt = next((ball.format for ball in named(part.p).values() if isinstance(ball, Ball)), format_of(e.dtype))
    balls: dict[str, Ball] = {}
    held = {**part.tensors, **part.after}

    def plant(name: str, equation: Any) -> Any:
        balls[name] = as_ball(equation, fmt)
        if name not in held:
            return equation
        value = held[name]
        return Ball(value, radii[name], fmt) if name in radii and value.dtype.kind == "f" else lifted(value, fmt)

    evaluate(e, part, plant)
    return balls


def held_up(row: Row, seen: Array, forms: Forms, where: Where) -> Row:
    """A tensor's row: what is outside the radius of the equation's own form is held to that of another one.

    Of a row that still is refuted the finding alone is another: the first, and the worst at its step, outside both.
    """
    own = forms.own
    with np.errstate(all="ignore"):
        error = np.abs(seen - own.value)
        beyond = ~(error <= allowed(own)) & np.isfinite(own.value)
        either = Ball(own.value, np.where(beyond, forms.other.radius, own.radius), own.format)
        (judged,) = compare(seen, either, where).rows
        if judged.first:
            return row._replace(first=judged.first)
        inside = beyond & (error <= allowed(either)) & np.isfinite(either.radius)
        if not inside.any():
            return judged
        ratio = float((error[inside] / allowed(own)[inside]).max())
    return judged._replace(forms=int(np.count_nonzero(inside)), beyond=ratio)


def any_form(e: Experiment, part: Part, free: Mapping[str, Any]) -> Mapping[str, Any]:
    """The balls of a free step once more, with the terms that may cancel in its gradients and other constants.

    Operands need no radius here beside the one that propagates: nothing is taken from the trace. The same balls, where
    the equations do not run on these.
    """
    fmt = format_of(e.dtype)
    values = {name: as_ball(ball, fmt).value for name, ball in free.items()}
    balls: dict[str, Any] = {}

    def plant(name: str, equation: Any) -> Any:
        balls[name] = equation
        if name in extra:
            balls[name] = _wider(as_ball(equation, fmt), 0.0, extra[name])
        return balls[name]

    try:
        with np.errstate(all="ignore"):
            gradients = [str(gradient_of(e.slots, v)) for v in names(e.slots, "value")]
            gradients = [name for name in gradients if name in free]
            extra = cancelled(e, part, values, gradients if len(gradients) <= MANY else gradients[-1:])
            evaluate(e, _with_complements(e, part), plant)
            return balls | {"loss": loss_of(e, part, balls["y"])} if e.objective.deferred else balls
    except NOT_ON_THESE:
        return free


# --- terms that cancel ----------------------------------------------------------------------------------


def cancelled(
    e: Experiment, part: Part, values: Mapping[str, Array], wanted: Collection[str]
) -> dict[str, Array]:
    """What terms that cancel may add to the radius of these gradients, where the value goes on element by element.

    values: of every tensor of the steps, gradients among them.
    """
    extra: dict[str, Array] = {}
    fmt = format_of(e.dtype)
    for gradient in wanted:
        v = e.slots[gradient].of
        if v is None or e.slots[v].role != "value" or v not in values or values[v].dtype.kind != "f":
            continue
        known: list[Array] = []
        with suppress(*NOT_ON_THESE):
            known += _through_elements(e, part, values, v)
        with suppress(*NOT_ON_THESE):
            known += _through_loss(e, part, values[v]) if v == "y" and e.objective.deferred else []
        if known:
            extra[gradient] = fmt.gamma(FORM) * np.sum(known, axis=0)
    return extra


def _through_elements(e: Experiment, part: Part, values: Mapping[str, Array], v: str) -> list[Array]:
    """|dw| max(1, growth / radius) of each value w that v goes into next, element by element."""
    radius = _small(values[v], part, format_of(e.dtype).u)
    half = np.random.default_rng(0).random(values[v].shape) < 0.5  # a fair coin for each
    shares = np.zeros(half.shape), half, ~half  # 0 as an array: so no equation is exact by its structure for one alone
    exact, first, second = (_forward(e, part, values, v, radius * share) for share in shares)
    found: list[Array] = []
    for w, ball in exact.items():
        name = gradient_of(e.slots, w)
        if name is None or name not in values or ball.shape != values[v].shape:
            continue
        grown = [_more(some[w].radius, ball.radius) for some in (first, second)]
        if not (grown[0].any() or grown[1].any()) or grown[0][~half].any() or grown[1][half].any():
            continue  # v has no part in it, or goes into other elements as well
        found.append(np.abs(values[name]) * np.maximum(1, (grown[0] + grown[1]) / radius))
    return found


def _small(values: Array, part: Part, u: float) -> Array:
    """A radius for all elements of an entry alike: u times the largest, or u. In float64 at least: it is subtracted."""
    lead = values.shape[: part.lead]
    largest = np.max(np.abs(values).reshape(*lead, -1), axis=-1, initial=0)
    size = np.where(np.isfinite(largest) & (largest > 0), largest, 1)
    return np.asarray(size * np.float64(u)).reshape(*lead, *(1,) * (values.ndim - part.lead))


def _more(radius: Array, than: Array) -> Array:
    """By how much it is more, and 0 where one of them is infinite: there nothing is decided anyway."""
    more = radius - than
    return np.where(np.isfinite(more), np.maximum(more, 0), 0)


def _forward(
    e: Experiment, part: Part, values: Mapping[str, Array], v: str, radius: Array
) -> dict[str, Ball]:
    """The equations of what is sown behind v before any gradient, each on exact operands but for v."""
    fmt = format_of(e.dtype)
    balls: dict[str, Ball] = {}
    behind, left = False, {*names(e.slots, "value")}

    def plant(name: str, equation: Any) -> Any:
        nonlocal behind
        if e.slots[name].role != "value":
            return lifted(values[name], fmt) if name in values else equation
        if behind:
            balls[name] = as_ball(equation, fmt)
        behind = behind or name == v
        left.discard(name)
        if not left:
            raise _EnoughError
        return Ball(values[name], radius, fmt) if name == v else lifted(values[name], fmt)

    with suppress(_EnoughError):
        evaluate(e, part, plant)
    return balls


class _EnoughError(TorchMirrorError):
    """The last value of the forward pass is known: the rest of the step tells nothing of it."""


def _through_loss(e: Experiment, part: Part, y: Array) -> list[Array]:
    """The growth of the loss by the radius of each element of y, over that radius; nothing of too many elements."""
    fmt = format_of(e.dtype)
    lead = y.shape[: part.lead]
    flat = y.reshape(*lead, -1)
    if flat.shape[-1] > ELEMENTS:
        return []
    radius = _small(flat, part, fmt.u)

    def of_loss(at: int | None) -> Array:
        radii = np.zeros(flat.shape)  # an array, if of zeros: as in _through_elements
        if at is not None:
            radii[..., at] = radius[..., 0]
        return as_ball(loss_of(e, part, Ball(y, radii.reshape(y.shape), fmt)), fmt).radius

    sums: Array = np.empty(flat.shape)
    exact = of_loss(None)
    for j in range(flat.shape[-1]):
        sums[..., j] = _more(of_loss(j), exact) / radius[..., 0]
    return [sums.reshape(y.shape)]
