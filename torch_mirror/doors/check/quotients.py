"""Difference quotients at some elements: what is left where the code cannot be followed on balls.

    q(h) = (L(p + h e) - L(p - h e)) / 2h  =  dL/dp + O(h^2),    D = (4 q(h/2) - q(h)) / 3

in longdouble where the code keeps it. What is dropped is estimated by how far quotients for several h differ, and
what is rounded by 64 u |L| / h, u being that of float64, as nobody knows what the code does inside. Neither is a
bound: a gradient that agrees is "consistent", never certified. At a kink the slopes of the two sides differ, and
nothing is said.

Nor is anything refuted by what a narrower dtype may have rounded, such as a cast to float32 inside of the code. How
much that is is not known, so it is asked before a difference counts:

    smooth      the loss at SAMPLES points of a line, NEAR apart: the second differences of what float64 rounds are
                around u |L|, of a loss that is rounded to float32 somewhere around 2^-24 |L|. Up to ROUGH |L| it is
    the same    the function in longdouble, and float32 with it wherever the code asks for it by np.float32, is wrong,
                too, and smooth; or as it is it is smooth, so that no more than the gradient may be cast, and differs
                by more than FAR, which is more than one cast of float16 rounds
Source: Richardson's extrapolation; Press et al., Numerical Recipes (3rd ed.), section 5.7.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.tree import named, rebuild
from torch_mirror.doors.check.claimed import Claim, gradient_name
from torch_mirror.doors.check.own import narrowest_of
from torch_mirror.doors.check.runs import Plain, plain_run
from torch_mirror.doors.check.world import World
from torch_mirror.tape.told import Row

ELEMENTS = 6
"""Looked at of each parameter: half of them the largest of the user's gradient, the others drawn."""

STEP = 2.0**-10
"""h, relative to the size of the element, or to 1 where that is larger."""


SAMPLES, NEAR, ROUGH = 16, 2.0**-24, 2.0**-36
"""A smooth loss has second differences of L'' NEAR^2, 2^-48 L'', and rounds 2^-50; float32 has steps of 2^-24."""

FAR = 2.0**-8
CAST = 64 * 2.0**-24
"""What a cast of a right gradient to float32, at its end, may be off by the size of the largest and of the loss."""

PARTS = (1.0, 2.0**-1, 2.0**-4, 2.0**-7)
"""Of h, at each of which there is a quotient.

The slopes of the two sides of x differ by h L'' where the loss is smooth, so by half at h/2; by J, the jump of the
slope, if x is at a kink. A kink at x + c h, 0 < c < 1, moves q(k h) by e(k) = J/2 max(0, 1 - c/k), and D by
(4 e(1/2) - e(1)) / 3, which is between -e(1)/3 and e(1/2). For c >= 2^-7 the last quotient is not moved, and the
largest difference between two quotients is e(1). For c < 0.0065 the slopes show that x is at a kink. In between that
difference is J/2 127 c > 0.41 J, and D is moved by less than J/2: so twice the difference is room for one kink.
"""


class Quotient(NamedTuple):
    """At one element."""

    value: float
    room: float  # an estimate of how far off it is
    kink: bool   # the two sides differ


