"""Hypothesis strategies for losses and optimizers: for this project's suite, and for users' own.

    @given(strategies.experiments(losses=claims.losses(), optimizers=claims.optimizers()))
    def test_my_training(experiment): ...

All options are such as torch takes, so that every loss and optimizer drawn has a mirror. Options are of both
sorts: powers of two, by which a product is exact, and decimals, which are themselves rounded.
Needs hypothesis, which is not among this package's own requirements.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from reference.arrays import Array
from reference.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CrossEntropy,
    Huber,
    SmoothL1,
    SquaredError,
)
from reference.optimizers.adagrad import Adagrad
from reference.optimizers.adam import Adam
from reference.optimizers.clipping import ClippedByNorm, ClippedByValue
from reference.optimizers.groups import Groups
from reference.optimizers.rmsprop import RMSprop

RATES = (2.0**-6, 0.1, 0.01, 0.001)
SMOOTHING = (0.0, 0.25, 0.1)
WIDTHS = (1.0, 0.5, 0.3)
BETAS = (0.0, 0.5, 0.9, 0.99, 0.999)
EPSILONS = (1e-8, 1e-10, 2.0**-10)
DECAYS = (0.0, 2.0**-6, 0.01)
BOUNDS = (0.25, 0.1, 3.0)


# --- losses -------------------------------------------------------------------------------------------


def losses() -> st.SearchStrategy[Any]:
    """Every loss of ``reference.losses`` with all its options, of the whole of y."""
    reduction = st.sampled_from(("sum", "mean"))
    return st.one_of(
        _built(SquaredError, reduction, st.sampled_from(WIDTHS)),
        _built(AbsoluteError, reduction),
        _built(Huber, reduction, st.sampled_from(WIDTHS)),
        _built(SmoothL1, reduction, st.sampled_from(WIDTHS)),
        _built(CrossEntropy, reduction, st.sampled_from(SMOOTHING)),
        _built(BinaryCrossEntropy, reduction),
        _built(BinaryCrossEntropyWithLogits, reduction),
    )


def fits(network: Any, loss: Any) -> bool:
    """Whether the network's y is what the loss takes: a probability, or two classes or more."""
    if isinstance(loss, BinaryCrossEntropy):
        return getattr(network, "output", None) == "sigmoid"
    return not isinstance(loss, CrossEntropy) or network.outputs > 1


@st.composite
def targets(draw: st.DrawFn, loss: Any, numbers: Array, draws: np.random.Generator) -> Array:
    """Targets that the loss takes, in float64 or int64. numbers: (..., batch, out), those of a loss that takes any."""
    if isinstance(loss, CrossEntropy):
        if draw(st.booleans()):
            return draws.integers(0, numbers.shape[-1], numbers.shape[:-1])
        return draws.dirichlet(np.ones(numbers.shape[-1]), numbers.shape[:-1])
    if isinstance(loss, (BinaryCrossEntropy, BinaryCrossEntropyWithLogits)):
        return (numbers > 0).astype(float) if draw(st.booleans()) else draws.random(numbers.shape)
    return numbers


# --- optimizers ---------------------------------------------------------------------------------------


def rates(*, steps: int = 0) -> st.SearchStrategy[Any]:
    """A learning rate; or if there are steps, also one for each of them."""
    one = st.sampled_from(RATES)
    return st.one_of(one, st.lists(one, min_size=steps, max_size=steps).map(tuple)) if steps else one


def adams(*, steps: int = 0) -> st.SearchStrategy[Adam]:
    """Adam and AdamW with every option that torch has, too."""
    beta, flag = st.sampled_from(BETAS), st.booleans()
    return _built(
        Adam, rates(steps=steps), st.tuples(beta, beta), st.sampled_from(EPSILONS), st.sampled_from(DECAYS), flag, flag,
        flag,
    )  # fmt: skip


def rmsprops(*, steps: int = 0) -> st.SearchStrategy[RMSprop]:
    """RMSprop with every option that torch has, too."""
    return _built(
        RMSprop, rates(steps=steps), st.sampled_from(BETAS[1:]), st.sampled_from(EPSILONS), st.sampled_from(DECAYS),
        st.sampled_from((0.0, 0.5, 0.9)), st.booleans(), st.booleans(),
    )  # fmt: skip


def adagrads(*, steps: int = 0) -> st.SearchStrategy[Adagrad]:
    """Adagrad with all its options."""
    return _built(
        Adagrad, rates(steps=steps), st.sampled_from(DECAYS), st.sampled_from(DECAYS), st.sampled_from((0.0, 0.5, 0.1)),
        st.sampled_from(EPSILONS), st.booleans(),
    )  # fmt: skip


def groups(names: Sequence[str] = (), *, steps: int = 0) -> st.SearchStrategy[Groups]:
    """Two groups of one kind, as torch has them: some of the names, or without names all biases; and all others."""
    kinds = st.sampled_from((adams(steps=steps).map(_not_decoupled), rmsprops(steps=steps)))
    two = kinds.flatmap(lambda kind: st.tuples(kind, kind))
    some = st.lists(st.sampled_from(list(names)), unique=True).map(tuple) if names else st.just(is_bias)
    return _built(lambda few, pair: Groups(((few, pair[0]), (any_name, pair[1]))), some, two)


def optimizers(names: Sequence[str] = (), *, steps: int = 0, clipped: bool = True) -> st.SearchStrategy[Any]:
    """Every optimizer but SGD, alone and in groups, and unless told otherwise clipped.

    names: of parameters, for the groups; without them the biases are one. steps: of the run, for schedules; none if 0.
    """
    either = st.one_of(adams(steps=steps), rmsprops(steps=steps), adagrads(steps=steps), groups(names, steps=steps))
    if not clipped:
        return either
    largest = st.sampled_from(BOUNDS)
    return st.one_of(either, _built(ClippedByNorm, either, largest), _built(ClippedByValue, either, largest))


def _built(kind: Callable[..., Any], *options: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """kind(*options): st.builds would draw the options that are left at their defaults, too."""
    return st.tuples(*options).map(lambda drawn: kind(*drawn))


def _not_decoupled(adam: Adam) -> Adam:
    return adam._replace(decoupled=False)


def any_name(_name: str) -> bool:
    """Every parameter."""
    return True


def is_bias(name: str) -> bool:
    """Whether a parameter is a bias, by its name."""
    return name.startswith("b")
