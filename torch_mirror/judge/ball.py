"""Ball: a NumPy duck array of values with a radius each, that the reference's equations run on.

``value`` is the centre, computed in the precision under test or a wider one. The exact result lies
within ``radius`` of every admissible evaluation in the precision under test: round to nearest, any
order and blocking of sums, with or without fused multiply-add, subnormals kept or flushed. The centre
being one evaluation too, another one may be R * radius away from it, R = 1 + u_centre / u.

With A = |value| + R radius, an upper bound on every evaluation of an operand, u the unit roundoff and
tiny the smallest normal number, the rules are

    x + y       e_x + e_y + u (|x + y| + R (e_x + e_y)) + tiny
    x y         e_x A_y + A_x e_y + u A_x A_y + tiny
    x / n       e_x / n + gamma_3 A_x / n + 3 tiny             (n a number: also multiplied by fl(1/n))
    x / y       (e_x + |x / y| e_y) / (|y| - R e_y), and one rounding
    sum of K    sum e + gamma_K sum A + (2 K + 1) tiny         (products and a bias are terms of one sum)
    max, where  the radius of the branch; of both where the operands leave the branch open

Radius 0 is structural (``None`` inside): an operand that is exact, or an operation proved exact from
the operands' bits (exactness.py). Radii are evaluated only when asked for, and then only for the
elements asked for: most comparisons need few of them.

Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), sections 3.1 to 3.5 for
gamma_K and sums in any order. Assumed, not proven: the errors of exp and tanh (FUNCTION_ULPS).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from reference.arrays import Array
from torch_mirror.judge import products
from torch_mirror.judge.exactness import exact_product, exact_sum, fits_grid, lowest_bit
from torch_mirror.judge.format import Format, format_of

Take: TypeAlias = Callable[[Any], Any]
Rule: TypeAlias = Callable[[Take], Any]

FUNCTION_ULPS = {"exp": 8, "tanh": 8}
"""Error of an elementary function in units of u: the vendors' documented figures, with room (NumPy's
SIMD exp in float32 documents 2.52 ulp = 5.04 u; SLEEF's u10 functions, which torch uses, 2 u)."""


class OpenSum(NamedTuple):
    """A sum of products or terms that may still take a term.

    bound(gamma) is at least gamma * sum of A + sum of e; grid() the lowest bit over all terms of each
    element, or None where nothing can be exact; at(index) the sum of A at some elements, if every
    operand is exact and that is cheaper to have than all of it.
    """

    terms: int
    bound: Callable[[float], Array]
    grid: Callable[[], Array | None] | None = None
    at: Callable[[tuple[Array, ...]], Array] | None = None


class Mask(NamedTuple):
    """The outcome of a comparison: the centre's, and, when asked, where the radii leave it open."""

    value: Array
    undecided: Callable[[], Array] | None = None


