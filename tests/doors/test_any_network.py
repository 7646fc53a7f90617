"""Networks, losses and optimizers as people write them: in any form, by name, without a word changed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
from reference import L2, SGD, Batches, Experiment, Own
from reference.arrays import Array, keep
from reference.claim.tree import named, zip_with
from reference.errors import InputError
from tests.examples import columns, dicts, layer_objects, pairs
from tests.unruled import unruled
from torch_mirror import Session, session, verify
from torch_mirror.training.session import torch_dtype

Using = Callable[[Experiment], Session]
each_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


@pytest.fixture
def draws() -> np.random.Generator:
    return np.random.default_rng(7)


def rounded(e: Experiment, dtype: str) -> Experiment:
    return reference.experiments.rounded(e, dtype)


def by_torch(
    layers: Callable[[torch.dtype], list[nn.Module]], names: dict[str, str], loss: Callable[..., Tensor],
    optimizer: Callable[..., torch.optim.Optimizer] = lambda weights: torch.optim.SGD(weights, lr=0.1),
    states: dict[str, str] | None = None,
) -> Using:  # fmt: skip
    """A session of one's own: layers in a row, names, a loss of (module, y, t) and an optimizer."""

    def make(e: Experiment) -> Session:
        module = nn.Sequential(*layers(torch_dtype(e)))
        criterion = lambda y, t: loss(module, y, t)  # noqa: E731 - it is one
        return session(e, module, names, criterion, optimizer(module.parameters()), states)

    return make


# --- a function of parameters and data ------------------------------------------------------------------


def layers_of_dicts(dtype: torch.dtype) -> list[nn.Module]:
    return [nn.Linear(4, 5, dtype=dtype), nn.ReLU(), nn.Linear(5, 3, dtype=dtype)]


def loss_of_dicts(module: Any, y: Tensor, t: Tensor) -> Tensor:
    decay = module[0].weight.square().sum() + module[2].weight.square().sum()
    return nn.functional.cross_entropy(y, t) + dicts.REG * decay


OF_DICTS = {"W1": "0.weight.T", "b1": "0.bias", "W2": "2.weight.T", "b2": "2.bias"}


def of_dicts(draws: np.random.Generator, function: Any = dicts.loss) -> Experiment:
    x, t = draws.standard_normal((7, 4)), draws.integers(0, 3, 7)
    return Experiment(function, dicts.init(draws), x, t, None, SGD(0.1), 3)


def layers_of_pairs(dtype: torch.dtype) -> list[nn.Module]:
    between = [nn.Tanh(), nn.Tanh(), None]
    linear = [nn.Linear(n, m, dtype=dtype) for n, m in ((4, 5), (5, 3), (3, 2))]
    return [part for pair in zip(linear, between, strict=True) for part in pair if part is not None]


OF_PAIRS = {f"{i}.{j}": f"{2 * i}.{what}" for i in range(3) for j, what in ((0, "weight.T"), (1, "bias"))}


def of_pairs(draws: np.random.Generator) -> Experiment:
    x, t = draws.standard_normal((7, 4)), draws.standard_normal((7, 2))
    return Experiment(pairs.loss, pairs.init(draws), x, t, None, SGD(0.1), 3)


def of_layer_objects(draws: np.random.Generator) -> Experiment:
    x, t = draws.standard_normal((7, 4)), draws.standard_normal((7, 2))
    weights = [a.reshape(a.shape[-1:]) if len(a) == 1 else a for a in layer_objects.init(draws)]

    def loss(p: list[Any], x: Any, t: Any) -> Any:
        value, gradients = layer_objects.loss(p, x, t)
        return value, [g.reshape(w.shape) for g, w in zip(gradients, p, strict=True)]

    return Experiment(loss, weights, x, t, None, SGD(0.1), 3)


FUNCTIONS: dict[str, tuple[Callable[[np.random.Generator], Experiment], Using]] = {
    "a dict, labels, a penalty": (of_dicts, by_torch(layers_of_dicts, OF_DICTS, loss_of_dicts)),
    "a list of pairs": (
        of_pairs, by_torch(layers_of_pairs, OF_PAIRS, lambda _, y, t: ((y - t) ** 2).sum() / (2 * len(t))),
    ),
    "objects that are layers": (
        of_layer_objects,
        by_torch(
            lambda dtype: [nn.Linear(4, 5, dtype=dtype), nn.LeakyReLU(0.125), nn.Linear(5, 2, dtype=dtype)],
            {"0": "0.weight.T", "1": "0.bias", "2": "2.weight.T", "3": "2.bias"},
            lambda _, y, t: nn.functional.mse_loss(y, t),
        ),
    ),
}  # fmt: skip


