"""Number: values with a radius each, which nothing changes; the rules in rules/ take and return these.

``value`` is the centre, computed in the precision under test or a wider one. The exact result lies
within ``radius`` of every admissible evaluation in the precision under test: round to nearest, any
order and blocking of sums, with or without fused multiply-add, subnormal results kept or flushed (operands
are taken as they are: a mode that reads subnormal operands as zero is outside). The centre
being one evaluation too, another one may be R * radius away from it, R = 1 + u_centre / u.

In the formulas of the rules e is the radius of an operand, A = |value| + R e a bound on the magnitude of every
evaluation of it, u the unit roundoff, gamma_K = K u / (1 - K u), and tiny the smallest normal number, which
bounds what underflow loses.

Radius 0 is structural: an operand that is exact, or an operation proved exact from the operands' bits.
Radii are evaluated only when asked for, and then only for the elements asked for: most comparisons
need few of them. A number keeps its operands for that, which is why nothing may change under it: what is
assigned to a ball gives the ball another number (cell.py).
"""

import itertools
import math
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import numpy as np

from reference.arrays import Array
from torch_mirror.balls.exactness import complement_of, rounding_of
from torch_mirror.balls.format import Format, format_of
from torch_mirror.balls.recording import PENDING, Kind, Node, current
from torch_mirror.balls.take import Rule, Take, everything

INTO_AN_ARRAY = "to assign balls to an array, start from np.zeros_like(x) or np.zeros(shape, like=x) of a ball x"

Look = Callable[[Array], Array]
"""What selects, moves or repeats the elements of an array, by their places alone."""


DEEP = 32
"""Radii that are left to be evaluated one from the other: each takes some eight of Python's thousand frames."""


FAR = 50
"""Copies of copies that are left to be looked through at once: each takes some four of Python's frames."""

MANY = 4096
"""Elements from which the radii of a few are worth asking for by themselves."""

PLACES = 31
"""Bits of an id that say which element of a number it is; the others say which number."""

_serial = itertools.count(1)  # tells numbers apart for good, as id() does while they live


class OpenSum(NamedTuple):
    """A sum of products or terms that may still take a term.

    bound(gamma) is at least gamma * sum of A + sum of e; grid() the lowest bit over all terms of each
    element, or None where nothing can be exact; at(index) the sum of A at some elements, if every
    operand is exact and that is cheaper to have than all of it; some(index) at most that, from a few of many terms.
    Where an operand is not exact, bound_at(gamma, index) is the bound at some elements, if that is cheaper, and
    most(gamma) a number that no element of the bound exceeds.
    """

    terms: int
    bound: Callable[[float], Array]
    grid: Callable[[], Array | None] | None = None
    at: Callable[[tuple[Array, ...]], Array] | None = None
    some: Callable[[tuple[Array, ...]], Array] | None = None
    bound_at: Callable[[float, tuple[Array, ...]], Array] | None = None
    most: Callable[[float], float] | None = None


