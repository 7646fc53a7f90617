"""Sums and matrix products: one sum of K terms or products an element, in any order, with or without FMA.

    radius    sum of e + gamma_K * (sum of A) + (2 K + 1) tiny

A bias may start the accumulator of a product, or follow it, so it is a term of the same sum: a sum
stays open for further terms. Where every operand is exact and no partial sum can leave the format's
grid, the radius is 0 (exactness.fits_grid).

Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), sections 3.1 and 4.2: the
bound gamma_K holds for every order, and a fused multiply-add only omits roundings.

Where the format has a ``spread`` s, the radius is not that of the worst case but s standard deviations:

    radius    sum of e + s u sqrt((K + 1) / 3) M + (2 K + 1) tiny,    M = (sum of A + |value|) / 2

To first order the error of a sum is the sum of d_k S_k over its K - 1 additions, S_k the partial sums and |d_k| <= u,
and of d_k t_k over its products t_k, in any order and blocking. With P and N what the positive and the negative terms
add up to, any partial sum, of whichever terms, is between -N and P, and max(P, N) = (P + N + |P - N|) / 2 = M.
The squares of the terms add up to P^2 + N^2 <= 2 M^2 at most. So if the roundings are independent and uniform
between two neighbours, which have variances of at most (u S_k)^2 / 3, that of the error is at most (K + 1) u^2 M^2 / 3,
and as uniform numbers are strictly sub-Gaussian, it exceeds s standard deviations with a probability of 2 exp(-s^2 / 2)
at most. What the operands bring, and every other rule, stays that of the worst case.

Where the format has a unit roundoff v ``inside``, sums are evaluated with that, and their result is rounded with u:

    radius    sum of e + gamma_K(v) (sum of A) + u |value| + (2 K + 1) tiny

That is what the rule of a single operation has, for one that is a sum: what a formula may be off by, where the rounding
of its long sums is none of it (judge/checks/formula.py). Nothing is proved exact from bits: the operands may have more
of them than the format.

Source: Higham and Mary, A new approach to probabilistic rounding error analysis, SIAM J. Sci. Comput. 41 (2019), and
Ipsen and Zhou, Probabilistic error analysis for inner products, SIAM J. Matrix Anal. Appl. 41 (2020): lambda sqrt(K) u
for independent roundings of mean 0. Arbel, Marchal and Nguyen, On strict sub-Gaussianity, ESAIM: Probability and
Statistics 24 (2020): of the uniform distribution.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls import adjoints, recording
from torch_mirror.balls.exactness import NO_BIT, fits_grid, lowest_bit
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import MANY, Number, OpenSum
from torch_mirror.balls.recording import elementary
from torch_mirror.balls.rules import products
from torch_mirror.balls.take import Take, everything


def open_sum(like: Number, value: Array, total: OpenSum) -> Number:
    """The ball of a sum; closed where it is recorded, as nobody's other order of its terms is asked about there."""
    if total.grid is not None:
        total = total._replace(grid=_asked_once(total.grid))

    def rule(take: Take) -> Any:
        fmt = like.format
        if fmt.inside is not None:
            return take(_rounded_once(total, value, fmt))
        return take(_radius(total, fmt) if fmt.spread is None else _spread(total, value, fmt))

    return like.derived(value, rule, total if recording.current() is None else None)


def _asked_once(grid: Callable[[], Array | None]) -> Callable[[], Array | None]:
    """The same grid, which several ask for; of many elements only that there is none is kept."""
    known: list[Array | None] = []

    def kept() -> Array | None:
        if known:
            return known[0]
        lowest = grid()
        if lowest is None or lowest.size < MANY:
            known.append(lowest)
        return lowest

    return kept


def _radius(total: OpenSum, fmt: Format) -> Array:
    gamma = fmt.gamma(total.terms)
    bound = total.bound(gamma)
    its_own = bound.size >= products.MEMORY and bound.flags.owndata and bound.flags.writeable
    # itself a sum of that many terms, rounded as badly
    bound = np.multiply(bound, 1 + 4 * gamma, out=bound if its_own else None)
    grid = total.grid() if total.grid else None
    roomy = float(np.max(bound, initial=0)) < gamma * fmt.huge / 2
    if grid is None:  # the usual case, in the memory that there is
        overflows = None if roomy else ~(bound < gamma * fmt.huge / 2)
        bound += (2 * total.terms + 1) * fmt.tiny
        return bound if overflows is None else np.where(overflows, np.inf, bound)
    e = bound + (2 * total.terms + 1) * fmt.tiny
    e = np.where(fits_grid(bound / gamma, grid, fmt), 0, e)
    if not roomy:
        e = np.where(bound < gamma * fmt.huge / 2, e, np.inf)
    return e