@each_dtype
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function_is_certified(kind: str, dtype: str, draws: np.random.Generator) -> None:
    make, using = FUNCTIONS[kind]
    certificate = verify(rounded(make(draws), dtype), using=using)
    assert certificate.verdict == "certified", certificate.refutations


def test_half_a_penalty_s_gradient_is_refuted_at_the_weights_alone(draws: np.random.Generator) -> None:
    """The bug of the public notebook: reg W instead of 2 reg W."""

    def wrong(p: Any, X: Any, y: Any) -> Any:
        loss, gradients = dicts.loss(p, X, y)
        return loss, {name: g - dicts.REG * p[name] if name in ("W1", "W2") else g for name, g in gradients.items()}

    certificate = verify(of_dicts(draws, wrong), using=FUNCTIONS["a dict, labels, a penalty"][1])
    assert {f.tensor for f in certificate.refutations if f.step == 0 and f.check == "end to end"} == {"dW1", "dW2"}


def test_gradients_may_be_called_by_a_d_before_the_name(draws: np.random.Generator) -> None:
    def loss(p: Any, X: Any, y: Any) -> Any:
        value, gradients = dicts.loss(p, X, y)
        return value, {f"d{name}": g for name, g in gradients.items()}

    using = FUNCTIONS["a dict, labels, a penalty"][1]
    assert verify(of_dicts(draws, loss), using=using).verdict == "certified"


# --- layouts ----------------------------------------------------------------------------------------------


def test_features_by_batch(draws: np.random.Generator) -> None:
    """Columns are samples, and a bias is a column, on both sides."""

    class Columns(nn.Module):
        def __init__(self, dtype: torch.dtype) -> None:
            super().__init__()
            self.W1, self.b1 = (nn.Parameter(torch.zeros(*shape, dtype=dtype)) for shape in ((5, 4), (5, 1)))
            self.W2, self.b2 = (nn.Parameter(torch.zeros(*shape, dtype=dtype)) for shape in ((1, 5), (1, 1)))

        def forward(self, X: Tensor) -> Tensor:
            return torch.sigmoid(self.W2 @ torch.tanh(self.W1 @ X + self.b1) + self.b2)

    X, Y = draws.standard_normal((4, 7)), draws.integers(0, 2, (1, 7)).astype(float)
    e = Experiment(columns.loss, columns.init(draws), X, Y, None, SGD(0.1), 3)

    def using(e: Experiment) -> Session:
        criterion = nn.BCELoss(reduction="sum")
        return session(e, Columns(torch_dtype(e)), criterion=lambda y, t: criterion(y, t) / 7)

    assert verify(e, using=using).verdict == "certified"


def test_a_square_matrix_is_transposed_only_where_its_name_says_so(draws: np.random.Generator) -> None:
    e = square(draws)
    layer = by_torch(lambda dtype: [nn.Linear(3, 3, bias=False, dtype=dtype)], {"W": "0.weight.T"}, of_square)
    assert verify(e, using=layer).verdict == "certified"
    layer = by_torch(lambda dtype: [nn.Linear(3, 3, bias=False, dtype=dtype)], {"W": "0.weight"}, of_square)
    assert verify(e, using=layer).verdict == "refuted"


def of_square(_module: Any, y: Tensor, t: Tensor) -> Tensor:
    return nn.functional.mse_loss(y, t)


def square(draws: np.random.Generator) -> Experiment:
    def loss(p: Any, x: Any, t: Any) -> Any:
        error = x @ p["W"] - t
        return np.mean(error * error), {"W": x.T @ (2 * error / error.size)}

    x, t = draws.standard_normal((2, 5, 3))
    return Experiment(loss, {"W": draws.standard_normal((3, 3))}, x, t, None, SGD(0.1), 3)


def test_a_shape_that_would_fit_transposed_is_told(draws: np.random.Generator) -> None:
    names = {**OF_DICTS, "W1": "0.weight"}
    with pytest.raises(InputError, match=r"parameter W1: expected shape \(5, 4\), .*\(is it 0.weight.T\?\)"):
        verify(of_dicts(draws), using=by_torch(layers_of_dicts, names, loss_of_dicts))


# --- optimizers of one's own ------------------------------------------------------------------------------


def in_place(p: Any, g: Any) -> None:
    for name in p:
        p[name] -= 0.1 * g[name]


def returned(p: Any, g: Any) -> Any:
    return {name: p[name] - 0.1 * g[name] for name in p}


def heavy_ball(p: Any, g: Any, state: Any) -> None:
    for name in p:
        state["v"][name] *= 0.9
        state["v"][name] += g[name]
        p[name] -= 0.1 * state["v"][name]


def zeros(p: Any) -> Any:
    return {"v": {name: np.zeros_like(w) for name, w in p.items()}}


def rising(p: Any, g: Any) -> None:
    for name in p:
        p[name] += 0.1 * g[name]


