"""Formulas of float32 runs, judged in float64: hidden faults are doubted, with their side; right code is left alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
from reference import SGD, Adam, Experiment, experiments
from reference.networks import mlp
from tests.doors import hidden
from tests.doors.hidden import NAMES, NUMPY, TORCH, Net, by_numpy, by_torch, layers, linear
from torch_mirror import Session, session
from torch_mirror.doors import verify as verifying
from torch_mirror.doors.formulas import Formulas, formulas_of
from torch_mirror.judge.verdict import NOT_ITS_OWN, Certificate
from torch_mirror.reports import text
from torch_mirror.training.session import session as mirrored

ROWS = 10_000

Using = Callable[[Experiment], Session]


def judged(e: Experiment, using: Using = mirrored, **options: Any) -> tuple[Certificate, Formulas]:
    """The certificate, and what was found of the formulas."""
    found: list[Formulas] = []

    def noticed(*args: Any, **kwargs: Any) -> Formulas:
        found.append(formulas_of(*args, **kwargs))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying, "formulas_of", noticed)
        c = verifying.verify(e, using=using, **options)
    return c, found[0]


def is_right(e: Experiment, using: Using) -> Certificate:
    """The certificate: certified without doubt, where the formulas were looked at and nothing is left to tell."""
    c, found = judged(e, using, explain=False)
    assert (c.verdict, c.doubts) == ("certified", ()), c.first
    assert found.of
    assert not found.outside
    assert not found.notes, found.notes
    return c


def untold(e: Experiment, using: Using) -> str:
    """Why nothing is told; the run is certified all the same."""
    c, found = judged(e, using, explain=False)
    assert (c.verdict, c.doubts) == ("certified", ())
    assert not found.outside
    (note,) = found.notes
    assert note in c.notes
    return note


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", NUMPY)
def test_what_float32_hides_in_numpys_backward_is_doubted_and_laid_there(fault: str) -> None:
    c, found = judged(layers(ROWS, by_numpy(NUMPY[fault](ROWS))), strict=True)
    assert c.verdict == "doubted"
    assert {*found.outside} == {"dW1"}
    assert {row.tensor for row in c.doubts} == {"dW1"}
    assert any(NOT_ITS_OWN in note for note in c.notes)


@pytest.mark.parametrize("fault", TORCH)
def test_what_float32_hides_in_torchs_is_doubted_and_laid_there(fault: str) -> None:
    c, found = judged(layers(ROWS), TORCH[fault](ROWS))
    assert c.verdict == "certified"
    assert {*found.outside} == {"dW1"}
    assert any("the mirror strays" in note for note in c.notes)
    words = {"the last row dropped": "dropped", "N - 1 for N": "N/(N - 1)", "1 + 1e-6": "a factor 1 + 1e-06"}
    assert any(words[fault] in note for note in c.notes)


def test_a_decay_that_leaves_the_biases_out_is_doubted_by_its_formula_alone() -> None:
    """The criterion closes over the net. Nothing else sees it: in float64 a doubt says so, and without it none does."""
    e = layers(ROWS, penalty=hidden.DECAY)
    is_right(e, mirrored)
    c, found = judged(e, hidden.penalised, explain=False)
    assert {*found.outside} == {"db1", "db2"}
    assert {row.tensor: row.doubt.sign for row in c.doubts if row.doubt}["db1"] == "formula"
    assert any("its formula: torch's operations, done in float64" in line for line in text.doubts(c))
    without = verifying.verify(e, using=hidden.penalised, formulas=False, explain=False)
    assert "db1" not in {row.tensor for row in without.doubts}


# --- right code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mlp-relu", "digits-softmax", "conv-digits", "attention"])
def test_right_code_has_no_doubt(name: str) -> None:
    e = replace(experiments.load(name, dtype="float32"), steps=3)
    _, found = judged(e)
    c = is_right(e, mirrored)
    local = {row.tensor for row in c.rows if (row.check, row.side) == ("local", "torch")}
    assert {t for t in local if e.slots[t].role in ("value", "gradient", "loss")} == {*found.of}


def test_a_run_in_float64_needs_none() -> None:
    _, found = judged(replace(experiments.load("mlp-relu"), steps=3))
    assert found == Formulas()


def test_the_last_step_is_looked_at_on_its_own_samples() -> None:
    e = layers(30, batches=reference.Batches(8, seed=3), steps=7, optimizer=Adam(0.01))
    is_right(e, mirrored)
    _, found = judged(e)
    assert found.of["dW1"].seen.shape == (1, 6, 12)
    (own,) = np.unique([len(e.seen(e.data, step)[0]) for step in (6,)])
    assert found.of["y"].seen.shape == (1, own, 2)


class Plain(nn.Sequential):
    """Without sow."""


def plain(e: Experiment, *between: nn.Module) -> Session:
    module = Plain(nn.Linear(12, 6), nn.Tanh(), *between, nn.Linear(6, 2))
    last = len(module) - 1
    names = {"W1": "0.weight", "b1": "0.bias", "W2": f"{last}.weight", "b2": f"{last}.bias"}
    return session(e, module, names)


def test_a_module_without_sow_is_judged_by_what_it_tells() -> None:
    is_right(layers(50), plain)
    _, found = judged(layers(50), plain)
    assert {*found.of} == {"y", "loss", "dy", "dW1", "dW2", "db1", "db2"}


def rounded_constant(x: Tensor, layer: nn.Linear) -> Tensor:
    """0.1 * 10 in float32: 1 + 1e-8."""
    return linear(x, layer) * torch.tensor(0.1) * 10.0


def cast(x: Tensor, layer: nn.Linear) -> Tensor:
    z = linear(x, layer)
    return z.double().float().to(x.dtype)


def by_finfo(x: Tensor, layer: nn.Linear) -> Tensor:
    return linear(x, layer) * (1 - torch.finfo(x.dtype).eps / 8)


def drawn(x: Tensor, layer: nn.Linear) -> Tensor:
    return linear(x, layer) + 0 * torch.rand(1) + 0 * nn.functional.dropout(x.sum())


def by_precision(x: Tensor, layer: nn.Linear) -> Tensor:
    return linear(x, layer) * (1.0 if x.dtype == torch.float32 else 1.001)


def logged(x: Tensor, layer: nn.Linear) -> Tensor:
    z = linear(x, layer)
    float(z.detach().mean())
    return z


@pytest.mark.parametrize("first", [rounded_constant, cast, by_finfo, drawn, by_precision, logged])
def test_code_that_goes_by_its_precision_is_judged_as_it_ran(first: Callable[..., Tensor]) -> None:
    is_right(layers(50), by_torch(first))


class Tenth(mlp.MLP):
    tenth: Any = 0.1

    def forward(self, p: Any, x: Any, sow: Any = lambda _, a: a) -> Any:
        return super().forward(p, x * self.tenth, sow)


@pytest.mark.parametrize("in_numpy", [0.1, np.float32(0.1)])
@pytest.mark.parametrize("in_torch", [0.1, torch.tensor(0.1)])
def test_a_constant_that_one_side_rounds_to_float32_is_no_fault(in_numpy: Any, in_torch: Any) -> None:
    network = type("Own", (Tenth,), {"tenth": in_numpy})(hidden.WIDTHS, activation="tanh")

    def using(e: Experiment) -> Session:
        return session(e, Net(lambda x, layer: linear(x * in_torch, layer)), NAMES)

    is_right(layers(50, network), using)


# --- where nothing is told --------------------------------------------------------------------------------------------


def doubtful(x: Tensor, layer: nn.Linear) -> Tensor:
    """1 + 1e-6 times the derivative by W."""
    return hidden.wrongly(0, 1 + 1e-6)(x, layer)


def test_numbers_that_are_read_from_tensors_are_no_proof() -> None:
    def reads(x: Tensor, layer: nn.Linear) -> Tensor:
        float(x.mean())
        return doubtful(x, layer)

    _, found = judged(layers(ROWS), by_torch(reads), explain=False)
    assert not found.outside
    assert ".item()" in found.notes[0]


def test_numbers_that_pass_through_numpy_are_no_proof() -> None:
    def through(x: Tensor, layer: nn.Linear) -> Tensor:
        return doubtful(x, layer) + 0 * torch.from_numpy(x.detach().numpy().mean(axis=1, keepdims=True))

    _, found = judged(layers(ROWS), by_torch(through), explain=False)
    assert not found.outside
    assert "from NumPy" in found.notes[0]


def test_half_precision_says_nothing() -> None:
    def half(x: Tensor, layer: nn.Linear) -> Tensor:
        return linear(x, layer) + 0 * x.bfloat16().float().sum()

    assert "numbers of bfloat16" in untold(layers(50), by_torch(half))


def test_compiled_code_runs_as_it_does_without() -> None:
    def using(e: Experiment) -> Session:
        net = Net(linear)
        net._compiled_call_impl = net._call_impl  # what module.compile() sets
        return session(e, net, NAMES)

    assert "compiled" in untold(layers(50), using)


def test_a_step_that_takes_too_much_memory_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch_mirror.training.operations.LEAST", 0)
    monkeypatch.setattr("torch_mirror.training.operations.TIMES", 1)
    note = untold(layers(50), mirrored)
    assert "a smaller batch takes less" in note
    assert "formulas=False" in note


def test_whatever_comes_of_looking_at_formulas_the_verdict_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise ZeroDivisionError("by 0")

    monkeypatch.setattr("torch_mirror.doors.formulas.offs", fails)
    assert "ZeroDivisionError: by 0" in untold(layers(50), mirrored)


def test_a_refuted_run_is_not_looked_at() -> None:
    c, found = judged(layers(50), lambda e: plain(e, nn.LayerNorm(6)), explain=False)
    assert c.verdict == "refuted"
    assert found == Formulas()


def test_a_run_that_has_ended_in_infinity_has_no_doubt() -> None:
    c, found = judged(layers(50, optimizer=reference.SGD(1e30), steps=3), explain=False)
    assert c.verdict != "certified"
    assert not found.outside


# --- the user's own code ----------------------------------------------------------------------------------------------


class Acts(Net):
    """A forward that counts in its class, keeps a list of its class and a graph of its own, prints, and draws."""

    calls = 0
    kept: list[float] = []  # noqa: RUF012 - of the class on purpose

    def forward(self, x: Tensor, sow: Any) -> Tensor:
        type(self).calls += 1
        self.kept.append(float(torch.rand(1)))
        self.last = super().forward(x, sow)
        print("forward")  # noqa: T201 - what is counted
        return self.last

    def __deepcopy__(self, _: Any) -> Any:
        raise TypeError


def test_the_users_code_is_called_once_a_step_and_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    fired: list[int] = []

    def using(e: Experiment) -> Session:
        net = Acts(linear)
        net.l1.register_forward_hook(lambda *_: fired.append(1))
        return session(e, net, NAMES)

    runs = []
    for formulas in (True, False):
        torch.manual_seed(3)
        Acts.calls, Acts.kept[:], fired[:] = 0, [], []
        c = verifying.verify(layers(50), using=using, formulas=formulas)
        runs.append((Acts.calls, list(Acts.kept), len(fired), capsys.readouterr().out, torch.rand(1).item(), c.rows))
        assert (c.verdict, Acts.calls) == ("certified", 2)
    assert runs[0] == runs[1]


def test_a_step_of_ones_own_is_judged_and_taken_once() -> None:
    taken: list[int] = []

    def using(e: Experiment, factor: float = 1.0) -> Session:
        net = Net(hidden.wrongly(0, factor))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

        def train_step(x: Tensor, t: Tensor) -> Tensor:
            taken.append(1)
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(net(x, lambda _, a: a), t)
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return session(e, net, NAMES, optimizer=optimizer, train_step=train_step)

    e = layers(ROWS, optimizer=SGD(0.01))
    is_right(e, using)
    assert len(taken) == 2
    _, found = judged(e, lambda e: using(e, 1.001), explain=False)
    assert {*found.outside} == {"dW1"}


@pytest.mark.parametrize("between", [nn.Dropout(0.0), nn.Identity(), nn.Threshold(-9.0, 0.0)], ids=str)
def test_layers_that_change_nothing(between: nn.Module) -> None:
    is_right(layers(50), lambda e: plain(e, between))
