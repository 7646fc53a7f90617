"""Runs of the user's code: plainly, as they would run it; and on balls, while a recording is on.

Every run is given copies, or balls of its numbers, and starts from the same state of everything that the code can
reach (world.py). So all runs draw the same random numbers, and none leaves a trace.
"""

import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

import numpy as np

from reference.claim.tree import named
from reference.errors import InputError, TorchMirrorError
from torch_mirror.balls.bools import Bools
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Recording, current, recording
from torch_mirror.doors.check.claimed import Claim, copies, data_as, gradient_name, gradients_of
from torch_mirror.doors.check.standin import stand_in
from torch_mirror.doors.check.untouched import replace_floats, untouched
from torch_mirror.doors.check.world import World, is_theirs
from torch_mirror.tape import conventions
from torch_mirror.tape.replay import Plan, replay
from torch_mirror.tape.sweep import leaf
from torch_mirror.tape.told import Line


class Plain(NamedTuple):
    """What the user's code gives by itself."""

    loss: Any
    gradients: dict[str, Any]  # arrays, None where there is none


class Followed(NamedTuple):
    """What it gives on balls, and how."""

    loss: Number
    gradients: dict[str, Number | None]
    leaves: dict[str, Number]
    tape: Recording
    root: str = "p"  # as in Claim


class NotFollowed(NamedTuple):
    """Why it gives nothing on balls."""

    line: Line | None
    why: str


def plain_run(claim: Claim, world: World, dtype: Any = None) -> Plain:
    """Raises what the user's code raises; InputError for a loss that is no number.

    dtype: of all floats, those too that ``np`` makes in the user's modules; None leaves them as they are.
    """

    def own(a: Any) -> Any:
        return a.astype(a.dtype if dtype is None else dtype)

    with untouched(world):
        p, data = copies(claim.parameters, own), [data_as(d, own) for d in claim.data]
        if dtype is not None:
            replace_floats(world, own)
            stand_in(world.namespaces, lambda a: a, dtype)
        loss, gradients = claim.run(p, *data)
        if np.size(loss) != 1:
            raise InputError("the loss", "one number", f"an array of shape {np.shape(loss)}")
        found = {name: _plain(g) for name, g in gradients_of(gradients, claim.names).items()}
        for what, a in {"the loss": loss, **{gradient_name(name, claim.root): g for name, g in found.items()}}.items():
            if a is not None and np.asarray(a).dtype.kind not in _REAL:
                expected = "one real number" if what == "the loss" else "an array of real numbers"
                raise InputError(what, expected, f"{np.asarray(a).dtype}")
        return Plain(np.asarray(loss).reshape(()), found)


_REAL = "fiub"
"""Kinds of dtypes; a gradient of whole numbers or bools may be right or wrong like any other."""

MOVED = 2.0**-7
"""What is added to each parameter for the call in between."""


def unsteady(claim: Claim, world: World, plain: Plain) -> InputError | None:
    """What to raise of code that gives other results at a later call, with the first value that differs; None of other.

    It is called once with moved parameters, and then as before, with nothing put back in between but the state of
    random generators. What adds up gradients without zeroing them gives others then, and so does what returns those
    of the call before, which at the same parameters nobody would see.
    """
    generators = World(*([()] * len(World._fields)))._replace(generators=world.generators)
    with untouched(world), redirect_stdout(StringIO()):  # what it prints of other numbers is none of the user's
        try:
            _once(claim, generators, lambda a: a + a.dtype.type(MOVED))
        except Exception:  # noqa: BLE001 - moved parameters need not be in the domain of the user's code
            _once(claim, generators, np.copy)
        again = _once(claim, generators, np.copy)
    pairs = {"the loss": (plain.loss, again.loss)}
    pairs |= {gradient_name(name, claim.root): (g, again.gradients[name]) for name, g in plain.gradients.items()}
    for name, (first, second) in pairs.items():
        if first is not None and second is not None and not np.array_equal(first, second, equal_nan=True):
            return _unsteady(name, first, second)
    return None


def _once(claim: Claim, generators: World, make: Callable[[Any], Any]) -> Plain:
    with untouched(generators):
        loss, gradients = claim.run(*(copies(claim.parameters, make), *(data_as(d, np.copy) for d in claim.data)))
        found = gradients_of(gradients, claim.names)
        return Plain(np.array(loss).reshape(()), {name: _plain(g) for name, g in found.items()})


def _unsteady(name: str, first: Any, second: Any) -> InputError:
    what, expected = f"{name} at a second call", "what the first call gave"
    if np.shape(first) != np.shape(second):
        return InputError(what, f"{expected}, an array of shape {np.shape(first)}", str(np.shape(second)))
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    at = tuple(int(i) for i in np.argwhere(~same)[0])
    why = (
        "the function draws anew at each call, or takes what is next, or adds to what it has not set to 0, or returns "
        "what was left from the call before; set it to 0 first, and draw from a generator with a seed"
    )
    place = f" at {list(at)}" if at else ""
    return InputError(what, f"{expected}{place}, {first[at]:.6g}", f"{second[at]:.6g}: {why}")


