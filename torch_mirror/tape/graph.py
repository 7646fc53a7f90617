"""What a recorded value is made of: the part of the recording that leads to it."""

from collections.abc import Callable, Iterable
from typing import Any

from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import PENDING, Node

DEEP = 150
"""Values from which all radii are evaluated in order; of fewer only those that an adjoint asks for, by recursion."""


class MissingAdjointError(TypeError):
    """A rule without an adjoint stands between the loss and a variable."""


def made_of(*roots: Number) -> list[Number]:
    """What numbers are made of and depends on a variable, themselves included, in the order of the recording."""
    reached: dict[int, Number] = {}
    left = list(roots)
    while left:
        x = left.pop()
        node = x.node
        if node is None or not node.active or isinstance(x, Mask):
            continue
        if node is PENDING:
            raise MissingAdjointError("the loss is made of an operation whose rule has no adjoint")
        if node.number not in reached:
            reached[node.number] = x
            left.extend(node.operands)
    return [reached[i] for i in sorted(reached)]


def needed(values: Iterable[Any], through: Callable[[Node], bool] = lambda _: True) -> list[Any]:
    """The values and all that they are made of, in the order of the recording.

    through: whether what a node is made of counts
    """
    found: dict[int, Any] = {}
    left = [x for x in values if x.node is not None]
    while left:
        x = left.pop()
        if x.node.number not in found:
            found[x.node.number] = x
            behind = x.node.operands if through(x.node) else ()
            left.extend(a for a in behind if a.node is not None and a.node is not PENDING)
    return [found[i] for i in sorted(found)]


def itself(x: Any) -> Any:
    """What was made, with the radius of its own segment, where others take it as given (replay.py)."""
    return x.node.operands[0] if x.node is not None and x.node.operation == "given" else x
