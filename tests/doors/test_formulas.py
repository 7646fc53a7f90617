"""Formulas of float32 runs, judged in float64: hidden faults are refuted, with their side; right code is left alone."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
from reference import Adam, Experiment, experiments
from reference.networks import mlp
from tests.doors import hidden
from tests.doors.hidden import NAMES, NUMPY, TORCH, Net, by_numpy, by_torch, layers, linear
from torch_mirror import Session, session
from torch_mirror.doors import formulas as door
from torch_mirror.doors import verify as verifying
from torch_mirror.judge.verdict import NOT_ITS_OWN, Certificate
from torch_mirror.training.twin import twin_step

verify = partial(verifying.verify, formulas=True)

ROWS = 10_000


def of_formulas(c: Certificate) -> dict[str, Any]:
    """The rows of the check, by tensor."""
    return {row.tensor: row for row in c.rows if row.check == "formula"}


def untold(c: Certificate) -> str:
    """Why the twin tells nothing; the run is certified all the same."""
    assert c.verdict == "certified"
    assert not of_formulas(c)
    (note,) = (n for n in c.notes if "twin in float64 tells nothing" in n)
    return note


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", NUMPY)
def test_what_float32_hides_in_numpys_backward_is_refuted_and_laid_there(fault: str) -> None:
    c = verify(layers(ROWS, by_numpy(NUMPY[fault](ROWS))), explain=False)
    assert c.verdict == "refuted"
    assert c.first is not None
    assert (c.first.tensor, c.first.check, c.first.step) == ("dW1", "formula", 1)
    assert c.ruling is not None
    assert c.ruling.verdict == NOT_ITS_OWN


@pytest.mark.parametrize("fault", TORCH)
def test_what_float32_hides_in_torchs_is_refuted_and_laid_there(fault: str) -> None:
    c = verify(layers(ROWS), using=TORCH[fault](ROWS))
    assert c.verdict == "refuted"
    assert c.first is not None
    assert (c.first.tensor, c.first.check) == ("dW1", "formula")
    assert c.ruling is not None
    assert c.ruling.verdict == "the mirror strays"
    words = {"the last row dropped": "dropped", "N - 1 for N": "N/(N - 1)", "1 + 1e-6": "a factor 1 + 1e-06"}
    assert words[fault] in c.why[0]


def test_without_the_twin_they_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is the twin that finds them."""
    monkeypatch.setattr("torch_mirror.doors.verify.applies", lambda *_: False)
    for using in (make(ROWS) for make in TORCH.values()):
        assert verify(layers(ROWS), using=using, explain=False).verdict == "certified"


def test_a_decay_that_leaves_the_biases_out_is_refuted() -> None:
    """The criterion closes over the net: that of the twin has the twin's."""
    e = layers(ROWS, penalty=hidden.DECAY)
    assert verify(e).verdict == "certified"
    c = verify(e, using=hidden.penalised, explain=False)
    assert c.verdict == "refuted"
    assert c.first is not None
    assert c.first.check == "formula"
    rows = of_formulas(c)
    assert {name for name, row in rows.items() if row.first} == {"loss", "db1", "db2"}


# --- right code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mlp-relu", "digits-softmax", "conv-digits", "attention"])
def test_right_code_is_certified_by_its_formulas(name: str) -> None:
    c = verify(replace(experiments.load(name, dtype="float32"), steps=3))
    assert (c.verdict, c.doubts) == ("certified", ())
    rows = of_formulas(c)
    assert {row.tensor for row in c.rows if row.check == "local" and row.tensor.startswith("d")} <= {*rows}
    assert not any(row.first for row in rows.values())


def test_a_run_in_float64_needs_none() -> None:
    assert not of_formulas(verify(replace(experiments.load("mlp-relu"), steps=3)))


def test_the_last_step_is_looked_at_on_its_own_samples() -> None:
    e = layers(30, batches=reference.Batches(8, seed=3), steps=7, optimizer=Adam(0.01))
    c = verify(e)
    assert c.verdict == "certified"
    assert {row.worst.step for row in of_formulas(c).values() if row.worst} == {6}


class Plain(nn.Sequential):
    """Without sow."""


