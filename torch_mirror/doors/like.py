"""Hypothesis strategies for one's own network: parameters and data like those that one has.

    @given(parameters_like(p), batches_like(x, t))
    def test_mine(p, data):
        assert check(mine, p, *data, explain=False).verdict != "refuted"

Every draw has other numbers, and batches of other sizes. The kinds of numbers are those of ``strategies``: half the
draws are dyadic, and then a pre-activation is often exactly 0, where a ReLU has its kink; the others use every bit.

Needs hypothesis, which is not among this package's own requirements.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from reference.arrays import Array
from reference.claim.tree import named, zip_with
from reference.errors import InputError
from torch_mirror.doors.strategies import DYADIC, REAL, Kind, draw_array

T = TypeVar("T")


def parameters_like(p: T, *, kinds: Sequence[Kind] = DYADIC + REAL) -> st.SearchStrategy[T]:
    """Trees of the same form, shapes and dtypes with other numbers; what is not floating point stays as it is.

    p: a tree of arrays: dict, list, tuple, NamedTuple, dataclass or object, nested. Raises InputError where it has no
    floating-point array.
    """
    if not any(_is_real(np.asarray(leaf)) for leaf in named(p).values()):
        raise InputError("parameters", "a tree with floating-point arrays", f"{p!r:.80}")

    def drawn(seed: int, kind: Kind) -> T:
        draws = np.random.default_rng(seed)
        return zip_with(lambda _, leaf: _like(draws, kind, np.asarray(leaf), np.shape(leaf)), p)

    return st.builds(drawn, _SEEDS, st.sampled_from(list(kinds)))


def batches_like(
    *data: Any, axis: int = 0, largest: int = 8, kinds: Sequence[Kind] = DYADIC + REAL
) -> st.SearchStrategy[tuple[Any, ...]]:
    """Tuples of arrays such as these, of 1 to ``largest`` samples.

    data: arrays that have so many samples each, along ``axis``: x of (batch, in), t of (batch,). Integers, such as
    labels, are drawn from those that occur. What has no such axis stays as it is. Raises InputError where the arrays
    differ in their number of samples.
    """
    arrays = [np.asarray(a) for a in data]
    sizes = {a.shape[axis] for a in arrays if _has(a, axis)}
    if len(sizes) != 1 or sizes == {0}:
        came = ", ".join(str(a.shape) for a in arrays) or "no array"
        raise InputError("data", f"arrays of the same number of samples along axis {axis}, one at least", came)
    if largest < 1:
        raise InputError("largest", "1 or more samples", largest)

    def drawn(seed: int, kind: Kind, samples: int) -> tuple[Any, ...]:
        draws = np.random.default_rng(seed)
        return tuple(
            _like(draws, kind, a, _with_samples(a, axis, samples)) if _has(a, axis) else given
            for a, given in zip(arrays, data, strict=True)
        )

    return st.builds(drawn, _SEEDS, st.sampled_from(list(kinds)), st.integers(1, largest))


_SEEDS = st.integers(0, 2**32 - 1)


def _is_real(a: Array) -> bool:
    return bool(np.issubdtype(a.dtype, np.floating))


def _has(a: Array, axis: int) -> bool:
    return -a.ndim <= axis < a.ndim


def _with_samples(a: Array, axis: int, samples: int) -> tuple[int, ...]:
    shape = list(a.shape)
    shape[axis] = samples
    return tuple(shape)


def _like(draws: np.random.Generator, kind: Kind, a: Array, shape: tuple[int, ...]) -> Any:
    """Numbers of that shape: real ones of the kind, others from those that occur; a 0-d array stays one."""
    if _is_real(a):
        return np.asarray(draw_array(draws, kind, shape), a.dtype)
    return a if shape == a.shape and a.ndim == 0 else draws.choice(a.reshape(-1), shape)
