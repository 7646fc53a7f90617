"""Faults are planted on both sides and found; a tool that looks away from them is seen to."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import torch_mirror
from reference.claim.experiment import Experiment
from reference.errors import InputError
from reference.experiments import rounded
from reference.losses import SquaredError
from reference.networks.two_layer_relu import Parameters, TwoLayerReLU
from reference.optimizers.adam import Adam
from reference.optimizers.sgd import SGD
from tests.examples import two_layer_class
from torch_mirror.doors import cli, objects
from torch_mirror.doors.mirror_causes import function_of
from torch_mirror.doors.selftest import backward, mirror, run, source, trace, updates, wrongs
from torch_mirror.doors.selftest.edits import KINDS
from torch_mirror.doors.selftest.graded import graded
from torch_mirror.doors.selftest.planting import Made, chosen, room_of, tells
from torch_mirror.doors.selftest.steps import STEPS
from torch_mirror.doors.selftest.told import SelfTest, Trial
from torch_mirror.doors.selftest.wrongs import GRADIENTS, LEFT_OVER, VALUES, Wrong
from torch_mirror.reports import selftest as report
from torch_mirror.training.session import session

ALL = (*GRADIENTS, *LEFT_OVER, *VALUES)


def experiment(optimizer: Any = None) -> Experiment:
    r = np.random.default_rng(0)
    W1, W2, x, t = (r.standard_normal(s) for s in ((4, 3), (2, 4), (5, 3), (5, 2)))
    return Experiment(TwoLayerReLU(3, 4, 2), Parameters(W1, W2), x, t, SquaredError("mean"), optimizer or SGD(0.1), 2)


def wrong(name: str) -> Wrong:
    return next(w for w in ALL if w.name == name)


def in_both(e: Experiment) -> dict[str, Experiment]:
    return {dtype: rounded(e, dtype) for dtype in ("float64", "float32")}


def fine(trials: list[Trial]) -> bool:
    return bool(trials) and all(t.changes and t.found and t.named in ("named", "tie", "not asked") for t in trials)


def test_the_catalogue_has_sixty_kinds_and_more() -> None:
    names = [(w.where, w.name) for w in ALL] + [("update", s.name) for s in STEPS] + [("line", kind) for kind in KINDS]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize("name", ["one element NaN", "the mask inverted"])
def test_a_wrong_backward_pass_is_refuted_located_and_named(name: str) -> None:
    of = in_both(experiment())
    target = chosen(of["float64"], wrong(name), 1)
    assert target is not None
    assert fine(list(backward.trials(of, wrong(name), target, session)))


@pytest.mark.parametrize("name", ["gradients not set to 0", "a cast to bfloat16"])
def test_a_wrong_mirror_is_refuted_located_and_named(name: str) -> None:
    of = in_both(experiment())
    kind = wrong(name)
    target = chosen(of["float64"], kind, 0)
    assert target is not None
    rooms = {dtype: room_of(e) for dtype, e in of.items()}
    rows = list(mirror.trials(of, kind, target, session, rooms))
    assert fine(rows)
    assert {row.said for row in rows} == {"the mirror strays"}


def test_what_differs_in_the_forward_pass_is_nobodys_fault() -> None:
    of = in_both(experiment())
    kind = wrong("units one off")
    target = chosen(of["float64"], kind, 0)
    assert target is not None
    rooms = {dtype: room_of(e) for dtype, e in of.items()}
    assert {row.said for row in mirror.trials(of, kind, target, session, rooms)} == {"forwards differ"}
    rows = list(trace.trials(of, kind, target, rooms))
    assert fine(rows)
    assert {row.said for row in rows} == {"the reference strays"}


@pytest.mark.parametrize(("optimizer", "name"), [
    (SGD(0.1, momentum=0.9), "momentum left out"), (Adam(0.1), "bias correction left out"),
    (SGD(0.1), "a parameter forgotten"),
])  # fmt: skip
def test_a_wrong_update_is_found_on_both_sides(optimizer: Any, name: str) -> None:
    rows = list(updates.trials({"float64": experiment(optimizer)}, next(s for s in STEPS if s.name == name), session))
    assert [row.side for row in rows] == ["numpy", "torch"]
    assert fine(rows)


def test_lines_of_the_source_are_edited_and_are_as_they_were_afterwards() -> None:
    e = experiment()
    at = backward.point_of(e)
    before = TwoLayerReLU.backward.__code__
    function = function_of(e)
    rows = list(islice((r for r in source.trials({"float64": at}, lambda _: function, {}, None) if r.changes), 3))
    assert all(row.refuted and row.located for row in rows)
    assert TwoLayerReLU.backward.__code__ is before


def test_what_changes_nothing_here_is_said_and_not_counted() -> None:
    e = experiment()
    assert chosen(e, wrong("a bias summed over all axes"), 0) is None  # there is no bias
    one = replace(e, x=e.x[:1], t=e.t[:1])
    assert chosen(one, wrong("1/N too many"), 0) is None  # N = 1
    row = next(updates.trials({"float32": rounded(e, "float32")}, STEPS[3], session))  # lr rounded to float32
    assert not row.changes
    assert "changes nothing here" in report.line(row)
    assert not SelfTest("net", {"float64": "certified"}, (row,)).passed  # nothing was planted, nothing is known


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that certifies whatever it is shown."""
    right = torch_mirror.check

    def looking_away(*arguments: Any) -> Any:
        found = right(*arguments)
        rows = tuple(row._replace(word="ok") for row in found.rows)
        return replace(found, rows=rows, faults=())

    monkeypatch.setattr(backward, "check", looking_away)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A selftest of few faults."""
    monkeypatch.setattr(run, "GRADIENTS", GRADIENTS[1:2])
    monkeypatch.setattr(run, "LEFT_OVER", ())
    monkeypatch.setattr(run, "VALUES", VALUES[5:6])
    monkeypatch.setattr(run, "STEPS", STEPS[:1])
    monkeypatch.setattr(source, "MOST", 1)


@pytest.mark.parametrize(("to", "least"), [("float32", 2), ("bfloat16", 8), ("TF32", 8)])
def test_of_a_cast_that_changes_too_few_elements_no_cause_is_asked(to: str, least: int) -> None:
    """As many as the search of causes needs; of any other mistake one is enough."""
    right = np.arange(1.0, 10.0)
    for changed in (least - 1, least):
        made = [Made(right, np.where(np.arange(9) < changed, right + 0.25, right), None)]
        assert tells(wrong(f"a cast to {to}"), made) is (changed == least)
        assert tells(wrong("2 too many"), made)


@pytest.mark.usefixtures("short")
def test_a_selftest_plants_on_both_sides_and_in_all_parts() -> None:
    passed = run.selftest(experiment(), dtypes=["float64"])
    assert passed.passed, str(passed)
    assert {(t.part, t.side) for t in passed.counted} >= {
        ("tensor", "numpy"), ("tensor", "torch"), ("update", "numpy"), ("update", "torch"), ("line", "numpy"),
    }  # fmt: skip


def of_class() -> tuple[Any, ...]:
    r = np.random.default_rng(0)
    return two_layer_class.init(r), r.standard_normal((7, 4)), r.integers(0, 3, 7)


def test_a_network_that_is_wrong_as_it_is_does_not_pass() -> None:
    row = Trial("tensor", "2 too many", "numpy", "float64", "dW1", changes=True, refuted=True, located=True,
                right_side=True, named="named")  # fmt: skip
    assert SelfTest("net", {"float64": "certified"}, (row,)).passed
    assert not SelfTest("net", {"float64": "refuted"}, (row,)).passed
    for fault in ({"refuted": False}, {"located": False}, {"right_side": False}, {"named": "wrong"}):
        assert not SelfTest("net", {"float64": "certified"}, (row._replace(**fault),)).passed


@pytest.mark.usefixtures("short")
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from tests.doors.selftest.test_selftest import experiment, of_class\n"
        "from tests.examples import two_layer_class\n"
        "def mine():\n    return (two_layer_class.loss, *of_class())\n"
        "def broken():\n    return 1 / 0\n"
        "number = 3\n"
    )
    path = tmp_path / "out.json"
    command = ["selftest", "--dtype", "float64", f"{file}:mine", "--json", str(path)]
    assert cli.run(command) == 0
    (network,) = json.loads(path.read_text())["networks"]
    assert network["passed"]
    assert all(fault["found"] for fault in network["faults"])
    blind(monkeypatch)
    assert cli.run(["selftest", "--dtype", "float64", f"{file}:mine"]) == 1
    assert "MISSED" in capsys.readouterr().out
    assert isinstance(objects.load(f"{file}:experiment"), Experiment)
    for text, why in (
        (f"{file}:number", "an Experiment"), (f"{file}:broken", "ZeroDivisionError"), (f"{file}:other", "one of"),
        ("nowhere.py:net", "a Python file"), ("no-such-network", "experiment"),
    ):  # fmt: skip
        result = CliRunner().invoke(cli.cli, ["selftest", text])
        assert result.exit_code == 2, text
        assert why.replace("an Experiment", "Experiment") in result.output


def test_a_cause_is_right_if_it_is_named_at_other_numbers_too() -> None:
    def there(*causes: str) -> Callable[[], tuple[str, ...]]:
        return lambda: causes

    one = "a factor 0.2 (here 1/N, N the batch) at d(z1) (proof: with it all 3 elements are within their radius)"
    assert graded((one,), there("a factor 0.5 (here 1/N, N the batch) at d(z1 + b1)")) == "named"
    assert graded((one,), there("a factor 0.2 (here 1/hidden) at d(z1)")) == "wrong"
    assert graded((one, "a factor 1/5 at d(z1)"), there(one)) == "tie"
    assert graded((one,), there()) == graded((), there(one)) == "not named"
    numerology = "eps for lr, and a factor 744137 (a number without a name) there"
    assert graded((numerology,), there(numerology)) == "not named"


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(InputError, match="network"):
        run.selftest(3)


def test_a_mistake_is_told_by_words_of_the_catalogue_only() -> None:
    assert all(w.name and not w.name.endswith(".") for w in ALL)
    seen = wrongs.Seen({}, {}, batch=4, outputs=2)
    matrix = np.arange(6.0).reshape(2, 3)
    for kind in GRADIENTS:
        made = kind.change(matrix, seen)
        assert made is None or np.shape(made) == matrix.shape, kind.name


# --- networks as people write them ------------------------------------------------------------------------------------


def with_zeros(p: Any, x: Any, t: Any) -> Any:
    """The gradient starts as zeros of a shape, of NumPy's own dtype; balls run through it where np is replaced."""
    y = x @ p["W"]
    d = np.zeros(y.shape)
    d[:] = 2 * (y - t) / y.size
    return ((y - t) ** 2).mean(), {"W": x.T @ d}


