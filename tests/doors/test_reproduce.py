"""A wrong gradient becomes a script of NumPy alone, which fails in the same way wherever it is run."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.claim.experiment import Experiment
from reference.errors import InputError
from reference.losses import SquaredError
from reference.networks.two_layer_relu import Parameters, TwoLayerReLU
from reference.optimizers.sgd import SGD
from reference.penalties import L2
from tests.doors.of_the_field import claim
from tests.doors.planting import planted
from tests.examples import dicts, per_sample
from tests.judge import faults
from torch_mirror import session
from torch_mirror.doors import cli
from torch_mirror.doors.check.claimed import claim_of
from torch_mirror.doors.minimised import minimised
from torch_mirror.doors.reproduce import reproduce
from torch_mirror.doors.reproduce_smaller import Case, badness, smaller, wrong_rows

PLANTED = {
    "dicts": (dicts, 'grads["b1"] = np.sum(dhidden, axis=0)', 'grads["b1"] = 0.5 * np.sum(dhidden, axis=0)'),
    "per_sample": (per_sample, ".transpose(), delta) * sp", ".transpose(), delta)"),
}  # fmt: skip


class Wrong(TwoLayerReLU):
    """A network whose dW2 is half of what it should be."""

    def backward(self, p: Any, c: Any, dy: Any, sow: Any = lambda _, v: v) -> Any:
        dW1, dW2 = super().backward(p, c, dy, sow)
        return Parameters(dW1, 0.5 * dW2)


def experiment(network: TwoLayerReLU | None = None) -> Experiment:
    r = np.random.default_rng(0)
    W1, W2, x, t = (r.standard_normal(s).astype("float32") for s in ((4, 3), (2, 4), (5, 3), (5, 2)))
    return Experiment(network or Wrong(3, 4, 2), Parameters(W1, W2), x, t, SquaredError("mean"), SGD(0.1), 1)


def of_hypothesis() -> str:
    """What a failing property's exception says."""

    @minimised
    @settings(max_examples=2, database=None)
    @given(st.just(experiment()))
    def is_right(e: Experiment) -> None:
        y, cache = e.network.forward(e.parameters, e.x)
        dy = e.loss.gradient(y, e.t)
        right = TwoLayerReLU.backward(e.network, e.parameters, cache, dy)
        assert np.array_equal(e.network.backward(e.parameters, cache, dy).W2, right.W2)

    with pytest.raises(AssertionError) as failed:
        is_right()
    text: str = failed.value.__notes__[-1].partition("\n\n")[2]
    return text


class Scale(NamedTuple):
    w: Any


def closure(factor: float) -> Callable[..., Any]:
    offset = np.array([1.0, 2.0, 3.0])

    def mine(p: Any, x: Any) -> Any:
        d = p.w * x - offset
        return np.sum(d * d), {"w": factor * d * x}

    return mine


def in_closure() -> tuple[Any, ...]:
    return closure(3.0), Scale(np.array([0.7, 0.3, 0.1])), np.array([0.3, 0.2, 0.9])


def squares(p: Any, x: Any, t: Any) -> Any:
    e = x @ p["W"] - t
    return np.mean(e * e), {"W": 2 * x.T @ e / e.size}


def squares_sown(p: Any, x: Any, t: Any, sow: Any = lambda _, v: v) -> Any:
    y = sow("y", x @ p["W"])
    return np.mean((y - t) ** 2), {"W": 2 * x.T @ (y - t) / y.size}


class Quiet:
    """A network whose functions take no sow."""

    def forward(self, p: Any, x: Any) -> Any:
        return x @ p["W"], x

    def backward(self, p: Any, c: Any, dy: Any) -> Any:
        return {"W": c.T @ dy}


def halved(e: Experiment) -> Any:
    """torch with half of the gradient of W."""
    module = torch.nn.Linear(3, 2, bias=False).double()
    module.weight.register_hook(lambda g: g / 2)  # type: ignore[no-untyped-call]  # untyped in torch
    return session(e, module, {"W": "weight.T"}, torch.nn.MSELoss(), torch.optim.SGD(module.parameters(), lr=0.1))


@pytest.mark.parametrize("network", [squares, squares_sown, Quiet()], ids=["function", "sown", "quiet"])
def test_a_mirror_that_strays_from_functions_without_sow_is_a_script_too(network: Any, tmp_path: Path) -> None:
    r = np.random.default_rng(0)
    loss = SquaredError("mean") if isinstance(network, Quiet) else None
    W, x, t = r.standard_normal((3, 2)), r.standard_normal((5, 3)), r.standard_normal((5, 2))
    text = reproduce(Experiment(network, {"W": W}, x, t, loss, SGD(0.1), 2), using=halved)
    (tmp_path / "case.py").write_text(text)
    ran = subprocess.run([sys.executable, "-I", "-c", RUN, str(tmp_path / "case.py")], capture_output=True, check=True)
    said, modules = [json.loads(line) for line in ran.stdout.splitlines()]
    assert said[0].startswith("dW is ")
    assert not {"torch", "torch_mirror", "reference", "tests"} & {*modules}


def test_that_a_penalty_has_no_script_is_told_with_the_way_out() -> None:
    e = replace(experiment(TwoLayerReLU(3, 4, 2)), penalty=L2(0.1, ("W1",)))
    with pytest.raises(InputError, match=r"without penalty, or a function \(p, x, t\) -> .*, got one with a penalty"):
        reproduce(e, using=faults.halved)


def derivative(z: Any) -> Any:
    return z > 0


