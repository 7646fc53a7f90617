"""What a report shows of gradients that check looked at: the user's code runs once more, on balls, for the pictures.

Nothing here has a part in the verdict: whatever is raised while they are made is told in their place.
"""

from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np

from reference.claim.tree import named
from torch_mirror.balls.number import Number
from torch_mirror.doors.check.claimed import claim_of, gradient_name
from torch_mirror.doors.check.convened import convened
from torch_mirror.doors.check.result import Checked
from torch_mirror.doors.check.runs import Followed, NotFollowed, as_taken, followed
from torch_mirror.doors.check.world import world_of
from torch_mirror.doors.drawn import told
from torch_mirror.doors.reproduce import reproduce
from torch_mirror.reports.html.pictures import Branch, Pictures, Sheet, Valued
from torch_mirror.tape import compared
from torch_mirror.tape.scene import Scene, called, line_of, name_of, number_of, scene_of, written
from torch_mirror.tape.sweep import Derivatives
from torch_mirror.tape.told import Fault, Line

DEEPEST, MOST = 6, 30
"""Levels and values of a graph, from a wrong gradient back to what it was made of."""


def pictured(result: Checked, function: Callable[..., Any], parameters: Any, *data: Any) -> Checked:
    """The result with the pictures of its faults; function, parameters, data: as check was given them."""
    pictures = Pictures()
    if result.verdict == "refuted":
        try:
            with np.errstate(all="ignore"), redirect_stdout(StringIO()):  # the user has seen what their code prints
                pictures = _pictures(result, function, parameters, data)
        except Exception as error:  # noqa: BLE001 - as said above
            came = f"{type(error).__name__}: {' '.join(str(error).split())}"
            pictures = Pictures(missing={"values": f"running the code once more for them ended in {came}"})
        script, why = told(lambda: reproduce(function, parameters, *data))
        missing = {**pictures.missing, "script": why} if why else pictures.missing
        pictures = pictures._replace(script=script or "", missing=missing)
    return replace(result, pictures=pictures)


def _pictures(result: Checked, function: Callable[..., Any], parameters: Any, data: tuple[Any, ...]) -> Pictures:
    claim = claim_of(function, parameters, data)
    world = world_of(*claim.roots)
    wide = np.result_type(np.float64, *(np.asarray(a).dtype for a in named(claim.parameters).values()))
    seen = followed(claim, world, wide)
    if isinstance(seen, NotFollowed):
        return Pictures(missing={"values": f"the code cannot be followed on balls: {seen.why}"})
    seen = as_taken(seen)
    d, _, _, _ = convened(seen, list(claim.names))
    scene = scene_of(seen.tape, seen.loss, {n: g for n, g in seen.gradients.items() if g is not None}, seen.leaves)
    own = {gradient_name(name, claim.root): name for name in claim.names}
    graphs = {
        fault.gradients[0]: _graph(scene, scene.gradients[own[fault.gradients[0]]], fault)
        for fault in result.faults
        if own.get(fault.gradients[0]) in scene.gradients
    }
    wrong = {row.name: row.index for row in result.rows if row.word == "WRONG"}
    return Pictures(_sheets(seen, d, own, wrong), _values(seen, d, own, wrong), graphs)


def _sheets(
    seen: Followed, d: Derivatives, own: Mapping[str, str], wrong: Mapping[str, tuple[int, ...]]
) -> tuple[Sheet, ...]:
    sheets = []
    for name in wrong:
        g = seen.gradients.get(own.get(name, ""))
        by = None if g is None else d.by(seen.leaves[own[name]]).settled()
        if g is not None and by is not None and g.shape == by.shape and g.value.ndim == 2:
            sheets.append(Sheet(name, compared.in_radii(compared.both(g, by))))
    return tuple(sheets)


def _values(
    seen: Followed, d: Derivatives, own: Mapping[str, str], wrong: Mapping[str, tuple[int, ...]]
) -> tuple[Valued, ...]:
    """The last value that each line of the user's code made."""
    due = {number_of(seen.gradients.get(name)): d.by(seen.leaves[name]).settled() for name in own.values()}
    at = {number_of(seen.gradients.get(own[name])): index for name, index in wrong.items() if name in own}
    last: dict[tuple[str, int], Number] = {}
    for x in seen.tape.values:
        if isinstance(x, Number) and x.node is not None and x.node.place is not None and x.value.size:
            last[x.node.place.file, x.node.place.line] = x
    found = []
    for (file, line), x in last.items():
        number = number_of(x)
        by = due.get(number, d.numbers.get(number if number is not None else -1))
        index = at.get(number) or _largest(x.value if by is None or by.shape != x.shape else by.value)
        fits = by is not None and by.shape == x.shape
        value = float(x.value[index])
        found.append(Valued(file, line, x.shape, index, value, float(by.value[index]) if fits and by else None))
    return tuple(found)


def _largest(a: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.abs(a).argmax()), np.shape(a)))


def _graph(s: Scene, gradient: Number, fault: Fault) -> Branch:
    """From a wrong gradient back to right values, values of the forward pass and constants."""
    right, suspect = {r.line[:2] for r in fault.right}, {line[:2] for line in fault.wrong}
    left = MOST

    def kind_of(number: int, line: Line | None) -> str:
        place = None if line is None else line[:2]
        if number in s.forward or line is None:
            return "forward"
        return "suspect" if place in suspect else "right" if place in right else "other"

    def branch(x: Any, depth: int) -> Branch:
        nonlocal left
        left -= 1
        number = number_of(x)
        if number is None:
            size = np.size(getattr(x, "value", x))
            text = f"{float(np.asarray(getattr(x, 'value', x)).reshape(-1)[0]):.6g}" if size == 1 else "a constant"
            return Branch(text, "", "other")
        line = line_of(s, number)
        kind = kind_of(number, line) if x.node.active else "other"  # of what no parameter is in nothing is wrong
        text = called(s, number) or written(s, number) or x.node.operation
        if kind == "forward":
            text = name_of(s, number) or text
        below: list[Branch] = []
        if kind not in {"forward", "right"} and x.node.active and depth < DEEPEST:
            below = [branch(operand, depth + 1) for operand in x.node.operands if left > 0]
        return Branch(text, "" if line is None else line.place, kind, tuple(below))

    return branch(gradient, 0)
