"""Exact numbers, as elements of object arrays that the reference's equations run on unchanged.

    by = Exact()
    W = by.array(weights)           # an object array of numbers
    x @ W.mT                        # no rounding; so is 0.1 * W, of which 0.1 is the float's own value

An element is a fraction (``fractions.Fraction``, always exact); or, given a number of bits, a real
number enclosed by a ball of that precision (python-flint's ``arb``, F. Johansson, Arb: efficient
arbitrary-precision midpoint-radius interval arithmetic, IEEE Trans. Computers 66, 2017), which exp, log,
tanh and sqrt need. A comparison that an enclosure leaves open raises UndecidedError: it is not guessed.

Every comparison is noted by its sign, -1, 0 or 1: two evaluations with the same signs went through the same
branches, and a 0 is a point where branches meet.
"""

import contextlib
import importlib
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from reference.arrays import Array

Plain = (int, float, Fraction, np.integer, np.floating)
"""What is taken for its own exact value beside a number."""


class IrrationalError(Exception):
    """exp, log, tanh, sin or another of its kind, or a root, of a fraction."""


class UndecidedError(Exception):
    """A comparison that needs more bits."""


class TooManyError(Exception):
    """More operations than were granted."""


class Exact:
    """Makes numbers, and keeps account of what is done with them.

    bits: precision of the enclosures; fractions if None. operations: how many arithmetic operations are
    granted, no limit if None. signs: of the comparisons made so far. Raises ImportError for bits without python-flint.
    """

    def __init__(self, bits: int | None = None, operations: int | None = None) -> None:
        self.bits, self.left = bits, operations
        self.signs: list[int] = []
        self._flint: Any = None if bits is None else importlib.import_module("flint")

    def precision(self) -> contextlib.AbstractContextManager[Any]:
        """Within it python-flint computes with so many bits."""
        return contextlib.nullcontext() if self._flint is None else self._flint.ctx.workprec(self.bits)

    def spend(self, operations: int) -> None:
        """Raises TooManyError if so many more are not granted."""
        if self.left is not None:
            self.left -= operations
            if self.left < 0:
                raise TooManyError

    def lift(self, x: Any) -> Any:
        """The value of a Plain number as a fraction or an enclosure. Raises ValueError if it is not finite."""
        if not isinstance(x, Fraction):
            if not np.isfinite(x):
                raise ValueError(f"{x} is not a finite number")
            x = Fraction(*x.as_integer_ratio()) if isinstance(x, (float, np.floating)) else Fraction(int(x))
        return x if self._flint is None else self._flint.arb(self._flint.fmpq(x.numerator, x.denominator))

    def number(self, x: Any) -> "Number":
        """A plain number, or a number, as a number."""
        return x if isinstance(x, Number) else Number(self.lift(x), self)

    def array(self, values: Any) -> Array:
        """An array of plain numbers, or of numbers, as an object array of numbers of the same shape."""
        values = np.asarray(values)
        self.spend(values.size)
        numbers = np.empty(values.shape, dtype=object)
        for at, value in np.ndenumerate(values):
            numbers[at] = self.number(value)
        return numbers


