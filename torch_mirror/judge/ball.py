"""Ball: a NumPy duck array of values with a radius each, that the reference's equations run on.

``value`` is the centre, computed in the precision under test or a wider one. The exact result lies
within ``radius`` of every admissible evaluation in the precision under test: round to nearest, any
order and blocking of sums, with or without fused multiply-add, subnormal results kept or flushed (operands
are taken as they are: a mode that reads subnormal operands as zero is outside). The centre
being one evaluation too, another one may be R * radius away from it, R = 1 + u_centre / u.

The rules stand in sums.py, elementwise.py, branches.py and shapes.py. In their formulas e is the radius of an
operand, A = |value| + R e a bound on the magnitude of every evaluation of it, u the unit roundoff,
gamma_K = K u / (1 - K u), and tiny the smallest normal number, which bounds what underflow loses.

Radius 0 is structural: an operand that is exact, or an operation proved exact from the operands' bits.
Radii are evaluated only when asked for, and then only for the elements asked for: most comparisons
need few of them.

A NumPy function without a rule raises TypeError. ``@Ball.rule(numpy.foo)`` registers one, for every ball:
the one deliberate exception to having no registry, as NumPy's functions know a ball by its class only.
"""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from reference.arrays import Array
from torch_mirror.judge import branches, elementwise, products, shapes, sums
from torch_mirror.judge.format import Format, format_of
from torch_mirror.judge.selection import Rule, Take, everything


