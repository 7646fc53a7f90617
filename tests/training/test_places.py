"""A name says where a parameter is and in which layout, and nothing is guessed: a column of a bias is asked for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference import SGD, Adam, Ensemble, Experiment, InputError, Own
from reference.claim.tree import named
from reference.layouts import LAYOUTS
from torch_mirror import Session, session, train, verify, verify_ensemble
from torch_mirror.training.places import Place, load, places


class Columns(nn.Module):
    """nn.Linear on samples that stand in columns."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2, dtype=torch.float64)

    def forward(self, X: Tensor) -> Tensor:
        Y: Tensor = self.layer(X.mT).mT
        return Y


NAMES = {"W": "layer.weight", "b": "layer.bias[:, None]"}


def columns(p: Any, X: Any, T: Any) -> Any:
    """Y = W X + b, with a column b (out, 1), and the mean of squares."""
    D = p["W"] @ X + p["b"] - T                             # (out, batch)
    dY = 2 * D / D.size                                     # (out, batch)
    return np.mean(D * D), {"W": dY @ X.T, "b": dY.sum(axis=1, keepdims=True)}


def run(optimizer: Any = None, function: Any = columns, shape: tuple[int, ...] = (2, 1)) -> Experiment:
    draws = np.random.default_rng(0)
    p = {"W": draws.standard_normal((2, 3)), "b": draws.standard_normal(shape)}
    X, T = draws.standard_normal((3, 5)), draws.standard_normal((2, 5))
    return Experiment(function, p, X, T, None, SGD(0.1, 0.9) if optimizer is None else optimizer, 3)


def using(names: dict[str, str] = NAMES, factor: float = 1) -> Any:
    def make(e: Experiment) -> Session:
        return session(e, Columns(), names, lambda y, t: factor * nn.functional.mse_loss(y, t))

    return make


@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.1, 0.9), Adam(0.1)], ids=repr)
def test_a_column_is_one_axis_of_torch(optimizer: Any) -> None:
    """The parameter, its gradient and its states, each step; and a factor in them is seen."""
    e = run(optimizer)
    certificate = verify(e, using=using())
    assert certificate.verdict == "certified", certificate.refutations
    assert {"b", "db", *named(optimizer.init(e.parameters))} <= {row.tensor for row in certificate.rows if row.judged}
    assert verify(e, using=using(factor=1 + 2.0**-20)).verdict == "refuted"
    trace = train(e, using=using()(e))
    assert (trace["b"].shape, trace["db"].shape) == ((4, 2, 1), (3, 2, 1))


