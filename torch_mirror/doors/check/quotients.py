"""Difference quotients at some elements: what is left where the code cannot be followed on balls.

    q(h) = (L(p + h e) - L(p - h e)) / 2h  =  dL/dp + O(h^2),    D = (4 q(h/2) - q(h)) / 3

in longdouble where the code keeps it. What is dropped is estimated by how far quotients for several h differ, and
what is rounded by 64 u |L| / h, u being that of float64, as nobody knows what the code does inside. Neither is a
bound: a gradient that agrees is "consistent", never certified. At a kink the slopes of the two sides differ, and
nothing is said.
Nor is anything where a gradient differs by no more than float32 rounds: code that cannot be followed often casts, and
a cast in a right gradient is no mistake in its formula.
Source: Richardson's extrapolation; Press et al., Numerical Recipes (3rd ed.), section 5.7.
"""

from collections.abc import Callable
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

    dtype, narrowest = _widest(claim, world), narrowest_of(claim, world, plain)
    own, u = plain, float(np.finfo(min(narrowest, np.dtype(np.float32), key=lambda d: d.itemsize)).eps) / 2
    if narrowest.itemsize < 8:
        plain = plain_run(claim, world, np.float64)  # what is asked is the formula, and not what float32 rounds
    largest = max((float(np.abs(g).max(initial=0)) for g in plain.gradients.values() if g is not None), default=0.0)
    cast = 64 * u * (largest + abs(float(plain.loss)))

    def loss(changed: dict[str, Array]) -> Any:
        moved = claim._replace(parameters=rebuild(claim.parameters, changed))
        return plain_run(moved, world, dtype).loss[()]

    start = {name: a.astype(dtype) for name, a in leaves.items()}
    found = {name: _row(name, plain.gradients[name], start, loss, cast) for name in leaves}
    return tuple(_beside(row, own.gradients[name], plain.gradients[name]) for name, row in found.items())


def _beside(row: Row, own: Any, formula: Any) -> Row:
    """Nothing is said for a run of the user's that is not finite where the same in float64 is."""
    if row.word != "consistent" or not (np.isfinite(formula) & ~np.isfinite(own)).any():
        return row
    why = "your own run gives NaN or infinity, where the same code in float64 gives a number"
    return row._replace(word="undecided", why=why)


def _widest(claim: Claim, world: World) -> Any:
    """longdouble, where the code runs in it; numpy.linalg does not."""
    try:
        plain_run(claim, world, np.longdouble)
    except Exception:  # noqa: BLE001 - whatever it is, it is not raised in float64
        return np.float64
    return np.longdouble


def _row(name: str, g: Any, start: dict[str, Array], loss: Callable[[dict[str, Array]], Any], cast: float) -> Row:
    """What is found of one gradient. cast: a difference up to which a cast to a narrower dtype explains it."""
    spelled, x = gradient_name(name), start[name]
    if g is None:
        return Row(spelled, "none", x.size, why="no gradient of it was returned")
    if g.shape != x.shape:
        pattern = f"of shape {g.shape}, where the parameter has {x.shape}"
        return Row(spelled, "WRONG", x.size, x.size, float("inf"), pattern=pattern)
    picked = _picked(g)
    found = {at: _quotient(name, at, start, loss) for at in picked}
    flat = g.reshape(-1)
    ratios = {at: abs(float(flat[at]) - q.value) / q.room for at, q in found.items() if not q.kink}
    if not ratios:
        return Row(spelled, "undecided", x.size, why="every element that was looked at is at a kink of the loss")
    worst = max(ratios, key=lambda at: ratios[at])
    index = tuple(int(i) for i in np.unravel_index(worst, x.shape))
    q, outside = found[worst], sum(r > 1 for r in ratios.values())
    sizes = [q.room / abs(float(flat[at])) for at, q in found.items() if at in ratios and flat[at]]
    looked = f"{len(ratios)} of {x.size:,} elements"
    if outside and all(abs(float(flat[at]) - found[at].value) <= cast for at, r in ratios.items() if r > 1):
        why = f"the difference from quotients at {looked} is no more than a cast to float32 rounds; without casts"
        return Row(spelled, "undecided", x.size, why=f"{why}, in float64, it could be told")
    return Row(
        spelled, "WRONG" if outside else "consistent", x.size, outside, ratios[worst],
        min(sizes, default=None), index, float(flat[worst]), q.value,
        pattern=f"by difference quotients at {looked}, {outside} of which differ",
        why=f"with difference quotients at {looked}; worst {ratios[worst]:.1g} of what these may be off",
    )  # fmt: skip


def _picked(g: Array) -> list[int]:
    """Positions of the elements to look at."""
    flat = np.abs(np.nan_to_num(g.reshape(-1)))
    if flat.size <= ELEMENTS:
        return list(range(flat.size))
    largest = np.argsort(flat)[-(ELEMENTS // 2) :]
    drawn = np.random.default_rng(flat.size).choice(flat.size, ELEMENTS, replace=False)
    return list(dict.fromkeys(int(i) for i in (*largest[::-1], *drawn)))[:ELEMENTS]


def _quotient(name: str, at: int, start: dict[str, Array], loss: Callable[[dict[str, Array]], Any]) -> Quotient:
    x = start[name]
    h = x.dtype.type(STEP) * max(1.0, abs(float(x.reshape(-1)[at])))

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
