"""The catalogue: in which ways a tensor can be wrong, as functions of the right one.

What hand-written training code gets wrong is a factor, an order, a mask, a term, a precision. Each is a function from
the right tensor to the wrong one, in NumPy alone, so that one catalogue serves both sides: NumPy's values, on arrays
and on balls, and torch's, whose hooks hand their tensors over as arrays. A function gives None where the mistake cannot
be made: the transposed of a matrix that is not square has another shape, and anybody would notice.

Source of the kinds: issues and questions in public trackers, counted by what was wrong.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from torch_mirror.tape.edits.menu import kept
from torch_mirror.tape.edits.rounded import rounded

Where = Literal["gradient", "parameter's gradient", "value's gradient", "value", "loss"]


class Seen(NamedTuple):
    """What a mistake is made of, beside the tensor itself: everything of the same step that came before it."""

    values: Mapping[str, Any]  # by name, the parameters among them
    before: Mapping[str, Any]  # the same of the step before; empty at the first
    batch: int                 # samples of the step
    outputs: int               # numbers that the network gives for a sample
    of: str = ""               # the name of what the tensor is the gradient of
    upstream: str = ""         # the last gradient of the same shape before it: da1 of dz1; "" for none


Change: TypeAlias = Callable[[Any, Seen], Any]
"""From the right tensor, (...), to the wrong one of its shape; None where the mistake cannot be made."""


class Wrong(NamedTuple):
    """A kind of mistake.

    causes: whether the tool is to name it; forwards are two programs of which neither is the right one
    steps:  how many it takes to show: what is left over from the step before shows at the second
    """

    name: str
    where: Where
    change: Change
    causes: bool = True
    steps: int = 1


# --- functions of the right tensor ----------------------------------------------------------------------------------


def times(factor: float) -> Change:
    return lambda v, _: v * factor


def _of_size(count: Callable[[Seen], int], factor: Callable[[int], float]) -> Change:
    """A factor of a size, where that is more than 1."""
    return lambda v, seen: v * factor(count(seen)) if count(seen) > 1 else None


def of_batch(factor: Callable[[int], float]) -> Change:
    return _of_size(lambda seen: seen.batch, factor)


def of_outputs(factor: Callable[[int], float]) -> Change:
    return _of_size(lambda seen: seen.outputs, factor)


def _long(v: Any, axis: int) -> bool:
    return v.ndim >= -axis and v.shape[axis] > 1


def reversed_along(axis: int) -> Change:
    return lambda v, _: np.flip(v, axis) if _long(v, axis) else None


def shifted(axis: int, by: int) -> Change:
    return lambda v, _: np.roll(v, by, axis) if _long(v, axis) else None


def transposed(v: Any, _: Seen) -> Any:
    square = v.ndim > 1 and v.shape[-1] == v.shape[-2] > 1
    return np.swapaxes(v, -1, -2) if square else None


def dead(axis: int, at: int | None) -> Change:
    """A row, column or unit is 0; at: its place, None for the middle."""

    def change(v: Any, _: Seen) -> Any:
        if not _long(v, axis):
            return None
        place = v.shape[axis] // 2 if at is None else at
        return v * _on_grid(kept(v.shape[axis:], (place, *(slice(None) for _ in range(-axis - 1)))), v)

    return change


def _on_grid(mask: Any, v: Any) -> Any:
    """The mask in the dtype of an array, beside which a float64 would widen it; beside a ball it stays exact."""
    return mask if hasattr(v, "settled") else mask.astype(v.dtype)


def one_element(number: float) -> Change:
    """One element in the middle is multiplied by a number: 0, NaN or infinity."""

    def change(v: Any, _: Seen) -> Any:
        if v.size < 2:
            return None
        factors = np.ones(v.shape)
        factors[tuple(n // 2 for n in v.shape)] = number
        return v * _on_grid(factors, v)

    return change


def cast(to: str) -> Change:
    """Rounded to a narrower format and back: v + (what that changes), so that a recording sees what it is made of."""
    return lambda v, _: v + (rounded(v, to) - v) if hasattr(v, "settled") else rounded(v, to)


def left_out(_: Any, seen: Seen) -> Any:
    """The derivative of what lies between: dz1 = da1."""
    return np.copy(seen.values[seen.upstream]) if seen.upstream else None


def inverted(v: Any, seen: Seen) -> Any:
    """The other half of a mask: da where dz is 0, and 0 elsewhere."""
    numbers = v.settled().value if hasattr(v, "settled") else v
    if not seen.upstream or not (numbers == 0).any():
        return None
    return np.where(numbers == 0, seen.values[seen.upstream], 0)


def _two_times(v: Any, seen: Seen) -> Any:
    """da + dz: the derivative is 1 too much, as of a skip connection that is not there."""
    return seen.values[seen.upstream] + v if seen.upstream else None


def over_all_axes(v: Any, _: Seen) -> Any:
    """A bias's gradient summed over units, too. Not where that is 0 but for rounding, as behind a softmax it is."""
    if v.ndim != 1 or v.size < 2:
        return None
    numbers = v.settled().value if hasattr(v, "settled") else v
    if abs(numbers.sum()) <= numbers.size * np.finfo(numbers.dtype).eps * np.abs(numbers).sum():
        return None
    return np.broadcast_to(np.sum(v, axis=-1, keepdims=True), v.shape)


def averaged(v: Any, seen: Seen) -> Any:
    """A bias's gradient as the mean over the batch."""
    return v / seen.batch if v.ndim == 1 and seen.batch > 1 else None


