"""The convention at kinks, such as the derivative of a ReLU at 0, that somebody's gradients were computed in."""

import numpy as np

from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number
from torch_mirror.doors.check.claimed import gradient_name, spoken
from torch_mirror.doors.check.runs import Followed
from torch_mirror.tape import compared
from torch_mirror.tape.conventions import Misfit, fitting, undecidable
from torch_mirror.tape.graph import needed
from torch_mirror.tape.multiples import factor
from torch_mirror.tape.sweep import Derivatives
from torch_mirror.tape.told import Row


def _rows(seen: Followed, d: Derivatives, order: list[str], narrow: Format | None) -> tuple[Row, ...]:
    rows = []
    for name in order:
        leaf, spelled = seen.leaves[name], gradient_name(name, seen.root)
        g, by = seen.gradients[name], d.by(leaf).settled()
        row = compared.row(spelled, g, by, {spoken(name, seen.root): leaf.value})
        if g is not None and g.shape == by.shape:
            row = compared.unless_constants(row, compared.both(g, by), narrow)
        rows.append(row)
    return tuple(rows)


CONVENTIONS = 27
"""Sweeps: all conventions of three operations whose two sides meet; of more some are tried (conventions.py)."""


def convened(
    seen: Followed, order: list[str], narrow: Format | None = None
) -> tuple[Derivatives, tuple[Row, ...], tuple[str, ...], bool]:
    """The derivative and what is found beside it, in the convention that fits most gradients of the user's.

    narrow: as in compared.row. At last whether it fits, or all conventions were tried.
    """
    own = _backward(seen)
    fitted = fitting(seen.loss, lambda d: _misfit(seen, own, d), CONVENTIONS)
    d = fitted.derivatives
    rows = _rows(seen, d, order, narrow)
    if not d.open:
        return d, rows, (), True
    where = ", ".join(dict.fromkeys(str(o.place) for o in d.open if o.place is not None))
    elements = sum(o.open + o.ties for o in d.open)
    noun = "one element" if elements == 1 else f"{elements:,} elements"
    told = f"two sides of a kink meet at {noun} ({where}); the derivative of either side is taken there"
    return d, rows, (told,), fitted.complete


def _misfit(seen: Followed, own: list[Number], d: Derivatives) -> Misfit:
    """How many gradients are wrong under a convention; how many choices the user's backward pass has made otherwise.

    Then the sum of what is wrong, relative to the largest of each gradient. A gradient that is wrong for another reason
    may be nearer to the derivative under a convention that is not the user's; their own values tell which one is.
    """
    wrong, total = 0, 0.0
    for name, g in seen.gradients.items():
        by = d.by(seen.leaves[name]).settled()
        if g is None or g.shape != by.shape:
            continue
        pair = compared.both(g, by)
        outside = pair.wrong
        if outside.any():
            off = np.abs(pair.seen - pair.expected)[outside]
            wrong += 1
            total += float(np.where(np.isfinite(off), off, 1).sum() / max(np.nanmax(np.abs(pair.seen)), 1e-300))
    return wrong, _otherwise(d, own) if wrong else 0, total


def _backward(seen: Followed) -> list[Number]:
    """What the user's code computed that the loss is not made of."""
    forward = {x.node.number for x in needed([seen.loss])}
    return [x for n, x in enumerate(seen.tape.values) if n not in forward and isinstance(x, Number)]


def _otherwise(d: Derivatives, own: list[Number]) -> int:
    """The derivatives right behind a choice of the forward pass that none of the user's values is a multiple of."""
    chosen = {o.node.number for o in d.open}
    found = 0
    for y in needed([d.loss]):
        operands = [x for x in y.node.operands if x.node is not None]
        if y.node.number not in chosen and not any(x.node.number in chosen for x in operands):
            continue
        if y.node.operation == "mask":  # the same comparison, as a number
            chosen.add(y.node.number)
        expected = [d.numbers[x.node.number] for x in operands if x.node.number in d.numbers]
        found += sum(not any(x.shape == by.shape and factor(x, by) is not None for x in own) for by in expected)
    return found


def not_all_tried(seen: Followed, rows: tuple[Row, ...], order: list[str]) -> tuple[Row, ...]:
    """The rows where not every convention was tried: what is wrong under the best may be right under another."""
    if not any(row.word == "WRONG" for row in rows):
        return rows
    every = undecidable(seen.loss)
    sure = {} if every is None else dict(zip(order, _rows(seen, every, order, None), strict=True))
    why = f"it fits none of the conventions that were tried at kinks, and there are more than {CONVENTIONS}"
    return tuple(
        row._replace(word="undecided", why=f"{why}; other numbers, at which fewer sides meet, would tell")
        if row.word == "WRONG" and (name not in sure or sure[name].word != "WRONG") else row
        for name, row in zip(order, rows, strict=True)
    )  # fmt: skip
