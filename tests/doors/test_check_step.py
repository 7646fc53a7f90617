"""check_step: optimizers as people write them, against those that are known to be right."""

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch

from reference import SGD, Adagrad, Adam, AdamW, Own, RMSprop
from reference.errors import InputError
from reference.optimizers.parts import lerp
from tests.doors.catalogue import grade, of_optimizer, update_of, words
from tests.sample import some
from tests.tape.edits.optimizers import HERE, THERE
from tests.tape.edits.planted import Fault
from tests.unruled import unexplained
from torch_mirror import Checked, check_step
from torch_mirror.balls.cell import Ball
from torch_mirror.doors.check import running_mean, step, step_causes
from torch_mirror.doors.check.step_causes import UNSOUGHT
from torch_mirror.glossary.find import find
from torch_mirror.tape.edits.explain_updates import explain_update

draw = np.random.default_rng(0).standard_normal
P = {"W": draw((3, 2)), "b": draw(2)}
G = {"W": draw((3, 2)), "b": draw(2)}
VELOCITY: dict[str, Any] = {"W": np.zeros((3, 2)), "b": np.zeros(2)}


def momentum(p: Any, g: Any) -> None:
    for name in p:
        VELOCITY[name] = 0.9 * VELOCITY[name] + g[name]
        p[name] -= 0.1 * VELOCITY[name]


def plain(p: Any, g: Any) -> Any:
    return {name: p[name] - 0.01 * g[name] for name in p}


class MyAdam:
    """Hides its state."""

    def __init__(self, lr: float = 1e-3, eps: float = 1e-8, correct: bool = True, decay: float = 0.0) -> None:  # noqa: FBT001, FBT002 - as people do
        self.lr, self.eps, self.correct, self.decay = lr, eps, correct, decay
        self.t, self.m, self.v = 0, {}, {}  # type: ignore[var-annotated]  # as people do

    def update(self, p: Any, g: Any) -> None:
        self.t += 1
        for name in p:
            if name not in self.m:
                self.m[name], self.v[name] = np.zeros_like(p[name]), np.zeros_like(p[name])
            self.m[name] = 0.9 * self.m[name] + (1 - 0.9) * g[name]
            self.v[name] = 0.999 * self.v[name] + (1 - 0.999) * g[name] ** 2
            m, v = self.m[name], self.v[name]
            if self.correct:
                m, v = m / (1 - 0.9**self.t), v / (1 - 0.999**self.t)
            p[name] -= self.lr * (m / (np.sqrt(v) + self.eps) + self.decay * p[name])


def rmsprop(p: Any, g: Any, state: Any) -> None:
    for name in p:
        state["square"][name] = 0.99 * state["square"][name] + 0.01 * g[name] ** 2
        p[name] -= 0.01 * g[name] / (np.sqrt(state["square"][name]) + 1e-8)


def squares(p: Any) -> Any:
    return {"square": {name: np.zeros_like(w) for name, w in p.items()}}


def adagrad(p: Any, g: Any, state: Any, t: int) -> Any:
    total = {name: state[name] + g[name] ** 2 for name in p}
    return {name: p[name] - 0.01 / (1 + 0.1 * t) * g[name] / (np.sqrt(total[name]) + 1e-10) for name in p}, total


def zeros(p: Any) -> Any:
    return {name: np.zeros_like(w) for name, w in p.items()}


@pytest.mark.parametrize(
    ("update", "optimizer", "start"),
    [
        (plain, SGD(0.01), None),
        (momentum, SGD(0.1, momentum=0.9), None),
        (momentum, torch.optim.SGD([torch.zeros(1)], 0.1, momentum=0.9), None),
        (MyAdam().update, Adam(), None),
        (MyAdam().update, torch.optim.Adam([torch.zeros(1)]), None),
        (MyAdam(decay=0.02).update, AdamW(weight_decay=0.02), None),
        (MyAdam(correct=False).update, Adam(bias_correction=False), None),
        (rmsprop, RMSprop(), squares),
        (adagrad, Adagrad(lr_decay=0.1), zeros),
    ],
)
def test_right_updates_are_certified(update: Any, optimizer: Any, start: Any) -> None:
    before = repr((VELOCITY, P, G))
    result = check_step(update, optimizer, P, G, start=start)
    assert result.certified, str(result)
    assert repr((VELOCITY, P, G)) == before
    assert getattr(getattr(update, "__self__", None), "t", 0) == 0


