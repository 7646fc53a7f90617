"""What the tools of the scoreboard are shown: four networks of tests/examples, right, edited, and wrong by little.

The faults are the selftest's: edits of a line of the backward pass, of as many kinds as its lines allow; and small
ones, which change a gradient by a few millionths.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from reference.claim.tree import named
from tests.doors.of_the_field import in_dtype
from tests.examples.test_examples import EXAMPLES, leaves, mapped, mapped_like
from torch_mirror.doors.selftest.backward import Point
from torch_mirror.doors.selftest.source import MOST, edited, planted_in, right_of

DTYPES = ("float64", "float32")
SEEDS = range(20)
SMALL = 2e-6
"""The size of the small faults, relative to a gradient: 34 times 2^-24, the most that one float32 operation rounds."""


class Case(NamedTuple):
    """A network at some numbers. lines: those on which the planted fault shows, none for a small one."""

    network: str
    function: Callable[..., Any]
    point: Point
    lines: frozenset[int] = frozenset()


@cache
def point(network: str, dtype: str, seed: int = 0, wide: int = 1) -> Point:
    """Parameters and data; wide: how many times as many of the samples."""
    module, _, data = EXAMPLES[network]
    draws = np.random.default_rng(seed)
    p = module.init(draws)
    rows = [data(draws) for _ in range(wide)]
    axis = 1 if network == "columns" else 0
    together = (np.concatenate(arrays, axis=axis) for arrays in zip(*rows, strict=True))
    return Point(in_dtype(p, dtype), tuple(in_dtype(a, dtype) for a in together))


def honest(dtype: str) -> Iterator[Case]:
    """The networks as they are, at other numbers each time, with 6 samples and with 600."""
    for name, (module, _, _) in EXAMPLES.items():
        yield from (Case(name, module.loss, point(name, dtype, seed)) for seed in SEEDS)
        yield from (Case(name, module.loss, point(name, dtype, seed, 100)) for seed in SEEDS[:5])


def faults(dtype: str) -> Iterator[Case]:
    """Each network with each edit of its backward pass, while that is in its code."""
    for name, (module, _, _) in EXAMPLES.items():
        at, count = point(name, dtype), 0
        right = right_of(module.loss, at)
        assert right is not None
        for planted in planted_in(right.lines):
            with edited(planted):
                if count < MOST and _counts(Case(name, module.loss, at), right, dtype):
                    count += 1
                    yield Case(name, module.loss, at, planted.edit.lines)


def _counts(case: Case, right: Any, dtype: str) -> bool:
    """Whether the edited code runs, gives gradients of the right shapes, and others by more than their rounding."""
    try:
        gradients = case.function(case.point.parameters, *case.point.data)[1]
        own_named = named(gradients)
        if any(np.shape(own_named[name]) != g.shape for name, g in right.gradients.items()):
            return False
    except Exception:  # noqa: BLE001 - whatever an edited program raises
        return False
    share = float(np.finfo(dtype).eps / np.finfo(np.float64).eps)  # how much coarser than the float64 of the radii
    return any(
        bool((np.abs(np.asarray(own_named[name], np.float64) - g.value) > 2 * share * np.asarray(g.radius)).any())
        for name, g in right.gradients.items()
    )


def small(dtype: str) -> Iterator[Case]:
    """One gradient of each network a few millionths too large, one after the other."""
    for name, (module, _, _) in EXAMPLES.items():
        at = point(name, dtype)
        for which in range(len(list(leaves(at.parameters)))):
            yield Case(name, _scaled(module.loss, which), at)


def _scaled(loss: Callable[..., Any], which: int) -> Callable[..., Any]:
    def mine(p: Any, *data: Any) -> Any:
        value, gradients = loss(p, *data)
        numbers = iter(range(len(list(leaves(p)))))
        return value, mapped(lambda g: g * (1 + SMALL) if next(numbers) == which else g, mapped_like(p, gradients))

    return mine
