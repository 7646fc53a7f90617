"""Every optimizer with every option: torch's steps lie within the radius of the reference's, wrong ones do not."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reference.claim.tree import named, zip_with
from reference.optimizers.adagrad import Adagrad
from reference.optimizers.adam import Adam, AdamW
from reference.optimizers.clipping import ClippedByValue
from reference.optimizers.groups import Groups
from reference.optimizers.rmsprop import RMSprop
from reference.optimizers.sgd import SGD
from tests.conformance.optimizers import (
    ADAGRADS,
    ADAMS,
    AROUND,
    OPTIMIZERS,
    RMSPROPS,
    SCHEDULE,
    SOME,
    WRONG,
    all_others,
    biases,
    name_of,
)
from tests.reference.optimizers.trajectories import (
    SHAPES,
    STEPS,
    P,
    gradients,
    judged,
    of_numpy,
    of_torch,
    start,
    together,
)
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.exact import Exact
from torch_mirror.optimizers import optimizer_of, states_of

ALL = [row for row in OPTIMIZERS.values() if not isinstance(row, SGD)]  # which tests/reference/test_sgd.py has
TAKEN = [row for row in ALL if name_of(row) in SOME]


# --- what is right ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", TAKEN, ids=name_of)
def test_each_step_of_torch_and_of_numpy_is_within_the_radius(optimizer: Any, dtype: str) -> None:
    """All of them stacked, and three each by itself: the first, the second and the last."""
    steps = list(of_torch(optimizer, dtype, seed=ALL.index(optimizer)))
    of_both = [*steps, *(step._replace(seen=of_numpy(optimizer, step)) for step in steps)]
    for step in (together(of_both), *(step for step in of_both if step.t in (0, 1, STEPS - 1))):
        result = judged(optimizer, step)
        assert not result.outside, (step.t, result)
        assert not result.vacuous, (step.t, result)


@pytest.mark.parametrize("optimizer", TAKEN, ids=name_of)
def test_the_states_are_torchs(optimizer: Any) -> None:
    names = set(states_of(optimizer))
    assert set(optimizer.init(start("float32"))) == names
    step = next(of_torch(optimizer, "float32"))
    sown = of_numpy(optimizer, step)
    assert set(sown) == set(step.seen)
    assert {name.split(".")[0] for name in sown if "." in name} == names


@pytest.mark.parametrize("optimizer", [o for o in TAKEN if "Groups" not in str(o)], ids=name_of)
def test_states_are_sown_tree_by_tree_and_then_the_parameters(optimizer: Any) -> None:
    sown = of_numpy(optimizer, next(of_torch(optimizer, "float64")))
    trees = list(optimizer.init(start("float64")))
    assert list(sown) == [*(f"{tree}.{name}" for tree in trees for name in P._fields), *P._fields]


@pytest.mark.parametrize("optimizer", TAKEN, ids=name_of)
def test_a_step_goes_on_with_what_sow_returns(optimizer: Any) -> None:
    step = next(of_torch(optimizer, "float64"))
    planted = {name: a * 1.25 for name, a in step.seen.items()}
    p, state = optimizer.step(step.p, step.g, step.state, step.t, lambda name, _: planted[name])
    came = named(p) | {f"{key}.{name}": a for key, tree in state.items() for name, a in named(tree).items()}
    assert came.keys() == planted.keys()
    assert all(came[name] is a for name, a in planted.items())
    assert set(P._fields) <= set(judged(optimizer, step, planted).outside)  # and each equation sees it


EXACT: list[tuple[Any, list[str]]] = [
    (Adam(0.1, (0.5, 0.75)), ["m", "v"]),
    (Adam(0.1, (0.25, 0.75), weight_decay=0.5, amsgrad=True, maximize=True), ["m", "v", "x"]),
    (RMSprop(0.1, 0.75, weight_decay=0.25), ["v"]),
    (RMSprop(0.1, 0.25, centered=True), ["v", "m"]),
    (Adagrad(0.1, initial_accumulator_value=0.5), ["s"]),
    (ClippedByValue(Adagrad(0.1), 1.5), ["s"]),
    (Groups(((biases, Adam(0.1, (0.5, 0.75))), (all_others, Adam(0.1, (0.25, 0.5))))), ["m", "v"]),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("optimizer", "trees"), EXACT, ids=name_of)
def test_where_nothing_rounds_the_states_are_equal(optimizer: Any, trees: list[str], dtype: str) -> None:
    """Eighths have few bits: the radius of each new state is 0, and torch's is the same to the bit."""
    rng = np.random.default_rng(0)
    p, g = (P(*(rng.integers(-16, 17, shape).astype(dtype) / 8 for shape in SHAPES)) for _ in "pg")
    weights = {name: nn.Parameter(torch.tensor(w)) for name, w in named(p).items()}
    own = optimizer_of(optimizer, weights)
    for name, weight in weights.items():
        weight.grad = torch.tensor(getattr(g, name))
    own.step()
    keys, seen = states_of(optimizer), {}

    def compare(name: str, ball: Any, /) -> Any:
        tree, _, leaf = name.rpartition(".")
        if tree:
            seen[tree] = True
            assert not ball.radius.any(), name
            np.testing.assert_array_equal(own.state[weights[leaf]][keys[tree]].numpy(), ball.value, err_msg=name)
        return ball

    def balls(tree: Any) -> Any:
        return zip_with(lambda _, a: Ball(a), tree)

    with np.errstate(all="ignore"):
        state = {key: balls(tree) for key, tree in optimizer.init(p).items()}
        optimizer.step(balls(p), balls(g), state, 0, compare)
    assert list(seen) == trees


