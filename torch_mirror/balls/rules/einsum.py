"""np.einsum of one or two operands: one sum of products an element, as a matrix product is.

    one operand     its diagonals, transposed, are a view; what is left of the labels is summed (sums.py)
    two operands    sum of (e_x A_y + A_x e_y) + gamma_K * (sum of A_x A_y) + (2 K + 1) tiny
                    K the product of the sizes of the summed labels

The order is anybody's: a label that is summed and that only one operand has may be summed before the
product is taken. The roundings are then fewer, (m - 1) + (n - 1) + 1 <= m n. But what underflows in that
sum is multiplied by the other operand afterwards, so that e is e + tiny there, and the sum may
overflow though no product does. Exactness is sums.py's: the lowest bit of a product is at least the
sum of the lowest bits of its factors, and where a factor is summed alone they must be normal as well.
Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), sections 3.1 and 3.5.
"""

from math import prod
from string import ascii_letters
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.balls import adjoints
from torch_mirror.balls.exactness import NO_BIT, lowest_bit
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Look, Number, OpenSum
from torch_mirror.balls.recording import elementary
from torch_mirror.balls.rules import elementwise, products, sums
from torch_mirror.balls.take import everything


class Labels(NamedTuple):
    """Subscripts written out: a letter for every axis, those of an ellipsis too."""

    operands: tuple[str, ...]
    output: str

    @property
    def text(self) -> str:
        return f"{','.join(self.operands)}->{self.output}"

    @property
    def summed(self) -> str:
        return "".join(sorted(set("".join(self.operands)) - set(self.output)))


def einsum(like: Number, subscripts: Any, *operands: Any, optimize: Any = False) -> Any:  # noqa: ARG001 - any order is inside
    """The sum of products that the subscripts, a string, say.

    Raises TypeError for subscripts in any other form than a string. More than two operands: many.py.
    """
    if not isinstance(subscripts, str):
        got = "a ball" if isinstance(subscripts, Number) else type(subscripts).__name__
        raise TypeError(f"numpy.einsum of balls: expected the subscripts as a string, got {got}")
    labels = written_out(subscripts, tuple(like.beside(a).ndim for a in operands))
    if len(operands) == 1:
        return _of_one(like, operands[0], labels)
    x, y = (_diagonal(like.operand(a), own) for a, own in zip(operands, labels.operands, strict=True))
    return contract(x, y, Labels(tuple(_once(own) for own in labels.operands), labels.output))