@pytest.mark.parametrize(
    ("update", "start", "verdict"),
    [(in_place, None, "certified"), (returned, None, "certified"), (rising, None, "refuted")],
    ids=["in place", "pure", "in place, up instead of down"],
)
def test_an_update_of_one_s_own(update: Any, start: Any, verdict: str, draws: np.random.Generator) -> None:
    e = replace(of_dicts(draws), optimizer=Own(update, start))
    before = {name: a.copy() for name, a in named(e.parameters).items()}
    assert verify(e, using=FUNCTIONS["a dict, labels, a penalty"][1]).verdict == verdict
    for name, a in named(e.parameters).items():
        np.testing.assert_array_equal(a, before[name])  # nothing of the user's is changed


def test_a_state_of_one_s_own_is_judged(draws: np.random.Generator) -> None:
    def using(states: dict[str, str], momentum: float = 0.9) -> Using:
        def optimizer(weights: Any) -> torch.optim.Optimizer:
            return torch.optim.SGD(weights, lr=0.1, momentum=momentum)

        return by_torch(layers_of_dicts, OF_DICTS, loss_of_dicts, optimizer, states)

    e = replace(of_dicts(draws), optimizer=Own(heavy_ball, zeros), steps=4)
    certificate = verify(e, using=using({"v": "momentum_buffer"}))
    assert certificate.verdict == "certified", certificate.refutations
    first = verify(e, using=using({"v": "momentum_buffer"}, momentum=0.8)).first
    assert first is not None
    assert (first.tensor, first.step) == ("v.W1", 1)  # at the first step the buffer is the gradient in both
    with pytest.raises(InputError, match=r"states of the session: expected where torch keeps v of Own"):
        verify(e, using=using({}))


# --- a training step of one's own on the side of torch ------------------------------------------------------


def own_step(e: Experiment, *, forgets: bool = False) -> Session:
    one = FUNCTIONS["a dict, labels, a penalty"][1](e)

    def train_step(x: Tensor, t: Tensor) -> float:
        loss = loss_of_dicts(one.module, one.module(x), t)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        one.optimizer.step()
        if not forgets:
            one.optimizer.zero_grad()
        return loss.item()

    return one._replace(train_step=train_step)


def test_a_training_step_of_one_s_own(draws: np.random.Generator) -> None:
    e = of_dicts(draws)
    assert verify(e, using=own_step).verdict == "certified"
    first = verify(e, using=lambda e: own_step(e, forgets=True)).first
    assert first is not None
    assert (first.tensor[:2], first.step) == ("dW", 1)


# --- penalties, trees of data, whole numbers --------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("batches", [None, Batches(4)], ids=str)
def test_a_penalty_on_the_weights(dtype: str, batches: Any) -> None:
    e = reference.experiments.load("digits-softmax", dtype)
    e = replace(e, penalty=L2(0.01, ("W1", "W2")), x=e.x[:10], t=e.t[:10], steps=3, batches=batches)
    certificate = verify(e)
    assert certificate.verdict == "certified", certificate.refutations
    with unruled():
        wrong = verify(e, using=lambda e: session(replace(e, penalty=L2(0.02, ("W1", "W2")))))
    assert wrong.first is not None
    assert (wrong.first.tensor, wrong.first.step) == ("loss", 0)


@dataclass
class Net:
    """An object whose attributes are arrays."""

    W: Array
    b: Array
    name: str = "mine"


def test_data_of_several_parts_and_parameters_in_an_object(draws: np.random.Generator) -> None:
    """x is a dict of floats and of a mask; what is no array in an object of parameters is left as it is."""

    def loss(p: Net, x: Any, t: Any) -> Any:
        assert p.name == "mine"
        error = np.where(x["seen"], x["a"] @ p.W.T + p.b - t, 0)
        return np.sum(error * error), Net((2 * error).T @ x["a"], (2 * error).sum(axis=0))

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2, dtype=torch.float64)

        def forward(self, x: Any) -> Tensor:
            return torch.where(x["seen"], self.layer(x["a"]), 0.0)

    x = {"a": draws.standard_normal((6, 3)), "seen": draws.integers(0, 2, (6, 2)) > 0}
    t = np.where(x["seen"], draws.standard_normal((6, 2)), 0)
    e = Experiment(loss, Net(draws.standard_normal((2, 3)), np.zeros(2)), x, t, None, SGD(0.1), 3, batches=Batches(4))

    def using(e: Experiment) -> Session:
        names = {"W": "layer.weight", "b": "layer.bias"}
        return session(e, Linear(), names, lambda y, t: ((y - t) ** 2).sum())

    assert list(reference.train(e)) == ["x.a", "x.seen", "t", "W", "b", "loss", "dW", "db"]
    certificate = verify(e, using=using)
    assert certificate.verdict == "certified", certificate.refutations