def of_function(function: Any, optimizer: Any = None) -> Experiment:
    r = np.random.default_rng(0)
    W, x, t = (r.standard_normal(s) for s in ((3, 2), (6, 3), (6, 2)))
    return Experiment(function, {"W": W}, x, t, None, optimizer or SGD(0.1), 3)


@pytest.mark.usefixtures("short")
def test_zeros_of_a_shape_are_followed_and_are_of_float64_alone() -> None:
    e = of_function(with_zeros)
    assert room_of(e)["dW"] > 0
    told = run.selftest(e)
    assert told.passed, str(told)
    assert list(told.honest) == ["float64"]
    assert any("float32" in note and "--dtype" in note for note in told.notes)
    assert any("no run can be judged" in note for note in told.notes)
    with pytest.raises(InputError, match="dtype float32"):
        run.selftest(e, dtypes=["float32"])


def linear(p: Any, x: Any, t: Any) -> Any:
    e = x @ p["W"] - t
    return (e**2).mean(), {"W": 2 * x.T @ e / e.size}


@pytest.mark.parametrize("own", [False, True])
def test_a_wrong_update_of_transposed_weights_and_of_an_own_step(*, own: bool) -> None:
    """torch has W transposed, and so the state; and a step of the user's own steps an optimizer of its own."""

    def using(e: Experiment) -> Any:
        net = torch.nn.Linear(3, 2, bias=False).double()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

        def step(x: Any, t: Any) -> Any:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(net(x), t)
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            optimizer.step()
            return loss

        names, states = {"W": "weight.T"}, {"m": "exp_avg", "v": "exp_avg_sq"}
        if own:
            return session(e, net, names, optimizer=optimizer, states=states, train_step=step)
        return session(e, net, names, torch.nn.MSELoss(), optimizer, states)

    of = {"float64": of_function(linear, Adam(0.01))}
    for name in ("bias correction left out", "lr twice as large"):  # torch has no such Adam, and has one
        rows = list(updates.trials(of, next(s for s in STEPS if s.name == name), using))
        assert [row.side for row in rows] == ["numpy", "torch"]
        assert fine(rows)