def rows(claim: Claim, world: World, plain: Plain) -> tuple[Row, ...]:
    """What the quotients say of each gradient."""
    leaves = {name: np.asarray(a) for name, a in named(claim.parameters).items()}

    spelled = partial(gradient_name, root=claim.root)
    dtype = _widest(claim, world)
    narrow = narrowest_of(claim, world, plain).itemsize < 8
    own = np.float64 if narrow else None  # what is asked is the formula, and not what float32 rounds
    theirs = plain
    if narrow:
        plain = plain_run(claim, world, own)

    def loss(changed: dict[str, Array], kind: Any = dtype) -> Any:
        moved = claim._replace(parameters=rebuild(claim.parameters, changed))
        return plain_run(moved, world, kind).loss[()]

    start = {name: a.astype(dtype) for name, a in leaves.items()}
    if why := _another_loss(float(theirs.loss), float(loss(start))):
        return tuple(Row(gradient_name(name, claim.root), "undecided", a.size, why=why) for name, a in leaves.items())
    found = tuple(
        _beside(_row(spelled(name), name, g, start, loss), theirs.gradients[name], g)
        for name, g in ((name, plain.gradients[name]) for name in leaves)
    )
    if not any(row.word == "WRONG" and row.index for row in found):
        return found
    wide = plain_run(claim, world, dtype)
    others = (_row(spelled(name), name, wide.gradients[name], start, loss) for name in leaves)
    in_wide = not _is_rough(start, loss)
    as_it_is = not _is_rough({name: a.astype(own or a.dtype) for name, a in leaves.items()}, lambda p: loss(p, own))
    largest = max((float(np.abs(g).max(initial=0)) for g in plain.gradients.values() if g is not None), default=0.0)
    cast = CAST * (largest + abs(float(plain.loss)))

    def holds(row: Row, other: Row) -> bool:
        if not row.index or abs(row.seen - row.expected) <= cast:
            return not row.index
        return (in_wide and other.word == "WRONG") or (as_it_is and _apart(row) > FAR)

    return tuple(
        row if holds(row, other) else _unless_rounded(row) for row, other in zip(found, others, strict=True)
    )


def _another_loss(own: float, wide: float) -> str:
    """What is said where the run that is to be differenced has not the loss of the user's own; empty where it has."""
    if not abs(wide - own) > FAR * max(abs(wide), abs(own)):
        return ""
    return (
        f"the loss is {own:.6g} in your own run and {wide:.6g} in the same run in float64 or wider: numbers that are "
        "drawn in float32 are others there; draw in float64, rng.random(shape).astype(np.float32)"
    )


def _beside(row: Row, own: Any, formula: Any) -> Row:
    """Nothing is said for a run of the user's that is not finite where the same in float64 is, or far from it."""
    row = _unless_far(row, own, formula)
    if row.word != "consistent" or not (np.isfinite(formula) & ~np.isfinite(own)).any():
        return row
    why = "your own run gives NaN or infinity, where the same code in float64 gives a number"
    return row._replace(word="undecided", why=why)


def _unless_far(row: Row, own: Any, formula: Any) -> Row:
    """Nor for one whose numbers are others than a cast would make them."""
    if row.word != "consistent" or np.shape(own) != np.shape(formula):
        return row
    apart, largest = (float(np.max(np.abs(a), initial=0.0)) for a in (own - formula, formula))
    share = f"{apart / (largest or 1):.1g} of the largest"
    why = f"your own run gives other numbers than the same code in float64, by {share}"
    return row._replace(word="undecided", why=why) if apart > FAR * largest else row


def _apart(row: Row) -> float:
    """The difference at the worst element, by its size."""
    return abs(row.seen - row.expected) / max(abs(row.seen), abs(row.expected), 1e-300)


def _unless_rounded(row: Row) -> Row:
    """A row that is wrong by what a narrower dtype may have rounded is undecided."""
    if row.word != "WRONG" or not row.index:
        return row
    why = (
        f"apart from difference quotients by {_apart(row):.0e} of its size, which a cast to float32 or float16 inside "
        "of the code may have rounded; take the cast out, and check the formula in float64"
    )
    return row._replace(word="undecided", outside=0, pattern="", why=why)


def _is_rough(start: dict[str, Array], loss: Callable[[dict[str, Array]], Any]) -> bool:
    """Whether the loss has steps that are no rounding of float64."""
    drawn = np.random.default_rng(SAMPLES)
    way = {name: drawn.standard_normal(a.shape).astype(a.dtype) * NEAR for name, a in start.items()}
    values = np.array([loss({name: a + k * way[name] for name, a in start.items()}) for k in range(SAMPLES)])
    steps = np.abs(np.diff(values, 2))
    return not float(np.max(steps)) <= ROUGH * float(np.max(np.abs(values)))


def _widest(claim: Claim, world: World) -> Any:
    """longdouble, where the code runs in it; numpy.linalg does not."""
    try:
        plain_run(claim, world, np.longdouble)
    except Exception:  # noqa: BLE001 - whatever it is, it is not raised in float64
        return np.float64
    return np.longdouble