def seen(z: Any) -> Any:
    return np.maximum(z, 0)


def loss_and_gradients(p: Any, x: Any) -> Any:
    """Called as the script's own function is, as are the two above."""
    z = x * p["w"]
    return np.sum(seen(z) ** 2), {"w": np.sum(seen(z) * derivative(z) * x)}  # the 2 of the square is left out


def of_the_script_s_names() -> tuple[Any, ...]:
    return loss_and_gradients, {"w": np.array(0.7)}, np.array([0.3, 0.2, 0.9])


RUN = """
import json, sys, io, contextlib
before = set(sys.modules)
for path in sys.argv[1:]:
    said = "no error"
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(open(path).read(), path, "exec"), {"__name__": "__main__"})
    except AssertionError as error:
        said = str(error)
    print(json.dumps([said, out.getvalue()]))
print(json.dumps(sorted({m.partition(".")[0] for m in set(sys.modules) - before})))
"""


def test_every_script_fails_alone_as_the_network_does(tmp_path: Path) -> None:
    texts = {name: reproduce(*claim(name, planted(*fault))) for name, fault in PLANTED.items()}
    texts |= {"closure": reproduce(*in_closure()), "names": reproduce(*of_the_script_s_names())}
    texts["hypothesis"] = of_hypothesis()
    mirror = reproduce(experiment(TwoLayerReLU(3, 4, 2)), using=faults.halved)
    paths = [tmp_path / f"{name}.py" for name in (*texts, "mirror")]
    for path, text in zip(paths, (*texts.values(), mirror), strict=True):
        path.write_text(text)
    command = [sys.executable, "-I", "-c", RUN, *map(str, paths)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    *rows, (of_mirror, _), modules = [json.loads(line) for line in ran.stdout.splitlines()]
    for name, (said, out) in zip(texts, rows, strict=True):
        assert "is right" in said, f"{name}: {said}"
        assert len(texts[name]) < 12_000
        lines = [float(line.rpartition(" ")[2]) for line in out.splitlines()]
        seen, derivative, quotient = lines
        assert abs(quotient - derivative) < abs(seen - derivative) / 100, f"{name}: {out}"
    assert re.fullmatch(r"dy is .* in torch, where the reference.s equations give .*", of_mirror, re.DOTALL)
    assert "data0 = np.zeros((1, 1))" in texts["dicts"]
    assert not {"torch", "torch_mirror", "reference", "tests"} & {*modules}


def test_it_is_made_smaller_and_stays_as_bad() -> None:
    function, p, x = closure(1.0), Scale(np.array([0.7, 0.3, 0.1])), np.array([0.3, 0.2, 0.9])
    case, of = Case(p, (x,)), claim_of(function, p, (x,))
    small = smaller(of, case, "w")
    assert badness(wrong_rows(of, case)["w"]) == 0.5
    assert badness(wrong_rows(of, small)["w"]) >= 0.25
    assert sum(int(np.count_nonzero(a)) for a in (small.parameters.w, *small.data)) <= 1


def test_what_cannot_be_a_script_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none that is wrong"):
        reproduce(*claim("dicts"))
    with pytest.raises(InputError, match="a lambda"):
        reproduce(lambda p, x: (np.sum(p * p * x), p * x), np.array([1.0, 2.0]), np.array([0.5, 0.25]))
    with pytest.raises(InputError, match="Experiment"):
        reproduce(3)
    path = tmp_path / "case.py"
    text = reproduce(*in_closure(), path=path)
    assert path.read_text() == text


GLOBALS = """
import numpy as np
calls = []
def start():
    calls.append(1)
    return np.ones((3, 2)), np.zeros(2)
W, b = start()
x, t = np.ones((4, 3)), np.zeros((4, 2))  # the arguments of the functions below have these names
def forward(x):
    return x @ W + b
def mine(p, x, t):
    globals().update(p)
    error = forward(x) - t
    return (error**2).sum(), {"W": x.T @ error, "b": 2 * error.sum(axis=0)}
"""


def test_a_statement_stands_there_once_and_what_is_not_needed_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of W, b = start() both names are needed, and nothing of x, t, which are the functions' own."""
    (tmp_path / "of_names.py").write_text(GLOBALS)
    monkeypatch.syspath_prepend(str(tmp_path))
    user = import_module("of_names")
    text = reproduce(user.mine, {"W": user.W, "b": user.b}, user.x, user.t)
    assert text.count("W, b = start()") == 1
    assert "x, t =" not in text


def test_a_network_that_its_source_does_not_show_is_told() -> None:
    _, p, x = in_closure()
    with pytest.raises(InputError, match="source"):
        reproduce(_without_source(), p, x)


def _without_source() -> Any:
    space: dict[str, Any] = {"np": np, "__name__": "nowhere"}
    exec("def mine(p, x):\n    return np.sum(p.w * x), {'w': 2 * x}\n", space)  # noqa: S102 - the text before it
    return space["mine"]


def test_the_command(tmp_path: Path) -> None:
    file, out = tmp_path / "mine.py", tmp_path / "case.py"
    file.write_text(
        "from tests.doors.test_reproduce import in_closure\n"
        "from tests.doors.of_the_field import claim\n"
        "def right():\n    return claim('dicts')\n"
    )
    assert cli.run(["reproduce", f"{file}:in_closure", "-o", str(out)]) == 0
    assert "numpy" in out.read_text()
    result = CliRunner().invoke(cli.cli, ["reproduce", f"{file}:right"])
    assert result.exit_code == 2
    assert "none that is wrong" in result.output
