"""A closer look at gradients whose radius is too large to tell anything: piece by piece, then in more bits.

Radii grow with depth. Where the user's backward holds the derivative by a value of the forward pass, the passage
starts anew from there (segments.py): that is cheap, and tells of each piece whether it is the derivative of its piece.
What is still too wide is evaluated again in longdouble and then in as many bits as it takes (ladder.py).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.doors.check.claimed import gradient_name
from torch_mirror.doors.check.runs import Followed
from torch_mirror.tape import compared
from torch_mirror.tape.ladder import Rung, climb
from torch_mirror.tape.scene import Scene, as_derivative, scene_of
from torch_mirror.tape.segments import Segments, segments
from torch_mirror.tape.sweep import Derivatives
from torch_mirror.tape.told import Row


class Closer(NamedTuple):
    """rows: by the names of the parameters. scene: for blame, where pieces were looked at that tell more."""

    rows: dict[str, Row]
    notes: tuple[str, ...]
    scene: Scene


def closer(seen: Followed, d: Derivatives, rows: Mapping[str, Row]) -> Closer:
    """The rows again, and what is to be said of those that were undecided."""
    found = dict(rows)
    open_rows = _undecided(found)
    pieces = segments(seen.tape, Ball(seen.loss), d.side)
    for name in open_rows:
        g, leaf = seen.gradients[name], seen.leaves[name]
        if g is not None:
            own, by = pieces.own(Ball(g)).settled(), pieces.derivatives.by(Ball(leaf)).settled()
            found[name] = compared.row(gradient_name(name), own, by, {name: leaf.value})
    told = [name for name in open_rows if name not in _undecided(found)]
    notes = _told(told, "judged piece by piece, each from your own gradient before it; end to end radii are too large")
    left = _undecided(found)
    if left and isinstance(d.side, str):
        held = {name: (Ball(seen.leaves[name]), Ball(g)) for name in left if (g := seen.gradients[name]) is not None}
        rungs = list(climb(Ball(seen.loss), held, d.side))
        for name in held:
            found[name] = _by_rungs(found[name], rungs, name, np.asarray(held[name][1].value))
        notes += _told([n for n in left if n not in _undecided(found)], f"judged in {_last(rungs).name}")
    return Closer(found, notes, _scene(seen, d, pieces))


def _scene(seen: Followed, d: Derivatives, pieces: Segments) -> Scene:
    """What blame looks at, from the same starts."""
    made, tape = pieces.again.made, pieces.again.tape
    base: dict[int, Number] = {}
    for cut in pieces.cuts:
        if cut.right:
            at, own = made[cut.forward.number], made[cut.backward.number]
            base[at.node.number] = as_derivative(Number(own.value, 0, own.format), at.shape, cut.factor)
    gradients = {name: pieces.own(Ball(g)).settled() for name, g in seen.gradients.items() if g is not None}
    leaves = {name: pieces.again.at(leaf) for name, leaf in seen.leaves.items()}
    return scene_of(tape, pieces.again.at(seen.loss), gradients, leaves, d.side, base)


def _undecided(rows: Mapping[str, Row]) -> list[str]:
    return [name for name, row in rows.items() if row.word == "undecided"]


def _told(names: list[str], how: str) -> tuple[str, ...]:
    shown = ", ".join(map(gradient_name, names[:4])) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return (f"{shown}: {how}",) if names else ()


def _last(rungs: list[Rung]) -> Rung:
    """The last that was tried."""
    return [rung for rung in rungs if rung.tried][-1]


def _by_rungs(row: Row, rungs: list[Rung], name: str, own: Array) -> Row:
    """What the highest rung says; if that is nothing, what was tried."""
    pair = _last(rungs).pairs[name]
    expected = np.asarray(pair.derivative, np.float64)
    again = compared.of(row.name, compared.Both(own, expected, np.asarray(pair.room, np.float64)))
    worst = pair.ratio
    if again.word == "undecided":
        tried = ", ".join(f"{rung.name} {rung.why}".strip() for rung in rungs)
        return again._replace(why=f"{again.why}; tried: {tried}")
    if worst <= 1 and again.word == "WRONG":  # apart is known better than the centres, which are rounded to float64
        return again._replace(word="ok", outside=0, worst=worst, pattern="")
    return again
