"""Laws of the reference's equations, judged by equality: on exact data there is nothing to tolerate.

Upstream gradients are arbitrary: all ones, they would hide whatever is lost on the way down.
"""

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.objective import features
from reference.claim.tree import named, rebuild, zip_with
from tests.attack.adversary import rational
from tests.steps import gradients, step, step_of
from torch_mirror.doors import strategies

if TYPE_CHECKING:
    from torch_mirror.doors.strategies import DTypeName

each_network = pytest.mark.parametrize("network", strategies.EXACT)

HIDDEN = {"two_layer_linear": ("W1", "b1", "W2"), "two_layer_relu": ("W1", None, "W2"), "mlp": ("W1", "b1", "W2")}
"""Of the first hidden layer, by network: the weight and bias that make it, the weight that reads it."""


def pull_back(e: Experiment, dy: Array) -> dict[str, Array]:
    """The gradients of the experiment's parameters from an upstream gradient."""
    _, cache = e.network.forward(e.parameters, features(e.network, e.x))
    return named(e.network.backward(e.parameters, cache, dy))


def all_gradients(e: Experiment, p: Any, x: Array, t: Array) -> dict[str, Array]:
    return named(gradients(e.network, p, features(e.network, x), t, e.loss))


def assert_same(one: dict[str, Array], other: dict[str, Array]) -> None:
    assert list(one) == list(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@each_network
@given(data=st.data())
def test_backward_is_linear_in_the_upstream_gradient(network: str, data: st.DataObject) -> None:
    e = data.draw(strategies.exact_experiments(names=[network]))
    draws = data.draw(strategies.generators())
    u, v = (strategies.draw_array(draws, "integers", e.t.shape).astype(e.dtype) for _ in range(2))
    of_u, of_v, of_both = pull_back(e, u), pull_back(e, v), pull_back(e, 2 * u - v)
    assert_same(of_both, {name: 2 * of_u[name] - of_v[name] for name in of_u})


@pytest.mark.parametrize("network", HIDDEN)
@given(data=st.data())
def test_permuting_hidden_units_permutes_the_gradients(network: str, data: st.DataObject) -> None:
    deep = strategies.exact_experiments(names=[network])
    e = data.draw(deep.filter(lambda e: HIDDEN[network][2] in named(e.parameters)))
    W, b, above = HIDDEN[network]
    order = data.draw(st.permutations(range(len(named(e.parameters)[W]))))

    def permute(name: str, a: Array) -> Array:
        return a[..., order] if name == above else a[order] if name in (W, b) else a

    straight = all_gradients(e, e.parameters, e.x, e.t)
    crossed = all_gradients(e, zip_with(permute, e.parameters), e.x, e.t)
    assert_same(crossed, {name: permute(name, a) for name, a in straight.items()})


@each_network
@given(data=st.data())
def test_gradients_of_the_parts_of_a_batch_add_up(network: str, data: st.DataObject) -> None:
    experiments = strategies.exact_experiments(names=[network])
    e = data.draw(experiments.filter(lambda e: len(e.x) > 1))
    e = replace(e, loss=e.loss._replace(reduction="sum"))
    cut = data.draw(st.integers(1, len(e.x) - 1))
    first = all_gradients(e, e.parameters, e.x[:cut], e.t[:cut])
    rest = all_gradients(e, e.parameters, e.x[cut:], e.t[cut:])
    whole = all_gradients(e, e.parameters, e.x, e.t)
    assert_same(whole, {name: first[name] + rest[name] for name in whole})


@each_network
@given(data=st.data())
def test_stacked_runs_give_each_runs_own_step(network: str, data: st.DataObject) -> None:
    e = data.draw(strategies.exact_experiments(names=[network]))
    draws, runs = data.draw(strategies.generators()), data.draw(st.integers(1, 4))
    dtype: DTypeName = "float32" if e.dtype == np.float32 else "float64"
    starts = [strategies.parameters(e.network, draws, "integers", dtype) for _ in range(runs)]
    stacked = rebuild(e.parameters, {name: np.stack([named(p)[name] for p in starts]) for name in named(e.parameters)})
    x = features(e.network, e.x)
    together = named(step(e.network, stacked, x, e.t, e.loss, e.optimizer))
    for i, start in enumerate(starts):
        alone = named(step(e.network, start, x, e.t, e.loss, e.optimizer))
        assert_same({name: a[i] for name, a in together.items()}, alone)


@each_network
@given(data=st.data())
def test_equations_agree_with_rational_arithmetic(network: str, data: st.DataObject) -> None:
    e = data.draw(strategies.exact_experiments(names=[network]))
    floats, fractions = step_of(e, lambda a: a, float), step_of(e, rational, Fraction)
    assert list(floats) == list(fractions)
    for name, array in floats.items():
        assert array.dtype == e.dtype
        np.testing.assert_array_equal(rational(array), fractions[name], err_msg=name)