class Slotted:
    """An object without a dict, of a class with a base."""

    __slots__ = ("W", "name")

    def __init__(self, W: Array) -> None:
        self.W, self.name = W, "mine"


class Biased(Slotted):
    __slots__ = "b"  # noqa: PLC0205 - Python takes a name alone, too

    def __init__(self, W: Array, b: Array) -> None:
        super().__init__(W)
        self.b = b


@dataclass(frozen=True, slots=True)
class Frozen:
    W: Array
    b: Array
    name: str = "mine"


@pytest.mark.parametrize("kind", [Biased, Frozen])
@pytest.mark.parametrize("factor", [2, 3])
def test_parameters_in_slots(kind: Any, factor: int, draws: np.random.Generator) -> None:
    def loss(p: Any, x: Any, t: Any) -> Any:
        assert (type(p), p.name) == (kind, "mine")
        error = x @ p.W.T + p.b - t
        return np.mean(error * error), kind(factor * error.T @ x / error.size, factor * error.sum(axis=0) / error.size)

    x, t, start = draws.standard_normal((6, 3)), draws.standard_normal((6, 2)), draws.standard_normal((2, 3))
    e = Experiment(loss, kind(start, np.zeros(2)), x, t, None, SGD(0.1), 3)
    assert list(named(e.parameters)) == ["W", "b"]
    before = start.copy()
    module = nn.Linear(3, 2, dtype=torch.float64)
    certificate = verify(e, using=lambda e: session(e, module, {"W": "weight", "b": "bias"}, nn.MSELoss()))
    assert certificate.verdict == ("certified" if factor == 2 else "refuted")
    np.testing.assert_array_equal(start, before)
    with pytest.raises(InputError, match=r"tree at b: expected an array, got only W, name"):
        zip_with(lambda _, a, b: a + b, kind(start, np.zeros(2)), Slotted(start))


class Layered:
    """A network that keeps what its passes compute, its gradients too, and takes its parameters from itself."""

    def __init__(self, draws: np.random.Generator) -> None:
        self.W1, self.W2 = draws.standard_normal((4, 5)), draws.standard_normal((5, 2))

    def loss(self, x: Any, t: Any) -> Any:
        self.h = np.tanh(x @ self.W1)
        self.error = self.h @ self.W2 - t
        return np.mean(self.error**2)

    def gradients(self, x: Any) -> Any:
        self.dy = 2 * self.error / self.error.size
        return {"W2": self.h.T @ self.dy, "W1": x.T @ ((self.dy @ self.W2.T) * (1 - self.h**2))}


def test_an_object_that_keeps_values_on_itself(draws: np.random.Generator) -> None:
    """``self.h`` is no parameter: it is kept on a copy, and the object of the user stays as it was."""
    net = Layered(draws)
    x, t = draws.standard_normal((7, 4)), draws.standard_normal((7, 2))
    e = Experiment(lambda p, x, t: (p.loss(x, t), p.gradients(x)), net, x, t, None, SGD(0.1), 3)

    def using(e: Experiment) -> Session:
        layers = [nn.Linear(4, 5, bias=False), nn.Tanh(), nn.Linear(5, 2, bias=False)]
        module = nn.Sequential(*layers).double()
        return session(e, module, {"W1": "0.weight.T", "W2": "2.weight.T"}, nn.MSELoss())

    certificate = verify(e, using=using)
    assert certificate.verdict == "certified", certificate.refutations
    assert list(vars(net)) == ["W1", "W2"]


def test_what_no_name_maps_is_told(draws: np.random.Generator) -> None:
    def layers(dtype: torch.dtype) -> list[nn.Module]:
        return [*layers_of_dicts(dtype), nn.BatchNorm1d(3, dtype=dtype)]

    with unruled():
        certificate = verify(of_dicts(draws), using=by_torch(layers, OF_DICTS, loss_of_dicts))
    assert [note.partition(":")[0] for note in certificate.notes if note.startswith("not judged")] == ["not judged"] * 2
    assert any("3.weight, 3.bias" in note for note in certificate.notes)
    assert any("3.running_mean" in note for note in certificate.notes)


def test_no_session_is_an_error(draws: np.random.Generator) -> None:
    with pytest.raises(InputError, match=r"using: expected a function that returns a torch_mirror\.Session, got None"):
        verify(of_dicts(draws), using=lambda _: None)  # type: ignore[arg-type,return-value]  # on purpose


def test_a_subclass_with_a_step_of_its_own_is_not_replaced() -> None:
    class Mine(SGD):
        def step(self, p: Any, dp: Any, state: Any, t: Any, sow: Any = keep) -> Any:
            return super().step(p, dp, state, t, sow)

    e = replace(reference.experiments.load("linear-batch"), optimizer=Mine(0.1), steps=2)
    with pytest.raises(InputError, match=r"optimizer: expected one of .*, got Mine"):
        verify(e)
