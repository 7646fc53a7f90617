"""Assignment in place: x[index] = y, x += y, out=x, through views too.

Values are never overwritten. An assignment gives a ball new content, and an operation keeps the content that
its operands had when it ran (``Ball.settled``): so no radius that is still to be evaluated can
change under it. What NumPy would make a view follows the ball that it is a view of, and writes through to it.

    x[index] = y    radii of y there, of x elsewhere
    x[mask] = y     where(mask, y, x): both branches where the radii leave the mask open

x += y is x[...] = x + y, so a bias still enters the accumulator. The radii of what is assigned are evaluated
at once, unless it is a sum still open: a loop that updates in place does not keep its own history.
"""

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.masks import Mask, is_ball, settled_index
from torch_mirror.balls.rules import choices, shapes
from torch_mirror.balls.take import Rule

if TYPE_CHECKING:
    from torch_mirror.balls.ball import Ball


INTO_AN_ARRAY = "to assign balls to an array, start from np.zeros_like(x) or np.zeros(shape, like=x) of a ball x"


def assigned(x: "Ball", index: Any, value: Any) -> "Ball":
    """x with the value at the index. Raises TypeError where the number of elements that it selects is open."""
    new = x.operand(value)
    if new.format != x.format:
        raise TypeError(f"a ball of {x.format.dtype} takes no value of {new.format.dtype}")
    old, layout = x.settled(), x.value
    mask = _open_mask(index)
    if mask is not None:
        return _both_branches(old, mask, new)
    index = settled_index(index)
    if index is Ellipsis or (isinstance(index, slice) and index == slice(None)):
        return shapes.moved([new], lambda parts: shapes.placed(layout, parts[0].dtype.type(0), ..., parts[0]))
    return shapes.moved([old, new], lambda parts: shapes.placed(layout, parts[0], index, parts[1]))


def become(x: "Ball", content: "Ball") -> None:
    """Give x new content; what x is a view of follows, and so do its views."""
    if x.root is not None and x.look:
        become(x.root, _written_through(x.root, x.look, content))
        return
    if not content.exact and not content.open:
        with np.errstate(all="ignore"):  # NumPy would warn of the values only, and has done
            content = content.derived(content.value, held(content.radius))
    x.take_over(content)
    for view in list(x.views.values()) if x.views else ():
        if view.look:
            view.take_over(shapes.view(x.settled(), view.look))


def held(radius: Array) -> Rule:
    """The rule of a radius that is known."""
    return lambda take: take(radius)


def seen(x: "Ball", content: "Ball", look: shapes.Look) -> "Ball":
    """The content that ``look`` sees of x, as a ball that follows x and is written through, if it is a view of it."""
    content = content.settled()
    if x.frozen:
        return content
    ball = content.afresh()
    if np.may_share_memory(ball.value, x.value):
        root, through = x if x.root is None else x.root, x.look
        ball.root, ball.look = root, (lambda a: look(through(a))) if through else look
        if root.views is None:
            root.views = WeakValueDictionary()
        root.views[id(ball)] = ball
    return ball


def _written_through(root: "Ball", look: shapes.Look, content: "Ball") -> "Ball":
    """root with the content where ``look`` sees its elements."""
    layout = root.value
    at = np.unravel_index(look(np.arange(layout.size).reshape(layout.shape)), layout.shape)
    return shapes.moved([root.settled(), content], lambda parts: shapes.placed(layout, parts[0], at, parts[1]))


def copyto(like: "Ball", dst: Any, src: Any, where: Any = None) -> None:
    """np.copyto: dst[...] = np.where(where, src, dst)."""
    if not is_ball(dst):
        raise TypeError(f"numpy.copyto of a ball into an ordinary array, which has no radii; {INTO_AN_ARRAY}")
    dst[...] = src if where is None else choices.where(like, where, src, dst)


def _open_mask(index: Any) -> Mask | None:
    """The mask that is the whole index, if the radii leave some of it open."""
    if isinstance(index, tuple) and len(index) == 1:
        index = index[0]
    return index if isinstance(index, Mask) and index.open.any() else None


def _both_branches(old: "Ball", mask: Mask, new: "Ball") -> "Ball":
    behind = old.ndim - mask.ndim  # axes that the mask does not select from
    if behind < 0 or mask.shape != old.shape[: mask.ndim]:
        raise IndexError(f"a mask of shape {mask.shape} does not fit a ball of shape {old.shape}")
    if new.ndim > behind and new.shape[: new.ndim - behind] != (1,) * (new.ndim - behind):
        raise TypeError(
            f"x[mask] = y with y of shape {new.shape}: the radii leave open how many elements the mask selects; "
            "np.where(mask, y, x) takes both branches"
        )
    new = new.settled()[(0,) * max(new.ndim - behind, 0)]
    return choices.where(old, mask[(..., *(None,) * behind)], new, old)