class Number:
    """An element: + - * / and powers, comparisons, abs, and what NumPy calls exp, log, sqrt, tanh, sin and so on."""

    __slots__ = ("by", "value")
    shape: tuple[int, ...] = ()  # as of a NumPy scalar: so it may be a gradient
    __hash__ = None  # type: ignore[assignment]  # equality may be undecided

    def __init__(self, value: Any, by: Exact) -> None:
        self.value, self.by = value, by

    def __repr__(self) -> str:
        return f"Number({self.value})"

    def nearest(self) -> float:
        """The nearest float; infinite beyond all of them."""
        try:
            return float(self.value)
        except OverflowError:
            return float("inf") if self.value > 0 else float("-inf")

    def __getitem__(self, index: Any) -> Any:
        """As of a NumPy scalar, which a sum over all axes is: ``total[..., None]`` is an array."""
        scalar = np.empty((), dtype=object)
        scalar[()] = self
        return scalar[index]

    def _with(self, other: Any, operation: Callable[[Any, Any], Any]) -> Any:
        if type(other) is Number:
            y = other.value
        elif isinstance(other, Plain):
            y = self.by.lift(other)
        else:
            return NotImplemented  # an array, which goes through its elements
        self.by.spend(1 + _further(self.value) + _further(y))
        return Number(operation(self.value, y), self.by)

    def __add__(self, other: Any) -> Any:
        return self._with(other, operator.add)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._with(other, operator.sub)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda x, y: y - x)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, operator.mul)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, operator.truediv)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, lambda x, y: y / x)

    def __pow__(self, exponent: float) -> "Number":
        whole = exponent == int(exponent)
        if not whole and self.by.bits is None:
            raise IrrationalError("power")
        self.by.spend(1 + _further(self.value) * int(exponent) ** 2)
        return Number(self.value ** (int(exponent) if whole else self.by.lift(exponent)), self.by)

    def __neg__(self) -> "Number":
        return Number(-self.value, self.by)

    def __pos__(self) -> "Number":
        return self

    def __abs__(self) -> "Number":
        return -self if self < 0 else self

    def sign_of_difference(self, other: Any) -> int:
        """-1, 0 or 1, which is noted. Raises UndecidedError where the enclosures overlap."""
        d = (self - other).value
        sign = 1 if d > 0 else -1 if d < 0 else 0
        if not sign and not d == 0:  # of an enclosure, neither == nor != may be certain
            raise UndecidedError
        self.by.signs.append(sign)
        return sign

    def __eq__(self, other: object) -> bool:
        return self.sign_of_difference(other) == 0

    def __ne__(self, other: object) -> bool:
        return self.sign_of_difference(other) != 0

    def __lt__(self, other: Any) -> bool:
        return self.sign_of_difference(other) < 0

    def __le__(self, other: Any) -> bool:
        return self.sign_of_difference(other) <= 0

    def __gt__(self, other: Any) -> bool:
        return self.sign_of_difference(other) > 0

    def __ge__(self, other: Any) -> bool:
        return self.sign_of_difference(other) >= 0

    def __bool__(self) -> bool:
        return self != 0

    def certainly_exceeds(self, other: Any) -> bool:
        """Whether this number is larger for certain: False where an enclosure leaves it open."""
        return bool((self - other).value > 0)

    def magnitude(self) -> "Number":
        """The absolute value, without a comparison: of an enclosure that holds 0, an enclosure."""
        return Number(abs(self.value), self.by)

    def _function(self, name: str) -> "Number":
        if self.by.bits is None:
            raise IrrationalError(name)
        self.by.spend(1)
        return Number(getattr(self.value, name)(), self.by)

    def conjugate(self) -> "Number":
        """As numpy.var asks for it."""
        return self

    def exp(self) -> "Number":
        return self._function("exp")

    def log(self) -> "Number":
        return self._function("log")

    def sqrt(self) -> "Number":
        return self._function("sqrt")

    def tanh(self) -> "Number":
        return self._function("tanh")

    def expm1(self) -> "Number":
        return self._function("expm1")

    def log1p(self) -> "Number":
        return self._function("log1p")

    def sin(self) -> "Number":
        return self._function("sin")

    def cos(self) -> "Number":
        return self._function("cos")

    def sinh(self) -> "Number":
        return self._function("sinh")

    def cosh(self) -> "Number":
        return self._function("cosh")

    def arctan(self) -> "Number":
        return self._function("atan")

    def arcsinh(self) -> "Number":
        return self._function("asinh")


LONG = 8192
"""Bits of a fraction from which an operation takes as long as many, and quadratically more."""


def _further(value: Any) -> int:
    """How many operations more one on this number is worth: repeated squares double the digits each time."""
    if not isinstance(value, Fraction):
        return 0
    bits = value.numerator.bit_length() + value.denominator.bit_length()
    return 64 * (bits // LONG) ** 2
