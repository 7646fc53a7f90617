"""Parameter groups, and clipping around them: who belongs where, and that each group steps as it would alone."""

from typing import Any

import numpy as np
import pytest

from reference.claim.tree import named
from reference.errors import InputError
from reference.optimizers.adam import Adam, AdamW
from reference.optimizers.clipping import ClippedByNorm, ClippedByValue
from reference.optimizers.groups import Groups
from reference.optimizers.rmsprop import RMSprop
from tests.reference.optimizers.trajectories import P, gradients, start


def biases(name: str) -> bool:
    return name.startswith("b")


def all_others(_name: str) -> bool:
    return True


def test_a_parameter_belongs_to_the_first_group_that_takes_it() -> None:
    groups = Groups(((biases, Adam()), ({"W2", "b1"}, Adam()), (all_others, Adam())))
    assert groups.parts(["W1", "b1", "W2"]) == [["b1"], ["W2"], ["W1"]]
    assert Groups(((all_others, Adam()), (biases, Adam()))).parts(["W1", "b1"]) == [["W1", "b1"], []]


def test_a_parameter_in_no_group_is_told_and_a_name_that_is_no_parameter() -> None:
    with pytest.raises(InputError, match=r"parameter W1: expected a group that it belongs to.*got none"):
        Groups(((biases, Adam()),)).init(start("float64"))
    with pytest.raises(InputError, match="a parameter group: expected names among W1, b1, W2, got b3"):
        Groups(((["b3"], Adam()), (all_others, Adam()))).init(start("float64"))


def test_each_group_steps_as_it_would_alone() -> None:
    p, g = start("float64"), gradients("float64")
    few, rest = RMSprop(0.1, momentum=0.9), AdamW(0.01, amsgrad=True)
    groups = Groups(((biases, few), (all_others, rest)))
    state = groups.init(p)
    assert {key: list(named(tree)) for key, tree in state.items()} == {
        "v": ["W1", "b1", "W2"], "b": ["b1"], "m": ["W1", "W2"], "x": ["W1", "W2"],
    }  # fmt: skip
    alone: dict[str, Any] = {"b1": few, "W1": rest, "W2": rest}
    single = {name: ({name: w}, alone[name].init({name: w})) for name, w in named(p).items()}
    for t, dp in enumerate(g):
        p, state = groups.step(p, dp, state, t)
        assert type(p) is P
        for name, before in single.items():
            q, own = alone[name].step(before[0], {name: getattr(dp, name)}, before[1], t)
            single[name] = q, own
            np.testing.assert_array_equal(getattr(p, name), q[name])
            for key, tree in own.items():
                np.testing.assert_array_equal(getattr(state[key], name), tree[name])


def test_a_group_without_parameters_does_nothing() -> None:
    p, g = start("float64"), gradients("float64")[0]
    groups = Groups((((), RMSprop(0.1, momentum=0.9)), (all_others, Adam(0.1))))
    state = groups.init(p)
    assert list(state) == ["m", "v"]
    moved, _ = groups.step(p, g, state, 0)
    alone, _ = Adam(0.1).step(p, g, Adam(0.1).init(p), 0)
    for name, w in named(moved).items():
        np.testing.assert_array_equal(w, getattr(alone, name))


# --- clipping -----------------------------------------------------------------------------------------


class Kept:
    """An optimizer that takes the gradient as it came for its next parameters."""

    def step(self, _p: Any, g: Any, state: Any, _t: Any, _sow: Any) -> tuple[Any, Any]:
        return g, state


def clipped(around: Any, g: Any, t: Any = 0) -> Any:
    return around.step(g, g, {}, t)[0]


def test_a_small_gradient_is_left_as_it_is() -> None:
    g = gradients("float64")[1]  # of a norm of about 0.005
    for around in (ClippedByNorm(Kept(), 1.0), ClippedByValue(Kept(), 1.0)):
        for name, dw in named(clipped(around, g)).items():
            np.testing.assert_array_equal(dw, getattr(g, name))


def test_the_norm_is_over_all_parameters_and_torchs_eps_is_added() -> None:
    g = {"W": np.array([[3.0]]), "b": np.array([4.0])}  # |g| = 5
    c = 1.0 / (5.0 + 1e-6)
    assert {name: dw.item() for name, dw in clipped(ClippedByNorm(Kept(), 1.0), g).items()} == {"W": 3 * c, "b": 4 * c}
    assert clipped(ClippedByValue(Kept(), 3.5), g)["b"] == 3.5


def test_each_stacked_step_has_its_own_norm() -> None:
    g = {"W": np.array([[[3.0]], [[0.3]]]), "b": np.array([[4.0], [0.4]])}
    came = clipped(ClippedByNorm(Kept(), 1.0), g, np.arange(2))
    assert came["W"][1] == 0.3
    assert came["W"][0] == 3 / (5 + 1e-6)


def test_a_gradient_of_zeros_stays_one() -> None:
    g = {"W": np.zeros((2, 2), np.float32)}
    assert not clipped(ClippedByNorm(Kept(), 1.0), g)["W"].any()
    assert clipped(ClippedByNorm(Kept(), 1.0), g)["W"].dtype == np.float32