def plain(e: Experiment, *between: nn.Module) -> Session:
    module = Plain(nn.Linear(12, 6), nn.Tanh(), *between, nn.Linear(6, 2))
    last = len(module) - 1
    names = {"W1": "0.weight", "b1": "0.bias", "W2": f"{last}.weight", "b2": f"{last}.bias"}
    return session(e, module, names)


def test_a_module_without_sow_is_judged_by_what_it_tells() -> None:
    c = verify(layers(50), using=plain)
    assert c.verdict == "certified"
    assert {*of_formulas(c)} == {"y", "loss", "dy", "dW1", "dW2", "db1", "db2"}


def rounded_constant(x: Tensor, layer: nn.Linear) -> Tensor:
    """0.1 * 10 in float32: 1 + 1e-8."""
    return linear(x, layer) * torch.tensor(0.1) * 10.0


def cast(x: Tensor, layer: nn.Linear) -> Tensor:
    z = linear(x, layer)
    return z.float().to(x.dtype)


def by_finfo(x: Tensor, layer: nn.Linear) -> Tensor:
    return linear(x, layer) + 0 * torch.finfo(x.dtype).eps


def drawn(x: Tensor, layer: nn.Linear) -> Tensor:
    return linear(x, layer) + 0 * torch.rand(1)


def by_precision(x: Tensor, layer: nn.Linear) -> Tensor:
    return linear(x, layer) * (1.0 if x.dtype == torch.float32 else 1.001)


@pytest.mark.parametrize(
    ("first", "because"),
    [
        (rounded_constant, "float32"),
        (cast, "float32"),
        (by_precision, "it depends on precision or step"),
    ],
)
def test_another_program_than_the_runs_says_nothing(first: Callable[..., Tensor], because: str) -> None:
    assert because in untold(verify(layers(50), using=by_torch(first)))


def test_a_formula_that_asks_for_its_precision_says_nothing() -> None:
    class Asks(Net):
        def forward(self, x: Tensor, sow: Any) -> Tensor:
            return super().forward(x + 0 * torch.finfo(x.dtype).eps, sow)

    assert "finfo" in untold(verify(layers(50), using=lambda e: session(e, Asks(linear), NAMES)))


def test_random_numbers_say_nothing() -> None:
    c = verify(layers(50), using=by_torch(drawn))
    assert "random" in untold(c)


def test_a_reference_that_rounds_a_constant_to_float32_is_not_refuted() -> None:
    """np.float32(0.1) beside 0.1: in float32 the same, in float64 apart by 1.5e-8."""

    class Rounded(mlp.MLP):
        tenth: Any = np.float32(0.1)

        def forward(self, p: Any, x: Any, sow: Any = lambda _, a: a) -> Any:
            return super().forward(p, x * self.tenth, sow)

    tenth = by_torch(lambda x, layer: linear(x * 0.1, layer))
    for constant, told in ((np.float32(0.1), False), (0.1, True)):
        network = type("Tenth", (Rounded,), {"tenth": constant})(hidden.WIDTHS, activation="tanh")
        c = verify(layers(50, network), using=tenth)
        assert c.verdict == "certified", c.first
        assert bool(of_formulas(c)) is told


# --- the user's own module ------------------------------------------------------------------------------------------


class Counts(Net):
    """A forward that counts, and has a buffer and hooks of its own."""

    def __init__(self) -> None:
        super().__init__(linear)
        self.count, self.seen = 0, list[int]()
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Tensor, sow: Any) -> Tensor:
        self.count += 1
        self.seen.append(self.count)
        self.mean = 0.9 * self.mean + 0.1 * x.mean().detach()
        return super().forward(x, sow)


def test_the_module_is_left_as_the_run_left_it() -> None:
    kept: list[Counts] = []

    def using(e: Experiment) -> Session:
        kept.append(Counts())
        return session(e, kept[-1], NAMES)

    e = layers(50)
    torch.manual_seed(3)
    c = verify(e, using=using)
    assert of_formulas(c)
    (module,) = kept
    assert (module.count, module.seen) == (2, [1, 2])
    assert module.mean.dtype == torch.float32
    assert all(w.dtype == torch.float32 and w.grad is not None and w.grad.dtype == torch.float32
               for w in module.parameters())  # fmt: skip
    after = copy.deepcopy(module.state_dict())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch_mirror.doors.verify.applies", lambda *_: False)
        torch.manual_seed(3)
        verify(e, using=using)
    for name, value in kept[1].state_dict().items():
        assert torch.equal(value, after[name]), name