class Ball(NDArrayOperatorsMixin):
    """Values with radii; see the module's docstring. ``Ball(value)`` is exact.

    format: of the precision under test, where the centre is in a wider one.
    """

    __slots__ = ("_mT", "_radius", "_rule", "_scaled", "format", "kept_products", "number", "open", "value")

    def __init__(
        self,
        value: Array,
        radius: Array | float = 0,
        format: Format | None = None,
        rule: Rule | None = None,
        total: sums.OpenSum | None = None,
    ) -> None:
        self.value = value
        self.format = format or format_of(value.dtype)
        self.open = total
        self.kept_products: dict[tuple[int, int], tuple[Ball, Ball, Ball]] | None = None
        self.number: float | None = None  # the Python number that it stands for
        self._rule = rule
        self._mT: Ball | None = None
        self._scaled: dict[int, products.Scaled | None] = {}
        given = not (np.isscalar(radius) and radius == 0)
        self._radius: Any = np.broadcast_to(np.asarray(radius), np.shape(value)) if given else None

    def derived(self, value: Array, rule: Rule | None, total: sums.OpenSum | None = None) -> "Ball":
        """The result of an operation on this ball, with the rule of its radius; exact if there is none."""
        return Ball(np.asarray(value), 0, self.format, rule, total)

    def operand(self, x: Any) -> "Ball":
        """x as a ball beside this one; a Python number that the format cannot hold has a rounding of its own."""
        if isinstance(x, Ball):
            return x
        if isinstance(x, branches.Mask):
            return branches.number(self, x)
        if not isinstance(x, (int, float)):
            return Ball(np.asarray(x, dtype=self.value.dtype), 0, self.format)
        ball = self.numbers(x)
        ball.number = float(x)
        return ball

    def numbers(self, x: Array | float) -> "Ball":
        """Numbers in float64 beside this ball; those that the format cannot hold have a rounding of their own."""
        fmt, x = self.format, np.asarray(x, np.float64)  # a Python number would be rounded before it is compared
        held = x.astype(fmt.dtype) == x
        radius = 0 if held.all() else np.where(held, 0.0, fmt.u * np.abs(x) + fmt.tiny)
        return Ball(x.astype(self.value.dtype), radius, fmt)

    @property
    def exact(self) -> bool:
        """True if every radius is 0 by construction."""
        return self._rule is None and self._radius is None

    @property
    def slack(self) -> float:
        """R: how many radii two evaluations may differ by, the centre being one of them."""
        return 1 + format_of(self.value.dtype).u / self.format.u

    @property
    def radius(self) -> Array:
        """The radius of every element; 0 where an operation is exact, infinite where it may overflow."""
        radius: Array = np.broadcast_to(self.e(everything), self.value.shape)
        return radius

    def e(self, take: Take) -> Any:
        """The radius of the elements that ``take`` selects from an array that broadcasts to the result."""
        if self._radius is None and self._rule is not None:
            if take is not everything and not self.open:
                return self._rule(take)
            self._radius = self._rule(everything)  # a sum costs its whole operands anyway
        return 0.0 if self._radius is None else take(self._radius)

    def A(self, take: Take) -> Any:
        """An upper bound on the magnitude of every evaluation of the selected elements."""
        magnitude = np.abs(take(self.value))
        return magnitude if self.exact else magnitude + self.slack * self.e(take)

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.format.dtype)

    @property
    def mT(self) -> "Ball":
        if self.kept_products is None:
            return shapes.view(self, lambda a: a.mT)
        if self._mT is None:
            self._mT = shapes.view(self, lambda a: a.mT)
            self._mT.kept_products = self.kept_products
        return self._mT

    def __getitem__(self, index: Any) -> "Ball":
        return shapes.view(self, lambda a: a[index])

    @property
    def T(self) -> "Ball":
        return self.mT if self.ndim == 2 else shapes.transpose(self, self)

    def reshape(self, *shape: Any) -> "Ball":
        return shapes.reshape(self, self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> "Ball":
        return shapes.transpose(self, self, (axes[0] if len(axes) == 1 else axes) or None)

    def swapaxes(self, axis1: int, axis2: int) -> "Ball":
        return shapes.swapaxes(self, self, axis1, axis2)

    def ravel(self) -> "Ball":
        return shapes.ravel(self, self)

    def squeeze(self, axis: shapes.Axes = None) -> "Ball":
        return shapes.squeeze(self, self, axis)

    def sum(self, axis: shapes.Axes = None, *, keepdims: bool = False) -> "Ball":
        """The sum over some axes, in any order."""
        return sums.add_over(self, axis, keepdims=keepdims)

    def mean(self, axis: shapes.Axes = None, *, keepdims: bool = False) -> "Ball":
        return sums.mean(self, axis, keepdims=keepdims)

    def max(self, axis: shapes.Axes = None, *, keepdims: bool = False) -> "Ball":
        return branches.max_over(self, axis, keepdims=keepdims)

    def min(self, axis: shapes.Axes = None, *, keepdims: bool = False) -> "Ball":
        return branches.min_over(self, axis, keepdims=keepdims)

    def clip(self, min: Any = None, max: Any = None) -> "Ball":
        return branches.clip(self, self, min, max)

    def dot(self, b: Any) -> "Ball":
        return sums.dot(self, self, b)

    def remember(self) -> "Ball":
        """Keep every product x @ self from here on, as two evaluations of one step ask for the same ones."""
        self.kept_products = {}
        return self

    def forget(self) -> None:
        """Drop them: they and this ball hold each other, and the memory of whole steps with them."""
        if self.kept_products is not None:
            self.kept_products.clear()

    def scaled(self, axis: int) -> products.Scaled | None:
        """products.scaled of the value, computed once."""
        if axis not in self._scaled:
            self._scaled[axis] = products.scaled(self.value, axis)
        return self._scaled[axis]

    @staticmethod
    def rule(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register the decorated function as the rule of a NumPy function that has none.

        The rule of a ufunc takes its operands as balls; any other takes a ball, ``like``, and then the
        arguments of the call: ``like.operand(x)`` is any of them as a ball. It returns
        ``like.derived(value, rule)``, where ``rule(take)`` is the radius of the elements asked for.
        Raises ValueError if the function has a rule.
        """
        if function in UFUNCS or function in FUNCTIONS or function in _added:
            raise ValueError(f"numpy.{function.__name__} has a rule")

        def register(rule: Callable[..., Any]) -> Callable[..., Any]:
            _added[function] = rule
            return rule

        return register

    @staticmethod
    def drop_rule(function: Callable[..., Any]) -> None:
        """Drop a rule that ``Ball.rule`` registered. Raises KeyError if there is none."""
        del _added[function]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        rule = UFUNCS.get(ufunc) or _added.get(ufunc)
        if method == "reduce" and ufunc in REDUCTIONS and kwargs.keys() <= {"axis", "keepdims"} and len(inputs) == 1:
            return REDUCTIONS[ufunc](self, **{"axis": 0, **kwargs})
        if method != "__call__" or kwargs:
            raise TypeError(_no_rule(ufunc, f" ({method}, {sorted(kwargs)})"))
        if rule is None:
            raise TypeError(_no_rule(ufunc))
        return rule(*(self.operand(x) for x in inputs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        rule = FUNCTIONS.get(function) or _added.get(function)
        if rule is None:
            raise TypeError(_no_rule(function))
        if kwargs and function in FUNCTIONS and not kwargs.keys() <= _names(rule):
            raise TypeError(_no_rule(function, f" with {', '.join(sorted(kwargs.keys() - _names(rule)))}"))
        return rule(self, *args, **kwargs)


def _no_rule(function: Any, how: str = "") -> str:
    name = f"numpy.{function.__name__}"
    return f"no radius is known for {name}{how}" + ("" if how else f"; @Ball.rule({name}) registers a rule")


@cache
def _names(rule: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(rule).parameters)


UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: elementwise.add,
    np.subtract: elementwise.subtract,
    np.multiply: elementwise.multiply,
    np.true_divide: elementwise.divide,
    np.power: elementwise.power,
    np.square: elementwise.square,
    np.negative: elementwise.negative,
    np.absolute: elementwise.absolute,
    np.exp: elementwise.exp,
    np.tanh: elementwise.tanh,
    np.sqrt: elementwise.sqrt,
    np.log: elementwise.log,
    np.reciprocal: elementwise.reciprocal,
    np.sign: branches.sign,
    np.matmul: sums.matmul,
    np.maximum: branches.maximum,
    np.minimum: branches.minimum,
    np.equal: branches.comparison(np.equal),
    np.not_equal: branches.comparison(np.not_equal),
    np.less: branches.comparison(np.less),
    np.less_equal: branches.comparison(np.less_equal),
    np.greater: branches.comparison(np.greater),
    np.greater_equal: branches.comparison(np.greater_equal),
}

REDUCTIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: sums.add_over,
    np.maximum: branches.max_over,
    np.minimum: branches.min_over,
}


def _over(reduce: Callable[..., Ball]) -> Callable[..., Ball]:
    def rule(like: Ball, a: Any, axis: shapes.Axes = None, *, keepdims: bool = False) -> Ball:
        return reduce(like.operand(a), axis, keepdims=keepdims)

    return rule


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: branches.where,
    np.clip: branches.clip,
    np.sum: _over(sums.add_over),
    np.mean: _over(sums.mean),
    np.max: _over(branches.max_over),
    np.amax: _over(branches.max_over),
    np.min: _over(branches.min_over),
    np.amin: _over(branches.min_over),
    np.dot: sums.dot,
    np.outer: elementwise.outer,
    np.transpose: shapes.transpose,
    np.swapaxes: shapes.swapaxes,
    np.reshape: shapes.reshape,
    np.ravel: shapes.ravel,
    np.squeeze: shapes.squeeze,
    np.expand_dims: shapes.expand_dims,
    np.broadcast_to: shapes.broadcast_to,
    np.concatenate: shapes.concatenate,
    np.stack: shapes.stack,
    np.zeros_like: shapes.zeros_like,
    np.ones_like: shapes.ones_like,
    np.full_like: shapes.full_like,
}

_added: dict[Any, Callable[..., Any]] = {}  # by Ball.rule
