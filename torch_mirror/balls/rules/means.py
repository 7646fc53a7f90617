"""Means: the sum's radius (sums.py), and then that of x / n (elementwise.py)."""

from torch_mirror.balls.number import Number
from torch_mirror.balls.rules import elementwise, sums


def mean(x: Number, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Number:
    """The sum, divided by the number of its terms or multiplied by the reciprocal of that."""
    total = sums.add_over(x, axis, keepdims=keepdims)
    return elementwise.divide(total, total.operand(x.size / max(total.size, 1)))
