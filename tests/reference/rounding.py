"""How far rounding can carry a figure of a float64 training run from its exact value.

A document's program, NumPy's reference and torch are admissible evaluations of the same equations:
they differ in the order of sums and in fused operations only. Two things bound what that can do.

- Each step adds an error: the radius of one step of balls, from exact operands (torch_mirror.balls.cell).
- The steps after it carry it on: by the Jacobian of each step, multiplied together.

So the noise at step T is  sum over s of |J[T-1] ... J[s+1]| r[s],  to first order: the products of two
errors, which are left out, are 1e12 times smaller. J is a central difference in longdouble, whose step
2^-20 leaves a relative error of its square. The exact run is the reference in longdouble.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.objective import features
from reference.claim.tree import named, rebuild, zip_with
from tests.steps import step
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of

WIDE = np.longdouble
FLOAT64 = format_of(np.dtype(np.float64))

Figure: TypeAlias = Callable[[Any, Any, Any], Any]
"""(parameters, x, t) to an array (..., values): arrays, longdouble or not, or balls."""


class Exact(NamedTuple):
    """The exact run, and what a float64 run may differ from it by."""

    states: Any      # parameters, (steps + 1, ...) each
    x: Array         # features, (batch, in)
    t: Array         # (batch, out)
    added: Array     # r: (steps, parameters)
    carried: Array   # J: (steps, parameters, parameters)


def exact_run(e: Experiment) -> Exact:
    """The experiment in longdouble, with the error that each step adds and carries on."""
    x, t = features(e.network, e.x.astype(WIDE)), e.t.astype(WIDE)
    p = zip_with(lambda _, a: a.astype(WIDE), e.parameters)
    states = [p]
    for _ in range(e.steps):
        p = step(e.network, p, x, t, e.loss, e.optimizer)
        states.append(p)
    stacked = zip_with(lambda name, _: np.stack([named(q)[name] for q in states]), p)
    before = zip_with(lambda _, a: a[:-1], stacked)

    def one_step(q: Any, x: Any, t: Any) -> Any:
        return flat(step(e.network, q, x, t, e.loss, e.optimizer))

    given: tuple[Any, Any] = Ball(x, 0, FLOAT64), Ball(t, 0, FLOAT64)
    after = step(e.network, balls(before), *given, e.loss, e.optimizer)
    added = flat(zip_with(lambda _, ball: ball.radius, after))
    return Exact(stacked, x, t, added, jacobian(one_step, before, x, t))


def noise(run: Exact, at: int) -> Array:
    """The bound on |float64 run - exact run| of each parameter before step ``at``: (parameters,)."""
    bound = np.zeros(run.added.shape[1], WIDE)
    product = np.eye(run.added.shape[1], dtype=WIDE)
    for s in range(at - 1, -1, -1):
        bound = bound + np.abs(product) @ run.added[s]
        product = product @ run.carried[s]
    return bound


def figure_with_noise(run: Exact, figure: Figure, at: int) -> tuple[Array, Array]:
    """The exact figure before step ``at`` and the bound on what rounding does to it: (values,) each."""
    p = zip_with(lambda _, a: a[at : at + 1], run.states)
    own = figure(balls(p), Ball(run.x, 0, FLOAT64), Ball(run.t, 0, FLOAT64))
    carried = np.abs(jacobian(figure, p, run.x, run.t)) @ noise(run, at)
    return own.value[0], (own.radius + carried)[0]


def jacobian(f: Figure, p: Any, x: Array, t: Array) -> Array:
    """df/dp by central differences. p: (..., parameters) when flat; returns (..., values, parameters)."""
    h = WIDE(2) ** -20
    theta = flat(p)
    columns = []
    for j in range(theta.shape[-1]):
        shift = np.zeros(theta.shape[-1], WIDE)
        shift[j] = h
        columns.append((f(unflat(p, theta + shift), x, t) - f(unflat(p, theta - shift), x, t)) / (2 * h))
    return np.stack(columns, axis=-1)


def balls(p: Any) -> Any:
    """Parameters as exact balls of float64."""
    return zip_with(lambda _, a: Ball(a, 0, FLOAT64), p)


def flat(p: Any) -> Array:
    """All parameters in a row: (steps, ...) each to (steps, parameters)."""
    return np.concatenate([a.reshape(len(a), -1) for a in named(p).values()], axis=-1)


def unflat(like: Any, theta: Array) -> Any:
    """The inverse of ``flat``; ``like`` has the shapes."""
    values, start = {}, 0
    for name, a in named(like).items():
        size = a[0].size
        values[name] = theta[:, start : start + size].reshape(a.shape)
        start += size
    return rebuild(like, values)