def test_a_row_is_one_axis_of_torch() -> None:
    def rows(p: Any, X: Any, T: Any) -> Any:
        loss, dp = columns({**p, "b": p["b"].T}, X, T)
        return loss, {**dp, "b": dp["b"].T}

    e = run(function=rows, shape=(1, 2))
    assert verify(e, using=using(NAMES | {"b": "layer.bias[None, :]"})).verdict == "certified"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"b": "layer.bias"}, r"parameter b: expected shape \(2,\), got .* \(is it layer\.bias\[:, None\]\?\)"),
        ({"b": "layer.bias[None, :]"}, r"parameter b: expected shape \(1, 2\), .* \(is it layer\.bias\[:, None\]\?\)"),
        ({"b": "layer.bias.T"}, r"name of parameter b: expected no \.T where there are not two axes"),
        ({"W": "layer.weight[:, None]"}, r"name of parameter W: expected no \[:, None\] where there is not one axis"),
        ({"W": "layer.weight.T"}, r"parameter W: expected shape \(3, 2\), got .* \(is it layer\.weight\?\)"),
        ({"b": "layer.bias[:, 0]"}, r"parameter b: expected one of the module's layer\.weight, layer\.bias, got "),
    ],
)  # fmt: skip
def test_another_layout_is_told_and_the_right_one_asked_for(names: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        verify(run(), using=using(NAMES | names))


def test_an_ensemble_has_torch_s_own_layout() -> None:
    def two(p: Any, x: Any, t: Any) -> Any:
        d = x @ p["W"].mT - t
        return (d * d).sum(axis=(-2, -1)), {"W": (2 * d).mT @ x}

    draws = np.random.default_rng(0)
    x, t = draws.standard_normal((2, 5, 3)), draws.standard_normal((2, 5, 2))
    members = Ensemble(two, {"W": draws.standard_normal((2, 2, 3))}, x, t, None, SGD(0.1), 2)

    def linear(names: str, inputs: int, outputs: int) -> Any:
        layer = nn.Linear(inputs, outputs, bias=False, dtype=torch.float64)
        return lambda e: session(e, layer, {"W": names}, nn.MSELoss(reduction="sum"))

    assert verify_ensemble(members, using=linear("weight", 3, 2)).verdict == "certified"
    with pytest.raises(InputError, match=r"parameter W of an ensemble: expected the layout of torch, got weight\.T"):
        verify_ensemble(members, using=linear("weight.T", 2, 3))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_a_view_that_lets_steps_stand_in_front(layout: str) -> None:
    """Of a tensor and of an array alike; and what is written to it is written to the module's own."""
    shape = (2, 3)[: LAYOUTS[layout].axes]
    weight = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
    place = Place(weight, "w", layout)
    steps = np.arange(4.0 * weight.numel()).reshape(4, *shape)
    asked = [eval(f"w{layout}", {"w": w}) for w in steps]  # noqa: S307 - the suffix is NumPy's own notation
    np.testing.assert_array_equal(place.of(steps), asked)
    np.testing.assert_array_equal(place.of(torch.from_numpy(steps)).numpy(), asked)
    module = nn.Module()
    module.register_parameter("w", weight)
    load(module, {"p": f"w{layout}"}, {"p": asked[1]})
    np.testing.assert_array_equal(weight.detach().numpy(), steps[1])


def test_one_number_a_parameter_has_no_layout() -> None:
    """A state such as torch's ``step``, of a parameter that is transposed."""

    def counted(p: Any, g: Any, state: Any) -> Any:
        state["k"] = {name: k + 1 for name, k in state["k"].items()}
        return {name: w - 0.1 * g[name] for name, w in p.items()}, state

    class Counted(torch.optim.SGD):
        times = 1

        def step(self, closure: Any = None) -> Any:
            super().step(closure)
            for w in self.param_groups[0]["params"]:
                self.state[w]["step"] = self.state[w].get("step", torch.zeros(())) + self.times

    class Twice(Counted):
        times = 2

    def right(kind: type[Counted]) -> Any:
        def make(e: Experiment) -> Session:
            module = nn.Linear(2, 3, bias=False, dtype=torch.float64)
            optimizer = kind(module.parameters(), lr=0.1)
            return session(e, module, {"W": "weight.T"}, nn.MSELoss(), optimizer, {"k": "step"})

        return make

    def loss(p: Any, x: Any, t: Any) -> Any:
        d = x @ p["W"] - t
        return np.mean(d * d), {"W": 2 * x.T @ d / d.size}

    draws = np.random.default_rng(0)
    optimizer = Own(counted, lambda p: {"k": {name: np.zeros(()) for name in p}})
    x, t = draws.standard_normal((5, 2)), draws.standard_normal((5, 3))
    e = Experiment(loss, {"W": draws.standard_normal((2, 3))}, x, t, None, optimizer, 3)
    assert verify(e, using=right(Counted)).verdict == "certified"
    for elementwise in (False, True):  # as which it is ruled on an element, which this state does not have
        e = replace(e, optimizer=optimizer._replace(elementwise=elementwise))
        judged = verify(e, using=right(Twice))
        assert judged.first is not None
        assert judged.ruling is not None
        assert (judged.first.tensor, judged.ruling.verdict) == ("k.W", "no ruling")


def test_names_of_torch_compile_are_found_without_their_prefix() -> None:
    compiled: Any = torch.compile(Columns(), backend="eager")
    found = places(compiled, NAMES, {"W": 0, "b": 0})
    assert [place.name for place in found.values()] == ["_orig_mod.layer.weight", "_orig_mod.layer.bias"]
    with pytest.raises(InputError, match=r"parameter W: expected one of the module's _orig_mod\.layer\.weight"):
        places(compiled, {"W": "orig_mod.layer.weight"}, {"W": 0})