class Ball(NDArrayOperatorsMixin):
    """Values with radii; see the module's docstring. ``Ball(value)`` is exact."""

    __slots__ = ("_mT", "_products", "_radius", "_rule", "_scaled", "format", "open", "value")

    def __init__(self, value: Array, radius: Array | float = 0, format: Format | None = None) -> None:
        self.value = value
        self.format = format or format_of(value.dtype)
        self.open: OpenSum | None = None
        self._rule: Rule | None = None
        self._radius: Any = None
        self._mT: Ball | None = None
        self._products: dict[tuple[int, int], tuple[Ball, Ball, Ball]] | None = None
        self._scaled: products.Scaled | None = None
        if not (np.isscalar(radius) and radius == 0):
            self._radius = np.broadcast_to(np.asarray(radius), np.shape(value))

    @property
    def exact(self) -> bool:
        """True if every radius is 0 by construction."""
        return self._rule is None and self._radius is None

    @property
    def slack(self) -> float:
        """R: how many radii two evaluations may differ by, the centre being one of them."""
        return 1 + float(np.finfo(self.value.dtype).eps) / 2 / self.format.u

    @property
    def radius(self) -> Array:
        """The radius of every element; 0 where an operation is exact, infinite where it may overflow."""
        radius: Array = np.broadcast_to(self.e(_all), self.value.shape)
        return radius

    def e(self, take: Take) -> Any:
        """The radius of the elements that ``take`` selects from an array that broadcasts to the result."""
        if self.exact:
            return 0.0
        if self._radius is None and (take is _all or self.open):  # a sum costs its whole operands anyway
            assert self._rule is not None
            self._radius = self._rule(_all)
        if self._radius is not None:
            return take(self._radius)
        assert self._rule is not None
        return self._rule(take)

    def A(self, take: Take) -> Any:
        """An upper bound on the magnitude of every evaluation of the selected elements."""
        magnitude = np.abs(take(self.value))
        return magnitude if self.exact else magnitude + self.slack * self.e(take)

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    dtype = property(lambda self: self.format.dtype)

    @property
    def mT(self) -> "Ball":
        if self._products is None:
            return self._view(lambda a: a.mT)
        if self._mT is None:
            self._mT = self._view(lambda a: a.mT)
            self._mT._products = self._products
        return self._mT

    def remember(self) -> "Ball":
        """Keep every product x @ self from here on, as two evaluations of one step ask for the same ones."""
        self._products = {}
        return self

    def forget(self) -> None:
        """Drop them: they and this ball hold each other, and the memory of whole steps with them."""
        if self._products is not None:
            self._products.clear()

    @property
    def scaled(self) -> products.Scaled:
        """The magnitude of the value in float32, computed once."""
        if self._scaled is None:
            self._scaled = products.scaled(self.value)
        return self._scaled

    def __getitem__(self, index: Any) -> "Ball":
        return self._view(lambda a: a[index])

    def _view(self, look: Callable[[Array], Array]) -> "Ball":
        rule: Rule | None = None if self.exact else lambda take: take(look(self.radius))
        return _ball(look(self.value), self.format, rule)

    def sum(self, axis: int | tuple[int, ...] | None = None) -> "Ball":
        """The sum over an axis, in any order."""
        axes = tuple(range(self.ndim)) if axis is None else axis
        value = np.asarray(self.value.sum(axis=axes))
        terms = self.value.size // max(value.size, 1)
        if terms == 1 and self.exact:
            return _ball(value, self.format, None)

        def bound(gamma: float) -> Array:
            total: Array = np.asarray((gamma * self.A(_all) + self.e(_all)).sum(axis=axes))
            return total

        grid = (lambda: np.asarray(lowest_bit(self.value, self.format).min(axis=axes))) if self.exact else None
        return _open(value, self.format, OpenSum(terms, bound, grid))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        rule = UFUNCS.get(ufunc)
        if rule is None or method != "__call__" or kwargs:
            raise TypeError(f"no radius is known for numpy.{ufunc.__name__} ({method}, {sorted(kwargs)})")
        fmt = self.format
        centre = self.value.dtype
        return rule(*(_as_ball(x, fmt, centre) for x in inputs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        rule = FUNCTIONS.get(function)
        if rule is None:
            raise TypeError(f"no radius is known for numpy.{function.__name__}")
        return rule(self, *args, **kwargs)


def _all(array: Any) -> Any:
    """The ``take`` that selects everything."""
    return array


def _ball(value: Any, fmt: Format, rule: Rule | None) -> Ball:
    ball = Ball(np.asarray(value), 0, fmt)
    ball._rule = rule
    return ball


def _as_ball(x: Any, fmt: Format, centre: np.dtype[Any]) -> Ball:
    """An operand as a ball; a Python number that the format cannot hold has a rounding of its own."""
    if isinstance(x, Ball):
        return x
    if isinstance(x, (int, float)):
        value = np.asarray(x, dtype=centre)
        held = float(fmt.dtype.type(x)) == x
        return Ball(value, 0.0 if held else fmt.u * abs(x) + fmt.tiny, fmt)
    return Ball(np.asarray(x, dtype=centre), 0, fmt)


# --- sums and products -------------------------------------------------------------------------


def _open(value: Array, fmt: Format, total: OpenSum) -> Ball:
    """The ball of a sum of ``terms`` terms or products in any order; see OpenSum."""
    gamma = fmt.gamma(total.terms)
    rounded_up = 1 + 4 * gamma  # the bound is itself a sum of that many terms, rounded as badly

    def rule(take: Take) -> Any:
        bound = take(total.bound(gamma * rounded_up))
        e = bound + (2 * total.terms + 1) * fmt.tiny
        if not np.max(bound, initial=0) < gamma * fmt.huge / 2:
            e = np.where(bound < gamma * fmt.huge / 2, e, np.inf)
        grid = total.grid() if total.grid else None
        return e if grid is None else np.where(fits_grid(bound / gamma, take(grid), fmt), 0, e)

    ball = _ball(value, fmt, rule)
    ball.open = total
    return ball


def _matmul(x: Ball, w: Ball) -> Ball:
    """x @ w: one sum of products an element."""
    kept = w._products
    if kept is not None and (id(x), id(w)) in kept:
        return kept[id(x), id(w)][-1]
    exact = x.exact and w.exact

    def bound(gamma: float) -> Array:
        # gamma A_x A_w + A_x e_w + e_x A_w, with one product where an operand is exact
        if exact and products.large(x.value, w.value):
            return products.large_magnitude(x.scaled, w.scaled, gamma)
        if exact:
            return products.magnitude(x.value, w.value, gamma)
        if x.exact:
            return products.magnitude(x.value, gamma * w.A(_all) + w.radius)
        if w.exact:
            return products.magnitude(gamma * x.A(_all) + x.radius, w.value)
        a = w.A(_all)
        return products.magnitude(x.A(_all), gamma * a + w.radius) + products.magnitude(x.radius, a)

    total = OpenSum(
        x.shape[-1],
        bound,
        (lambda: products.product_grid(x.value, w.value, x.format)) if exact else None,
        (lambda at: products.magnitude_at(x.value, w.value, at)) if exact else None,
    )
    product = _open(x.value @ w.value, x.format, total)
    if kept is not None:
        kept[id(x), id(w)] = x, w, product
    return product


def _add(x: Ball, y: Ball) -> Ball:
    return _sum_or_difference(x, y, 1)


def _subtract(x: Ball, y: Ball) -> Ball:
    return _sum_or_difference(x, y, -1)


def _sum_or_difference(x: Ball, y: Ball, sign: int) -> Ball:
    value = x.value + y.value if sign > 0 else x.value - y.value
    fmt = x.format
    if x.open or y.open:
        return _open(value, fmt, _joined(x.open or _term(x), y.open or _term(y)))

    def rule(take: Take) -> Any:
        propagated = x.e(take) + y.e(take)
        s = take(value)
        rounding = fmt.u * (np.abs(s) + x.slack * propagated) + fmt.tiny
        exact = _where_exact(propagated, lambda: exact_sum(take(x.value), sign * take(y.value), s, fmt))
        return _overflow(propagated + _zero_where(exact, rounding), s, fmt)

    return _ball(value, fmt, rule)


def _term(x: Ball) -> OpenSum:
    if not x.exact:
        return OpenSum(1, lambda gamma: gamma * x.A(_all) + x.e(_all))
    return OpenSum(
        1,
        lambda gamma: gamma * np.abs(x.value),
        lambda: lowest_bit(x.value, x.format),
        lambda at: np.abs(x.value[tuple(0 if n == 1 else i for n, i in zip(x.shape, at[-x.ndim :], strict=True))]),
    )


def _joined(s: OpenSum, t: OpenSum) -> OpenSum:
    a, b, f, g = s.grid, t.grid, s.at, t.at

    def grid() -> Array | None:
        first = a() if a else None
        second = b() if b and first is not None else None
        return None if first is None or second is None else np.minimum(first, second)

    return OpenSum(
        s.terms + t.terms,
        lambda gamma: s.bound(gamma) + t.bound(gamma),
        grid if a and b else None,
        (lambda at: f(at) + g(at)) if f and g else None,
    )


# --- elementwise -------------------------------------------------------------------------------


def _negative(x: Ball) -> Ball:
    return _ball(-x.value, x.format, None if x.exact else x.e)


def _absolute(x: Ball) -> Ball:
    return _ball(np.abs(x.value), x.format, None if x.exact else x.e)


def _multiply(x: Ball, y: Ball) -> Ball:
    value = x.value * y.value
    fmt = x.format
    if x.exact and x.ndim == 0:
        x, y = y, x
    if y.exact and y.ndim == 0 and abs(float(np.frexp(y.value)[0])) == 0.5:
        number = abs(float(y.value))
        return _ball(value, fmt, lambda take: _scaled_by_power_of_two(x, number, take(value), take))

    def rule(take: Take) -> Any:
        ex, ey, p = x.e(take), y.e(take), take(value)
        propagated = ex * y.A(take) + x.A(take) * ey
        rounding = fmt.u * (x.A(take) * y.A(take)) + fmt.tiny
        exact = _where_exact(ex + ey, lambda: _exact_products(take(x.value), take(y.value), p, fmt))
        return _overflow(propagated + _zero_where(exact, rounding), x.A(take) * y.A(take), fmt)

    return _ball(value, fmt, rule)


def _exact_products(a: Any, b: Any, p: Any, fmt: Format) -> Array:
    """exact_product; of many elements a few are asked first, and where none of them is exact, none is claimed."""
    few = slice(None, None, max(p.size // 64, 1))
    if a.shape == b.shape == p.shape and p.size >= MANY:
        if not exact_product(a.reshape(-1)[few], b.reshape(-1)[few], p.reshape(-1)[few], fmt).any():
            return np.asarray(False)
    return exact_product(a, b, p, fmt)


MANY = 4096
"""Elements from which a test of exactness looks at a few first."""


def _divide(x: Ball, y: Ball) -> Ball:
    value = x.value / y.value
    fmt = x.format
    if y.exact and y.ndim == 0:
        number = abs(float(y.value))
        if np.frexp(number)[0] == 0.5:
            return _ball(value, fmt, lambda take: _scaled_by_power_of_two(x, 1 / number, take(value), take))

        def by_number(take: Take) -> Any:
            rounding = fmt.gamma(3) * x.A(take) / number + 3 * fmt.tiny
            return _overflow(x.e(take) / number + rounding, take(value), fmt)

        return _ball(value, fmt, by_number)

    def rule(take: Take) -> Any:
        ex, ey, q = x.e(take), y.e(take), np.abs(take(value))
        smallest = np.abs(take(y.value)) - y.slack * ey
        propagated = (ex + q * ey) / np.where(smallest > 0, smallest, 0)
        return _overflow(propagated + fmt.u * (q + x.slack * propagated) + fmt.tiny, q, fmt)

    return _ball(value, fmt, rule)


def _power(x: Ball, y: Ball) -> Ball:
    n = float(y.value) if y.exact and y.ndim == 0 else 0.5
    if n != int(n) or n < 1:
        raise TypeError("no radius is known for numpy.power unless the exponent is a whole number above 0")
    value = x.value ** int(n)
    fmt = x.format

    def rule(take: Take) -> Any:
        # n - 1 products, or a library's pow with an error of at most 2 ulp = 4 u
        largest = x.A(take) ** int(n)
        propagated = n * x.A(take) ** (int(n) - 1) * x.e(take)
        return _overflow(propagated + fmt.gamma(max(int(n) - 1, 4)) * largest + n * fmt.tiny, largest, fmt)

    return x * x if n == 2 else _ball(value, fmt, rule)


def _exp(x: Ball) -> Ball:
    value = np.exp(x.value)
    fmt, ulps = x.format, FUNCTION_ULPS["exp"]

    def rule(take: Take) -> Any:
        e = x.e(take)
        largest = take(value) * np.exp(x.slack * e) * (1 + 2 * ulps * fmt.u)  # e^t over the interval, whose slope it is
        return _overflow(largest * (e + ulps * fmt.u) + fmt.tiny, largest, fmt)

    return _ball(value, fmt, rule)


def _tanh(x: Ball) -> Ball:
    value = np.tanh(x.value)
    fmt, ulps = x.format, FUNCTION_ULPS["tanh"]

    def rule(take: Take) -> Any:
        e = x.e(take)
        nearest = np.tanh(np.maximum(np.abs(take(x.value)) - x.slack * e, 0))
        slope = np.minimum(1 - nearest * nearest + 2 * ulps * fmt.u, 1)  # the largest over the interval
        return e * slope + ulps * fmt.u * np.abs(take(value)) + fmt.tiny

    return _ball(value, fmt, rule)


def _scaled_by_power_of_two(x: Ball, number: float, p: Any, take: Take) -> Any:
    """The radius of p = number x: exact, unless it leaves the normal numbers."""
    underflow = np.where((np.abs(p) >= x.format.tiny) | (take(x.value) == 0), 0, x.format.tiny)
    return _overflow(x.e(take) * number + underflow, p, x.format)


def _where_exact(propagated: Any, test: Callable[[], Array]) -> Any:
    """The test's outcome where no error came in; not asked where one came in everywhere."""
    clean = np.asarray(propagated) == 0
    return clean & test() if clean.any() else False


def _zero_where(exact: Any, rounding: Any) -> Any:
    return rounding if exact is False else np.where(exact, 0, rounding)


def _overflow(e: Any, magnitude: Any, fmt: Format) -> Any:
    """Infinite where an evaluation may overflow, and where the bound itself did."""
    return np.where((np.abs(magnitude) + 2 * e < fmt.huge / 2), e, np.inf)


# --- branches ----------------------------------------------------------------------------------


def _compare(ufunc: np.ufunc) -> Callable[[Ball, Ball], Array | Mask]:
    def rule(x: Ball, y: Ball) -> Array | Mask:
        value = np.asarray(ufunc(x.value, y.value))
        if x.exact and y.exact:
            return value

        def undecided() -> Array:
            reach = x.slack * (x.e(_all) + y.e(_all))
            apart = np.abs(x.value - y.value)
            # a reach of exactly 0 decides; otherwise the two may meet, and a tie is a branch of its own
            return np.broadcast_to((reach > 0) & ~(apart > reach), value.shape)

        return Mask(value, undecided)

    return rule


def _maximum(x: Ball, y: Ball) -> Ball:
    value = np.maximum(x.value, y.value)

    def rule(take: Take) -> Any:
        ex, ey = x.e(take), y.e(take)
        a, b = take(x.value), take(y.value)
        y_wins = a + x.slack * ex <= b - y.slack * ey
        x_wins = b + y.slack * ey <= a - x.slack * ex
        return np.where(y_wins, ey, np.where(x_wins, ex, np.maximum(ex, ey)))

    return _ball(value, x.format, None if x.exact and y.exact else rule)


def _where(like: Ball, condition: Array | Mask, x: Any, y: Any) -> Ball:
    a, b = (_as_ball(v, like.format, like.value.dtype) for v in (x, y))
    mask = condition if isinstance(condition, Mask) else Mask(np.asarray(condition))
    value = np.where(mask.value, a.value, b.value)

    def rule(take: Take) -> Any:
        ea, eb = a.e(take), b.e(take)
        e = np.where(take(mask.value), ea, eb)
        undecided = mask.undecided() if mask.undecided else None
        if undecided is None or not undecided.any():
            return e
        both = np.abs(take(a.value) - take(b.value)) + ea + eb
        return np.where(take(undecided), both, e)

    return _ball(value, like.format, None if mask.undecided is None and a.exact and b.exact else rule)


def _concatenate(like: Ball, arrays: Any, axis: int = 0) -> Ball:
    balls = [_as_ball(a, like.format, like.value.dtype) for a in arrays]
    exact = all(b.exact for b in balls)

    def rule(take: Take) -> Any:
        return take(np.concatenate([b.radius for b in balls], axis=axis))

    return _ball(np.concatenate([b.value for b in balls], axis=axis), like.format, None if exact else rule)


UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: _add,
    np.subtract: _subtract,
    np.multiply: _multiply,
    np.true_divide: _divide,
    np.power: _power,
    np.square: lambda x: _multiply(x, x),
    np.matmul: _matmul,
    np.negative: _negative,
    np.positive: lambda x: x,
    np.absolute: _absolute,
    np.exp: _exp,
    np.tanh: _tanh,
    np.maximum: _maximum,
    np.less: _compare(np.less),
    np.less_equal: _compare(np.less_equal),
    np.greater: _compare(np.greater),
    np.greater_equal: _compare(np.greater_equal),
}

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.concatenate: _concatenate,
    np.sum: lambda like, a, axis=None: _as_ball(a, like.format, like.value.dtype).sum(axis),
}
