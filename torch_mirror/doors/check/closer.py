"""A closer look at gradients whose radius is too large to tell much: piece by piece, then in more bits.

Radii grow with depth. Where the user's backward holds the derivative by a value of the forward pass, the passage
starts anew from there (segments.py): that is cheap, and tells of each piece whether it is the derivative of its piece.
What is still too wide is evaluated again in longdouble and then in as many bits as it takes (ladder.py). A gradient
that is 0 on both sides is looked at as well: it may have been rounded to 0. If it is 0, it could not have failed.

Each element is judged by what tells most of it, by the smallest radius. What no look has told is counted (compared.py).
What only pieces that start from exact values object to, and not pieces that start from rounded ones (segments.py), is
left to the ladder.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.choosing import Side
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number
from torch_mirror.doors.check import nonfinite
from torch_mirror.doors.check.claimed import gradient_name, spoken
from torch_mirror.doors.check.result import COARSE
from torch_mirror.doors.check.runs import Followed
from torch_mirror.tape import compared
from torch_mirror.tape.compared import Both
from torch_mirror.tape.ladder import Pair, Rung, climb, with_exact_constants
from torch_mirror.tape.scene import Scene, as_derivative, scene_of
from torch_mirror.tape.segments import Segments, loosened, segments
from torch_mirror.tape.sweep import Derivatives
from torch_mirror.tape.told import Row

BLIND = compared.WIDE
"""A resolution above this is no verdict, as little as an element is judged whose radii are that wide."""


class Closer(NamedTuple):
    """rows: by the names of the parameters. scene: for blame, of the pieces where these tell more of a gradient."""

    rows: dict[str, Row]
    notes: tuple[str, ...]
    scene: Scene | None


def is_open(row: Row) -> bool:
    """Whether a closer look may tell more: of the whole, or of elements that are not judged."""
    return _is_wide(row) or (row.word == "ok" and row.unjudged > 0)


def _is_wide(row: Row) -> bool:
    """Undecided, coarse, or 0 on both sides, which may have been rounded to 0.

    Not of what is outside its radius, and undecided for the sake of constants: no smaller radius would tell more.
    """
    coarse = row.resolution is None or row.resolution > COARSE
    return (row.word == "undecided" and not row.worst > 1) or (row.word == "ok" and coarse)


def closer(seen: Followed, d: Derivatives, rows: Mapping[str, Row], narrow: Format | None = None) -> Closer:
    """The rows again, and what is to be said of those that were open. narrow: as in compared.row."""
    found = dict(rows)
    open_rows = [name for name in _open(found) if seen.gradients[name] is not None]
    pieces = segments(seen.tape, Ball(seen.loss), d.side)
    rounded: Segments | None = None
    pairs = {name: compared.both(_given(seen, name), d.by(Ball(seen.leaves[name])).settled()) for name in open_rows}
    for name in open_rows:
        if not pieces.keeps(Ball(_given(seen, name))):
            continue
        own, by = pieces.own(Ball(_given(seen, name))), pieces.derivatives.by(Ball(seen.leaves[name]))
        piece = compared.both(own.settled(), by.settled())
        if piece.outside.any():
            rounded = rounded or loosened(seen.tape, pieces)
            piece = _unless_rounded(piece, rounded, Ball(_given(seen, name)), Ball(seen.leaves[name]))
        pairs[name] = _finer(pairs[name], piece)
        found[name] = _row(seen, name, pairs[name], narrow)
    told = [name for name in open_rows if _tells_more(found[name], rows[name])]
    how = "judged piece by piece, each from your own gradient before it; end to end radii are too large"
    notes = _told(seen, told, how)
    left = [name for name in _open(found) if name in open_rows and not _exactly_0(seen, d, name)]
    if left and isinstance(d.side, str):
        held = {name: (Ball(seen.leaves[name]), Ball(_given(seen, name))) for name in left}
        rungs = list(climb(Ball(seen.loss), held, d.side))
        exactly = _with_exact_constants(seen, held, d.side, rungs)
        for name in held:
            found[name] = _by_rungs(_row(seen, name, _finer(pairs[name], _of_rungs(rungs, name)), narrow), rungs, name)
            if found[name].word == "undecided" and name in exactly and _is_0(exactly[name]):
                found[name] = found[name]._replace(word="ok", resolution=None, unjudged=0, why="")
            if found[name].word == "undecided" and not np.isfinite(d.by(held[name][0]).value).all():
                found[name] = found[name]._replace(why=_not_finite(d))
        notes += _told(seen, [n for n in left if n not in _open(found)], f"judged in {_last(rungs).name}")
    found, empty = _empty(seen, {name: _blind(row) for name, row in found.items()})
    wide = any(_is_wide(row) for row in rows.values())
    pieced = wide or any(found[name].word == "WRONG" != rows[name].word for name in rows)
    return Closer(found, (*notes, *empty), _scene(seen, pieces) if pieced else None)


def _with_exact_constants(
    seen: Followed, held: Mapping[str, tuple[Ball, Ball]], side: Side, rungs: list[Rung]
) -> Mapping[str, Pair]:
    """Of what is hidden on the last rung, if that is one of Arb: nothing else may be 0 to all bits."""
    rung = _last(rungs)
    hidden = {name: held[name] for name, pair in rung.pairs.items() if pair.hidden.any()}
    return with_exact_constants(Ball(seen.loss), hidden, side, rung) if hidden and rung.name.startswith("arb") else {}


def _not_finite(d: Derivatives) -> str:
    line = nonfinite.line_of_a_derivative(d.loss, d.numbers)
    where = f" at {line}" if line else ""
    return f"the derivative is not finite{where}, in any number of bits that was tried; other numbers may have one"


def _given(seen: Followed, name: str) -> Number:
    g = seen.gradients[name]
    if g is None:
        raise AssertionError("asked only of what was returned")
    return g


def _row(seen: Followed, name: str, pair: Both, narrow: Format | None) -> Row:
    row = compared.of(gradient_name(name, seen.root), pair, {spoken(name, seen.root): seen.leaves[name].value})
    return compared.unless_constants(row, pair, narrow)


def _finer(before: Both, after: Both) -> Both:
    """Of each element the look that tells more; one that is wrong has been seen to be."""
    later = (after.allowed < before.allowed) | after.outside
    return Both(*(np.where(later, b, a) for a, b in zip(before, after, strict=True)))


def _unless_rounded(piece: Both, rounded: Segments, own: Ball, leaf: Ball) -> Both:
    """If the rounding of what the piece starts from explains every difference, the piece tells nothing of these."""
    pair = compared.both(rounded.own(own).settled(), rounded.derivatives.by(leaf).settled())
    if (piece.outside & pair.outside).any():
        return piece
    return piece._replace(allowed=np.where(piece.outside, np.inf, piece.allowed))


def _tells_more(after: Row, before: Row) -> bool:
    if after.word == "undecided":
        return False
    finer = (after.resolution or np.inf) < (before.resolution or np.inf)
    return after.word != before.word or after.unjudged < before.unjudged or finer


def _exactly_0(seen: Followed, d: Derivatives, name: str) -> bool:
    """Whether both are 0 at every element, and no radius says otherwise."""
    pair = [_given(seen, name), d.by(Ball(seen.leaves[name])).settled()]
    return not any(np.any(x.value) or np.any(np.asarray(x.radius)) for x in pair)


def _blind(row: Row) -> Row:
    """A row that is ok, and would be so of another gradient, too, tells nothing."""
    if row.word != "ok" or row.resolution is None or row.resolution <= BLIND:
        return row
    why = f"only a change of {row.resolution:.0e} would have been seen"
    return row._replace(word="undecided", why=f"{why}; {row.why}" if row.why else why)


def _scene(seen: Followed, pieces: Segments) -> Scene:
    """What blame looks at, from the same starts."""
    made, tape = pieces.again.made, pieces.again.tape
    base: dict[int, Number] = {}
    for cut in pieces.cuts:
        if cut.right:
            at, own = made[cut.forward.number], made[cut.backward.number]
            base[at.node.number] = as_derivative(Number(own.value, 0, own.format), at.shape, cut.factor)
    gradients = {name: pieces.own(Ball(g)).settled() for name, g in seen.gradients.items() if g is not None}
    leaves = {name: pieces.again.at(leaf) for name, leaf in seen.leaves.items()}
    return scene_of(tape, pieces.again.at(seen.loss), gradients, leaves, pieces.sides, base)._replace(both=pieces.read)


def _open(rows: Mapping[str, Row]) -> list[str]:
    return [name for name, row in rows.items() if is_open(row)]


def _told(seen: Followed, names: list[str], how: str) -> tuple[str, ...]:
    shown = ", ".join(gradient_name(name, seen.root) for name in names[:4])
    shown += f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (f"{shown}: {how}",) if names else ()


def _last(rungs: list[Rung]) -> Rung:
    """The last that was tried."""
    return [rung for rung in rungs if rung.tried][-1]


def _of_rungs(rungs: list[Rung], name: str) -> Both:
    """What the highest rung says; where both meet by ``apart``, which is known better than the rounded centres."""
    pair = _last(rungs).pairs[name]
    own, expected, room = (np.asarray(a, np.float64) for a in (pair.own, pair.derivative, pair.room))
    return Both(np.where(pair.apart <= pair.room, expected, own), expected, room)


def _by_rungs(again: Row, rungs: list[Rung], name: str) -> Row:
    """The row, with what was tried where that tells nothing."""
    pair = _last(rungs).pairs[name]
    tried = "tried: " + ", ".join(f"{rung.name} {rung.why}".strip() for rung in rungs)
    if again.word != "WRONG" and _is_0(pair):
        return again._replace(word="ok", resolution=None, why="")
    if again.word == "undecided":
        return again._replace(why=f"{again.why}; {tried}")
    if again.unjudged:
        return again._replace(why=f"{again.why}, which may be 0; {tried}")
    return again._replace(why=tried) if again.word == "ok" and (again.resolution or 0) > BLIND else again


def _is_0(pair: Pair) -> bool:
    """Whether both may be 0 at every element: with the bits of the last rung, that is what they are to float64."""
    largest = np.maximum(np.abs(pair.derivative), np.abs(pair.own))
    return bool(((largest <= pair.room) & (pair.room <= compared.TINY)).all())


def _empty(seen: Followed, rows: Mapping[str, Row]) -> tuple[dict[str, Row], tuple[str, ...]]:
    """The rows that are 0 on both sides say so; if there are no others, nothing has been certified."""
    names = [name for name, row in rows.items() if row.word == "ok" and row.resolution is None and row.size]
    said = "it could not have failed"
    if len(names) == len(rows):
        found = {name: row._replace(word="undecided", why=f"both are 0: {said}") for name, row in rows.items()}
    else:
        found = {name: row._replace(why=said) if name in names else row for name, row in rows.items()}
    how = f"0 on both sides at every element, as any multiple is: {said}; take other numbers, weights that are not 0"
    return found, _told(seen, names, how)
