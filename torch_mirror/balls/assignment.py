"""What an assignment makes of numbers: x[index] = y is a number with y's elements there and x's elsewhere.

    x[index] = y    radii of y there, of x elsewhere
    x[mask] = y     where(mask, y, x): both branches where the radii leave the mask open

Values are never overwritten: an assignment gives a ball another number (cell.py), and an operation keeps the
numbers that its operands were when it ran. So no radius that is still to be evaluated can change under it.
"""

from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.indexing import is_basic, open_mask, settled_index
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Look, Number
from torch_mirror.balls.rules import choices, shapes
from torch_mirror.balls.take import Rule


def assigned(old: Number, index: Any, new: Number) -> Number:
    """old with new at the index. Raises TypeError where the number of elements that it selects is open."""
    if new.format != old.format:
        raise TypeError(f"a ball of {old.format.dtype} takes no value of {new.format.dtype}")
    layout = old.value
    mask = open_mask(index)
    if mask is not None:
        return _both_branches(old, mask, new)
    index = settled_index(index)
    if index is Ellipsis or (isinstance(index, slice) and index == slice(None)):
        return shapes.moved([new], lambda parts: shapes.placed(layout, parts[0].dtype.type(0), ..., parts[0]))
    at = {"at": index} if is_basic(index) else {}
    return shapes.moved([old, new], lambda parts: shapes.placed(layout, parts[0], index, parts[1]), **at)


def written_through(root: Number, look: Look, new: Number) -> Number:
    """root with new where ``look`` sees its elements."""
    layout = root.value
    seen = look(np.arange(layout.size).reshape(layout.shape))
    if not seen.size:
        return root
    at = np.unravel_index(seen, layout.shape) if layout.ndim else ...  # which knows no array of no axes
    return shapes.moved([root, new], lambda parts: shapes.placed(layout, parts[0], at, parts[1]), at=at)


def without_history(new: Number) -> Number:
    """The number with its radii evaluated, unless it is a sum still open, which a bias may enter yet.

    A loop that updates in place would else keep all of its own history.
    """
    if new.exact or new.open:
        return new
    with np.errstate(all="ignore"):  # NumPy would warn of the values only, and has done
        new.ids()  # from here on it knows them without what it is made of
        return new.bounded(held(new.radius))


def held(radius: Array) -> Rule:
    """The rule of a radius that is known."""
    return lambda take: take(radius)


def _both_branches(old: Number, mask: Mask, new: Number) -> Number:
    behind = old.ndim - mask.ndim  # axes that the mask does not select from
    if behind < 0 or mask.shape != old.shape[: mask.ndim]:
        raise IndexError(f"a mask of shape {mask.shape} does not fit a ball of shape {old.shape}")
    if new.ndim > behind and new.shape[: new.ndim - behind] != (1,) * (new.ndim - behind):
        raise TypeError(
            f"x[mask] = y with y of shape {new.shape}: the radii leave open how many elements the mask selects; "
            "np.where(mask, y, x) takes both branches"
        )
    new = new.view(lambda a: a[(0,) * max(a.ndim - behind, 0)])
    return choices.where(old, mask.view(lambda a: a[(..., *(None,) * behind)]), new, old)
