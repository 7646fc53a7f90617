"""A whole training step on balls, with radii that propagate from end to end."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reference.claim.experiment import Experiment
from reference.losses import SquaredError
from reference.networks import mlp
from reference.optimizers.sgd import SGD
from reference.traces.training import train as train_numpy
from tests.attack.adversary import (
    FORMATS,
    centre_of,
    hostile,
    rational,
    worst,
)
from tests.attack.strategies import formats, kinds, precisions, seeds
from tests.steps import step_of
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format
from torch_mirror.training.loop import train as train_torch

LR = 0.1  # float32 cannot hold it, so it brings a rounding of its own
mean = SquaredError("mean", 1)


@given(formats, kinds, st.sampled_from(["integers", "decimals", "normal", "cancelling", "sparse"]), seeds, precisions)
def test_a_whole_step_with_radii_that_propagate(
    fmt: Format, kind: str, weights: str, seed: int, precision: str
) -> None:
    """Two layers, an undecided ReLU at times, backward, SGD: torch, NumPy and the exact step, every tensor."""
    rng = np.random.default_rng(seed)
    x, t = hostile(kind, (3, 2), fmt, rng), hostile(weights, (3, 2), fmt, rng)
    widths = (2, 3, 2)
    W = tuple(hostile(weights, (n, m), fmt, rng) for m, n in pairwise(widths))
    b = tuple(hostile(weights, (n,), fmt, rng) for n in widths[1:])
    assert end_to_end(Experiment(mlp.MLP(widths), mlp.Parameters(W, b), x, t, mean, SGD(LR), 1), precision) <= 1


def test_an_undecided_branch_is_inside() -> None:
    """0.1 + 0.2 - 0.3 is 0 in no order that floating point knows, and exactly neither of the two it gives."""
    W = (np.array([[0.1, 0.2], [0.2, 0.1]]), np.array([[3.0, -7.0]]))
    b = (np.array([-0.3, -0.3]), np.array([0.5]))
    e = Experiment(mlp.MLP((2, 2, 1)), mlp.Parameters(W, b), np.ones((1, 2)), np.ones((1, 1)), mean, SGD(LR), 1)
    z = Ball(e.x) @ Ball(W[0]).mT + Ball(b[0])[None]
    assert (z.radius > np.abs(z.value)).all()
    assert end_to_end(e, "tested") <= 1
    assert end_to_end(e, "wider") <= 1


def end_to_end(e: Experiment, precision: str) -> float:
    """The worst error / radius over every tensor of a step, nothing known of what lies between."""
    fmt = next(f for f in FORMATS if f.dtype == e.dtype)
    centre = centre_of(fmt, precision)

    with np.errstate(all="ignore"):
        balls, exact = step_of(e, lambda a: Ball(a.astype(centre), 0, fmt), float), step_of(e, rational, Fraction)
        traces = [train_torch(e), train_numpy(e)]
        seen = {name: [np.asarray(t[name][-1]) for t in traces] for name in balls}
        return max(worst(ball, exact[name], seen[name]) for name, ball in balls.items())