def _spread(total: OpenSum, value: Array, fmt: Format) -> Array:
    """So many standard deviations of the sum, fmt.spread, beside what its operands bring: the module's docstring."""
    half = fmt.spread * fmt.deviation(total.terms) / 2 if fmt.spread is not None else 0.0
    bound = total.bound(half)
    e = bound + half * np.abs(value) + (2 * total.terms + 1) * fmt.tiny
    grid = total.grid() if total.grid else None
    return e if grid is None else np.where(fits_grid(bound / half, grid, fmt), 0, e)


def _rounded_once(total: OpenSum, value: Array, fmt: Format) -> Array:
    """The sum to within what it has inside, and its result rounded."""
    gamma = fmt.within(total.terms)
    bound = total.bound(gamma) * (1 + 4 * gamma)
    e = bound + fmt.u * np.abs(value) + (2 * total.terms + 1) * fmt.tiny
    within = bound < gamma * fmt.huge / 2
    return e if within.all() else np.where(within, e, np.inf)


def radius_at(total: OpenSum, fmt: Format, at: tuple[Array, ...]) -> Array | None:
    """The radius at some elements, where that is cheaper; the caller has seen that nothing overflows."""
    if fmt.inside is not None or not (total.at or total.bound_at) or total.grid is None or total.grid() is not None:
        return None
    gamma = fmt.gamma(total.terms)
    bound: Any = gamma * (1 + 4 * gamma) * total.at(at) if total.at else 0.0
    if total.bound_at:
        bound = (1 + 4 * gamma) * total.bound_at(gamma, at)
    radius: Array = bound + (2 * total.terms + 1) * fmt.tiny
    return radius


def most(total: OpenSum, fmt: Format) -> float:
    """What no radius of a sum with an operand that is not exact exceeds; infinite where that is not known."""
    gamma = fmt.gamma(total.terms)
    if fmt.inside is not None or fmt.spread is not None or total.most is None or not gamma < 2.0**-8:
        return np.inf
    bound = total.most(gamma) * (1 + 4 * gamma) * (1 + 2.0**-10)
    return bound + (2 * total.terms + 1) * fmt.tiny if bound < gamma * fmt.huge / 4 else np.inf


def matmul(x: Number, w: Number) -> Number:
    """x @ w: one sum of products an element. A vector is a matrix of one row or column, and its result a view."""
    if x.ndim == 1:
        return matmul(x.view(lambda a: a[None]), w).view(lambda a: a[..., 0, :] if w.ndim > 1 else a[0])
    if w.ndim == 1:
        return matmul(x, w.view(lambda a: a[:, None])).view(lambda a: a[..., 0])
    kept = w.kept_products if recording.current() is None else None  # what is recorded is a product of its own
    if kept is None:
        return _matmul(x, w)
    if (id(x), id(w)) not in kept:
        kept[id(x), id(w)] = x, w, _matmul(x, w)
    return kept[id(x), id(w)][-1]


@elementary(adjoints.matmul, "matmul")
def _matmul(x: Number, w: Number) -> Number:
    exact = x.exact and w.exact

    def bound(gamma: float) -> Array:
        if exact and products.large(x.value, w.value):
            rows, columns = x.once(products.scaled, -1), w.once(products.scaled, -2)
            cheap = products.large_magnitude(rows, columns, gamma) if rows and columns else None
            if cheap is not None:
                return cheap
        # gamma A A + e A + A e in as few products as there may be; e / gamma, as gamma A might underflow
        ax, aw = x.A(everything), w.A(everything)
        left, right = (ax, aw if w.exact else aw + w.radius / gamma) if x.exact else (ax + x.radius / gamma, aw)
        total = products.magnitude(left, right)
        total *= gamma
        if not (x.exact or w.exact):
            products.add_magnitude(total, ax, w.radius)
        return total

    many = x.shape[-1] > 2 * products.FEW
    total = OpenSum(
        x.shape[-1],
        bound,
        lambda: _product_grid(x, w),
        (lambda at: products.magnitude_at(x.value, w.value, at)) if exact else None,
        (lambda at: products.magnitude_of_few(x.value, w.value, at)) if many else None,
        None if exact else lambda gamma, at: _bound_at(x, w, gamma, at),
        None if exact else lambda gamma: _most(x, w, gamma),
    )
    return open_sum(x, products.product(x.value, w.value), total)