class OfNoAxes(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.w.exp()


def scaled(p: Any, x: Any, t: Any) -> Any:
    e = x * np.exp(p["w"]) - t
    return (e**2).mean(), {"w": (2 * e * x).sum() / len(x) * np.exp(p["w"])}


@pytest.mark.usefixtures("short")
def test_a_parameter_of_no_axes_is_a_parameter_like_others() -> None:
    """Numbers of NumPy's and of exact arithmetic stand where arrays are elsewhere."""
    x, t = np.random.default_rng(0).standard_normal((2, 8))
    e = Experiment(scaled, {"w": np.array(0.3)}, x, t, None, SGD(0.1), 3)

    def using(e: Experiment) -> Any:
        net = OfNoAxes()
        return session(e, net, {"w": "w"}, torch.nn.MSELoss(), torch.optim.SGD(net.parameters(), lr=0.1))

    told = run.selftest(e, using=using, dtypes=["float64"])
    assert told.passed, str(told)
    assert {row.side for row in told.trials if row.changes} >= {"numpy", "torch"}


class Leaky:
    """Both passes use the mask of the forward one; of z in a list no recording tells that."""

    listed = False
    neg: Any = None

    def forward(self, z: Any) -> Any:
        self.neg = z < 0
        if self.listed:
            self.neg = [[bool(v) for v in row] for row in self.neg]
        return np.where(self.neg, 0.1 * z, z)

    def backward(self, dy: Any) -> Any:
        return np.where(self.neg, 0.1 * dy, dy)


@pytest.mark.parametrize("listed", [False, True])
def test_an_edit_of_what_both_passes_share_is_no_fault(monkeypatch: pytest.MonkeyPatch, *, listed: bool) -> None:
    act = Leaky()
    act.listed = listed

    def leaky(p: Any, x: Any, t: Any) -> Any:
        e = act.forward(x @ p["W"]) - t
        return (e**2).mean(), {"W": x.T @ act.backward(2 * e / e.size)}

    e = of_function(leaky)
    at = backward.point_of(e)

    def trials() -> list[Trial]:
        return list(source.trials({"float64": at}, lambda _: leaky, {}, None))

    rows = trials()
    assert any(row.changes for row in rows)
    assert all(row.found for row in rows), "\n".join(map(report.line, rows))
    assert any(source.SHARED in report.line(row) for row in rows) is listed
    if listed:  # what is not a right one is a fault still
        monkeypatch.setattr(source, "_is_right", lambda *_: False)
        assert any(not row.found for row in trials())


@pytest.mark.usefixtures("short")
def test_a_limit_of_time_is_kept_and_told() -> None:
    told = run.selftest(with_zeros, {"W": np.ones((3, 2))}, np.eye(3), np.ones((3, 2)), dtypes=["float64"], limit=0)
    assert len(told.trials) == 2  # one of each part
    assert [note for note in told.notes if "0 s were the limit" in note]