@pytest.mark.parametrize(
    ("update", "optimizer", "told"),
    [
        (plain, SGD(0.1), "from step 1 on: your change / the right one = 0.1 everywhere"),
        (plain, SGD(0.01, momentum=0.9), "from step 2 on"),
        (momentum, SGD(0.1, momentum=0.9, nesterov=True), "from step 1 on"),
        (momentum, SGD(0.1, momentum=0.9, dampening=0.1), "from step 2 on"),
        (momentum, SGD(0.1, momentum=0.9, weight_decay=1e-9), "from step 1 on"),
        (MyAdam(eps=1e-7).update, Adam(), "from step 1 on"),
        (MyAdam(correct=False).update, Adam(), "from step 1 on"),
        (MyAdam(decay=0.02).update, Adam(weight_decay=0.02), "from step 1 on"),
        (MyAdam().update, torch.optim.AdamW([torch.zeros(1)]), "from step 1 on"),
    ],
)
def test_wrong_updates_are_refuted_at_their_first_step(update: Any, optimizer: Any, told: str) -> None:
    with unexplained():
        result = check_step(update, optimizer, P, G)
    assert result.verdict == "refuted"
    assert told in str(result)
    assert {row.name for row in result.rows if row.word == "WRONG"} == {"W", "b"}


OPTIMIZERS = [(name, fault) for name, written in HERE.items() for fault in written.faults]

NOWHERE = {
    "t for t + 1 in m",               # divides by 1 - beta^0 = 0
    "beta2 in the correction of m",   # an edit that is in no menu
}
HIDDEN = {"decay decoupled", "betas swapped", "beta2 in m", "beta1 in v", "g for g^2", "the square left out"}
"""Those that the menu cannot tell from the parameters alone, as the state before the step is known too little."""


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # some faults take the root of what is below 0
@pytest.mark.parametrize("seen", [True, False], ids=["state seen", "state hidden"])
@pytest.mark.parametrize("name", HERE)
def test_the_cause_of_a_wrong_update_is_named_and_nothing_wrongly(name: str, seen: bool) -> None:  # noqa: FBT001 - a case
    """Of every other fault with the state seen, and of the rest with it hidden, every fourth; make thorough has all.

    So has tests/tape/edits/test_catalogue.py, below this door.
    """
    for fault in some(some(HERE[name].faults[0 if seen else 1 :: 2])):
        here = planted_step(HERE[name], fault, 1, 4, seen=seen)
        assert len(str(here).splitlines()) <= 20
        if here.verdict == "refuted":
            there = cache(partial(planted_step, THERE[name], fault, 5, 6, seen=seen))
            found = grade(here, there)
            may_be_none = fault.name in NOWHERE or (not seen and fault.name in HIDDEN) or fault.name == "g for g^2"
            assert found == "right" or (found == "none" and may_be_none), f"{fault.name}: {found}\n{here}\n{there()}"


def planted_step(written: Any, fault: Fault, seed: int, n: int, *, seen: bool) -> Checked:
    update, start, states = update_of(written, fault)
    return check_step(
        update, written.optimizer, *of_optimizer(seed, n), 8, start=start, states=states if seen else None
    )