def _bound_at(x: Number, w: Number, gamma: float, at: tuple[Array, ...]) -> Array:
    """gamma A A + e A + A e at some elements of x @ w, of which A and e are taken there alone."""
    *lead, i, j = at
    a, b = ((n.value, n.radius) if not n.exact else (n.value, None) for n in (x, w.mT))
    (ax, ex), (aw, ew) = (
        _magnitude_at(value, radius, slack, products.picks(value.shape[:-1], (*lead, k)))
        for (value, radius), slack, k in ((a, x.slack, i), (b, w.slack, j))
    )
    total: Array = np.vecdot(gamma * ax + ex, aw)
    return total + np.vecdot(ax, ew) if b[1] is not None else total


def _magnitude_at(value: Array, radius: Array | None, slack: float, at: tuple[Any, ...]) -> tuple[Array, Array | float]:
    """A and e there; of what is exact e is 0."""
    size = np.abs(value[at])
    return (size, 0.0) if radius is None else (size + slack * radius[at], radius[at])


def _most(x: Number, w: Number, gamma: float) -> float:
    """What gamma A A + e A + A e never exceeds: gamma times the norms of A + e / gamma, of the largest row and column.

    No sum of products exceeds the product of the norms of its row and its column (Cauchy and Schwarz). The rounding of
    the norms is far less than the 2^-10 that ``most`` adds.
    """
    a, b = (n.value if n.exact else n.A(everything) + n.e(everything) / gamma for n in (x, w))
    rows, columns = _largest_norm(a, "...ij,...ij->...i"), _largest_norm(b, "...ij,...ij->...j")
    return gamma * float(np.max(rows * columns, initial=0))


def _largest_norm(a: Array, along: str) -> Array:
    """Of each matrix the largest norm of a row or column; infinite where squares so small have left the format."""
    squares = np.einsum(along, a, a, dtype=np.promote_types(a.dtype, np.float64)).max(axis=-1)
    return np.where(squares >= 2.0**-800, np.sqrt(squares), np.inf)


def _product_grid(x: Number, w: Number) -> Array | None:
    """The lowest bit over the products of each element whose operands are all exact; of others, below any grid."""
    lowest = products.product_grid(x.value, w.value, x.format)
    if lowest is None or (x.exact and w.exact):
        return lowest
    rows, columns = (x.radius == 0).all(axis=-1), (w.radius == 0).all(axis=-2)
    if not rows.any() or not columns.any():
        return None
    return np.where(rows[..., :, None] & columns[..., None, :], lowest, -NO_BIT)


def dot(like: Number, a: Any, b: Any) -> Number:
    """The product of vectors and matrices, which is matmul's."""
    x, w = like.operand(a), like.operand(b)
    if {x.ndim, w.ndim} <= {1, 2}:
        return matmul(x, w)
    raise TypeError(f"no radius is known for numpy.dot of {x.ndim} and {w.ndim} dimensions, only of 1 and 2")


@elementary(adjoints.total, "sum")
def add_over(x: Number, axis: int | tuple[int, ...] | None, *, keepdims: bool = False) -> Number:
    """The sum of x over some axes."""
    axes = tuple(range(x.ndim)) if axis is None else axis
    value = x.value.sum(axis=axes, keepdims=keepdims)
    terms = x.value.size // max(value.size, 1)
    if not x.size or (terms == 1 and x.exact):
        return x.derived(value, None)

    def bound(gamma: float) -> Array:
        total: Array = np.asarray((gamma * x.A(everything) + x.e(everything)).sum(axis=axes, keepdims=keepdims))
        return total

    def grid() -> Array | None:
        lowest = _lowest_bits(x)
        return None if lowest is None else np.asarray(lowest.min(axis=axes, keepdims=keepdims))

    return open_sum(x, value, OpenSum(terms, bound, grid))


