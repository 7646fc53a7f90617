"""Hypothesis strategies for losses and optimizers: for this project's suite, and for users' own.

    @given(strategies.experiments(losses=claims.losses(), optimizers=claims.optimizers()))
    def test_my_training(experiment): ...

All options are such as torch takes, so that every loss and optimizer drawn has a mirror: they stand in the tables of
``torch_mirror.losses`` and ``torch_mirror.optimizers``, one row a file.
Needs hypothesis, which is not among this package's own requirements.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from reference.arrays import Array
from reference.optimizers.clipping import ClippedByNorm, ClippedByValue
from reference.optimizers.groups import Groups
from torch_mirror.by_name import class_of
from torch_mirror.losses import HOME as LOSSES_HOME
from torch_mirror.losses import LOSSES, row_of
from torch_mirror.optimizers import HOME as OPTIMIZERS_HOME
from torch_mirror.optimizers import OPTIMIZERS

RATES = (2.0**-6, 0.1, 0.01, 0.001)
BOUNDS = (0.25, 0.1, 3.0)


# --- losses -------------------------------------------------------------------------------------------


def losses() -> st.SearchStrategy[Any]:
    """Every loss of ``torch_mirror.losses`` with all its options, of the whole of y."""
    reductions = {"reduction": ("sum", "mean")}
    rows = [(class_of(LOSSES_HOME, file), row.options) for file, row in LOSSES.items()]
    return st.one_of([_built(kind, {**reductions, **options}) for kind, options in rows])


def fits(network: Any, loss: Any) -> bool:
    """Whether the network's y is what the loss takes: a probability, or two classes or more."""
    row = row_of(loss)
    if row is not None and row.of_probabilities:
        return getattr(network, "output", None) == "sigmoid"
    return row is None or row.targets != "classes" or network.outputs > 1


@st.composite
def targets(draw: st.DrawFn, loss: Any, numbers: Array, draws: np.random.Generator) -> Array:
    """Targets that the loss takes, in float64 or int64. numbers: (..., batch, out), those of a loss that takes any."""
    row = row_of(loss)
    if row is not None and row.targets == "classes":
        if draw(st.booleans()):
            return draws.integers(0, numbers.shape[-1], numbers.shape[:-1])
        return draws.dirichlet(np.ones(numbers.shape[-1]), numbers.shape[:-1])
    if row is not None and row.targets == "binary":
        return (numbers > 0).astype(float) if draw(st.booleans()) else draws.random(numbers.shape)
    return numbers


# --- optimizers ---------------------------------------------------------------------------------------


def rates(*, steps: int = 0) -> st.SearchStrategy[Any]:
    """A learning rate; or if there are steps, also one for each of them."""
    one = st.sampled_from(RATES)
    return st.one_of(one, st.lists(one, min_size=steps, max_size=steps).map(tuple)) if steps else one


def of_file(file: str, *, steps: int = 0, **fixed: Any) -> st.SearchStrategy[Any]:
    """The optimizer of a file of ``reference.optimizers`` with every option that torch has, too, but for the fixed."""
    drawn = {name: st.sampled_from(values) for name, values in OPTIMIZERS[file].drawn.items() if name not in fixed}
    kind: Callable[..., Any] = class_of(OPTIMIZERS_HOME, file)
    return st.fixed_dictionaries({"lr": rates(steps=steps), **drawn}).map(lambda options: kind(**options, **fixed))


def groups(names: Sequence[str] = (), *, steps: int = 0) -> st.SearchStrategy[Groups]:
    """Two groups of one kind, as torch has them: some of the names, or without names all biases; and all others."""
    kinds = st.sampled_from((of_file("adam", steps=steps, decoupled=False), of_file("rmsprop", steps=steps)))
    two = kinds.flatmap(lambda kind: st.tuples(kind, kind))
    some = st.lists(st.sampled_from(list(names)), unique=True).map(tuple) if names else st.just(is_bias)
    return st.tuples(some, two).map(lambda drawn: Groups(((drawn[0], drawn[1][0]), (any_name, drawn[1][1]))))


def optimizers(names: Sequence[str] = (), *, steps: int = 0, clipped: bool = True) -> st.SearchStrategy[Any]:
    """Every optimizer but SGD, alone and in groups, and unless told otherwise clipped.

    names: of parameters, for the groups; without them the biases are one. steps: of the run, for schedules; none if 0.
    """
    alone = [of_file(file, steps=steps) for file in OPTIMIZERS if file != "sgd"]  # which ``strategies.sgds`` draws
    either = st.one_of(*alone, groups(names, steps=steps))
    if not clipped:
        return either
    each = st.tuples(either, st.sampled_from(BOUNDS))
    return st.one_of(either, each.map(lambda both: ClippedByNorm(*both)), each.map(lambda both: ClippedByValue(*both)))


def _built(kind: Callable[..., Any], options: Mapping[str, Sequence[Any]]) -> st.SearchStrategy[Any]:
    """kind(**options): st.builds would draw the options that are left at their defaults, too."""
    drawn = {name: st.sampled_from(values) for name, values in options.items()}
    return st.fixed_dictionaries(drawn).map(lambda chosen: kind(**chosen))


def any_name(_name: str) -> bool:
    """Every parameter."""
    return True


def is_bias(name: str) -> bool:
    """Whether a parameter is a bias, by its name."""
    return name.startswith("b")