@pytest.mark.parametrize(
    ("fault", "false"),
    [
        ("the gradient before", "term g left out of g + (weight decay * p)"),
        ("the old buffer", "term lr * v' left out of p'"),
    ],
)
def test_a_cause_has_to_hold_in_the_steps_that_follow(
    fault: str, false: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first step all state is 0, and that alone would name what is not done."""
    (name, planted) = next((n, f) for n, f in OPTIMIZERS if f.name == fault)
    told = planted_step(HERE[name], planted, 1, 4, seen=False)
    assert words(told)
    assert false not in words(told)
    monkeypatch.setattr(step_causes, "explain_update", lambda *given: explain_update(*given[:-1]))
    assert words(planted_step(HERE[name], planted, 1, 4, seen=False)) == {false}


@pytest.mark.parametrize("states", [None, {"m": "m", "v": "v"}], ids=["hidden", "seen"])
@pytest.mark.parametrize(
    ("early", "late", "cause"),
    [
        ((1e-3, 0.99), (1e-3, 0.99), "as if beta2 were 0.99, not 0.999"),
        ((5e-3, 0.999), (5e-3, 0.999), "as if lr were 0.005, not 0.001"),
        ((1e-3, 0.99), (1e-3, 0.999), ""),
        ((5e-3, 0.999), (1e-3, 0.999), ""),
        ((1e-3, 0.999), (5e-3, 0.999), "as if lr were 0.005, not 0.001"),  # up to the last step
    ],
)
def test_a_cause_has_to_hold_up_to_the_last_step(early: Any, late: Any, cause: str, states: Any) -> None:
    def adam(p: Any, g: Any, s: Any, t: int) -> Any:
        lr, beta = early if t < 10 else late
        m = {n: 0.9 * s["m"][n] + (1 - 0.9) * g[n] for n in p}
        v = {n: beta * s["v"][n] + (1 - beta) * g[n] ** 2 for n in p}
        size = {n: np.sqrt(v[n] / (1 - beta ** (t + 1))) + 1e-8 for n in p}
        return {n: p[n] - lr * (m[n] / (1 - 0.9 ** (t + 1))) / size[n] for n in p}, {"m": m, "v": v}

    def start(p: Any) -> Any:
        return {"m": {n: 0 * p[n] for n in p}, "v": {n: 0 * p[n] for n in p}}

    result = check_step(adam, Adam(1e-3), P, G, start=start, states=states)
    assert result.verdict == "refuted"
    assert [told.partition(" (proof")[0] for told in result.causes] == ([cause] if cause else [])


def test_a_momentum_that_nobody_asked_for_is_named() -> None:
    result = check_step(momentum, SGD(0.1), P, G)
    assert [told.partition(" (proof")[0] for told in result.causes] == ["a momentum of 0.9, where there should be none"]
    assert "all 160 elements of 20 steps" in result.causes[0]


def test_of_an_optimizer_that_is_not_the_reference_s_no_cause_is_told() -> None:
    result = check_step(plain, Twice(), P, G)
    assert result.verdict == "refuted"
    assert not result.faults
    assert [note for note in result.notes if note.startswith("no cause is named: it is sought only against")]
    assert "no cause is named: it is sought only against the steps of SGD, Adam" in str(result)
    half = Own(lambda p, g: {name: p[name] - 0.05 * g[name] for name in p})
    assert UNSOUGHT in check_step(plain, half, P, G).notes
    for certified in (check_step(plain, SGD(0.01), P, G), check_step(plain, Own(plain), P, G)):
        assert (certified.verdict, UNSOUGHT in certified.notes) == ("certified", False)
    assert UNSOUGHT not in check_step(plain, SGD(0.2), P, G).notes


class Twice:
    """A step of somebody's own."""

    def init(self, _: Any) -> Any:
        return {}

    def step(self, p: Any, g: Any, state: Any, _: Any) -> Any:
        return {name: p[name] - 0.02 * g[name] for name in p}, state


def scaled(state: Callable[[Any], Any]) -> Any:
    def update(p: Any, g: Any, kept: Any) -> None:
        rmsprop(p, g, kept)
        kept["square"] = {name: state(a) for name, a in kept["square"].items()}

    return update


def test_states_are_compared_where_a_map_is_given() -> None:
    assert check_step(rmsprop, RMSprop(), P, G, start=squares, states={"v": "square"}).certified
    with unexplained():
        wrong = check_step(scaled(lambda a: a * 1.001), RMSprop(), P, G, 1, start=squares, states={"v": "square"})
    assert {row.name for row in wrong.rows if row.word == "WRONG"} == {"v.W", "v.b"}
    with pytest.raises(InputError, match=r"state other\.W"):
        check_step(rmsprop, RMSprop(), P, G, start=squares, states={"v": "other"})


def test_one_step_does_not_show_what_the_second_does() -> None:
    assert check_step(plain, SGD(0.01, momentum=0.9), P, G, 1).certified
    assert not check_step(plain, SGD(0.01, momentum=0.9), P, G, 2).certified


def cast(p: Any, g: Any) -> Any:
    return {name: p[name] - (0.01 * g[name]).astype(np.float32) for name in p}


def by_type(p: Any, g: Any) -> Any:
    return {name: p[name] - (0.02 if type(p[name]) is np.ndarray else 0.01) * g[name] for name in p}


def right_by_type(p: Any, g: Any) -> Any:
    return {name: p[name] - (0.01 if type(p[name]) is np.ndarray else 0.02) * g[name] for name in p}


def whole_by_type(p: Any, g: Any) -> Any:
    """Its own numbers are whole ones, which nothing would be compared with if floats alone were."""
    after = {name: p[name] - 0.01 * g[name] for name in p}
    return {name: a.astype(int) if type(a) is np.ndarray else a for name, a in after.items()}


HALVES = {"W": np.zeros((3, 2), np.float16), "b": np.zeros(2, np.float16)}


def in_halves(p: Any, g: Any) -> Any:
    """Keeps its velocity in half precision."""
    for name in p:
        HALVES[name] = (0.9 * HALVES[name] + g[name]).astype(np.float16)
        p[name] -= 0.01 * HALVES[name]


@pytest.mark.parametrize("update", [cast, by_type, right_by_type, whole_by_type])
def test_what_the_optimizer_itself_does_not_make_is_not_certified(update: Any) -> None:
    result = check_step(update, SGD(0.01), P, G)
    assert result.verdict == "undecided", str(result)
    assert all("W after step 1 is another number in your own run" in row.why for row in result.rows)


def test_numbers_of_a_dtype_of_which_no_radius_is_known_are_not_certified() -> None:
    result = check_step(in_halves, SGD(0.01, momentum=0.9), P, G)
    assert result.verdict == "undecided", str(result)
    assert "no radius is known of float16" in result.rows[0].why


def test_a_wrong_formula_is_refuted_whatever_its_own_run_gives() -> None:
    """A cast besides; it is noted."""
    result = check_step(cast, SGD(0.03), P, G)
    assert result.verdict == "refuted"
    assert any("is another number in your own run" in note for note in result.notes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("lr", "verdict"), [(0.1, "certified"), (0.1 * (1 + 1e-5), "refuted")])
def test_updates_in_their_own_precision(dtype: Any, lr: float, verdict: str) -> None:
    p, g = ({name: a.astype(dtype) for name, a in tree.items()} for tree in (P, G))
    adam = MyAdam(lr)
    with unexplained():
        assert check_step(adam.update, Adam(0.1), p, g).verdict == verdict


def test_what_cannot_be_used_is_told() -> None:
    with pytest.raises(InputError, match="update"):
        check_step(3, SGD(0.1), P, G)
    with pytest.raises(InputError, match="optimizer"):
        check_step(plain, 3, P, G)
    with pytest.raises(InputError, match="followed on balls"):
        check_step(by_inverse, SGD(0.1), np.eye(2), np.eye(2))
    with pytest.raises(ZeroDivisionError):
        check_step(lambda p, g: (p - g) / (1 // 0), SGD(0.1), np.eye(2), np.eye(2))


def by_inverse(p: Any, g: Any) -> Any:
    return np.linalg.inv(p) - g


@pytest.mark.parametrize(
    ("p", "g", "steps", "message"),
    [
        ({}, {}, 2, "parameters: expected an array, or a tree of arrays, got dict without one"),
        (P, G, 0, "steps: expected a whole number from 1 on, got 0"),
        (P, {"W": G["W"]}, 2, "gradients: expected one of b, got W"),
        (P, {**G, "b": np.array(1.0)}, 2, r"gradient of b: expected shape \(2,\), got \(\)"),
    ],
)
def test_what_was_given_must_fit(p: Any, g: Any, steps: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_step(plain, SGD(0.01), p, g, steps=steps)


def test_no_torch_is_imported() -> None:
    code = (
        "import sys, numpy as np; from torch_mirror import check_step; from reference import SGD\n"
        "r = check_step(lambda p, g: p - 0.5 * g, SGD(0.5), np.ones(3), np.arange(3.))\n"
        "assert r.certified, str(r); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("optimizer", "ours"), [
    (torch.optim.SGD([torch.zeros(1)], 0.2, momentum=0.9, nesterov=True), SGD(0.2, momentum=0.9, nesterov=True)),
    (torch.optim.Adam([torch.zeros(1)], 0.2, eps=1e-3), Adam(0.2, eps=1e-3)),
    (torch.optim.AdamW([torch.zeros(1)], 0.2, weight_decay=0.3), AdamW(0.2, weight_decay=0.3)),
    (torch.optim.RMSprop([torch.zeros(1)], 0.2, centered=True), RMSprop(0.2, centered=True)),
    (torch.optim.Adagrad([torch.zeros(1)], 0.2, lr_decay=0.1), Adagrad(0.2, lr_decay=0.1)),
])  # fmt: skip
def test_torch_s_optimizer_is_ours_with_its_options(optimizer: Any, ours: Any) -> None:
    assert step.known(optimizer) == ours


def test_the_options_are_those_of_the_parameter_group() -> None:
    """In which a scheduler changes them, and which may have its own."""
    w = torch.nn.Parameter(torch.ones(2))
    groups: list[dict[str, Any]] = [{"params": [w], "lr": 0.01}, {"params": [torch.nn.Parameter(torch.ones(1))]}]
    of_group, changed = torch.optim.SGD(groups[:1], lr=0.1), torch.optim.SGD([w], lr=0.1)
    changed.param_groups[0]["lr"] = torch.tensor(0.01, dtype=torch.float64)
    assert step.known(of_group) == step.known(changed) == SGD(0.01)
    assert step.known(torch.optim.Adam([w], weight_decay=0.1, decoupled_weight_decay=True)) == AdamW(weight_decay=0.1)
    with pytest.raises(InputError, match=r"same options in all parameter groups; .*Groups.*, got lr that differ"):
        step.known(torch.optim.SGD(groups, lr=0.1))


class Mine(torch.optim.SGD):
    """Of another step."""


def test_a_subclass_of_torch_s_optimizer_is_none_of_torch_s() -> None:
    Mine.__name__ = "SGD"
    why = r"got SGD, whose step is code of torch that cannot be .*: write the right update .* reference\.Own\(update"
    with pytest.raises(InputError, match=rf"optimizer: expected an object with init.*{why}"):
        check_step(plain, Mine([torch.nn.Parameter(torch.ones(2))], lr=0.01), P, G)


@pytest.mark.parametrize("beta", [0.9999, 0.99999])
def test_a_literal_beside_a_difference_is_not_refuted(beta: float) -> None:
    """0.0001 for 1 - 0.9999."""
    square = {name: np.zeros_like(a) for name, a in P.items()}

    def update(p: Any, g: Any) -> None:
        for name in p:
            square[name] = beta * square[name] + round(1 - beta, 8) * g[name] ** 2
            p[name] -= 0.01 * g[name] / (np.sqrt(square[name]) + 1e-8)

    with unexplained():
        assert check_step(update, RMSprop(0.01, alpha=beta), P, G).verdict == "undecided"
        assert check_step(update, RMSprop(0.01 * (1 + 1e-9), alpha=beta), P, G).verdict == "refuted"


def test_nor_where_it_is_far_less_than_the_way_that_is_gone() -> None:
    """Of three numbers of Adam, which move by the rate and no more."""
    draw = np.random.default_rng(2)
    state = {"m": np.zeros(3), "v": np.zeros(3)}

    def adam(p: Any, g: Any, s: Any, t: int) -> Any:
        m, v = 0.9 * s["m"] + 0.1 * g, 0.9999 * s["v"] + 0.0001 * g * g
        step_ = m / (1 - 0.9 ** (t + 1)) / (np.sqrt(v / (1 - 0.9999 ** (t + 1))) + 1e-8)
        return p - 1e-3 * step_, {"m": m, "v": v}

    p, g, betas = draw.normal(size=3), draw.normal(size=3), (0.9, 0.9999)
    with unexplained():
        assert check_step(adam, Adam(1e-3, betas), p, g, start=lambda _: state).verdict != "refuted"
        assert check_step(adam, Adam(1e-3 * (1 + 1e-9), betas), p, g, start=lambda _: state).verdict == "refuted"


def test_torch_s_other_optimizers_are_told_as_such() -> None:
    with pytest.raises(InputError, match=r"optimizer: expected an object with init\(\).*, got Adamax, whose step"):
        check_step(plain, torch.optim.Adamax([torch.zeros(1)]), P, G)


# --- another number for a setting -----------------------------------------------------------------------------------


def adagrad_with(eps: float) -> Any:
    total = zeros(P)

    def update(p: Any, g: Any) -> None:
        for name in p:
            total[name] = total[name] + g[name] ** 2
            p[name] -= 0.01 * g[name] / (np.sqrt(total[name]) + eps)

    return update


@pytest.mark.parametrize(
    ("update", "optimizer", "cause"),
    [
        (adagrad_with(1e-8), Adagrad(0.01), "as if eps were 1e-08, not 1e-10"),
        (MyAdam(0.01, eps=1e-6).update, Adam(0.01), "as if eps were 1e-06, not 1e-08"),
        (MyAdam(0.01, eps=1e-5).update, Adam(0.01), "as if eps were 1e-05, not 1e-08"),
        (MyAdam(0.01, eps=1e-10).update, Adam(0.01), "as if eps were 1e-10, not 1e-08"),
        (MyAdam(0.01, eps=0).update, Adam(0.01), "eps left out, as if it were 0"),
        (momentum, SGD(0.1, momentum=0.5), "as if momentum were 0.9, not 0.5"),
        (MyAdam(0.3, decay=0.01).update, AdamW(0.3, weight_decay=0.03), "as if weight decay were 0.01, not 0.03"),
    ],
)
def test_another_number_for_a_setting_is_told_as_that(update: Any, optimizer: Any, cause: str) -> None:
    """Not as what it is the same as by chance, or in a step that is divided by its own size: "a factor 1/lr at g"."""
    assert words(check_step(update, optimizer, P, G)) == {cause}


@pytest.mark.parametrize("scale", [100, 0.01])
def test_a_factor_is_told_as_it_is_and_not_upside_down(scale: float) -> None:
    """The step is nearly affine in 1 / c of g and eps / c: c was solved for there, and its inverse was told as c."""

    def update(p: Any, g: Any, state: Any) -> Any:
        total = {name: state[name] + (scale * g[name]) ** 2 for name in p}
        return {name: p[name] - 0.03 * scale * g[name] / (np.sqrt(total[name]) + 1e-10) for name in p}, total

    (cause,) = check_step(update, Adagrad(0.03), P, G, start=zeros).causes
    assert f"a factor {'100' if scale > 1 else '1/100'} at g" in cause, cause


def adamw_that_decays_after(p: Any, g: Any, state: Any, t: int, lr: float = 0.1) -> Any:
    m = {name: 0.9 * state[0][name] + 0.1 * g[name] for name in p}
    v = {name: 0.999 * state[1][name] + 0.001 * g[name] ** 2 for name in p}
    size = {name: np.sqrt(v[name] / (1 - 0.999 ** (t + 1))) + 1e-8 for name in p}
    step = {name: p[name] - lr * m[name] / (1 - 0.9 ** (t + 1)) / size[name] for name in p}
    return {name: step[name] - lr * 0.01 * step[name] for name in p}, (m, v)


def test_a_decay_after_the_step_is_told_and_what_it_equals_by_chance_as_a_tie() -> None:
    def two(p: Any) -> Any:
        return zeros(p), zeros(p)

    by_chance = check_step(adamw_that_decays_after, AdamW(0.1, weight_decay=0.01), P, G, start=two)
    late = "weight decay after the step, not before it"
    assert words(by_chance) == {late, "a factor beta2 at lr * (m' / (1 - beta1))"}  # 1 - lr * weight decay = beta2
    assert "cannot be told apart" in str(by_chance)
    other = partial(adamw_that_decays_after, lr=0.3)
    assert words(check_step(other, AdamW(0.3, weight_decay=0.01), P, G, start=two)) == {late}


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_decay_that_is_decoupled_and_comes_late_is_told(momentum: float) -> None:
    def update(p: Any, g: Any, state: Any) -> Any:
        v = {name: momentum * state[name] + g[name] for name in p}
        step = {name: p[name] - 0.1 * v[name] for name in p}
        return {name: step[name] - 0.1 * 0.02 * step[name] for name in p}, v

    result = check_step(update, SGD(0.1, momentum=momentum, weight_decay=0.02), P, G, start=zeros)
    assert words(result) == {"weight decay decoupled from the gradient, and after the step"}


def test_a_rate_that_stays_where_the_schedule_goes_on_is_told() -> None:
    schedule = np.array([0.2 / (1 + t) for t in range(20)])
    result = check_step(lambda p, g: {name: p[name] - 0.2 * g[name] for name in p}, SGD(schedule), P, G)
    assert "as if lr were 0.2, not 0.1" in words(result)


def test_parameters_that_are_no_floats_are_told() -> None:
    """In a step by hand they stay where they are."""
    p, g = {"W": np.array([1, 2, 3])}, {"W": np.array([0.5, -1, 2])}
    with pytest.raises(InputError, match="parameter W: expected an array of floats, got one of int"):
        check_step(lambda p, g: {"W": (p["W"] - 0.1 * g["W"]).astype(p["W"].dtype)}, SGD(0.1), p, g)


# --- many steps -------------------------------------------------------------------------------------------------------


def adam_by_hand(p: Any, g: Any, state: Any, t: Any) -> Any:
    m, v = 0.9 * state["m"] + 0.1 * g, 0.999 * state["v"] + 0.001 * g * g
    step = 1e-3 * (m / (1 - 0.9 ** (t + 1))) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
    return p - step, {"m": m, "v": v}


def test_as_many_steps_as_one_likes_are_told_as_finely() -> None:
    """The radius of the right optimizer's running mean does not grow with the steps."""

    def start(p: Any) -> Any:
        return {"m": 0 * p, "v": 0 * p}

    r = np.random.default_rng(1)
    result = check_step(adam_by_hand, Adam(1e-3), r.normal(size=3), r.normal(size=3), 400, start=start)
    assert result.certified, str(result)
    assert result.resolution is not None
    assert result.resolution < 1e-11


def test_a_narrowed_mean_holds_the_exact_one() -> None:
    """In fractions: m + w (g - m), step by step, for weights near 0, 1/2 and 1."""
    r = np.random.default_rng(2)
    for weight in (1 - 0.9, 1 - 0.999, 0.5, 0.75, 0.999):
        m: Any = Ball(np.zeros(4))
        exact, w = [Fraction(0)] * 4, Fraction(weight)
        radii = []
        for _ in range(60):
            g = r.standard_normal(4)
            ball: Any = Ball(g)
            after: Any = lerp(m, ball, weight)
            m = running_mean.mean(after, m, ball, weight)
            exact = [a + w * (Fraction(b) - a) for a, b in zip(exact, g.tolist(), strict=True)]
            x = m.settled()
            radii.append(float(np.max(x.radius)))
            off = [abs(Fraction(c) - e) for c, e in zip(x.value.tolist(), exact, strict=True)]
            assert all(o <= Fraction(float(e)) for o, e in zip(off, np.broadcast_to(x.radius, 4), strict=True))
        assert radii[-1] < 100 * max(radii[:5]), weight


# --- causes that the first steps hide ---------------------------------------------------------------------------------


def own_adam(beta1: float = 0.9, beta2: float = 0.999, ahead: int = 1) -> Callable[..., Any]:
    def update(p: Any, g: Any, state: Any, t: int) -> Any:
        m = beta1 * state["m"] + (1 - beta1) * g
        v = beta2 * state["v"] + (1 - beta2) * g * g
        m_hat, v_hat = m / (1 - beta1 ** (t + ahead)), v / (1 - beta2 ** (t + ahead))
        return p - 1e-3 * m_hat / (np.sqrt(v_hat) + 1e-8), {"m": m, "v": v}

    return update


def decoupled(p: Any, g: Any, state: Any, _: int) -> Any:
    v = 0.9 * state["v"] + g
    return p - 0.1 * (v + 0.01 * p), {"v": v}


def empty(p: Any) -> Any:
    return {"m": 0 * p, "v": 0 * p}


@pytest.mark.parametrize(
    ("update", "optimizer", "cause"),
    [
        (own_adam(0.999, 0.9), Adam(1e-3), "beta1 and beta2 swapped"),
        (own_adam(0.9, 0.99), Adam(1e-3), "as if beta2 were 0.99, not 0.999"),
        (own_adam(0.95), Adam(1e-3), "as if beta1 were 0.95, not 0.9"),
        (own_adam(ahead=2), Adam(1e-3), "t + 1 for t, the number of the step, in the bias correction"),
        (decoupled, SGD(0.1, momentum=0.9, weight_decay=0.01), "weight decay decoupled from the gradient"),
    ],
)
def test_a_state_that_nobody_sees_hides_no_cause(update: Any, optimizer: Any, cause: str) -> None:
    result = check_step(update, optimizer, draw((3, 2)), draw((3, 2)), start=empty)
    (found,) = result.causes
    assert found.startswith(f"{cause} (proof: with it all "), found
    assert "it alone fits" in found
    entry = find(found)
    assert entry is not None
    assert entry.term != "another value"


def test_of_the_whole_run_too_a_cause_fits_every_element() -> None:
    """A beta2 that is in no list, and one element of many that is something else."""
    p, g = draw((3, 2)), draw((3, 2))
    assert not check_step(own_adam(0.9, 0.9985), Adam(1e-3), p, g, start=empty).causes
    right = own_adam(0.9, 0.99)

    def one_off(p: Any, g: Any, state: Any, t: int) -> Any:
        after, state = right(p, g, state, t)
        after[0, 0] = p[0, 0]
        return after, state

    assert not check_step(one_off, Adam(1e-3), p, g, start=empty).causes


def test_a_function_that_makes_an_optimizer_is_told_with_what_is_taken() -> None:
    def update(p: Any, g: Any) -> None:
        p["W"] -= g["W"]

    expected = r"torch\.optim\.SGD\(parameters, lr=0\.1\), got a function, <lambda>: hand in"
    with pytest.raises(InputError, match=expected):
        check_step(update, lambda ps: torch.optim.SGD(ps, lr=0.1), P, G)