def _row(spelled: str, name: str, g: Any, start: dict[str, Array], loss: Callable[[dict[str, Array]], Any]) -> Row:
    """What is found of one gradient."""
    x = start[name]
    if g is None:
        return Row(spelled, "none", x.size, why="no gradient of it was returned")
    if g.shape != x.shape:
        pattern = f"of shape {g.shape}, where the parameter has {x.shape}"
        return Row(spelled, "WRONG", x.size, x.size, float("inf"), pattern=pattern)
    picked = _picked(g)
    found = {at: _quotient(name, at, start, loss) for at in picked}
    flat = g.reshape(-1)
    known = {at: q for at, q in found.items() if not q.kink and np.isfinite(q.value + q.room)}
    ratios = {at: _ratio(float(flat[at]), q) for at, q in known.items()}
    if not ratios:
        why = "every element that was looked at is at a kink of the loss, or where it is NaN or infinite nearby"
        return Row(spelled, "undecided", x.size, why=why)
    worst = max(ratios, key=lambda at: ratios[at])
    index = tuple(int(i) for i in np.unravel_index(worst, x.shape))
    q, outside = found[worst], sum(r > 1 for r in ratios.values())
    sizes = [q.room / abs(float(flat[at])) for at, q in found.items() if at in ratios and flat[at]]
    looked = f"{len(ratios)} of {x.size:,} elements"
    return Row(
        spelled, "WRONG" if outside else "consistent", x.size, outside, ratios[worst],
        min(sizes, default=None), index, float(flat[worst]), q.value,
        pattern=f"by difference quotients at {looked}, {outside} of which differ",
        why=f"with difference quotients at {looked}; worst {ratios[worst]:.1g} of what these may be off",
    )  # fmt: skip


def _ratio(g: float, q: Quotient) -> float:
    """How far a number of the user's is from a quotient, by its room; a NaN or an infinity is infinitely far."""
    return abs(g - q.value) / q.room if math.isfinite(g) else math.inf


def _picked(g: Array) -> list[int]:
    """Positions of the elements to look at."""
    flat = np.abs(np.nan_to_num(g.reshape(-1)))
    if flat.size <= ELEMENTS:
        return list(range(flat.size))
    largest = np.argsort(flat)[-(ELEMENTS // 2) :]
    drawn = np.random.default_rng(flat.size).choice(flat.size, ELEMENTS, replace=False)
    return list(dict.fromkeys(int(i) for i in (*largest[::-1], *drawn)))[:ELEMENTS]


def _quotient(name: str, at: int, start: dict[str, Array], loss: Callable[[dict[str, Array]], Any]) -> Quotient:
    """With a step of the size 1 or, where the loss is not finite at such a distance, of the element's own size."""
    size = abs(float(start[name].reshape(-1)[at]))
    found = _with_step(max(1.0, size), name, at, start, loss)
    near = 0 < size < 1 and not np.isfinite(found.value + found.room)
    return _with_step(size, name, at, start, loss) if near else found


def _with_step(
    size: float, name: str, at: int, start: dict[str, Array], loss: Callable[[dict[str, Array]], Any]
) -> Quotient:
    x = start[name]
    h = x.dtype.type(STEP) * size

    def moved(by: Any) -> Any:
        other = x.copy()
        other.reshape(-1)[at] += by
        return loss({**start, name: other})

    middle = moved(0)
    sides = [(moved(k * h), moved(-k * h)) for k in PARTS]
    q = [(right - left) / (2 * k * h) for k, (right, left) in zip(PARTS, sides, strict=True)]
    noise = 64 * 2.0**-53 * max(abs(float(v)) for v in (middle, *sides[0], 1e-300)) / float(h)
    room = 2 * float(max(q) - min(q)) + noise
    gaps = [float(abs(right - 2 * middle + left) / (k * h)) for k, (right, left) in zip(PARTS, sides, strict=True)]
    kink = any(
        gaps[i] > 1.5 * (PARTS[i] / PARTS[i - 1]) * gaps[i - 1] + 16 * noise / PARTS[i] for i in range(1, len(PARTS))
    )
    return Quotient(float((4 * q[1] - q[0]) / 3), room, kink)
