"""Wrong steps of hand-written optimizers: of trees, of some leaves alone, with state that is seen or not."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from reference.optimizers.adam import Adam, AdamW
from reference.optimizers.rmsprop import RMSprop
from reference.optimizers.sgd import SGD
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.tape.edits.case import meets
from torch_mirror.tape.edits.explain_updates import explain_update
from torch_mirror.tape.edits.told import Explanation
from torch_mirror.tape.edits.updates import settings_of, update_equation

R = np.random.default_rng(0)
P = {"W1": R.standard_normal((4, 3)), "b1": R.standard_normal(3), "W2": R.standard_normal((3, 2))}
G = {name: R.standard_normal(a.shape) for name, a in P.items()}
BEFORE = {name: R.standard_normal(a.shape) for name, a in P.items()}
V = {name: R.uniform(0.1, 1, a.shape) for name, a in P.items()}
M = {name: R.standard_normal(a.shape) for name, a in P.items()}
BUDGET = 60.0


def words(e: Explanation) -> list[str]:
    return [cause.words for finding in e.findings for cause in finding.causes]


def stepped(step: Callable[..., Any], state: Mapping[str, Any]) -> dict[str, Number]:
    """The results of a step of one leaf, for all of them, by the names that a reference optimizer sows."""
    seen: dict[str, Number] = {}
    for name, p in P.items():
        w, after = step(name, Ball(p), Ball(G[name]), *(Ball(tree[name]) for tree in state.values()))
        seen[name] = w.settled()
        seen |= {f"{key}.{name}": x.settled() for key, x in zip(state, after, strict=True)}
    return seen


def momentum(_: str, w: Any, g: Any, v: Any) -> Any:
    v = 0.9 * v + g
    return w - 0.05 * v, (v,)


@pytest.mark.parametrize("optimizer", [
    SGD(0.1), SGD(0.1, 0.9, weight_decay=0.01), SGD(0.1, 0.9, nesterov=True), SGD(0.1, 0.9, dampening=0.5),
    Adam(1e-2, weight_decay=0.1), AdamW(), Adam(amsgrad=True), Adam(eps_inside=True), RMSprop(momentum=0.5),
    RMSprop(centered=True), RMSprop(eps_inside=True), SGD([0.1, 0.05, 0.02, 0.01]),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("t", [0, 3])
def test_the_equation_is_the_optimizers_step(optimizer: Any, t: int) -> None:
    state = {name: {"p": V["W1"]} for name in optimizer.init({"p": P["W1"]})}
    cells = {k: {"p": Ball(a["p"])} for k, a in state.items()}
    p, after = optimizer.step({"p": Ball(P["W1"])}, {"p": Ball(G["W1"])}, cells, t)
    eq = update_equation(optimizer, P["W1"], G["W1"], {k: a["p"] for k, a in state.items()}, t)
    assert set(eq.outputs) == {"p", *state}
    for name, i in eq.outputs.items():
        x = (p if name == "p" else after[name])["p"].settled()
        if np.isfinite(x.value).all():
            assert meets(x, eq.values[i].settled())


def test_settings_are_called_by_their_names() -> None:
    assert settings_of(Adam(1e-2, (0.8, 0.99), weight_decay=0.1), 0) == {
        "lr": 1e-2, "weight decay": 0.1, "eps": 1e-8, "beta1": 0.8, "beta2": 0.99,
    }  # fmt: skip
    assert settings_of(SGD([0.1, 0.05], 0.9), 1) == {"lr": 0.05, "momentum": 0.9}


def test_of_a_right_step_nothing_is_said() -> None:
    e = explain_update(SGD(0.05, 0.9), P, G, {"v": V}, 3, stepped(momentum, {"v": V}))
    assert (e.findings, e.unexplained, e.tried) == ((), (), 0)


def test_a_mistake_in_every_leaf_is_one_cause_with_the_leaves_names() -> None:
    def step(name: str, w: Any, g: Any, v: Any) -> Any:
        w, (v,) = momentum(name, w, g, v)
        return w + 0.1 * v, (v,)

    e = explain_update(SGD(0.05, 0.9), P, G, {"v": V}, 3, stepped(step, {"v": V}), budget=BUDGET)
    assert words(e) == ["a factor -1 at lr * v'"]
    assert e.findings[0].causes[0].explains == ("W1", "b1", "W2")


def test_a_decay_of_the_bias_alone_is_told_of_the_bias_alone() -> None:
    def step(name: str, w: Any, g: Any, v: Any) -> Any:
        return momentum(name, w, g + 0.3 * w if name == "b1" else g, v)

    e = explain_update(SGD(0.05, 0.9), P, G, {"v": V}, 3, stepped(step, {"v": V}), budget=BUDGET)
    (finding,) = e.findings
    assert "* p too many in g, a weight decay" in finding.causes[0].words
    assert set(finding.causes[0].explains) == {"b1", "v.b1"}


def test_two_leaves_with_two_mistakes_are_told_one_by_one() -> None:
    def step(name: str, w: Any, g: Any, v: Any) -> Any:
        if name == "b1":
            return momentum(name, w, 2 * g, v)
        return (w + 0.05 * (0.9 * v + g), (0.9 * v + g,)) if name == "W1" else momentum(name, w, g, v)

    e = explain_update(SGD(0.05, 0.9), P, G, {"v": V}, 3, stepped(step, {"v": V}), budget=BUDGET)
    assert {cause.explains: cause.words for finding in e.findings for cause in finding.causes} == {
        ("W1",): "a factor -1 at lr * v'", ("b1", "v.b1"): "a factor 2 at g",
    }  # fmt: skip
    assert not e.unexplained


def test_state_that_nobody_sees_may_be_left_out() -> None:
    def step(_: str, w: Any, g: Any, m: Any, v: Any) -> Any:
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g
        return w - 0.01 * (m / (1 - 0.9**4)) / (np.sqrt(v / (1 - 0.99**4)) + 1e-8), (m, v)

    big = {name: a + 5 for name, a in V.items()}  # so that no v is below 0 without its square
    seen = stepped(step, {"m": M, "v": big})
    hidden = {name: x for name, x in seen.items() if "." not in name}
    for results in (seen, hidden):
        e = explain_update(Adam(0.01, (0.9, 0.99)), P, G, {"m": M, "v": big}, 3, results, budget=BUDGET)
        assert words(e) == ["the square left out of g^2"]


def test_the_gradient_of_the_step_before_is_named_if_it_is_given() -> None:
    def step(name: str, w: Any, _g: Any, v: Any) -> Any:
        return momentum(name, w, Ball(BEFORE[name]), v)

    seen = stepped(step, {"v": V})
    e = explain_update(SGD(0.05, 0.9), P, G, {"v": V}, 3, seen, previous=BEFORE, budget=BUDGET)
    assert words(e) == ["that of the step before for g"]
    without = explain_update(SGD(0.05, 0.9), P, G, {"v": V}, 3, seen, budget=BUDGET)
    assert not without.findings
    assert set(without.unexplained) == {"W1", "b1", "W2", "v.W1", "v.b1", "v.W2"}


def test_lr_that_is_1_minus_momentum_is_a_tie() -> None:
    """0.1 = 1 - 0.9, the settings of every tutorial: one step cannot tell them apart, and another setting can."""

    def step(_: str, w: Any, g: Any, v: Any) -> Any:
        v = 0.9 * v + 0.1 * g
        return w - 0.1 * v, (v,)

    e = explain_update(SGD(0.1, 0.9), P, G, {"v": V}, 3, stepped(step, {"v": V}), budget=BUDGET)
    (finding,) = e.findings
    assert {cause.words for cause in finding.causes} == {"the gradient dampened by 1 - momentum", "a factor lr at g"}
    assert finding.why


def average(share1: float, share2: float, form: str) -> Any:
    """One step of Adam as people write it, m += (1 - beta1) * (g - m); form: the slip."""

    def step(_: str, w: Any, g: Any, m: Any, v: Any) -> Any:
        m = m + share1 * (g + m if form == "+" else g - m)
        v = v + share2 * {"square": (g - v) ** 2, "belief": (g - m) ** 2 - v}.get(form, g * g - v)
        return w - 1e-2 * (m / (1 - 0.9**4)) / (np.sqrt(v / (1 - 0.999**4)) + 1e-8), (m, v)

    return step


@pytest.mark.parametrize(("share1", "share2", "form", "told"), [
    (0.9, 1e-3, "", "beta1 and 1 - beta1 swapped in m'"),
    (1 - 0.9, 0.999, "", "beta2 and 1 - beta2 swapped in v'"),
    (1 - 0.9, 1 - 0.9, "", "beta1 for beta2 in v'"),
    (1 - 0.9, 1 - 0.999, "+", "+ for - in m' = m + (1 - beta1) * (g - m)"),
    (1 - 0.9, 1 - 0.999, "square", "(g - v)^2 for g^2 - v in v' = v + (1 - beta2) * ..."),
    (1 - 0.9, 1 - 0.999, "belief", "(g - m')^2 for g^2 in v'"),
])  # fmt: skip
def test_a_slip_in_the_form_of_a_running_average_is_named(share1: float, share2: float, form: str, told: str) -> None:
    state = {"m": M, "v": V}
    e = explain_update(Adam(1e-2), P, G, state, 3, stepped(average(share1, share2, form), state), budget=BUDGET)
    assert words(e) == [told]


def test_the_right_form_of_a_running_average_is_right() -> None:
    state = {"m": M, "v": V}
    e = explain_update(Adam(1e-2), P, G, state, 3, stepped(average(1 - 0.9, 1 - 0.999, ""), state))
    assert (e.findings, e.unexplained) == ((), ())
