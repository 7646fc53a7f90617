"""Where numbers stop being finite: the line at which a loss, or a derivative, becomes NaN or infinite."""

from collections.abc import Mapping

import numpy as np

from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind, Place
from torch_mirror.tape.graph import made_of


def line_of_a_value(root: Number, leaves: Mapping[str, Number] = {}) -> str:
    """``nn.py:12 np.log(z)``: the first value of a loss that is not finite, while all that it is made of is.

    Of a parameter or of data that are given so, which no line made, what it is and the first line that uses it.
    """
    for y in made_of(root):
        if y.node is None:
            continue
        given = [x for x in y.node.operands if not _finite(x) and (x.node is None or x.node.adjoint is Kind.LEAF)]
        if given:
            return f"{_given(given[0], leaves)}, used at {_told(y.node.place)}"
        if not _finite(y) and y.node.adjoint is not Kind.LEAF and all(_finite(a) for a in y.node.operands):
            return _told(y.node.place)
    return ""


def _given(x: Number, leaves: Mapping[str, Number]) -> str:
    """``W, which is nan at [0, 0]``."""
    name = next((name for name, known in leaves.items() if known is x), "a number of the data")
    at = tuple(int(i) for i in np.argwhere(~np.isfinite(x.value))[0])
    return f"{name}, which is {x.value[at]}{f' at {list(at)}' if at else ''}"


def line_of_a_derivative(root: Number, derivatives: Mapping[int, Number]) -> str:
    """The last line of a loss, so the first of its backward pass, whose own derivative turns finite into not finite."""
    for y in reversed(made_of(root)):
        node = y.node
        if node is None or (g := derivatives.get(node.number)) is None or not _finite(g):
            continue
        by = [derivatives.get(a.node.number) for a in node.operands if a.node is not None]
        if any(d is not None and not _finite(d) for d in by):
            return _told(node.place)
    return ""


def _finite(x: Number | Mask) -> bool:
    return isinstance(x, Mask) or bool(np.isfinite(x.value).all())


def _told(place: Place | None) -> str:
    return "" if place is None else f"{place} {place.source}"
