"""np.einsum of three operands and more, and np.linalg.multi_dot: one sum of products of m factors an element.

    sum over operands of (e_i times the other A) + gamma_(K + m - 2) * (sum of all A multiplied) + m K tiny M

K is the product of the sizes of the summed labels, M the sum of the products of max(A, 1). The order is anybody's:
two operands at a time, in any order, each time with a sum over the labels that no other operand has and that are not
in the output; or all at once. On the way of one product into the result there are m - 1 multiplications and, with K_s
terms in sum s, the additions sum (K_s - 1) <= K - 1, as the product of all K_s is K. |prod x - prod y| is at most
the sum of the e_i times the other A (replace one factor after the other). Each of the at most m K operations
may underflow, and what it loses is multiplied by factors of at most M together. M also bounds what is summed before it
is multiplied, which may overflow though no product does.
Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), sections 3.1 and 3.5.
"""

from math import prod
from typing import Any

import numpy as np

from reference.arrays import Array
from torch_mirror.balls import adjoints
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import elementary
from torch_mirror.balls.rules import einsum as of_two
from torch_mirror.balls.take import Take, everything


def einsum(like: Number, subscripts: Any, *operands: Any, optimize: Any = False) -> Any:
    """The sum of products that the subscripts, a string, say; of any number of operands, in any order."""
    if not isinstance(subscripts, str) or len(operands) <= 2:
        return of_two.einsum(like, subscripts, *operands, optimize=optimize)
    balls = [like.operand(a) for a in operands]
    return _contract(*balls, of_two.written_out(subscripts, tuple(a.ndim for a in balls)))


@elementary(adjoints.einsum, "einsum")
def _contract(*balls_and_labels: Any) -> Number:
    """Numbers, and their labels at the end."""
    balls, labels = list(balls_and_labels[:-1]), balls_and_labels[-1]
    text, fmt, m = labels.text, balls[0].format, len(balls)
    sizes: dict[str, int] = {}
    for own, a in zip(labels.operands, balls, strict=True):
        for c, n in zip(own, a.shape, strict=True):
            sizes[c] = n if sizes.get(c, 1) == 1 else sizes[c]
    terms = prod(sizes[c] for c in labels.summed)
    value = _evaluate(text, [a.value for a in balls])

    def rule(take: Take) -> Any:
        A = [np.broadcast_to(a.A(everything), a.shape) for a in balls]
        total = fmt.gamma(terms + m - 2) * _evaluate(text, A)
        for i, a in enumerate(balls):
            if not a.exact:
                total = total + _evaluate(text, [*A[:i], a.radius, *A[i + 1 :]])
        within = _evaluate(text, [np.maximum(a, 1) for a in A])
        gamma = fmt.gamma(terms + m)
        with np.errstate(all="ignore"):  # inf times 0 may be NaN, which is infinite below
            total = total * (1 + 4 * gamma) + (m * terms * fmt.tiny) * within
            return take(np.asarray(np.where((within < fmt.huge / 4) & (total < fmt.huge / 4), total, np.inf)))

    return balls[0].derived(value, rule if terms and value.size else None)


def _evaluate(text: str, arrays: list[Any]) -> Array:
    wide = any(a.dtype == np.longdouble for a in arrays)
    return np.asarray(np.einsum(text, *arrays, optimize=not wide))  # BLAS where it can; it has no longdouble


def multi_dot(like: Number, arrays: Any) -> Number:
    """numpy.linalg.multi_dot: a chain of matrix products, in any order; the first and the last may be vectors."""
    balls = [like.operand(a) for a in arrays]
    inside = "abcdefghijklmnopqrstuvwxyz"
    if not 2 <= len(balls) < len(inside):
        raise TypeError(f"numpy.linalg.multi_dot of balls: expected 2 to {len(inside) - 1} matrices, got {len(balls)}")
    own = [inside[i : i + 2] for i in range(len(balls))]
    own[0] = own[0][-balls[0].ndim :]
    own[-1] = own[-1][: balls[-1].ndim]
    output = (own[0][0] if balls[0].ndim == 2 else "") + (own[-1][1] if balls[-1].ndim == 2 else "")
    result: Number = einsum(like, f"{','.join(own)}->{output}", *balls)
    return result