# --- stacked steps ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "lead"), [("float32", (4, STEPS // 4)), ("float64", (STEPS,))])
@pytest.mark.parametrize("optimizer", TAKEN, ids=name_of)
def test_stacked_steps_are_single_ones(optimizer: Any, dtype: str, lead: tuple[int, ...]) -> None:
    """Bit for bit; behind a norm, whose sum may differ in order, within the radius."""
    steps = list(of_torch(optimizer, dtype))
    rows = of_numpy(optimizer, together(steps, lead))
    assert {row.dtype for row in rows.values()} == {np.dtype(dtype)}
    for step in steps:
        seen = {name: row[np.unravel_index(step.t, lead)] for name, row in rows.items()}
        if "Norm" in str(optimizer):
            assert not judged(optimizer, step, seen).outside
        else:
            for name, value in of_numpy(optimizer, step).items():
                np.testing.assert_array_equal(seen[name], value, err_msg=name)


@pytest.mark.parametrize("optimizer", TAKEN, ids=name_of)
def test_stacked_balls_are_stacked_arrays(optimizer: Any) -> None:
    """As a judge evaluates them: many steps at once, and all of torch's values within the radius."""
    all_steps = together(list(of_torch(optimizer, "float32")))
    result = judged(optimizer, all_steps)
    assert not result.outside
    assert not result.vacuous
    wrong = all_steps._replace(t=np.arange(1, STEPS + 1) % STEPS)
    if any(word in name_of(optimizer) for word in ("Adam(", "SCHEDULE")):  # whose rate depends on the step
        assert judged(optimizer, wrong).outside


@pytest.mark.parametrize("optimizer", TAKEN, ids=name_of)
def test_numbers_keep_their_dtype(optimizer: Any) -> None:
    for step in of_torch(optimizer, "float32"):
        assert {a.dtype for a in of_numpy(optimizer, step).values()} == {np.dtype(np.float32)}


def test_what_is_given_is_left_as_it_is() -> None:
    for optimizer in ALL:
        step = next(of_torch(optimizer, "float64"))
        given = [step.p, step.g, *step.state.values()]
        before = [{name: a.copy() for name, a in named(tree).items()} for tree in given]
        of_numpy(optimizer, step)
        for tree, copy in zip(given, before, strict=True):
            for name, a in named(tree).items():
                np.testing.assert_array_equal(a, copy[name])


