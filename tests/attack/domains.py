"""What an operation is attacked with: where its operands lie, and which constants are drawn."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from reference.arrays import Array
from reference.losses import SquaredError
from reference.optimizers.sgd import SGD
from torch_mirror.balls.format import Format

Operands = tuple[Array, ...]


# --- domains: what an operation is asked to do -----------------------------------------------------------


def within_reach(fmt: Format, _: np.random.Generator, operands: Operands) -> Operands:
    """Where exp has neither overflowed nor vanished altogether, and a little beyond."""
    reach = 1.05 * np.log(fmt.huge)
    return tuple(np.clip(a, -reach, reach) for a in operands)


def not_negative(_f: Format, _: np.random.Generator, operands: Operands) -> Operands:
    return tuple(np.abs(a) for a in operands)


def positive(_f: Format, _: np.random.Generator, operands: Operands) -> Operands:
    return tuple(np.where(a == 0, a.dtype.type(1), np.abs(a)) for a in operands)


def last_not_zero(_f: Format, _: np.random.Generator, operands: Operands) -> Operands:
    *front, a = operands
    return (*front, np.where(a == 0, a.dtype.type(1), a))


def often_equal(fmt: Format, rng: np.random.Generator, operands: Operands) -> Operands:
    """The second is the first in a third of the cases, and a few ulp off in another."""
    x, y = operands
    near = x * (1 + fmt.u * rng.integers(-4, 5, x.shape)).astype(x.dtype)
    which = rng.integers(0, 3, x.shape)
    return x, np.clip(np.choose(which, [x, near, y]), -fmt.huge, fmt.huge)


def often_zero(_: Format, rng: np.random.Generator, operands: Operands) -> Operands:
    """A number in three is 0."""
    return tuple(np.where(rng.random(a.shape) < 1 / 3, a.dtype.type(0), a) for a in operands)


def nearly_there(fmt: Format, rng: np.random.Generator, operands: Operands) -> Operands:
    """Parameters that the gradient's step takes to nearly 0 in half of the cases, for one of the learning rates."""
    w, g, *more = operands
    step = (rng.choice(RATES) * g.astype(np.float64) * (1 + fmt.u * rng.integers(-4, 5, g.shape))).astype(g.dtype)
    return np.where(rng.random(w.shape) < 0.5, step, w), g, *more


def large_bias(fmt: Format, rng: np.random.Generator, operands: Operands) -> Operands:
    """A bias against which the products are a few units in its last place."""
    x, W, b = operands
    with np.errstate(all="ignore"):
        size = np.abs(x).max(axis=(-2, -1)) * np.abs(W).max(axis=(-2, -1)) / fmt.u
        bias = size[..., None] * rng.uniform(0.1, 4, b.shape) * rng.choice([-1, 1], b.shape)
    return x, W, np.where(np.isfinite(bias), bias, b).astype(b.dtype)


def mostly_moderate(fmt: Format, rng: np.random.Generator, operands: Operands) -> Operands:
    """Numbers between 2^-9 and 2^9 in most of the cases, so that few of them overflow a few operations on.

    The rest is as it was, or so large that a product of two may overflow and one that is divided again may not.
    """
    top = np.log2(fmt.huge)
    regime = rng.choice(3, (len(operands[0]), *(1,) * (operands[0].ndim - 1)), p=[0.7, 0.15, 0.15])
    low, high = np.choose(regime, [-9, -2 * top, top / 2 - 2]), np.choose(regime, [9, top, top / 2 + 2])

    def moderate(a: Array) -> Array:
        mantissa, exponent = np.frexp(a)
        return np.ldexp(mantissa, np.clip(exponent, low, high).astype(int))

    return tuple(moderate(a) for a in operands)


# --- constants ----------------------------------------------------------------------------------------------

RATES = (0.1, 0.01, 0.5, 1e-3, 3.0)


def number(*choices: float) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """One of these Python numbers."""
    return lambda rng: (rng.choice(choices).item(),)


def any_sgd(rng: np.random.Generator) -> tuple[Any, ...]:
    """Options of SGD, all combinations, and whether it is the first step."""
    momentum, dampening, decay = (rng.choice(c).item() for c in ([0, 0.9, 0.5], [0, 0.1, 0.5], [0, 0.01, 0.25]))
    nesterov = bool(momentum and not dampening and rng.random() < 0.5)
    sgd = SGD(rng.choice(RATES).item(), momentum, dampening, decay, nesterov, bool(rng.random() < 0.5))
    return sgd, bool(rng.random() < 0.2)


def any_loss(reduction: Any) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    return lambda rng: (SquaredError(reduction, rng.choice([1.0, 0.5, 0.3, 7.0]).item(), axes=2),)


def exact_constant(c: Any) -> Any:
    """A constant as exact arithmetic sees it: the Python number itself."""
    if isinstance(c, float):
        return flint.arb(c) if c else c  # an Arb 0 counts as true
    if isinstance(c, SquaredError):
        scale: Any = flint.arb(c.scale)
        return c._replace(scale=scale)
    if isinstance(c, SGD):
        kept = flint.arb(1 - c.dampening)  # formed in Python's arithmetic by both libraries, so a given number
        dampening: Any = 1 - kept if c.dampening else 0.0
        lr, momentum, decay = (exact_constant(v) for v in (c.lr, c.momentum, c.weight_decay))
        return SGD(lr, momentum, dampening, decay, c.nesterov, c.maximize)
    return c


def fraction_constant(c: Any) -> Any:
    """The same for fractions."""
    if isinstance(c, float):
        return Fraction(c)
    if isinstance(c, SquaredError):
        scale: Any = Fraction(c.scale)
        return c._replace(scale=scale)
    return c
