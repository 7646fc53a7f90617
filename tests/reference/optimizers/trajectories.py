"""Runs of torch's optimizers on given gradients, and the reference's step held up to each of their steps.

Each step starts from torch's own state before it, exact operands, and goes on with torch's own value of each new
state: so a radius is that of one equation, and the first wrong tensor is the one whose equation is wrong.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from reference.arrays import Array
from reference.claim.tree import named, rebuild, zip_with
from torch_mirror.balls.cell import Ball
from torch_mirror.judge.compare import allowed
from torch_mirror.optimizers import optimizer_of, schedule_of, set_rates, states_of

STEPS = 20


class P(NamedTuple):
    """Parameters, and gradients, of three shapes."""

    W1: Any
    b1: Any
    W2: Any


SHAPES = P((4, 3), (4,), (1, 4))


class Step(NamedTuple):
    """What a step starts from, and what it gives: ``seen`` by the names that the reference sows."""

    p: P
    g: P
    state: dict[str, P]
    t: Any  # an int, or an array where steps are stacked
    seen: dict[str, Array]


def start(dtype: str, seed: int = 0) -> P:
    rng = np.random.default_rng(seed)
    return P(*(rng.normal(size=shape).astype(dtype) for shape in SHAPES))


def gradients(dtype: str, seed: int = 0) -> list[P]:
    """Of all sizes; a row of W1 has none, as behind a unit that is never active."""
    rng = np.random.default_rng(seed + 1)
    rows = []
    for step in range(STEPS):
        size = (1.0, 1e-3, 30.0)[step % 3]
        g = P(*((size * rng.normal(size=shape)).astype(dtype) for shape in SHAPES))
        g.W1[1] = 0
        rows.append(g)
    return rows


def of_torch(
    optimizer: Any, dtype: str, seed: int = 0, wrong: torch.optim.Optimizer | None = None, weights: Any = None
) -> Iterator[Step]:
    """A run of torch's optimizer; ``wrong``: of this one over ``weights`` instead."""
    weights = weights or fresh(dtype, seed)
    own = wrong or optimizer_of(optimizer, weights)
    keys = states_of(optimizer)
    p, state = start(dtype, seed), optimizer.init(start(dtype, seed))
    for t, g in enumerate(gradients(dtype, seed)):
        for name, dw in named(g).items():
            weights[name].grad = torch.tensor(dw)
        if wrong is None and (schedule := schedule_of(optimizer)) is not None:
            set_rates(own, schedule(t))
        own.step()
        after = rebuild(p, {name: weight.detach().numpy().copy() for name, weight in weights.items()})
        held = {key: _state(own, weights, key_of, p) for key, key_of in keys.items()}
        seen = {f"{key}.{name}": a for key, tree in held.items() for name, a in named(tree).items()} | named(after)
        yield Step(p, g, state, t, seen)
        p, state = after, held


def fresh(dtype: str, seed: int = 0) -> dict[str, nn.Parameter]:
    return {name: nn.Parameter(torch.tensor(w)) for name, w in named(start(dtype, seed)).items()}


def _state(own: torch.optim.Optimizer, weights: dict[str, nn.Parameter], key: str, p: P) -> P:
    def copy(name: str, _: Array) -> Array | None:
        tensor = own.state[weights[name]].get(key)
        return None if tensor is None else tensor.numpy().copy()

    return zip_with(copy, p)


def of_numpy(optimizer: Any, step: Step, t: int | None = None) -> dict[str, Array]:
    """What a reference optimizer makes of that step's start."""
    seen: dict[str, Array] = {}

    def note(name: str, value: Array, /) -> Array:
        seen[name] = value
        return value

    optimizer.step(step.p, step.g, step.state, step.t if t is None else t, note)
    return seen


def together(steps: Sequence[Step], lead: tuple[int, ...] = (-1,)) -> Step:
    """The steps stacked, in an array of that shape, as a judge evaluates them."""

    def stacked(*trees: Any) -> Any:
        return zip_with(lambda _, *rows: np.stack(rows).reshape(*lead, *rows[0].shape), *trees)

    return Step(
        stacked(*(step.p for step in steps)),
        stacked(*(step.g for step in steps)),
        {key: stacked(*(step.state[key] for step in steps)) for key in steps[0].state},
        np.array([step.t for step in steps]).reshape(lead),
        {name: np.stack([step.seen[name] for step in steps]).reshape(*lead, *a.shape)
         for name, a in steps[0].seen.items()},
    )  # fmt: skip


class Judged(NamedTuple):
    """Where tensors are outside, by name; those whose radius is infinite somewhere; the largest error / radius."""

    wrong: dict[str, Array]
    vacuous: list[str]
    worst: float

    @property
    def outside(self) -> list[str]:
        """The tensors that are outside, in their order."""
        return list(self.wrong)

    @property
    def steps(self) -> set[int]:
        """Of stacked steps, the rows in which some tensor is outside."""
        return {int(row) for mask in self.wrong.values() for row in np.nonzero(mask)[0]}


def judged(optimizer: Any, step: Step, seen: dict[str, Array] | None = None) -> Judged:
    """The reference's step on balls, held up to what was seen; it goes on with that."""
    seen = step.seen if seen is None else seen
    wrong, vacuous, worst = dict[str, Array](), list[str](), [0.0]

    def sow(name: str, ball: Any, /) -> Any:
        assert seen[name].shape == ball.shape, name
        assert seen[name].dtype == ball.dtype, name
        bound, error = allowed(ball), np.abs(seen[name] - ball.value)
        if not (inside := error <= bound).all():
            wrong[name] = ~inside
        if not np.isfinite(bound).all():
            vacuous.append(name)
        worst.append(float(np.max(np.where(error > 0, error / bound, 0))))
        return Ball(seen[name])

    def balls(tree: Any) -> Any:
        return zip_with(lambda _, a: Ball(a), tree)

    with np.errstate(all="ignore"):
        state = {key: balls(tree) for key, tree in step.state.items()}
        optimizer.step(balls(step.p), balls(step.g), state, step.t, sow)
    return Judged(wrong, vacuous, max(worst))