# --- exact numbers ------------------------------------------------------------------------------------

BITS = 200


@pytest.mark.parametrize("optimizer", [*ADAMS[:6], *RMSPROPS[:8], *ADAGRADS[:4], *AROUND], ids=name_of)
def test_the_exact_step_lies_in_the_ball(optimizer: Any) -> None:
    """The same equations on numbers of 200 bits: each is at most a radius from the centre, which a ball promises."""
    by = Exact(BITS)
    step = list(of_torch(optimizer, "float32"))[3]
    exact: dict[str, Any] = {}

    def numbers(tree: Any) -> Any:
        return zip_with(lambda _, a: by.array(a), tree)

    def keep_exact(name: str, value: Any, /) -> Any:
        exact[name] = by.array(value)
        return by.array(step.seen[name])

    def compare(name: str, ball: Any, /) -> Any:
        centre, radius = by.array(ball.value), by.array(ball.radius * (1 + 2**-12))  # the radius is rounded itself
        assert (np.abs(exact[name] - centre) <= radius).all(), name
        return Ball(step.seen[name])

    with by.precision():
        state = {key: numbers(tree) for key, tree in step.state.items()}
        optimizer.step(numbers(step.p), numbers(step.g), state, step.t, keep_exact)
        assert exact.keys() == step.seen.keys()

        def balls(tree: Any) -> Any:
            return zip_with(lambda _, a: Ball(a), tree)

        with np.errstate(all="ignore"):
            state = {key: balls(tree) for key, tree in step.state.items()}
            optimizer.step(balls(step.p), balls(step.g), state, step.t, compare)


# --- what is wrong ------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_optimizer_is_outside_at_its_own_tensor(name: str) -> None:
    right, wrong, tensor, first = WRONG[name]
    for step in of_torch(right, "float64"):
        own = {key: step.state.get(key, tree) for key, tree in wrong.init(step.p).items()}
        outside = judged(right, step, step.seen | of_numpy(wrong, step._replace(state=own))).outside
        if step.t == first:
            assert outside[0] == tensor
            return
        assert not outside, step.t


@pytest.mark.parametrize("optimizer", [Adam(0.1), AdamW(0.1), Adagrad(0.1, 0.1), Adam(SCHEDULE)], ids=name_of)
@pytest.mark.parametrize("off", [-1, 1])
def test_a_step_counted_wrongly_is_outside(optimizer: Any, off: int) -> None:
    steps = [s for s in of_torch(optimizer, "float64") if 0 < s.t < STEPS - 1]
    for step in steps:
        assert judged(optimizer, step, of_numpy(optimizer, step, step.t + off)).outside


@pytest.mark.parametrize("optimizer", TAKEN, ids=name_of)
def test_a_gradient_times_two_is_outside(optimizer: Any) -> None:
    """Where the norm is clipped anyway a factor is none, and a value at its bound stays there."""
    steps = together(list(of_torch(optimizer, "float64")))
    twice = steps._replace(g=zip_with(lambda _, dw: 2 * dw, steps.g))
    if "Clipped" not in str(optimizer):
        assert judged(optimizer, steps, of_numpy(optimizer, twice)).steps == {*range(STEPS)}


@pytest.mark.parametrize("optimizer", TAKEN, ids=name_of)
def test_a_state_that_is_not_carried_on_is_outside(optimizer: Any) -> None:
    """At each step but the first, which starts from such a state."""
    steps = list(of_torch(optimizer, "float64"))
    anew = together([step._replace(state=optimizer.init(step.p)) for step in steps])
    assert judged(optimizer, together(steps), of_numpy(optimizer, anew)).steps == {*range(1, STEPS)}


def test_gradients_have_rows_of_zeros() -> None:
    assert all((g.W1[1] == 0).all() for g in gradients("float32"))
