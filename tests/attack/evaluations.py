"""Other evaluations of the same equations: other orders of a sum, fused operations, and torch in other environments."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch

from reference.arrays import Array

Evaluation = Callable[..., Any]
Order = Callable[[int], Iterable[int]]


# --- torch, and where it runs -------------------------------------------------------------------------


def with_torch(f: Callable[..., Any]) -> Evaluation:
    """A function of tensors as one of arrays; what is no array is handed on."""

    def evaluate(*operands: Any) -> Array:
        return f(*(torch.tensor(a) if isinstance(a, np.ndarray) else a for a in operands)).numpy()

    return evaluate


@contextmanager
def _flushing() -> Iterator[None]:
    torch.set_flush_denormal(True)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _no_mkldnn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TF32 acceleration")  # of Intel's GPUs, which nobody asked for
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def inside(environment: Callable[[], AbstractContextManager[None]], f: Evaluation) -> Evaluation:
    """The same in an environment."""

    def evaluate(*operands: Any) -> Array:
        with environment():
            return f(*operands)

    return evaluate


def flushed(f: Evaluation) -> Evaluation:
    """The same with subnormal numbers flushed to zero, where the processor can."""
    return inside(_flushing, f)


ENVIRONMENTS: dict[str, Callable[[Evaluation], Evaluation]] = {
    "2 threads": lambda f: inside(_two_threads, f), "no mkldnn": lambda f: inside(_no_mkldnn, f), "flushed": flushed,
}  # fmt: skip


# --- fused -----------------------------------------------------------------------------------------------


def fused_multiply_add(a: Array, b: Array, c: Array) -> Array:
    """a b + c in one rounding; in two where a product is so small or large that its parts would not be exact.

    Either is admissible. float32 is computed in float64 and float64 from the exact parts of the product and the
    sum, rounded to odd on the way, so that the last rounding is the only one.
    Source: Boldo and Melquiond, Emulation of a FMA and correctly rounded sums (2008), theorem 2 and section 4.
    """
    a, b, c = np.broadcast_arrays(a, b, c)
    if a.dtype == np.float32:
        product = a.astype(np.float64) * b.astype(np.float64)  # 48 bits
        return _to_odd(product, c.astype(np.float64)).astype(np.float32)
    with np.errstate(all="ignore"):
        product = a * b
        high, low = _two_product(a, b)
        over, under = _two_sum(c, low)
        top, rest = _two_sum(high, over)
        fused = top + _to_odd(under, rest)
        ends = [np.abs(v) for v in (a, b, product)]
        whole = (a == 0) | (b == 0) | (ends[2] > 2.0**-800)
        whole &= (c == 0) | (np.abs(c) > 2.0**-800)
        for end in (*ends, np.abs(c)):
            whole &= end < 2.0**900
        return np.where(whole, fused, product + c)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    s = a + b
    c = s - a
    return s, (a - (s - c)) + (b - c)


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    p = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a: Array) -> tuple[Array, Array]:
    c = a * 134217729.0  # 2^27 + 1
    high = c - (c - a)
    return high, a - high


def _to_odd(a: Array, b: Array) -> Array:
    """a + b, exact or the neighbour whose last bit is 1: one further from 0 where the error has the sum's sign."""
    s, error = _two_sum(a, b)
    bits = np.asarray(s).view(np.int64)
    moved = (error != 0) & np.isfinite(error) & (bits & 1 == 0)
    away = np.signbit(error) == np.signbit(s)
    return np.asarray((bits + moved * (2 * away - 1)).view(np.float64))


def fused_update(w: Array, g: Array, lr: float) -> Array:
    """w - lr g in one rounding."""
    return fused_multiply_add(np.asarray(-w.dtype.type(lr)), g, w)


# --- orders of a sum ---------------------------------------------------------------------------------------


def backwards(n: int) -> Iterable[int]:
    return range(n)[::-1]


def evens_first(n: int) -> Iterable[int]:
    return [*range(0, n, 2), *range(1, n, 2)]


def shuffled(seed: int) -> Order:
    """A permutation drawn for each length."""
    return lambda n: np.random.default_rng(seed).permutation(n).tolist()


ORDERS: dict[str, Order] = {"backwards": backwards, "evens first": evens_first, "shuffled": shuffled(1)}


def sum_in_order(order: Order) -> Callable[[Array], Array]:
    """The sum over the last axis, kept, term by term."""

    def evaluate(x: Array) -> Array:
        return np.cumsum(x[..., list(order(x.shape[-1]))], axis=-1, dtype=x.dtype)[..., -1:]

    return evaluate


def pairwise_sum(x: Array) -> Array:
    """The sum over the last axis, kept, by halves."""
    while x.shape[-1] > 1:
        half = x.shape[-1] // 2
        x = np.concatenate([x[..., :half] + x[..., half : 2 * half], x[..., 2 * half :]], axis=-1)
    return x


def einsum_sum(x: Array) -> Array:
    """The sum over the last axis, kept, by numpy.einsum."""
    return np.einsum("...i->...", x)[..., None]


TERMS: dict[str, Evaluation] = {
    **{f"cumsum {name}": sum_in_order(order) for name, order in ORDERS.items()}, "pairwise": pairwise_sum,
}  # fmt: skip
"""Orders of a sum over the last axis, kept."""


def product_in_order(order: Order, *, fused: bool, bias_first: bool) -> Evaluation:
    """x W^T + b term by term: in another order, fused or not, from the bias or on to it.

    x (..., batch, in), W (..., out, in), b (..., out) or None.
    """

    def evaluate(x: Array, W: Array, b: Array | None = None) -> Array:
        add = fused_multiply_add if fused else (lambda a, b, c: a * b + c)
        shape = (*np.broadcast_shapes(x.shape[:-2], W.shape[:-2]), x.shape[-2], W.shape[-2])
        bias = None if b is None else np.broadcast_to(b[..., None, :], shape)
        z = bias if bias is not None and bias_first else np.zeros(shape, x.dtype)
        for k in order(x.shape[-1]):
            z = add(x[..., :, None, k], W[..., None, :, k], z)
        return z if bias is None or bias_first else z + bias

    return evaluate


PRODUCTS: dict[str, Evaluation] = {
    f"{name}, {'fused' if fused else 'rounded'}, bias {'first' if first else 'last'}": product_in_order(
        order, fused=fused, bias_first=first
    )
    for name, order in {"forwards": range, **ORDERS}.items()
    for fused in (False, True)
    for first in (False, True)
}
"""x W^T + b in four orders of its terms, each in four ways."""

FEW_PRODUCTS: dict[str, Evaluation] = {
    name: PRODUCTS[name] for name in (
        "forwards, rounded, bias first", "backwards, fused, bias first", "evens first, fused, bias last",
        "shuffled, rounded, bias last",
    )
}  # fmt: skip
"""Each order, fused or not, and each place of the bias."""
