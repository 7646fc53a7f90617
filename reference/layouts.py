"""How an array lies in somebody else's program: what stands behind its name, as NumPy writes it.

``layer1.kernel.T`` is the transpose of ``layer1.kernel``. Nothing is ever transposed by guess, not even a square
matrix.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Layout(NamedTuple):
    """What a suffix asks for: a view of an array of so many axes; any number of others may stand in front of those."""

    axes: int
    view: Callable[[Any], Any]


LAYOUTS: Mapping[str, Layout] = {
    ".T": Layout(2, lambda w: w.mT),                    # W (in, out) of torch's (out, in)
    "[:, None]": Layout(1, lambda w: w[..., :, None]),  # b (out, 1) of torch's (out,)
    "[None, :]": Layout(1, lambda w: w[..., None, :]),  # b (1, out)
}
"""By what stands behind a name: the reference's array is that view of the other program's."""

AXES = {1: "is not one axis", 2: "are not two axes"}
"""What an error says of an array that has another number of axes than a layout is for."""