class Settled(Protocol):
    """What stands for numbers as they are now: a number, a mask, or a ball."""

    @property
    def value(self) -> Array:
        """The centre, or the centre's outcomes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the value."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    @property
    def mT(self) -> "Settled":
        """With the last two axes swapped."""

    def view(self, look: Look) -> "Settled":
        """The elements that ``look`` gives."""

    def settled(self) -> "Number":
        """The number that it stands for."""


class Number:
    """Values with radii; see the module's docstring. Without a radius and a rule it is exact.

    value:  the centre, an array or a NumPy number of any shape; neither copied nor written to
    radius: of every element, an array that broadcasts to the value's shape
    format: of the precision under test, where the centre is in a wider one
    rule:   ``rule(take)`` is the radius of the elements that ``take`` selects, where it is not known yet
    total:  the sum that the number is, if that may still take a term
    origin: the number that it is a look at, and the look, where NumPy's look is a view of an array
    ids:    which element each is: copies of one have the same (sameness.py)
    node:   how it was made, if that is recorded (recording.py)
    """

    __slots__ = (
        "_ids", "_mT", "_of_copies", "_once", "_radius", "_rule", "depth", "far", "format", "kept_products", "node",
        "number", "open", "origin", "scalar", "value",
    )  # fmt: skip

    def __init__(
        self,
        value: Array,
        radius: Array | float = 0,
        format: Format | None = None,
        rule: Rule | None = None,
        total: OpenSum | None = None,
        origin: "tuple[Number, Look] | None" = None,
    ) -> None:
        self.scalar = isinstance(value, np.generic)  # a number to NumPy, which nothing is assigned to
        self.value = value if type(value) is np.ndarray else np.asarray(value)
        self.format = format or format_of(self.value.dtype)
        self.open = total
        self.origin = origin
        self._ids: Array | None = None
        self._of_copies: Callable[[], Array] | None = None
        self.far = 0  # copies of copies whose ids are still to be looked up, each from the one below it
        self.node: Node | None = None
        self.number: float | None = None  # the Python number that it stands for
        self.depth = 0  # of the radii that are still to be evaluated, each from the one below it
        self.kept_products: dict[tuple[int, int], tuple[Number, Number, Number]] | None = None
        self._rule = rule
        self._mT: Number | None = None
        self._once: dict[Any, Any] | None = None
        exact = isinstance(radius, (int, float, np.generic)) and radius == 0
        self._radius: Any = None if exact else np.broadcast_to(np.asarray(radius), self.value.shape)

    # --- what the rules make of it ------------------------------------------------------------------------

    def derived(self, value: Array, rule: Rule | None, total: OpenSum | None = None) -> "Number":
        """The result of an operation on this number, with the rule of its radius; exact if there is none."""
        made = Number(value, 0, self.format, rule, total)
        made.depth = self.depth + 1
        if current() is not None:
            made.node = PENDING
        return made

    def made_of(self, operands: Iterable[Any]) -> None:
        """Note what it is made of: where the radii below it are DEEP, its own is evaluated now, and theirs with it."""
        deepest = 0
        for x in operands:
            if type(x) is Number and x.depth > deepest:
                deepest = x.depth
        self.depth = 1 + deepest
        if deepest >= DEEP:
            self._flatten()

    def _flatten(self) -> None:
        """Evaluate its radius.

        Of a sum that is still open, too, what a further term needs: gamma S + E, where S is the sum of A and E that of
        e. bound(gamma) is that, and divides by gamma: so bound(1) = S + E stands for S, and for E with a gamma far
        below u it is E + gamma S. Together that is more by gamma E, and by 2^-20 u S. No bits are looked at.
        """
        if self._radius is None and self._rule is not None:
            self._radius = self._rule(everything)
        if self.open is not None:
            propagated, magnitude = self.open.bound(2.0**-20 * self.format.u), self.open.bound(1.0)
            self.open = OpenSum(self.open.terms, lambda gamma: gamma * magnitude + propagated)
        self.depth = 0

    def constant(self, value: Array, radius: Rule | None = None) -> "Number":
        """Values beside this number that do not depend on it, with the rule of their radius; exact if there is none."""
        return Number(value, 0, self.format, radius)

    def bounded(self, rule: Rule | None) -> "Number":
        """The same values, made of the same, with another rule of their radius; a sum no more open."""
        made = Number(self.value, 0, self.format, rule)
        made.depth = self.depth + 1
        made.node = self.node
        made._ids = self._ids
        if self._ids is None:
            made.same_as(self.ids, self.far)
        return made

    def operand(self, x: Any) -> "Number":
        """x as a number beside this one, in a format as wide at least; what that cannot hold is rounded to it."""
        if isinstance(x, Number):
            return x if x.format is self.format else x.widened(self.format)
        number = isinstance(x, (int, float))
        if not number and hasattr(x, "settled"):
            return self.operand(x.settled())
        given = np.asarray(x, np.float64) if number else np.asarray(x)  # a number is no array of the format yet
        error = rounding_of(given, self.format)
        if number and self.format.complements:
            error = error + complement_of(float(x))
        made = Number(np.array(x, dtype=self.value.dtype), error, self.format)
        if number:
            made.number = float(x)
        return made

    def beside(self, x: Any) -> Settled:
        """x itself if it is a number or a mask, and else as a number."""
        settled: Settled = x if hasattr(x, "settled") else self.operand(x)
        return settled

    def settled(self) -> "Number":
        """This number, as a mask's and a ball's method of that name gives one too."""
        return self

    def widened(self, fmt: Format) -> "Number":
        """The same elements and radii in a format that is at least as wide, and itself in any other (widening.py)."""
        if self.format.precision >= fmt.precision:
            return self
        wider = np.promote_types(self.value.dtype, fmt.dtype)
        made = Number(self.value.astype(wider), 0, fmt, None if self.exact else self.e)
        made.made_of((self,))
        made.same_as(self.ids, self.far)
        if (tape := current()) is not None:
            tape.note(made, "astype", Kind.MOVES, Number.widened, (self,), (fmt,))
        return made

    def view(self, look: Look) -> "Number":
        """The elements that ``look`` gives for any array of this shape, where it puts them; 0 may be among them."""
        value, total = look(self.value), self.open
        rule = None if self.exact else (lambda take: take(np.asarray(look(self.radius))))
        if rule is not None and value.size >= MANY and not self.open and _same_order(self.value, value):
            rule = _of_the_same(self, look)
        origin = (self, look) if not self.scalar and np.may_share_memory(value, self.value) else None
        made = Number(value, 0, self.format, rule, total and _seen(total, self.value, look, value), origin)
        if rule is not None:
            made.same_as(lambda: np.asarray(look(self.ids())), self.far)
        made.made_of((self,))
        if (tape := current()) is not None:
            tape.note(made, "view", Kind.MOVES, Number.view, (self,), (look,))
        return made

    def again(self) -> "Number":
        """The same number as another object."""
        same = Number(self.value, 0, self.format, None if self.exact else self.e, self.open, self.origin)
        same.scalar, same.number, same.kept_products = self.scalar, self.number, self.kept_products
        same.node, same.depth = self.node, self.depth
        same.same_as(self.ids, self.far)
        return same

    # --- which elements they are -------------------------------------------------------------------------

    def ids(self) -> Array:
        """Of each element which one it is: those of one id are the same number in every evaluation; 0 says nothing.

        The negative of an element has the negative of its id. What is exact has none: its radius of 0 decides it.
        """
        if self._ids is None:
            rule, self._of_copies, self.far = self._of_copies, None, 0
            known = np.broadcast_to(0, self.shape) if self.exact else None
            self._ids = known if known is not None else own_ids(self.shape) if rule is None else np.asarray(rule())
        return self._ids

    def same_as(self, rule: Callable[[], Array], far: int, *, keep: bool = True) -> None:
        """Have the ids that the rule gives of operands', once they are asked for; far: theirs, the largest.

        keep: whether they are looked up where FAR are left to be, or given up: what is no copy as a rule.
        """
        self.far = far + 1
        if far < FAR or keep:
            self._of_copies = rule
        if far >= FAR:
            self.ids()

    # --- radius ----------------------------------------------------------------------------------------

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
        return whole(self.e(everything), self.value.shape)

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

    # --- shape -----------------------------------------------------------------------------------------

    shape = property(attrgetter("value.shape"))
    ndim = property(attrgetter("value.ndim"))
    size = property(attrgetter("value.size"))

    @property
    def mT(self) -> "Number":
        """With the last two axes swapped; one object, where products with it are kept."""
        if self.kept_products is None or current() is not None:
            return self.view(_mT)
        if self._mT is None:
            self._mT = self.view(_mT)
            self._mT.kept_products = self.kept_products
        return self._mT

    # --- what is evaluated once --------------------------------------------------------------------------

    def once(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """function(value, *arguments), evaluated when it is first asked for."""
        key = function, *arguments
        if self._once is None:
            self._once = {}
        if key not in self._once:
            self._once[key] = function(self.value, *arguments)
        return self._once[key]

    def remember(self) -> None:
        """Keep every product x @ self from here on, as two evaluations of one step ask for the same ones."""
        self.kept_products = {}

    def forget(self) -> None:
        """Drop them: they and this number hold each other, and the memory of whole steps with them."""
        self._mT = None
        if self.kept_products is not None:
            self.kept_products.clear()

    def __repr__(self) -> str:
        return f"Number({self.value}, radius={self.radius})"


def whole(radius: Any, shape: tuple[int, ...]) -> Array:
    """A radius of every element, not to be written to; broadcast only where it has another shape."""
    if isinstance(radius, np.ndarray) and radius.shape == shape:
        radius = radius.view()
        radius.flags.writeable = False
        return radius
    return np.broadcast_to(radius, shape)


def own_ids(shape: tuple[int, ...]) -> Array:
    """Of elements that are no copies of any: ids that nothing else has. None, 0, of more than they could tell apart."""
    size, number = math.prod(shape), next(_serial)
    if size >> PLACES or number >> (63 - PLACES - 1):
        return np.broadcast_to(0, shape)
    return ((number << PLACES) + np.arange(size)).reshape(shape)


def _mT(a: Array) -> Array:
    return a.mT


def _of_the_same(x: Number, look: Look) -> Rule:
    """The rule of a large view of all of x: of a few elements x need not have every radius."""

    def rule(take: Take) -> Any:
        if take is everything:
            return np.asarray(look(x.radius))
        return x.e(lambda a: a if not np.ndim(a) else take(np.asarray(look(np.broadcast_to(a, x.shape)))))

    return rule


def _seen(total: OpenSum, of: Array, look: Look, value: Array) -> OpenSum:
    """The sums that ``look`` gives of those of an array like ``of``, of which it gives ``value``."""
    grid, at, some, bound_at, shape = total.grid, total.at, total.some, total.bound_at, of.shape

    def bound(gamma: float) -> Array:
        return np.asarray(look(np.broadcast_to(total.bound(gamma), shape)))

    def lowest() -> Array | None:
        low = grid() if grid else None
        return None if low is None else np.asarray(look(np.broadcast_to(low, shape)))

    def there(index: tuple[Array, ...]) -> tuple[Array, ...]:
        return np.unravel_index(np.ravel_multi_index(index, value.shape), shape)

    same = bool(shape and value.shape) and _same_order(of, value)
    return OpenSum(
        total.terms, bound, lowest if grid else None,
        (lambda index: at(there(index))) if at and same else None,
        (lambda index: some(there(index))) if some and same else None,
        (lambda gamma, index: bound_at(gamma, there(index))) if bound_at and same else None, total.most,
    )  # fmt: skip


def _same_order(a: Array, b: Array) -> bool:
    """Whether b is a view of all of a's elements, one behind the other in the same order, as a reshaping is."""
    whole = a.size == b.size and a.flags.c_contiguous and b.flags.c_contiguous
    return whole and a.__array_interface__["data"][0] == b.__array_interface__["data"][0]