def of_the_batch(v: Any, _: Seen) -> Any:
    """Each sample has the sum of all: what broadcasting (N,) against (N, 1) hides."""
    return np.broadcast_to(np.sum(v, axis=-2, keepdims=True), v.shape) if _long(v, -2) else None


def decayed(c: float, *, of_bias: bool) -> Change:
    """A multiple of the parameter is added: an L2 penalty that the loss does not have."""

    def change(v: Any, seen: Seen) -> Any:
        w = seen.values.get(seen.of)
        return None if w is None or (v.ndim == 1) != of_bias else v + c * w

    return change


def stale(_: Any, seen: Seen) -> Any:
    """That of the step before: one batch late."""
    return seen.before.get(f"d{seen.of}") if seen.before else None


def accumulated(v: Any, seen: Seen) -> Any:
    """Added to that of the step before: nobody has called zero_grad."""
    before = seen.before.get(f"d{seen.of}")
    return None if before is None else v + before


# --- the catalogue --------------------------------------------------------------------------------------------------

SMALL = 1 + 2.0**-20
"""A factor that no test of the training itself would notice, and that float32 still tells from 1."""

GRADIENTS = (
    Wrong("2 too many", "gradient", times(2)),
    Wrong("2 of the square left out", "gradient", times(0.5)),
    Wrong("the wrong sign", "gradient", times(-1)),
    Wrong("1/N left out, or the sum for the mean", "gradient", of_batch(float)),
    Wrong("1/N too many", "gradient", of_batch(lambda n: 1 / n)),
    Wrong("N - 1 for N", "gradient", of_batch(lambda n: n / (n - 1))),
    Wrong("outputs too many", "gradient", of_outputs(float)),
    Wrong("1/outputs too many", "gradient", of_outputs(lambda n: 1 / n)),
    Wrong("10 too many", "gradient", times(10)),
    Wrong("a tenth, the learning rate already in it", "gradient", times(0.1)),
    Wrong("one part in a million too large", "gradient", times(SMALL), causes=False),
    Wrong("0 throughout", "gradient", times(0)),
    Wrong("transposed", "gradient", transposed),
    Wrong("rows reversed", "gradient", reversed_along(-2)),
    Wrong("rows one off", "gradient", shifted(-2, 1)),
    Wrong("rows one off the other way", "gradient", shifted(-2, -1)),
    Wrong("columns reversed", "gradient", reversed_along(-1)),
    Wrong("columns one off", "gradient", shifted(-1, 1)),
    Wrong("columns one off the other way", "gradient", shifted(-1, -1)),
    Wrong("the first row dropped", "gradient", dead(-2, 0)),
    Wrong("the last row dropped", "gradient", dead(-2, -1)),
    Wrong("the first unit dead", "gradient", dead(-1, 0)),
    Wrong("the last unit dead", "gradient", dead(-1, -1)),
    Wrong("a unit in the middle dead", "gradient", dead(-1, None)),
    Wrong("one element 0", "parameter's gradient", one_element(0)),
    Wrong("one element NaN", "parameter's gradient", one_element(np.nan)),
    Wrong("one element infinite", "value's gradient", one_element(np.inf), causes=False),
    Wrong("a cast to float32", "parameter's gradient", cast("float32")),
    Wrong("a cast to bfloat16", "parameter's gradient", cast("bfloat16")),
    Wrong("a cast to TF32", "parameter's gradient", cast("TF32")),
    Wrong("a cast to bfloat16 on the way", "value's gradient", cast("bfloat16")),
    Wrong("the derivative left out", "value's gradient", left_out),
    Wrong("the mask inverted", "value's gradient", inverted),
    Wrong("the derivative 1 too large", "value's gradient", _two_times, causes=False),
    Wrong("every sample has the sum of all", "value's gradient", of_the_batch),
    Wrong("a bias summed over all axes", "parameter's gradient", over_all_axes),
    Wrong("a bias's mean for its sum", "parameter's gradient", averaged),
    Wrong("decay that is not in the loss", "parameter's gradient", decayed(0.1, of_bias=False)),
    Wrong("decay of a bias", "parameter's gradient", decayed(0.1, of_bias=True)),
)
"""Of gradients, at one step."""

LEFT_OVER = (
    Wrong("one batch late", "parameter's gradient", stale, steps=2),
    Wrong("gradients not set to 0", "parameter's gradient", accumulated, steps=2),
)
"""Of gradients, from the second step on."""

VALUES = (
    Wrong("a cast to float32", "value", cast("float32"), causes=False),
    Wrong("a cast to bfloat16", "value", cast("bfloat16"), causes=False),
    Wrong("a cast to TF32", "value", cast("TF32"), causes=False),
    Wrong("scaled as dropout scales, 1/(1 - p)", "value", times(1.25), causes=False),
    Wrong("one part in a million too large", "value", times(SMALL), causes=False),
    Wrong("the wrong sign", "value", times(-1), causes=False),
    Wrong("samples reversed", "value", reversed_along(-2), causes=False),
    Wrong("units one off", "value", shifted(-1, 1), causes=False),
    Wrong("the last sample 0", "value", dead(-2, -1), causes=False),
    Wrong("one element NaN", "value", one_element(np.nan), causes=False),
    Wrong("a loss twice as large, its gradient right", "loss", times(2), causes=False),
    Wrong("a loss without its 1/N, its gradient right", "loss", of_batch(float), causes=False),
)
"""Of the forward pass and the loss: what the backward pass does not know of."""