def test_hooks_do_not_fire_again() -> None:
    fired: list[int] = []

    def using(e: Experiment) -> Session:
        module = Net(linear)
        module.l1.register_forward_hook(lambda *_: fired.append(1))
        return session(e, module, NAMES)

    assert "hooks" in untold(verify(layers(50), using=using))
    assert len(fired) == 2


LOG: list[float] = []


class Logs(Net):
    def forward(self, x: Tensor, sow: Any) -> Tensor:
        LOG.append(1.0)
        return super().forward(x, sow)


def test_code_that_acts_on_something_outside_is_not_run_again() -> None:
    LOG.clear()
    assert "LOG" in untold(verify(layers(50), using=lambda e: session(e, Logs(linear), NAMES)))
    assert len(LOG) == 2


def test_a_loss_that_keeps_a_list_has_a_list_of_its_own_in_the_twin() -> None:
    seen: list[float] = []

    def criterion(y: Tensor, t: Tensor) -> Tensor:
        loss = nn.functional.mse_loss(y, t)
        seen.append(float(loss.detach()))
        LOG.append(float(loss.detach()))
        return loss

    LOG.clear()
    c = verify(layers(50), using=lambda e: session(e, Net(linear), NAMES, criterion))
    assert (c.verdict, len(seen), len(LOG)) == ("certified", 2, 2)
    assert of_formulas(c)


def test_a_module_that_cannot_be_copied_says_nothing() -> None:
    class Keeps(Net):
        def forward(self, x: Tensor, sow: Any) -> Tensor:
            self.last = super().forward(x, sow)
            return self.last

    assert "deepcopy" in untold(verify(layers(50), using=lambda e: session(e, Keeps(linear), NAMES)))


def test_a_copy_that_is_the_module_itself_says_nothing() -> None:
    class Same(Net):
        def __deepcopy__(self, _: Any) -> "Same":
            return self

    assert "shares memory" in untold(verify(layers(50), using=lambda e: session(e, Same(linear), NAMES)))


def test_a_training_step_of_ones_own_says_nothing() -> None:
    def using(e: Experiment) -> Session:
        net = Net(linear)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

        def train_step(x: Tensor, t: Tensor) -> Tensor:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(net(x, lambda _, a: a), t)
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            optimizer.step()
            return loss

        return session(e, net, NAMES, optimizer=optimizer, train_step=train_step)

    assert "train twice" in untold(verify(layers(50), using=using))


@pytest.mark.parametrize("between", [nn.Dropout(0.0), nn.BatchNorm1d(6), nn.LayerNorm(6)], ids=str)
def test_layers_with_states_and_options_of_their_own(between: nn.Module) -> None:
    """In float64 they are the same function; where the reference has none of them, float32 refutes it."""
    c = verify(layers(50), using=lambda e: plain(e, copy.deepcopy(between)), explain=False)
    assert c.verdict == ("certified" if isinstance(between, nn.Dropout) else "refuted")
    assert not any(row.first for row in of_formulas(c).values())


def test_a_run_that_has_ended_in_infinity_says_nothing() -> None:
    c = verify(layers(50, optimizer=reference.SGD(1e30), steps=3), explain=False)
    assert not of_formulas(c)
    assert not math.isfinite(float(c.end_distance or math.nan)) or c.verdict != "certified"


def test_the_guard_against_another_program_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a branch on the precision is refuted, which no run in float32 takes."""
    monkeypatch.setattr("torch_mirror.judge.checks.formula._another_program", lambda *_: "")
    monkeypatch.setattr(door, "twin_step", lambda *a, **_: twin_step(*a))
    c = verify(layers(50), using=by_torch(by_precision), explain=False)
    assert c.verdict == "refuted"

