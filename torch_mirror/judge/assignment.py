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

import numpy as np

from torch_mirror.judge import branches, shapes
from torch_mirror.judge.masks import Mask, settled_index

if TYPE_CHECKING:
    from torch_mirror.judge.ball import Ball


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


def written_through(root: "Ball", look: shapes.Look, content: "Ball") -> "Ball":
    """root with the content where ``look`` sees its elements."""
    layout = root.value
    at = np.unravel_index(look(np.arange(layout.size).reshape(layout.shape)), layout.shape)
    return shapes.moved([root.settled(), content], lambda parts: shapes.placed(layout, parts[0], at, parts[1]))


def copyto(like: "Ball", dst: Any, src: Any, where: Any = True) -> None:
    """np.copyto: dst[...] = np.where(where, src, dst)."""
    if not hasattr(dst, "settled"):
        raise TypeError("numpy.copyto of a ball into an ordinary array, which has no radii: start from np.zeros_like(x)")
    dst[...] = src if where is True else branches.where(like, where, src, dst)


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
    return branches.where(old, mask[(..., *(None,) * behind)], new, old)
