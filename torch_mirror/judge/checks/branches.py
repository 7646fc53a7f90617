"""Tensors of which nothing can be told, because a comparison between numbers is open.

A mask by a comparison whose sides may be equal, as far as rounding is known, is open: a 1 or a 0. What is computed by
it has a radius that holds both, and so is as large as itself; a gradient times 1.5 is within that, and one times 0.
That no element is outside then proves nothing.

Of a tensor that tells at no step (compare.tells), and of one that is undecided anyway, a sample of the steps is looked
at once more. On one evaluation of its equation it is recorded which comparisons are open that it is made of. In another
one comparisons go as they go on the centres, and the radius holds what rounding does besides. Where the whole tensor is
within that radius at one of these steps, it is what the reference's equation gives, with the branches that the
reference takes: an error that is there at every step would have shown. Otherwise it may be wrong, or have taken another
branch for good, and which of both nobody can tell: it is undecided, and where the comparisons are is told. Where none
is open, the radius is as wide for the sake of rounding alone, and nothing is said.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.tree import zip_with
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format, format_of
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind, Node, Recording, recording
from torch_mirror.judge.compare import allowed
from torch_mirror.judge.findings import Findings
from torch_mirror.judge.replay import Part, as_ball, evaluate, judge_givens, lifted, parts

SHOWN = 3
"""Places that are told of one tensor."""


def judge_branches(e: Experiment, sample: Sequence[Trace], found: Findings, *, stacks: bool) -> Findings:
    """What was found, with the open comparisons behind tensors that tell nothing. sample: steps, one trace each."""
    wanted = {*found.untold} - {row.tensor for row in found.rows if row.first or row.infinite}
    if not wanted or not sample or found.first:
        return found
    undecided, places = {*found.undecided}, dict[str, str]()
    with np.errstate(all="ignore"):
        for trace in sample:
            _, givens = judge_givens(e, trace, "torch")  # the side is told in what is found, and it is judged elsewhere
            (part,) = parts(e, trace, givens, stacks=stacks)
            places |= {name: at for name, at in _open_behind(e, part, wanted).items() if name not in places}
            blind = wanted & places.keys() - undecided
            wanted -= {name for name in wanted - places.keys() if name not in undecided}
            for name in _as_taken(e, part, blind) if blind else ():
                wanted.discard(name)
            if not wanted:
                return found
    rows = (
        row._replace(open_at=places[row.tensor])
        if row.tensor in wanted & places.keys() and (row.open_at is not None or not row.decides)
        else row
        for row in found.rows
    )
    return Findings(tuple(rows))


def _held(part: Part) -> dict[str, Array]:
    return {**part.tensors, **part.after}


def _evaluated(e: Experiment, part: Part, fmt: Format) -> dict[str, Ball]:
    """Every tensor's equation, on what the trace holds, by name."""
    held, balls = _held(part), dict[str, Ball]()

    def plant(name: str, equation: Any) -> Any:
        balls[name] = as_ball(equation, fmt)
        return lifted(held[name], fmt) if name in held else equation

    evaluate(e, part, plant)
    return balls


def _open_behind(e: Experiment, part: Part, wanted: set[str]) -> dict[str, str]:
    """Of each of these tensors where the comparisons are that it is made of and that are open, if there are any."""
    fmt = format_of(e.dtype)
    with recording() as tape:
        balls = _evaluated(e, part, fmt)
    found: dict[str, str] = {}
    for name in wanted & balls.keys():
        lines = sorted({str(node.place) for node in _decisions(tape, balls[name].settled()) if node.place is not None})
        if lines:
            more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
            found[name] = ", ".join(lines[:SHOWN]) + more
    return found


def _decisions(tape: Recording, x: Number) -> list[Node]:
    """What is open among the comparisons, signs and roundings to whole numbers that a number is made of."""
    found, seen, left = [], set[int](), [x.node]
    while left:
        node = left.pop()
        if node is None or node.number in seen:
            continue
        seen.add(node.number)
        left += [operand.node for operand in node.operands]
        made = tape.values[node.number] if _decides(node) else None
        if (isinstance(made, Mask) and made.open.any()) or (isinstance(made, Number) and made.radius.any()):
            found.append(node)
    return found


JUMPS = ("mod", "copysign")
"""What jumps, and has a derivative between the jumps."""


def _decides(node: Node) -> bool:
    """Whether it makes of numbers what jumps."""
    jumps = node.adjoint in (Kind.DECISION, Kind.ZERO) or node.operation in JUMPS
    return jumps and any(isinstance(operand, Number) for operand in node.operands)


def _as_taken(e: Experiment, part: Part, wanted: set[str]) -> list[str]:
    """Those of the tensors that are what their equation gives where comparisons go as they go on the centres."""
    fmt, held = format_of(e.dtype)._replace(as_taken=True), _held(part)

    def anew(_name: str, ball: Any) -> Any:
        return Ball(ball.settled().value, 0, fmt) if isinstance(ball, Ball) and ball.exact else ball

    data = tuple(zip_with(anew, tree) for tree in part.data)
    taken = part._replace(p=zip_with(anew, part.p), state=zip_with(anew, part.state), data=data)
    balls = _evaluated(e, taken, fmt)
    inside = {name: np.abs(held[name] - balls[name].value) <= allowed(balls[name]) for name in wanted if name in held}
    return [name for name, here in inside.items() if here.all()]
