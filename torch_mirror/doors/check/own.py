"""Whether the user's own run gives the numbers that the run on balls says it should.

The formulas are judged in float64. What a user trains with is their own run, which may be in float32 or in part so:
parameters of float64 with data of float32, a mask made in ``x.dtype``, a gradient cast at the end. With e the radius
in the narrowest of these dtypes, the exact result is within e of their number; and within the ball's radius of its
centre. So the two are no further apart than the sum, if both are of one formula.

Where their number is not finite and the formula's is, or where no radius is known, the formula may be right and the
run is not shown to be: that is undecided.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.tree import named
from torch_mirror.balls.format import Format, format_of
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Recording
from torch_mirror.doors.check.claimed import Claim, gradient_name
from torch_mirror.doors.check.runs import Followed, NotFollowed, Plain, followed
from torch_mirror.doors.check.world import World
from torch_mirror.tape import compared
from torch_mirror.tape.told import Row


class Own(NamedTuple):
    """What is found of the user's own run."""

    astray: str = ""  # why the run on balls is not what it does
    blind: str = ""   # why nothing may be certified of it, though the formulas were followed
    notes: tuple[str, ...] = ()
    narrow: Format | None = None  # of the user's numbers, where it is less than that of the balls


class Beside(NamedTuple):
    """One result: the user's own number, and the ball of it."""

    name: str
    value: Any
    ball: Number


def blinded(row: Row, why: str) -> Row:
    """A row that is ok of the formula says nothing of a run that is not what the formula says."""
    return row._replace(word="undecided", why=why) if why and row.word == "ok" else row


class Again(NamedTuple):
    """The same run on balls of another dtype: the results by name, and what was recorded, if anything was."""

    balls: Mapping[str, Number]
    tape: Recording | None = None


def own_run(claim: Claim, world: World, plain: Plain, seen: Followed) -> Own:
    """What the user's own loss and gradients say beside the balls of the run ``seen``."""

    def again(dtype: np.dtype[Any]) -> Again | NotFollowed:
        found = followed(claim, world, dtype)
        return found if isinstance(found, NotFollowed) else Again(_balls(plain, found), found.tape)

    for name, g in plain.gradients.items():
        if (g is None) != (seen.gradients[name] is None):
            where = "on balls" if g is None else "in your own run"
            return Own(f"{gradient_name(name, claim.root)} is returned {where} alone: the code looks at types")
    return own_numbers(list(_results(plain, seen)), narrowest_of(claim, world, plain), again, seen.tape)


def own_numbers(
    results: Sequence[Beside],
    narrowest: np.dtype[Any],
    again: Callable[[np.dtype[Any]], Again | NotFollowed],
    tape: Recording | None = None,
) -> Own:
    """What the user's own results say beside their balls.

    narrowest: dtype of the user's run; again: the balls of that dtype, asked for where those at hand explain too
    little; tape: of those at hand
    """
    with np.errstate(all="ignore"):  # a radius that overflows is infinite, and counted as that
        return _told(results, narrowest, again, tape)._replace(narrow=_format_below(results))


def _format_below(results: Iterable[Beside]) -> Format | None:
    """float32, if all arrays among the results are; a loss of float32 may have become a Python float."""
    dtypes = {np.asarray(r.value).dtype for r in results if np.ndim(r.value)}
    return format_of(np.dtype(np.float32)) if dtypes == {np.dtype(np.float32)} else None


def _told(
    results: Sequence[Beside],
    narrowest: np.dtype[Any],
    again: Callable[[np.dtype[Any]], Again | NotFollowed],
    tape: Recording | None,
) -> Own:
    broken = next((said for r in results if (said := _broken(r))), "")
    if all(explained(r, 0, 0) for r in results) and not broken:
        return Own(blind=_unknown(results, narrowest, again))
    if narrowest.itemsize >= np.dtype(np.float64).itemsize:
        found: Again | NotFollowed = Again({r.name: r.ball for r in results}, tape)
    else:
        known = narrowest.itemsize > np.dtype(np.float16).itemsize
        found = again(narrowest if known else np.dtype(np.float32))
        if not known and (isinstance(found, NotFollowed) or broken or by_which(results, found.balls)):
            found = NotFollowed(None, f"no radius is known of {narrowest}")  # and those of float32 explain nothing
    if broken:
        where = "" if isinstance(found, NotFollowed) or found.tape is None else _overflows(found.tape)
        return Own(blind=f"your own run in {narrowest} gives {broken}{where}")
    if isinstance(found, NotFollowed):
        why = f"the numbers of your own run in {narrowest} were compared with nothing: {found.why}"
        return Own(blind=why, notes=("the formulas are judged, and not the numbers of your own run",))
    if name := by_which(results, found.balls):
        why = "the code looks at types, casts to a narrower dtype or draws anew"
        what = f"{name} is another number in your own run than in the same run on balls"
        return Own(f"{what}, beyond rounding: {why}")
    return Own(blind=_unknown(results, narrowest, again))


