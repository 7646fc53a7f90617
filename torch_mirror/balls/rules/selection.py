"""What asks a question of numbers, or chooses by one: isnan, isclose, select, heaviside, fmax, copysign.

    isfinite, isnan, isinf  decided where the radius is finite, or 0; a radius that is infinite leaves them open
    isclose x, y            the comparison |x - y| <= atol + rtol |y|, open where the radii leave it open
    select, heaviside       where of where (choices.py)
    fmax, fmin              as maximum; infinite beside a NaN
    copysign x, y           e_x, or e_x + 2 A_x where y may be 0 or of the other sign
    nan_to_num x            e_x; infinite where x is not finite and not exact

copysign: the sign of a 0 depends on the order of a sum (-0.0 + 0.0 is 0.0), so that an exact 0 decides nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls import adjoints, choosing, masks
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind, elementary
from torch_mirror.balls.rules import choices, elementwise, functions
from torch_mirror.balls.take import Take, everything


def kind_of_number(ufunc: np.ufunc) -> Callable[[Number], masks.Mask]:
    """The rule of isnan, isfinite and isinf."""

    @elementary(Kind.DECISION, ufunc.__name__)
    def rule(x: Number) -> masks.Mask:
        value = np.asarray(ufunc(x.value))

        def undecided() -> Array:
            e = x.e(everything)
            return np.broadcast_to((e != 0) & ~(np.isfinite(x.value) & np.isfinite(e)), value.shape)

        return masks.Mask(x, value, None if x.exact else undecided)

    return rule


def isclose(like: Number, a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8) -> masks.Mask:
    """As NumPy defines it; open where the radii leave it open."""
    x, y = like.operand(a), like.operand(b)
    difference = elementwise.absolute(elementwise.subtract(x, y))
    allowed = elementwise.add(elementwise.multiply(elementwise.absolute(y), y.operand(rtol)), y.operand(atol))
    close = masks.comparison(np.less_equal)(difference, allowed)
    if not all(isinstance(tolerance, (int, float)) and tolerance >= 0 for tolerance in (rtol, atol)):
        return close
    one = masks.comparison(np.equal)(x, y)  # of an element and its copy the difference is 0, whatever the radius
    return masks.LOGICAL[np.logical_or](close, one)


def allclose(like: Number, a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Raises TypeError where the radii leave the outcome open."""
    return bool(isclose(like, a, b, rtol, atol).all().decided("numpy.allclose"))


def array_equal(like: Number, a1: Any, a2: Any) -> bool:
    """Raises TypeError where the radii leave the outcome open."""
    x, y = like.operand(a1), like.operand(a2)
    if x.shape != y.shape:
        return False
    return bool(masks.comparison(np.equal)(x, y).all().decided("numpy.array_equal"))


def nan_to_num(
    like: Number, x: Any, copy: Any = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None  # noqa: FBT002 - NumPy's signature
) -> Number:
    """x with numbers for what is none. Raises TypeError for copy=False, which writes to x."""
    if not copy:
        raise TypeError("no radius is known for numpy.nan_to_num with copy=False; x[...] = np.nan_to_num(x) does it")
    return _finite(like.operand(x), nan, posinf, neginf)


@elementary(adjoints.finite, "nan_to_num")
def _finite(a: Number, nan: float, posinf: Any, neginf: Any) -> Number:
    huge = a.format.huge
    posinf, neginf = huge if posinf is None else posinf, -huge if neginf is None else neginf
    value = np.nan_to_num(a.value, nan=nan, posinf=posinf, neginf=neginf)

    def rule(take: Take) -> Any:
        e = a.e(take)
        return np.where(np.isfinite(take(a.value)) | (e == 0), e, np.inf)

    return a.derived(value, None if a.exact else rule)


def select(like: Number, condlist: Any, choicelist: Any, default: Any = 0) -> Number:
    """The first choice whose condition holds."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    result = default
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        result = choices.where(like, condition, choice, result)
    return like.operand(result)


def heaviside(x: Number, y: Number) -> Number:
    """0, y or 1 by the sign of x."""
    zero = x.operand(0.0)
    above, at = masks.comparison(np.greater)(x, zero), masks.comparison(np.equal)(x, zero)
    return choices.where(x, above, 1.0, choices.where(x, at, y, 0.0))


def beside_nan(ufunc: np.ufunc, choose: Callable[[Number, Number], Number]) -> Callable[[Number, Number], Number]:
    """The rule of fmax or fmin, which takes the number beside a NaN: choose, but for that."""

    @elementary(choosing.larger_beside_nan if ufunc is np.fmax else choosing.smaller_beside_nan, ufunc.__name__)
    def rule_of(x: Number, y: Number) -> Number:
        ordinary = choose(x, y)

        def rule(take: Take) -> Any:
            e, exact = ordinary.e(take), (x.e(take) == 0) & (y.e(take) == 0)
            nan = np.isnan(take(x.value)) | np.isnan(take(y.value))
            return np.where(nan, np.where(exact, 0, np.inf), e)

        made = x.derived(ufunc(x.value, y.value), None if x.exact and y.exact else rule)
        made.same_as(ordinary.ids, ordinary.far)  # beside a NaN that is none of its operands
        return made

    return rule_of


@elementary(choosing.copysign)
def copysign(x: Number, y: Number) -> Number:
    def rule(take: Take) -> Any:
        decided = y.format.as_taken | (np.abs(take(y.value)) > functions.reach(y, take))
        return np.where(decided, x.e(take), x.e(take) + 2 * x.A(take))

    return x.derived(np.copysign(x.value, y.value), rule)