def _plain(g: Any) -> Any:
    return None if g is None else np.array(g)


def followed(claim: Claim, world: World, dtype: Any, texts: float = 0.0) -> Followed | NotFollowed:
    """The same on balls of the dtype; first with all that the code can reach as balls, then without.

    Layers that keep arrays of their own, to add to them in place, need the first; code that takes such arrays for
    ordinary ones, such as a draw by given probabilities, needs the second.
    """
    first = _followed(claim, world, dtype, texts, everything=True)
    if isinstance(first, Followed):
        return first
    second = _followed(claim, world, dtype, texts, everything=False)
    return second if isinstance(second, Followed) else first


def _followed(claim: Claim, world: World, dtype: Any, texts: float, *, everything: bool) -> Followed | NotFollowed:
    def ball(a: Any) -> Ball:
        return given_ball(a, dtype)

    with untouched(world), np.errstate(all="ignore"), recording(texts) as tape:
        try:
            p = copies(claim.parameters, lambda a: leaf(ball(a)))
            leaves = {name: x.settled() for name, x in named(p).items()}  # before the code assigns to them
            data = [data_as(d, ball) for d in claim.data]  # of the user's own arrays, before these are replaced
            if everything:
                replace_floats(world, ball)
            stand_in(world.namespaces, ball, dtype)
            loss, gradients = claim.run(p, *data)
            found = gradients_of(gradients, claim.names)
            given = {name: None if g is None else as_number(g, dtype) for name, g in found.items()}
            return Followed(as_number(loss, dtype), given, leaves, tape, claim.root)
        except TorchMirrorError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the plain run has not raised it
            return NotFollowed(line_of(error), f"{type(error).__name__}: {error}")


OTHER_TEXT = 2.0**-20
"""By how much, relative to a number, another one is printed for it to see whether the text becomes a number again."""


def read_again(claim: Claim, world: World, dtype: Any, seen: Followed) -> str:
    """Where the code makes text of a number, and a number of the text, as float(f"{x:.17g}") does; empty if nowhere.

    The run is repeated, and slightly other numbers are put into all text. If the loss and the gradients are the same
    as before, the text was only printed, or so coarse that it is constant near the number. What is printed meanwhile
    is not shown.
    """
    if not seen.tape.formatted:
        return ""
    with redirect_stdout(StringIO()):
        again = followed(claim, world, dtype, OTHER_TEXT)
    if isinstance(again, Followed):
        pairs = [(seen.loss, again.loss), *((g, again.gradients[name]) for name, g in seen.gradients.items())]
        given = [(x.value, y.value) for x, y in pairs if x is not None and y is not None]
        if all(np.array_equal(x, y, equal_nan=True) for x, y in given):
            return ""
    where = ", ".join(dict.fromkeys(str(place) for place in seen.tape.formatted if place is not None))
    return f"formatted at {where}: text becomes a number again there, of which it is not known what it depends on"


def given_ball(a: Any, dtype: Any) -> Ball:
    """An array in the dtype, whose radius is what the dtype has rounded away: the exact array is in the ball."""
    near = np.array(a, dtype)
    off = np.abs(near - np.asarray(a)).astype(dtype)
    return Ball(near, off) if (off > 0).any() else Ball(near)


def as_taken(seen: Followed) -> Followed:
    """The same run, in which what comparisons leave open goes as it went on the centres.

    So does an ``if`` on balls. A mask that is open would else make everything behind it as wide as both outcomes: to
    the user's own backward pass it is what it was in their run.
    """
    if not any(isinstance(x, Mask) and x.undecided is not None and x.open.any() for x in seen.tape.values):
        return seen
    again = replay(seen.tape.values, Plan(outcome=conventions.as_taken))

    def other(x: Number) -> Number:
        return x if x.node is None else again.at(x)

    gradients = {name: None if g is None else other(g) for name, g in seen.gradients.items()}
    leaves = {name: other(x) for name, x in seen.leaves.items()}
    return Followed(other(seen.loss), gradients, leaves, again.tape, seen.root)


def as_number(x: Any, dtype: Any) -> Number:
    """What the code returned, as a number: a ball, a mask, or an ordinary value, which is exact."""
    if not isinstance(x, (Ball, Bools)):
        return Number(np.array(x, dtype))
    tape = current()
    before = len(tape.values) if tape is not None else 0
    number = x.settled()
    for made in tape.values[before:] if tape is not None else ():  # by us, and not where check is called
        made.node.place = next((a.node.place for a in made.node.operands[::-1] if a.node is not None), None)
    return number


def line_of(error: BaseException) -> Line | None:
    """The last line of the user's own that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    modules = [frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__)]
    theirs = [f for f, name in zip(frames, modules, strict=True) if is_theirs(name)]
    return Line(theirs[-1].filename, theirs[-1].lineno or 0, theirs[-1].line or "") if theirs else None
