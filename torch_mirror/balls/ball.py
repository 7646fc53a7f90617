"""Ball: a NumPy duck array of values with a radius each, that the reference's equations run on.

``value`` is the centre, computed in the precision under test or a wider one. The exact result lies
within ``radius`` of every admissible evaluation in the precision under test: round to nearest, any
order and blocking of sums, with or without fused multiply-add, subnormal results kept or flushed (operands
are taken as they are: a mode that reads subnormal operands as zero is outside). The centre
being one evaluation too, another one may be R * radius away from it, R = 1 + u_centre / u.

The rules stand in rules/, one family a file, and in masks.py; table.py says which function has which, and
rules/refused.py what to write instead where there is none. In their formulas e is the radius of an
operand, A = |value| + R e a bound on the magnitude of every evaluation of it, u the unit roundoff,
gamma_K = K u / (1 - K u), and tiny the smallest normal number, which bounds what underflow loses.

Radius 0 is structural: an operand that is exact, or an operation proved exact from the operands' bits.
Radii are evaluated only when asked for, and then only for the elements asked for: most comparisons
need few of them. So an operation keeps its operands as they are when it runs, whatever is assigned
to them later (assignment.py).

A NumPy function without a rule raises TypeError. ``@Ball.rule(numpy.foo)`` registers one, for every ball:
the one deliberate exception to having no registry, as NumPy's functions know a ball by its class only.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from reference.arrays import Array
from torch_mirror.balls import assignment, attributes, callers, dispatch, masks
from torch_mirror.balls.exactness import rounding_of
from torch_mirror.balls.format import Format, format_of
from torch_mirror.balls.rules import products, refused, shapes, sums, widening
from torch_mirror.balls.take import Rule, Take, everything

if TYPE_CHECKING:
    from weakref import WeakValueDictionary


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method that is NumPy's function of the same name."""

    def method(self: "Ball", *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    return method


def _in_place(ufunc: np.ufunc) -> Callable[..., Any]:
    """x += y: in place for an array, a new number for a number, as in NumPy."""

    def method(self: "Ball", other: Any) -> Any:
        return ufunc(self, other) if self.scalar else ufunc(self, other, out=(self,))

    return method


class Ball(NDArrayOperatorsMixin):
    """Values with radii; see the module's docstring. ``Ball(value)`` is exact.

    The array is not copied and never written to, and must not change while the ball is in use.
    format: of the precision under test, where the centre is in a wider one.
    """

    __slots__ = (
        "__weakref__", "_content", "_mT", "_radius", "_rule", "_scaled", "format", "frozen", "kept_products", "look",
        "number", "open", "root", "scalar", "value", "views",
    )  # fmt: skip

    def __init__(
        self,
        value: Array,
        radius: Array | float = 0,
        format: Format | None = None,
        rule: Rule | None = None,
        total: sums.OpenSum | None = None,
    ) -> None:
        self.scalar = isinstance(value, np.generic)  # a number to NumPy, which nothing is assigned to
        self.value = np.asarray(value)
        self.format = format or format_of(self.value.dtype)
        self.open = total
        self.kept_products: dict[tuple[int, int], tuple[Ball, Ball, Ball]] | None = None
        self.number: float | None = None  # the Python number that it stands for
        self.frozen = False  # what an operation keeps of an operand: nothing is assigned to it
        self.root: Ball | None = None  # what it is a view of, through look
        self.look: shapes.Look | None = None
        self.views: WeakValueDictionary[int, Ball] | None = None
        self._content: Ball | None = None  # frozen, the same elements; its radius is this one's
        self._rule = rule
        self._mT: Ball | None = None
        self._scaled: dict[int, products.Scaled | None] = {}
        given = not (np.isscalar(radius) and radius == 0)
        self._radius: Any = np.broadcast_to(np.asarray(radius), self.value.shape) if given else None

    def derived(self, value: Array, rule: Rule | None, total: sums.OpenSum | None = None) -> "Ball":
        """The result of an operation on this ball, with the rule of its radius; exact if there is none."""
        return Ball(value, 0, self.format, rule, total)

    def operand(self, x: Any) -> "Ball":
        """x as a ball beside this one, as it is now; what the format cannot hold has a rounding of its own."""
        if isinstance(x, Ball):
            return x.settled() if x.format is self.format else widening.widened(x.settled(), self.format)
        if isinstance(x, masks.Mask):
            return x.number()
        number = isinstance(x, (int, float))
        given = np.asarray(x, np.float64) if number else np.asarray(x)  # a number is no array of the format yet
        ball = Ball(np.array(x, dtype=self.value.dtype), rounding_of(given, self.format), self.format)
        if number:
            ball.number = float(x)
        return ball

    def beside(self, x: Any) -> "Ball | masks.Mask":
        """x itself if it is a ball or a mask, and else as a ball."""
        return x if isinstance(x, (Ball, masks.Mask)) else self.operand(x)

    # --- content, which assignment replaces ------------------------------------------------------------

    def settled(self) -> "Ball":
        """This ball as it is now, for an operation to keep."""
        if self.frozen:
            return self
        if self._content is None:
            given = 0 if self._radius is None else self._radius
            content = Ball(self.value, given, self.format, self._rule, self.open)
            content.frozen, content.scalar, content.number = True, self.scalar, self.number
            content.kept_products = self.kept_products
            self._content, self._rule, self._radius = content, None, None
        return self._content

    def afresh(self) -> "Ball":
        """A ball of its own with these elements."""
        ball = Ball(self.value, 0, self.format)
        ball.scalar, ball.kept_products = self.scalar, self.kept_products
        ball.take_over(self)
        return ball

    def take_over(self, content: "Ball") -> None:
        """Have the elements of another ball instead."""
        self._content, self._rule, self._radius = content.settled(), None, None
        self.value, self.open, self.number = content.value, content.open, content.number

    def view(self, look: shapes.Look) -> "Ball":
        """What ``look`` gives. Where it gives a view of an array the ball follows this one, and is written through."""
        return assignment.seen(self, shapes.view(self.settled(), look), look)

    def become(self, content: "Ball") -> None:
        """Have these elements by assignment: what this is a view of follows, and so do its views."""
        assignment.become(self, content)

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.scalar or not self.value.flags.writeable:
            raise ValueError("assignment destination is read-only")
        self.become(assignment.assigned(self, index, value))

    # --- radius ----------------------------------------------------------------------------------------

    @property
    def exact(self) -> bool:
        """True if every radius is 0 by construction."""
        if self._content is not None:
            return self._content.exact
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
        if self._content is not None:
            return self._content.e(take)
        if self._radius is None and self._rule is not None:
            if take is not everything and not self.open:
                return self._rule(take)
            self._radius = self._rule(everything)  # a sum costs its whole operands anyway
        return 0.0 if self._radius is None else take(self._radius)

    def A(self, take: Take) -> Any:
        """An upper bound on the magnitude of every evaluation of the selected elements."""
        magnitude = np.abs(take(self.value))
        return magnitude if self.exact else magnitude + self.slack * self.e(take)

    # --- an array's attributes and methods ---------------------------------------------------------------

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.format.dtype)
    T = property(lambda self: self.mT if self.ndim == 2 else self.transpose())

    @property
    def mT(self) -> "Ball":
        if self.kept_products is None:
            return self.view(_mT)
        content = self.settled()
        if content is not self:
            return assignment.seen(self, content.mT, _mT)
        if self._mT is None:
            self._mT = shapes.view(self, _mT).settled()
            self._mT.kept_products = self.kept_products
        return self._mT

    def __getitem__(self, index: Any) -> "Ball":
        index = masks.settled_index(index)
        return self.view(lambda a: a[index])

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> "Iterator[Ball]":
        return (self[i] for i in range(len(self)))

    sum, mean, prod, cumsum = _method(np.sum), _method(np.mean), _method(np.prod), _method(np.cumsum)
    max, min, any, all = _method(np.max), _method(np.min), _method(np.any), _method(np.all)
    dot, trace, diagonal = _method(np.dot), _method(np.trace), _method(np.diagonal)
    swapaxes, ravel, squeeze = _method(np.swapaxes), _method(np.ravel), _method(np.squeeze)
    repeat, take = _method(np.repeat), _method(np.take)
    var, std, cumprod, round = _method(np.var), _method(np.std), _method(np.cumprod), _method(np.round)
    argmax, argmin, argsort = _method(np.argmax), _method(np.argmin), _method(np.argsort)
    nonzero, conj, conjugate = _method(np.nonzero), _method(np.conjugate), _method(np.conjugate)
    strides, flat = property(attributes.strides), property(attributes.flat, attributes.fill_flat)
    itemsize, nbytes = property(lambda self: self.dtype.itemsize), property(lambda self: self.size * self.itemsize)
    base, flags = property(lambda self: self.root), property(lambda self: self.value.flags)
    real, imag = property(lambda self: self), property(attributes.imag)
    tolist, item, sort = attributes.tolist, attributes.item, attributes.sort
    __iadd__, __isub__, __imul__ = _in_place(np.add), _in_place(np.subtract), _in_place(np.multiply)
    __itruediv__, __ipow__, __imatmul__ = _in_place(np.true_divide), _in_place(np.power), _in_place(np.matmul)

    def reshape(self, *shape: Any, order: str = "C") -> "Ball":
        """Raises TypeError for an order of memory, which is not part of a ball."""
        if order != "C":
            raise callers.located(TypeError(f"no radius is known for reshape with order={order!r}; x.mT is transposed"))
        return self.view(lambda a: a.reshape(*shape))

    def transpose(self, *axes: Any) -> "Ball":
        return self.view(lambda a: a.transpose(*axes))

    def clip(self, min: Any = None, max: Any = None, **named: Any) -> "Ball":
        return np.clip(self, min, max, **named)  # type: ignore[call-overload]  # a ball is a duck array

    def fill(self, value: Any) -> None:
        self[...] = value

    def copy(self) -> "Ball":
        return self.view(lambda a: a.copy())

    def flatten(self) -> "Ball":
        return self.view(lambda a: a.flatten())

    def astype(self, dtype: Any, *, copy: bool = True) -> "Any":
        """A copy, a ball of a wider dtype, a mask, decided whole numbers: widening.py. Raises TypeError for others."""
        result = attributes.cast(self, dtype)
        return self.copy() if result is self and copy else result

    def __deepcopy__(self, _memo: Any = None) -> "Ball":
        return self.copy()

    __copy__ = __deepcopy__

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __float__(self) -> float:
        """Raises TypeError, unless the ball stands for a Python number.

        Nor does a radius of 0 help: math.tanh(x) of an exact x would compute with no radius, and be rounded all the
        same. ``x.item()`` is a ball of no axes, and ``f"{x:.3f}"`` prints the centre.
        """
        if self.number is not None and self.size == 1:
            return self.number
        raise refused.no_number()

    __int__ = __complex__ = __trunc__ = __float__

    def __round__(self, digits: int = 0) -> "Ball":
        return self.round(digits)

    if not TYPE_CHECKING:  # to a type checker a ball is no array: what NumPy's functions make of it is Any

        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            raise refused.no_array()

        def __getattr__(self, name: str) -> Any:
            if not name.startswith("_") and hasattr(np.ndarray, name):
                raise refused.no_attribute(name)
            raise AttributeError(f"a ball has no attribute {name!r}, and neither has an array", name=name, obj=self)

    def __repr__(self) -> str:
        return f"Ball({self.value}, radius={self.radius})"

    def __format__(self, spec: str) -> str:
        """A number's centre in the given format, as a loss is printed; repr where none is given."""
        return format(self.value[()], spec) if spec else repr(self)

    # --- what two evaluations of one step share ------------------------------------------------------------

    def remember(self) -> "Ball":
        """Keep every product x @ self from here on, as two evaluations of one step ask for the same ones."""
        self.settled().kept_products = self.kept_products = {}
        return self

    def forget(self) -> None:
        """Drop them: they and this ball hold each other, and the memory of whole steps with them."""
        if self._content is not None:
            self._content.forget()
        self._mT = None
        if self.kept_products is not None:
            self.kept_products.clear()

    def scaled(self, axis: int) -> products.Scaled | None:
        """products.scaled of the value, computed once."""
        if axis not in self._scaled:
            self._scaled[axis] = products.scaled(self.value, axis)
        return self._scaled[axis]

    # --- NumPy's functions -----------------------------------------------------------------------------------

    rule, drop_rule = staticmethod(dispatch.rule), staticmethod(dispatch.drop_rule)
    __array_ufunc__, __array_function__ = dispatch.call_ufunc, dispatch.call_function


def _mT(a: Array) -> Array:
    return a.mT