def cumsum(like: Number, a: Any, axis: int | None = None) -> Number:
    """The sums of the first 1, 2, ... elements along an axis, each in any order."""
    return _cumsum(like.operand(a) if axis is not None else like.operand(a).view(np.ravel), axis or 0)


@elementary(adjoints.cumsum, "cumsum")
def _cumsum(x: Number, along: int) -> Number:
    value = x.value.cumsum(axis=along)
    if not x.size:
        return x.derived(value, None)

    def bound(gamma: float) -> Array:
        return np.cumsum(np.broadcast_to(gamma * x.A(everything) + x.e(everything), x.shape), along)

    def grid() -> Array:
        lowest = np.where(x.e(everything) == 0, lowest_bit(x.value, x.format), -NO_BIT)
        return np.minimum.accumulate(lowest, along)

    return open_sum(x, value, OpenSum(x.shape[along], bound, grid))


def _lowest_bits(x: Number) -> Array | None:
    """The lowest bit of each element that is exact, -NO_BIT elsewhere; None if none is taken to be."""
    e = x.radius
    few = (slice(None, None, max(x.value.size // FEW, 1)),)
    if not (e.reshape(-1)[few] == 0).any():
        return None
    exact = e == 0
    zeros = not (exact & (x.value != 0)).any()  # as of a ReLU's gradient; the bits of the others need no look
    return np.where(exact, NO_BIT if zeros else lowest_bit(x.value, x.format), -NO_BIT)


FEW = 64
"""Elements that are looked at first: if none of them is exact, the others are taken not to be."""


def add(x: Number, y: Number, value: Array) -> Number:
    """x + y or x - y, one of which is a sum still open: one sum with the terms of both."""
    return open_sum(x, value, joined(as_sum(x), as_sum(y)))


def joined(s: OpenSum, t: OpenSum) -> OpenSum:
    """The sum of two sums."""
    a, b, f, g, first, second = s.grid, t.grid, s.at, t.at, s.most, t.most

    def grid() -> Array | None:
        first = a() if a else None
        second = b() if b and first is not None else None
        return None if first is None or second is None else np.minimum(first, second)

    return OpenSum(
        s.terms + t.terms,
        lambda gamma: s.bound(gamma) + t.bound(gamma),
        grid if a and b else None,
        (lambda at: f(at) + g(at)) if f and g else None,
        bound_at=_both_at(s, t),
        most=(lambda gamma: first(gamma) + second(gamma)) if first and second else None,
    )


def _both_at(s: OpenSum, t: OpenSum) -> Callable[[float, tuple[Array, ...]], Array] | None:
    """The bound of both at some elements, where one has an operand that is not exact."""
    if (s.at and t.at) or not all(total.at or total.bound_at for total in (s, t)):
        return None

    def of(total: OpenSum, gamma: float, at: tuple[Array, ...]) -> Any:
        return total.bound_at(gamma, at) if total.bound_at else gamma * total.at(at) if total.at else 0.0

    return lambda gamma, at: of(s, gamma, at) + of(t, gamma, at)


def as_sum(x: Number) -> OpenSum:
    """The sum that x is, or one of x alone."""
    if x.open:
        return x.open
    if not x.exact:

        def bound_at(gamma: float, at: tuple[Array, ...]) -> Array:
            size, e = _magnitude_at(x.value, x.radius, x.slack, products.picks(x.shape, at))
            return gamma * size + e

        return OpenSum(
            1,
            lambda gamma: gamma * x.A(everything) + x.e(everything),
            lambda: _lowest_bits(x),
            bound_at=bound_at,
            most=lambda gamma: float(np.max(gamma * x.A(everything) + x.e(everything), initial=0)),
        )
    return OpenSum(
        1,
        lambda gamma: gamma * np.abs(x.value),
        lambda: lowest_bit(x.value, x.format),
        lambda at: np.abs(x.value[products.picks(x.shape, at)]),
        most=lambda gamma: gamma * float(np.max(np.abs(x.value), initial=0)),
    )
