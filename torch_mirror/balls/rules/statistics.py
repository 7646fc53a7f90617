"""Mean, variance, deviation, norm and kin: compositions of sums, squares and roots, whose radii are theirs.

    var x       mean of (x - mean x)^2, by N - ddof
    std x       root of var x
    norm x      root of the sum of squares; sum of |x|; max |x|; (sum |x|^p)^(1/p)
    average x   sum of w x / sum of w
    cov x       (x - mean x) (x - mean x)^T / (N - ddof)
    ptp x       max x - min x

var is evaluated in two passes by NumPy, and in one by torch (Welford), which forms running means m_k and adds
(x_k - m_k-1) (x_k - m_k) up. Both are covered: beside the composition's own radius there is

    gamma_(N + 8) S + c d sqrt(N S) + c^2 N d^2 + N tiny      S = N var x, d = gamma_(N / 2 + 9) max |x| + tiny,
                                                              c^2 = max(6.25, 2 log2 N)

for Welford's. Every running mean lies within X = max |x| of 0, and an update of it, m + (x - m) / k, has three
roundings of at most 2 X / k and one of X; the error before is damped by 1 - 1 / k. So k e_k <= (k - 1) e_k-1 +
(6 + k) u X, and e_k <= (6 + (k + 1) / 2) u X, which d bounds. A term t_k = (x_k - m_k-1) (x_k - m_k)
= (x_k - m_k)^2 k / (k - 1) is off by d (|x_k - m_k-1| + |x_k - m_k|) + d^2 <= d (1 + sqrt 2) sqrt t_k + d^2 and
roundings of its own. The terms add up to S, so that sum sqrt t_k <= sqrt(N S) (Cauchy-Schwarz). Parts of n_a and
n_b elements that are merged (Chan) give the term w (m_a - m_b)^2, w = n_a n_b / (n_a + n_b), which is off by
2 d sqrt(w t) + 4 d^2 w; all w add up to at most sum min(n_a, n_b) <= N log2(N) / 2, so that these are off by
d sqrt(2 N log2(N) S) together. The sum has N roundings more.
Where all elements of a row are the same both forms give 0 exactly, and the term is 0.
The root of a sum of squares needs no room below it: no evaluation of that is negative.
The norm is that of a plain sum of squares, as NumPy and torch form it; BLAS's nrm2, which scales first, is not covered.
Sources: Welford (1962), Technometrics 4; Chan, Golub and LeVeque (1983), The American Statistician 37, section 3;
Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), section 1.9.
"""

from typing import Any

import numpy as np

from torch_mirror.balls import adjoints, masks
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import elementary
from torch_mirror.balls.rules import choices, elementwise, functions, means, powers, reductions, sums
from torch_mirror.balls.take import Take, everything

Axes = int | tuple[int, ...] | None


def var(
    like: Number, a: Any, axis: Axes = None, dtype: Any = None, ddof: float = 0, *, keepdims: bool = False,
    correction: float | None = None,
) -> Number:  # fmt: skip
    """The mean square of what is left of x without its mean, by N - ddof."""
    x = reductions.in_dtype(like.operand(a), dtype)
    deviation = elementwise.subtract(x, means.mean(x, axis, keepdims=True))
    total = sums.add_over(elementwise.square(deviation), axis, keepdims=keepdims)
    n = x.size // max(total.size, 1)
    total = total.bounded(_or_welford(x, total, axis, n, keepdims=keepdims))
    return elementwise.divide(total, total.operand(n - (ddof if correction is None else correction)))