def written_out(subscripts: str, ndims: tuple[int, ...]) -> Labels:
    """The labels of every axis. Implicit output: the ellipsis's axes, then what occurs once, in alphabetical order."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(ndims):
        raise ValueError(f"numpy.einsum: expected {len(parts)} operands for {subscripts!r}, got {len(ndims)}")
    spare = [c for c in ascii_letters if c not in text]
    rest = [n - len(part.replace("...", "")) for part, n in zip(parts, ndims, strict=True)]
    if any(n < 0 or (n > 0 and "..." not in part) for part, n in zip(parts, rest, strict=True)):
        raise ValueError(f"numpy.einsum: {subscripts!r} does not fit operands of {ndims} dimensions")
    if arrow and max(rest) and "..." not in right:
        raise ValueError(f"numpy.einsum: the output of {subscripts!r} has no ellipsis for the operands' axes")
    dots = ["".join(spare[max(rest) - n : max(rest)]) for n in rest]
    own = tuple(part.replace("...", d) for part, d in zip(parts, dots, strict=True))
    widest = "".join(spare[: max(rest)])
    if not arrow:
        seen = "".join(parts).replace(".", "").replace(",", "")
        right = "..." + "".join(sorted(c for c in set(seen) if seen.count(c) == 1))
    return Labels(own, right.replace("...", widest))


@elementary(adjoints.einsum, "einsum")
def contract(x: Number, y: Number, labels: Labels) -> Number:
    """The sum of the products of two balls, none of which has a label twice."""
    value = _evaluate(labels.text, x.value, y.value)
    x, y, labels, sizes = _without_broadcasting(x, y, labels)
    text, fmt = labels.text, x.format
    terms = prod(sizes[c] for c in labels.summed)
    if not terms or not np.size(value):
        return x.derived(value, None)
    alone = [_alone(own, other, labels.output) for own, other in (labels.operands, labels.operands[::-1])]

    def bound(gamma: float) -> Array:
        ax, ay = x.A(everything), y.A(everything)
        total = gamma * _magnitude(text, ax, ay)
        for (e, other, first), lone in zip(((x, ay, True), (y, ax, False)), alone, strict=True):
            if e.exact and not lone:
                continue
            lost = e.radius + (fmt.tiny if lone else 0)
            total = total + _magnitude(text, *((lost, other) if first else (other, lost)))
            if lone:
                own = e.A(everything)
                ones = np.ones_like(other)
                before = _magnitude(text, *((own, ones) if first else (ones, own)))
                total = np.where(before < fmt.huge / 4, total, np.inf)
        return np.asarray(total)

    def grid() -> Array | None:
        return _grid((x.value, y.value), labels, alone, fmt)

    total = OpenSum(terms, bound, grid if x.exact and y.exact else None)
    return sums.open_sum(x, value, total)


def _of_one(like: Number, a: Any, labels: Labels) -> Any:
    """A view, or a sum of one."""
    (own,), summed = labels.operands, labels.summed
    look = _looking(f"{own}->{labels.output}{summed}")
    if not summed:
        return like.beside(a).view(look)
    return sums.add_over(like.operand(a).view(look), tuple(range(-len(summed), 0)))


def _looking(text: str) -> Look:
    return lambda a: np.einsum(text, a)


def _without_broadcasting(x: Number, y: Number, labels: Labels) -> tuple[Number, Number, Labels, dict[str, int]]:
    """An axis of size 1 goes with any other, as an operand without it does; and the size of every label."""
    shapes_of = [dict(zip(own, a.shape, strict=True)) for own, a in zip(labels.operands, (x, y), strict=True)]
    sizes = {c: n for sizes in shapes_of for c, n in sizes.items()}
    sizes |= {c: n for own in shapes_of for c, n in own.items() if n != 1}
    kept, narrow = [], []
    for a, own in zip((x, y), shapes_of, strict=True):
        index = tuple(slice(None) if n == sizes[c] else 0 for c, n in own.items())
        narrow.append(a.view(lambda v, index=index: v[index]) if 0 in index else a)  # type: ignore[misc]  # mypy cannot infer it
        kept.append("".join(c for c, n in own.items() if n == sizes[c]))
    return *narrow, Labels(tuple(kept), labels.output), sizes  # type: ignore[return-value]  # two of them


def _once(own: str) -> str:
    return "".join(dict.fromkeys(own))


def _diagonal(x: Number, own: str) -> Number:
    """x with one axis for each of its labels."""
    return x if len(set(own)) == len(own) else x.view(_looking(f"{own}->{_once(own)}"))


def _alone(own: str, other: str, output: str) -> bool:
    """True if an operand has labels that are summed and that the other one has not."""
    return bool(set(own) - set(other) - set(output))


def _evaluate(text: str, a: Array, b: Array) -> Array:
    return np.einsum(text, a, b, optimize=a.dtype != np.longdouble)  # BLAS where it can; it has no longdouble


def _magnitude(text: str, a: Any, b: Any) -> Array:
    """The same of what is not negative; longdouble in float64, which will do."""
    a, b = (v if v.dtype != np.longdouble else v.astype(np.float64) for v in (np.asarray(a), np.asarray(b)))
    return _evaluate(text, a, b)


def _grid(values: tuple[Array, Array], labels: Labels, alone: list[bool], fmt: Format) -> Array | None:
    """The lowest bit over the products of each element: of its elements of x plus of its elements of y."""
    if not products.may_fit(*values, fmt):
        return None
    total: Any = 0
    for a, own, lone in zip(values, labels.operands, alone, strict=True):
        lowest = lowest_bit(a, fmt)
        if lone:
            lowest = np.where(lowest >= fmt.grid, lowest, -NO_BIT)
        gone = tuple(i for i, c in enumerate(own) if c in labels.summed)
        kept = "".join(c for c in own if c in labels.output)
        total = total + _aligned(lowest.min(axis=gone), kept, labels.output)
    total = np.where(total >= NO_BIT // 2, NO_BIT, total)
    return np.asarray(total)


def _aligned(a: Array, own: str, output: str) -> Array:
    """a with its axes in the output's order, and axes of size 1 where it has none."""
    ordered = a.transpose([own.index(c) for c in output if c in own])
    return ordered[tuple(slice(None) if c in own else None for c in output)]


def inner(like: Number, a: Any, b: Any) -> Number:
    """Over the last axis of both."""
    x, y = like.operand(a), like.operand(b)
    if 1 <= x.ndim <= 2 and 1 <= y.ndim <= 2:
        return sums.matmul(x, y.mT if y.ndim == 2 else y)
    if not x.ndim or not y.ndim:
        return elementwise.multiply(x, y)
    return _over(x, y, (x.ndim - 1,), (y.ndim - 1,))


def tensordot(like: Number, a: Any, b: Any, axes: Any = 2) -> Number:
    x, y = like.operand(a), like.operand(b)
    if isinstance(axes, int):
        return _over(x, y, tuple(range(x.ndim - axes, x.ndim)), tuple(range(axes)))
    over_x, over_y = ((i,) if isinstance(i, int) else tuple(i) for i in axes)
    return _over(x, y, tuple(i % x.ndim for i in over_x), tuple(i % y.ndim for i in over_y))


def _over(x: Number, y: Number, over_x: tuple[int, ...], over_y: tuple[int, ...]) -> Number:
    """The sum of products over pairs of axes."""
    own = ascii_letters[: x.ndim]
    other = list(ascii_letters[x.ndim : x.ndim + y.ndim])
    for i, j in zip(over_x, over_y, strict=True):
        other[j] = own[i]
    output = "".join(c for c in (*own, *other) if (c in own) != (c in other))
    return contract(x, y, Labels((own, "".join(other)), output))


def vecdot(x: Number, y: Number) -> Number:
    """Over the last axis of both, the others broadcast."""
    return contract(x, y, written_out("...i,...i->...", (x.ndim, y.ndim)))


def vdot(like: Number, a: Any, b: Any) -> Number:
    return sums.matmul(like.operand(a).view(np.ravel), like.operand(b).view(np.ravel))


def trace(like: Number, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Number:
    """The sum of a diagonal."""
    return sums.add_over(like.operand(a).view(lambda v: np.diagonal(v, offset, axis1, axis2)), -1)