def _unknown(
    results: Sequence[Beside], narrowest: np.dtype[Any], again: Callable[[np.dtype[Any]], Again | NotFollowed]
) -> str:
    """What is said where a radius is too wide to tell whether the user's own number is what the balls say.

    The formula may be judged all the same, piece by piece. The own run makes the same operations in the same order as
    the balls' centres, so that the two are as good as equal, if the code does what it did on balls: to DEEPEST
    roundings of the largest of all numbers, as some are 0 but for what cancels; or in a narrower dtype to FOUR times
    what the centres themselves are off in it. That is no bound: a run that is further off may be right, and is not
    certified.
    """
    room = compared.DEEPEST * max((r.ball.format.u * _largest(r.ball.value) for r in results), default=0.0)
    far = [r for r in results if _hidden(r) and not _near(r, room)]
    if not far:
        return ""
    found = again(narrowest) if narrowest == np.float32 else NotFollowed(None, "")
    for r in far:
        narrow = None if isinstance(found, NotFollowed) else found.balls.get(r.name)
        if narrow is None or not _near(r, FOUR * _largest(narrow.value - r.ball.value)):
            return (
                f"{r.name} is another number in your own run than in the same run on balls, by {_apart(r):.1g} of its "
                "largest element, and its radius is too wide to tell whether rounding explains that"
            )
    return ""


FOUR = 4.0
"""Times the error of one evaluation in a narrow dtype, that another one's may be."""


COARSE = 2.0**-20
"""Of an element: a radius that is larger tells less of the user's number than what is said of the gradient."""


def _hidden(r: Beside) -> bool:
    """Whether a radius is more than COARSE of an element."""
    if np.shape(r.value) != r.ball.shape:
        return False
    radius = np.broadcast_to(np.asarray(r.ball.radius), r.ball.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        return bool((~(radius <= np.maximum(COARSE * np.abs(r.ball.value), compared.TINY))).any())


def _near(r: Beside, room: float) -> bool:
    own = np.asarray(r.value)
    with np.errstate(all="ignore"):
        near = np.abs(own - r.ball.value) <= compared.DEEPEST * r.ball.format.u * np.abs(r.ball.value) + room
    return bool((near | (own == r.ball.value) | (np.isnan(own) & np.isnan(r.ball.value))).all())


def _apart(r: Beside) -> float:
    with np.errstate(all="ignore"):
        return _largest(np.asarray(r.value) - r.ball.value) / max(_largest(r.ball.value), 1e-300)


def _largest(a: Array) -> float:
    return float(np.max(np.abs(a), initial=0.0))


def by_which(results: Iterable[Beside], narrow: Mapping[str, Number]) -> str:
    """The first result that the narrow run's radii do not explain; empty if there is none."""
    for r in results:
        ball = narrow.get(r.name)
        if ball is not None and not (ball.shape == r.ball.shape and explained(r, ball.radius, ball.format.u)):
            return r.name
    return ""


def narrowest_of(claim: Claim, world: World, plain: Plain) -> np.dtype[Any]:
    """The narrowest dtype among the floats that go into the user's own run, and that come out of it."""
    came = [a for a in (plain.loss, *plain.gradients.values()) if a is not None]
    return narrowest_among((*named(claim.parameters).values(), *floats_of(claim.data), *world.arrays, *came))


def narrowest_among(given: Iterable[Any]) -> np.dtype[Any]:
    """The narrowest dtype of the floats."""
    arrays = [np.asarray(a) for a in given]
    return min((a.dtype for a in arrays if a.dtype.kind == "f"), key=lambda d: d.itemsize)


def floats_of(data: Any) -> Iterator[Any]:
    """The arrays and numbers of NumPy's among the data."""
    if isinstance(data, (np.ndarray, np.generic)):
        yield data
    elif isinstance(data, (dict, list, tuple)):
        for x in data.values() if isinstance(data, dict) else data:
            yield from floats_of(x)


def _results(plain: Plain, seen: Followed) -> Iterator[Beside]:
    yield Beside("the loss", plain.loss, seen.loss)
    for name, g in plain.gradients.items():
        ball = seen.gradients[name]
        if g is not None and ball is not None:
            yield Beside(gradient_name(name, seen.root), g, ball)


def _balls(plain: Plain, seen: Followed) -> dict[str, Number]:
    return {r.name: r.ball for r in _results(plain, seen)}


def _broken(r: Beside) -> str:
    """The first element of the user's that is NaN or infinite where the formula gives a number; empty if none is."""
    if np.shape(r.value) != r.ball.shape:
        return ""
    own = np.asarray(r.value)
    wrong = np.argwhere(~np.isfinite(own) & np.isfinite(r.ball.value) & np.isfinite(np.asarray(r.ball.radius)))
    if not len(wrong):
        return ""
    at = tuple(int(i) for i in wrong[0])
    place = f" at {r.name}{list(at)}" if at else f" for {r.name}"
    return f"{own[at]}{place}, where the formula gives {r.ball.value[at]:.6g}"


def _overflows(tape: Recording) -> str:
    """The first line of the user's whose result is not finite, though what it is made of is."""
    for x in tape.values:
        value = getattr(x, "value", None)
        if value is None or x.node.place is None or np.isfinite(value).all():
            continue
        if x.node.operands and all(np.isfinite(o.value).all() for o in x.node.operands):
            return f"; it leaves the range of the dtype at {x.node.place} {x.node.place.source}".rstrip()
    return ""


def explained(r: Beside, narrow: Array | float, u: float) -> bool:
    """Whether rounding explains the difference, with the radii ``narrow`` of the user's own dtype, of roundoff u."""
    if np.shape(r.value) != r.ball.shape and not np.size(r.value) == r.ball.size == 1:
        return False
    own = np.asarray(r.value, np.result_type(r.value, r.ball.value)).reshape(r.ball.shape)
    radius = np.asarray(narrow) * (1 + compared.DEEPEST * u) + np.asarray(r.ball.radius)
    with np.errstate(invalid="ignore"):
        near = np.abs(own - r.ball.value) <= radius * (1 + compared.DEEPEST * r.ball.format.u)
    return bool((near | ~np.isfinite(r.ball.value) | ~np.isfinite(radius)).all())
