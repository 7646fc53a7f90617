"""Hypothesis strategies for losses and optimizers: for this project's suite, and for users' own.

    @given(claims.losses(), claims.optimizers())
    def test_my_training(loss, optimizer): ...

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


def outputs_and_targets(
    loss: Any, draws: np.random.Generator, shape: tuple[int, ...], dtype: str, *, labels: bool = True
) -> tuple[Array, Array]:
    """y of that shape, and t, such as the loss takes: numbers, logits, probabilities, 0 and 1, or labels.

    labels: integer labels for a cross-entropy, 0 and 1 for a binary one; else probabilities. A fifth of the
    numbers are ties, y = t. Probabilities y are neither 0 nor 1.
    """
    y = draws.normal(size=shape).astype(dtype)
    if isinstance(loss, CrossEntropy):
        if labels:
            return y, draws.integers(0, shape[-1], shape[:-1])
        return y, draws.dirichlet(np.ones(shape[-1]), shape[:-1]).astype(dtype)
    if isinstance(loss, (BinaryCrossEntropy, BinaryCrossEntropyWithLogits)):
        if isinstance(loss, BinaryCrossEntropy):
            y = draws.uniform(0.001, 0.999, shape).astype(dtype)
        t = draws.integers(0, 2, shape) if labels else draws.random(shape)
        return y, t.astype(dtype)
    return y, np.where(draws.random(shape) < 0.2, y, draws.normal(size=shape).astype(dtype))


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


def groups(names: Sequence[str], *, steps: int = 0) -> st.SearchStrategy[Groups]:
    """Two groups of one kind, as torch has them: some of the names, and all others."""
    kinds = st.sampled_from((adams(steps=steps).map(_not_decoupled), rmsprops(steps=steps)))
    two = kinds.flatmap(lambda kind: st.tuples(kind, kind))
    some = st.lists(st.sampled_from(list(names)), unique=True)
    return _built(lambda few, pair: Groups(((tuple(few), pair[0]), (_any_name, pair[1]))), some, two)


def optimizers(names: Sequence[str] = (), *, steps: int = 0) -> st.SearchStrategy[Any]:
    """Every optimizer but SGD, alone, in groups if there are names of parameters, and clipped.

    steps: of the run, for schedules; none if 0.
    """
    alone = st.one_of(adams(steps=steps), rmsprops(steps=steps), adagrads(steps=steps))
    either = st.one_of(alone, groups(names, steps=steps)) if names else alone
    largest = st.sampled_from(BOUNDS)
    return st.one_of(either, _built(ClippedByNorm, either, largest), _built(ClippedByValue, either, largest))


def _built(kind: Callable[..., Any], *options: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """kind(*options): st.builds would draw the options that are left at their defaults, too."""
    return st.tuples(*options).map(lambda drawn: kind(*drawn))


def _not_decoupled(adam: Adam) -> Adam:
    return adam._replace(decoupled=False)


def _any_name(_name: str) -> bool:
    return True
