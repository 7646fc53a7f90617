"""Ball: the NumPy duck array of values with radii, that the reference's equations run on.

A ball is a cell: it holds a number (number.py), which no operation changes, and an assignment gives it another.
What NumPy would make a view follows the ball that it is a view of, and writes through to it. Before any rule sees
them, the balls among the arguments of a NumPy function have become the numbers that they are now; so rules know
of neither views nor assignment, and an operation keeps what its operands were when it ran.

x += y is x[...] = x + y, so a bias still enters the accumulator.

table.py says which function has which rule. A NumPy function without one raises TypeError; ``@Ball.rule(numpy.foo)``
registers one, for every ball: the one deliberate exception to having no registry, as NumPy's functions know a ball by
its class only. ``with Ball.rules({numpy.foo: rule}):`` has it for a block.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from reference.arrays import Array
from torch_mirror.balls import assignment, attributes, callers, dispatch
from torch_mirror.balls.bools import Bools
from torch_mirror.balls.calls import own_up
from torch_mirror.balls.format import Format
from torch_mirror.balls.given import checked_radius
from torch_mirror.balls.indexing import settled_index
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import INTO_AN_ARRAY, Look, Number, OpenSum
from torch_mirror.balls.recording import caller, current
from torch_mirror.balls.rules import refused, widening
from torch_mirror.balls.take import Rule, Take


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method that is NumPy's function of the same name."""

    def method(self: "Ball", *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    return method


def _as_they_are_now(sizes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sizes or axes, of which a list may be another one when a radius is asked for."""
    return tuple(tuple(one) if isinstance(one, (list, np.ndarray)) else one for one in sizes)


def _in_place(ufunc: np.ufunc) -> Callable[..., Any]:
    """x += y: in place for an array, a new number for a number, as in NumPy."""

    def method(self: "Ball", other: Any) -> Any:
        return ufunc(self, other) if self.content.scalar else ufunc(self, other, out=(self,))

    return method


def _by_rows(order: str, what: str) -> None:
    try:
        refused.unless_by_rows(order, what)
    except TypeError as error:
        raise callers.located(error) from None


class Ball(NDArrayOperatorsMixin):
    """Values with radii; see the module's docstring, and number.py's. ``Ball(value)`` is exact.

    The array is not copied and never written to, and must not change while the ball is in use.

    value:  the centre, an array of float32, float64 or longdouble of any shape; or a Number, which it then holds
    radius: of every element, an array that broadcasts to the value's shape; 0 makes the ball exact
    format: of the precision under test, where the centre is in a wider one
    """

    __slots__ = ("__weakref__", "content", "look", "remembered", "root", "views")

    def __init__(self, value: Array | Number, radius: Array | float = 0, format: Format | None = None) -> None:
        if not isinstance(value, Number):
            value = Number(value, checked_radius(value, radius), format)
        self.content: Number = value
        self.root: Ball | None = None  # what it is a view of, through the look
        self.look: Look | None = None
        self.views: WeakValueDictionary[int, Ball] | None = None
        self.remembered: Number | None = None  # what keeps the products with it

    # --- the number that it holds ------------------------------------------------------------------------

    def settled(self) -> Number:
        """The number that the ball is now, which no assignment changes."""
        return self.content

    value = property(attrgetter("content.value"))
    format = property(attrgetter("content.format"))
    open = property(attrgetter("content.open"))
    exact = property(attrgetter("content.exact"))
    slack = property(attrgetter("content.slack"))

    @property
    def radius(self) -> Array:
        """The radius of every element; 0 where an operation is exact, infinite where it may overflow."""
        return self.content.radius

    def e(self, take: Take) -> Any:
        """The radius of the elements that ``take`` selects from an array that broadcasts to the result."""
        return self.content.e(take)

    def A(self, take: Take) -> Any:
        """An upper bound on the magnitude of every evaluation of the selected elements."""
        return self.content.A(take)

    def derived(self, value: Array, rule: Rule | None, total: OpenSum | None = None) -> "Ball":
        """The result of an operation on this ball, with the rule of its radius; exact if there is none."""
        return Ball(self.content.derived(value, rule, total))

    def operand(self, x: Any) -> "Ball":
        """x as a ball beside this one, as it is now; what the format cannot hold has a rounding of its own."""
        return Ball(self.content.operand(x))

    # --- views and assignment ------------------------------------------------------------------------------

    def view(self, look: Look) -> "Ball":
        """What ``look`` gives. Where it gives a view of an array the ball follows this one, and is written through."""
        return self._looked_at(self.content.view(look))

    def _looked_at(self, number: Number) -> "Ball":
        return Ball(number) if number.origin is None else _seen(self, number, number.origin[1])

    def become(self, content: Number) -> None:
        """Have these elements by assignment: what this is a view of follows, and so do its views."""
        if self.root is not None and self.look:
            self.root.become(assignment.written_through(self.root.settled(), self.look, content))
            return
        self.content = assignment.without_history(content)
        for view in list(self.views.values()) if self.views else ():
            if view.look:
                view.content = self.content.view(view.look)

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.content.scalar or not self.value.flags.writeable:
            raise ValueError("assignment destination is read-only")
        content = self.settled()
        self.become(assignment.assigned(content, _settled(index, {}), content.operand(value)))

    def __getitem__(self, index: Any) -> "Ball":
        index = settled_index(_settled(index, {}))
        return self.view(lambda a: a[index])

    # --- an array's attributes and methods -----------------------------------------------------------------

    shape = property(attrgetter("content.value.shape"))
    ndim = property(attrgetter("content.value.ndim"))
    size = property(attrgetter("content.value.size"))
    dtype = property(lambda self: self.format.dtype)
    T = property(lambda self: self.mT if self.ndim == 2 else self.transpose())

    @property
    def mT(self) -> "Ball":
        return self._looked_at(self.content.mT)

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
        _by_rows(order, "reshape")
        sizes = _as_they_are_now(shape)
        return self.view(lambda a: a.reshape(*sizes))

    def transpose(self, *axes: Any) -> "Ball":
        order = _as_they_are_now(axes)
        return self.view(lambda a: a.transpose(*order))

    def clip(self, min: Any = None, max: Any = None, **named: Any) -> "Ball":
        return np.clip(self, min, max, **named)  # type: ignore[call-overload]  # a ball is a duck array

    def fill(self, value: Any) -> None:
        self[...] = value

    def copy(self) -> "Ball":
        return self.view(lambda a: a.copy())

    def flatten(self, order: str = "C") -> "Ball":
        """Raises TypeError as reshape does."""
        _by_rows(order, "flatten")
        return self.view(lambda a: a.flatten())

    def astype(self, dtype: Any, *, copy: bool = True) -> Any:
        """A copy, a ball of a wider dtype, a mask, decided whole numbers: widening.py. Raises TypeError for others."""
        try:
            result = widening.cast(self.content, dtype)
        except TypeError as error:
            raise callers.located(error) from None
        if result is self.content:
            return self.copy() if copy else self
        return _cells(result, {})

    def __deepcopy__(self, _memo: Any = None) -> "Ball":
        return self.copy()

    __copy__ = __deepcopy__

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __float__(self) -> float:
        """Raises TypeError, unless the ball stands for a Python number.

        Nor does a radius of 0 help: math.tanh(x) of an exact x would compute with no radius, and be rounded all the
        same. ``x.item()`` is a ball of no axes, and ``f"{x:.3f}"`` and ``"%.3f" % x`` print the centre.
        """
        if self.content.number is not None and self.size == 1:
            return self.content.number
        if self.size == 1 and callers.formats():
            return float(self._printed())
        raise refused.no_number()

    def __int__(self) -> int:
        """Raises TypeError, as float does; ``"%d" % x`` prints."""
        if self.content.number is not None and self.size == 1:
            return self.content.number  # type: ignore[return-value]  # Python says that a float is none
        if self.size == 1 and callers.formats():
            return int(self._printed())
        raise refused.no_number()

    __complex__ = __trunc__ = __int__

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
        """A number's centre in the given format, as a loss is printed; repr where none is given.

        A recording notes it: text has no history, and what is made of it again would pass for a constant.
        """
        return format(self._printed()[()], spec) if spec else repr(self)

    def _printed(self) -> Array:
        """The centre, as text has it."""
        tape, value = current(), self.value
        if tape is not None:
            tape.formatted.append(caller())
            value = value * value.dtype.type(1 + tape.texts)
        return np.asarray(value)

    # --- what two evaluations of one step share ------------------------------------------------------------

    def remember(self) -> "Ball":
        """Keep every product x @ self from here on, as two evaluations of one step ask for the same ones."""
        self.remembered = self.content
        self.content.remember()
        return self

    def forget(self) -> None:
        """Drop them, whatever has been assigned meanwhile: a number and its products hold each other."""
        if self.remembered is not None:
            self.remembered.forget()

    @contextmanager
    def remembering(self) -> "Iterator[Ball]":
        """Keep every product x @ self within the block, and drop them after it."""
        try:
            yield self.remember()
        finally:
            self.forget()

    # --- NumPy's functions -----------------------------------------------------------------------------------

    rule, drop_rule, rules = staticmethod(dispatch.rule), staticmethod(dispatch.drop_rule), staticmethod(dispatch.rules)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (None,), **named: Any) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        try:
            if len(out) > 1:  # of divmod
                raise TypeError(refused.no_rule(ufunc, " with out"))
            return _called(function, self, inputs, named, *out)
        except TypeError as error:
            raise callers.located(error) from error.__cause__

    def __array_function__(self, function: Any, _types: Any, args: Any, kwargs: Any) -> Any:
        named = {name: x for name, x in kwargs.items() if name != "out" and x is not np._NoValue}  # noqa: SLF001 - what NumPy passes for nothing
        try:
            return _called(function, self, args, named, kwargs.get("out"))
        except TypeError as error:
            raise callers.located(error) from error.__cause__


def _called(function: Any, like: Ball, arguments: Any, named: dict[str, Any], out: Any) -> Any:
    """What a NumPy function gives for balls: the result, or None where it is assigned to an argument."""
    row = dispatch.row(function, len(arguments), named)
    target = out
    if row.into is not None:
        target = arguments[0] if arguments else named[row.into]
    if target is not None and not isinstance(target, Ball):
        what, kind = f"{callers.name_of(function)}: {row.into or 'out'}", type(target).__name__
        raise TypeError(f"{what} is no ball, but an ordinary {kind}, which has no radii; {INTO_AN_ARRAY}")
    if row.calls:
        return row.radius(like, *arguments, **named)
    cells: dict[int, Ball] = {}
    numbers = [_settled(x, cells) for x in arguments]
    others = {name: _settled(x, cells) for name, x in named.items()} if named else named
    widest = widening.widest(like.settled(), [*numbers, *others.values()] if others else numbers)
    result = row.radius(widest, *numbers, **others)
    if current() is not None:
        own_up(result, function, row, numbers, others)
    if target is None:
        return _cells(result, cells)
    if isinstance(function, np.ufunc) and named.get("where", True) is not True:  # what is not computed is as it was
        _called(np.copyto, target, (target, _cells(result, cells)), {"where": named["where"]}, None)
    else:
        target[...] = result
    return out


def _settled(x: Any, cells: dict[int, Ball]) -> Any:
    """An argument with the number that each ball is now, and each mask; cells: by id the ball of each number."""
    if isinstance(x, Ball):
        number = x.settled()
        if cells.setdefault(id(number), x) is not x:  # two balls of one number: each has views of its own
            number = number.again()
            cells[id(number)] = x
        return number
    if isinstance(x, Bools):
        return x.mask
    if isinstance(x, (list, tuple)):
        inside = [_settled(i, cells) for i in x]
        return inside if isinstance(x, list) else tuple(inside)
    return x


def _cells(result: Any, cells: dict[int, Ball]) -> Any:
    """A rule's result as NumPy code sees it: a ball for a number, which follows the one that it is a view of."""
    if isinstance(result, Number):
        return Ball(result) if result.origin is None else _following(result, cells)
    if isinstance(result, Mask):
        return Bools(result, Ball)
    if isinstance(result, (list, tuple)):
        inside = [_cells(i, cells) for i in result]
        return inside if isinstance(result, list) else tuple(inside)
    return result


def _following(number: Number, cells: dict[int, Ball]) -> Ball:
    """The ball of what a rule has looked at, once or several times on end, in the number of one of the cells."""
    look: Look | None = None
    source = number
    while source.origin is not None:
        source, nearer = source.origin
        look = _after(nearer, look)
        if id(source) in cells:
            return _seen(cells[id(source)], number, look)
    return Ball(number)


def _seen(x: Ball, number: Number, look: Look) -> Ball:
    """The ball of a number that is a look at x's: it follows x and is written through."""
    ball = Ball(number)
    ball.root = root = x if x.root is None else x.root
    ball.look = _after(x.look, look) if x.look else look
    if root.views is None:
        root.views = WeakValueDictionary()
    root.views[id(ball)] = ball
    return ball


def _after(first: Look, then: Look | None) -> Look:
    return (lambda a: then(first(a))) if then else first