def _or_welford(x: Number, total: Number, axis: Axes, n: int, *, keepdims: bool) -> Any:
    fmt = x.format

    def rule(take: Take) -> Any:
        A = np.broadcast_to(x.A(everything), x.shape).max(axis=axis, keepdims=keepdims, initial=0)
        own = total.e(everything)
        S = (np.abs(total.value) + total.slack * own) * (1 + 4 * fmt.u)
        same = x.value.max(axis=axis, keepdims=keepdims) == x.value.min(axis=axis, keepdims=keepdims)
        constant = same & (np.broadcast_to(x.e(everything), x.shape).max(axis=axis, keepdims=keepdims) == 0)
        d, c = fmt.within(n // 2 + 9) * A + fmt.tiny, np.sqrt(max(6.25, 2 * np.log2(n)))
        welford = fmt.within(n + 8) * S + c * d * np.sqrt(n * S) + c * c * n * d * d + n * fmt.tiny
        return take(np.asarray(own + np.where(constant, 0, welford)))

    return rule if x.size else None


def std(
    like: Number, a: Any, axis: Axes = None, dtype: Any = None, ddof: float = 0, *, keepdims: bool = False,
    correction: float | None = None,
) -> Number:  # fmt: skip
    return _root(var(like, a, axis, dtype, ddof, keepdims=keepdims, correction=correction))


@elementary(adjoints.SMOOTH["sqrt"], "sqrt")
def _root(x: Number) -> Number:
    """The root of what is negative in no evaluation."""
    k = elementwise.FUNCTION_ROUNDINGS["sqrt"] * x.format.u * (1 + 4 * x.format.u)

    def rule(take: Take) -> Any:
        e = x.e(take)
        least = np.fmax(take(x.value) - functions.reach(x, take), 0)
        with np.errstate(all="ignore"):  # inf / inf is infinite below
            propagated = np.where(e == 0, 0, e / (np.sqrt(least + e) + np.sqrt(least)))
            result = propagated * (1 + 8 * x.format.u) + k * np.sqrt(x.A(take))
            return np.where(result < x.format.huge / 2, result, np.inf)

    return x.derived(np.sqrt(x.value), rule)


def norm(like: Number, x: Any, ord: Any = None, axis: Axes = None, *, keepdims: bool = False) -> Number:
    """numpy.linalg.norm. Raises TypeError for the norms of a matrix that need its singular values."""
    a = like.operand(x)
    if axis is None:
        if ord is None or (a.ndim == 1 and ord == 2) or (a.ndim == 2 and ord in ("fro", "f")):
            kept = (1,) * a.ndim
            root = _euclidean(a.view(np.ravel), -1, keepdims=False)
            return root.view(lambda v: v.reshape(kept)) if keepdims else root
        axis = 0 if a.ndim == 1 else tuple(range(a.ndim))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    if len(axes) == 1:
        return _of_vectors(a, ord, axes[0], keepdims=keepdims)
    return _of_matrices(a, ord, axes, keepdims=keepdims)


def vector_norm(like: Number, x: Any, *, axis: Axes = None, keepdims: bool = False, ord: Any = 2) -> Number:
    """numpy.linalg.vector_norm: of all elements, or along one axis. Raises TypeError for several."""
    a = like.operand(x)
    if axis is None:
        result = _of_vectors(a.view(np.ravel), ord, -1, keepdims=False)
        return result.view(lambda v: v.reshape((1,) * a.ndim)) if keepdims else result
    if not isinstance(axis, int):
        raise TypeError("no radius is known for numpy.linalg.vector_norm over several axes; reshape them into one")
    return _of_vectors(a, ord, axis, keepdims=keepdims)


def _euclidean(a: Number, axis: Axes, *, keepdims: bool) -> Number:
    squares = sums.add_over(elementwise.square(a), axis, keepdims=keepdims)
    return _root(squares)


def _of_vectors(a: Number, p: Any, axis: int, *, keepdims: bool) -> Number:
    size = elementwise.absolute(a)
    if p is None or p == 2:
        return _euclidean(a, axis, keepdims=keepdims)
    if p == np.inf:
        return choices.max_over(size, axis, keepdims=keepdims)
    if p == -np.inf:
        return choices.min_over(size, axis, keepdims=keepdims)
    if p == 0:
        return sums.add_over(masks.as_mask(a, a).number(), axis, keepdims=keepdims)
    if isinstance(p, str):
        raise ValueError(f"Invalid norm order {p!r} for vectors")  # noqa: TRY004 - NumPy's own error
    if p == 1:
        return sums.add_over(size, axis, keepdims=keepdims)
    total = sums.add_over(powers.power(size, a.operand(p)), axis, keepdims=keepdims)
    part = np.asarray(1 / a.value.dtype.type(p))  # which is rounded
    return powers.power(total, a.constant(part, lambda take: take(2 * a.format.u * np.abs(part))))


def _of_matrices(a: Number, p: Any, axes: tuple[int, ...], *, keepdims: bool) -> Number:
    if len(axes) != 2:
        raise ValueError("Improper number of dimensions to norm.")
    if p in (None, "fro", "f"):
        return _euclidean(a, axes, keepdims=keepdims)
    row, column = (i % a.ndim for i in axes)
    ways = {1: (row, column), -1: (row, column), np.inf: (column, row), -np.inf: (column, row)}
    if p not in ways:
        raise TypeError(
            f"no radius is known for numpy.linalg.norm of a matrix with ord={p!r}, which takes its singular values; "
            "expected None, 'fro', 1, -1, inf or -inf, or an axis for the norm of its rows"
        )
    added, chosen = ways[p]
    sizes = sums.add_over(elementwise.absolute(a), added, keepdims=True)
    result = (choices.max_over if p > 0 else choices.min_over)(sizes, chosen, keepdims=True)
    return result if keepdims else result.view(lambda v: np.squeeze(v, axes))


def average(
    like: Number, a: Any, axis: Axes = None, weights: Any = None, returned: Any = None, *, keepdims: bool = False
) -> Any:
    """The mean, or the mean with weights; and the sum of the weights, if that is asked for."""
    x = like.operand(a)
    if weights is None:
        result = means.mean(x, axis, keepdims=keepdims)
        scale: Any = np.full(result.shape, x.size / max(result.size, 1), like.format.dtype)
    else:
        w = like.operand(weights)
        if w.shape != x.shape:
            if not isinstance(axis, int) or w.ndim != 1:
                raise TypeError("numpy.average of balls: expected weights of x's own shape, or of its axis")
            along = tuple(slice(None) if i == axis % x.ndim else None for i in range(x.ndim))
            w = w.view(lambda v: v[along])
        everywhere = w.view(lambda v: np.broadcast_to(v, x.shape))
        scale = sums.add_over(everywhere, axis, keepdims=keepdims)
        result = elementwise.divide(sums.add_over(elementwise.multiply(x, w), axis, keepdims=keepdims), scale)
    return (result, scale) if returned else result


def cov(
    like: Number, m: Any, y: Any = None, rowvar: Any = True, bias: Any = None, ddof: int | None = None, *,  # noqa: FBT002 - NumPy's signature
    dtype: Any = None,
) -> Number:  # fmt: skip
    """The covariances of the rows of m, in float64 at least unless dtype says otherwise.

    Raises TypeError for a second set of observations, which np.vstack appends.
    """
    if y is not None:
        raise TypeError("no radius is known for numpy.cov of two sets; stack them: np.cov(np.vstack([m, y]))")
    x = like.operand(m)
    x = reductions.in_dtype(x, np.promote_types(x.format.dtype, np.float64) if dtype is None else dtype)
    if x.ndim > 2:
        raise ValueError("m has more than 2 dimensions")
    x = x.view(lambda v: v.reshape(1, -1)) if x.ndim < 2 else x if rowvar or x.shape[0] == 1 else x.mT
    left = elementwise.subtract(x, means.mean(x, -1, keepdims=True))
    n = x.shape[1] - (int(not bias) if ddof is None else ddof)
    result = elementwise.divide(sums.matmul(left, left.mT), x.operand(n))
    return result.view(lambda v: v.reshape(())) if result.shape == (1, 1) else result


def ptp(like: Number, a: Any, axis: Axes = None, *, keepdims: bool = False) -> Number:
    """The largest less the least element."""
    x = like.operand(a)
    ends = choices.max_over(x, axis, keepdims=keepdims), choices.min_over(x, axis, keepdims=keepdims)
    return elementwise.subtract(*ends)
