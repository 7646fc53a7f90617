"""What a user's session brings and cannot be used is told by its name, not by a traceback out of this package."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference import Experiment, InputError, UnknownNameError
from reference.claim.tree import named
from tests.reference.test_bad_claims import in_float32, linear
from torch_mirror import Session, verify
from torch_mirror.training.places import load, tensor

NAMES = {"W": "W", "b": "b"}


class Line(nn.Module):
    def __init__(self, inputs: int = 3, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.W, self.b = (nn.Parameter(torch.zeros(*n, dtype=dtype)) for n in ((inputs, 2), (2,)))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.W + self.b


def made(given: nn.Module | None = None, **changes: Any) -> Session:
    module = Line() if given is None else given
    optimizer = torch.optim.SGD([w for w in module.parameters() if w.requires_grad], lr=0.1)
    usual = Session(module, NAMES, nn.functional.mse_loss, optimizer)
    if isinstance(module, Line) and module.W.shape == (3, 2) and module.W.dtype == torch.float64:
        load(module, NAMES, linear().parameters)
    return usual._replace(**changes)


def test_the_usual_one_is_certified() -> None:
    assert verify(linear(), using=lambda _: made()).verdict == "certified"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"module": None}, "module of the session: expected a torch.nn.Module"),
        ({"names": None}, "names of the session: expected a dict"),
        ({"names": {"W": 1, "b": 2}}, "name of parameter W: expected one of the module's state dict, as text"),
        ({"names": {"W": "b", "b": "b"}}, r"parameter W: expected shape \(2,\), got shape \(3, 2\)"),
        ({"names": {"W": "W", "b": "b.T"}}, r"name of parameter b: expected no \.T where there are not two axes"),
        ({"criterion": None}, "criterion of the session: expected a function"),
        ({"criterion": lambda: 0}, r"criterion: expected to take \(y, t\)"),
        ({"criterion": lambda *_: None}, "criterion: expected to return a tensor of one number, got NoneType"),
        ({"criterion": lambda y, t: (y - t)[0]}, r"criterion: expected to return .* one number, got shape \(2,\)"),
        ({"criterion": lambda y, t: (y - t).sum().bfloat16()}, "tensor loss: expected float32 or float64, whose radii"),
        ({"optimizer": None}, "optimizer of the session: expected a torch.optim.Optimizer"),
        ({"optimizer": torch.optim.LBFGS(Line().parameters())}, "optimizer of the session: expected one whose step"),
        ({"states": None}, "states of the session: expected a dict"),
        ({"train_step": 1}, "train_step of the session: expected a function"),
        ({"train_step": lambda: 0}, r"train_step: expected to take \(x, t\)"),
        ({"train_step": lambda *_: None}, "train_step: expected to return the loss, one number, got NoneType"),
        ({"train_step": lambda *_: "1"}, "train_step: expected to return the loss, one number, got str"),
        ({"train_step": lambda x, t: (x, t)}, "train_step: expected to return the loss, one number, got tuple"),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_used_is_told(changes: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        verify(linear(), using=lambda _: made(**changes))


@pytest.mark.parametrize("using", [None, 1, "session"])
def test_using_must_be_a_function(using: Any) -> None:
    with pytest.raises(InputError, match=r"using: expected a function that returns a torch_mirror\.Session"):
        verify(linear(), using=using)


@pytest.mark.parametrize("name", ["x", "t", "W"])
def test_what_the_experiment_holds_is_left_as_it_is(name: str) -> None:
    e = linear()
    given = {**e.named_data, **named(e.parameters)}[name]
    before = given.copy()

    def using(_: Experiment) -> Session:
        given[...] *= 0.5
        return made()

    with pytest.raises(InputError, match=f"using: expected to leave {name} of the experiment as it is, got one that"):
        verify(e, using=using)
    assert np.array_equal(given, before)


def test_so_it_is_where_using_ends_in_an_error() -> None:
    e = linear()
    before = e.x.copy()

    def using(_: Experiment) -> Session:
        e.x[...] = 0
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        verify(e, using=using)
    assert np.array_equal(e.x, before)


def test_a_module_in_the_memory_of_the_experiment_s_arrays_is_told() -> None:
    """Trained in place, it would change them, and NumPy's run with them."""
    e = linear()
    before = {name: a.copy() for name, a in named(e.parameters).items()}

    def using(e: Experiment) -> Session:
        module = Line()
        module.W = nn.Parameter(torch.from_numpy(named(e.parameters)["W"]))
        return made()._replace(module=module, optimizer=torch.optim.SGD(module.parameters(), lr=0.1))

    with pytest.raises(InputError, match=r"using: .* memory of its own: torch\.tensor\(a\), .*shares that of W"):
        verify(e, using=using)
    assert all(np.array_equal(a, before[name]) for name, a in named(e.parameters).items())


def test_a_name_that_no_parameter_has_is_told() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown parameter among the names of the session: 'w'"):
        verify(linear(), using=lambda _: made(names={"w": "W"}))


def test_another_experiment_s_session_is_told() -> None:
    with pytest.raises(InputError, match=r"parameter W: expected shape \(4, 2\), got shape \(3, 2\)"):
        verify(linear(), using=lambda _: made(Line(4)))
    with pytest.raises(InputError, match=r"W of the module: .* float64, .* \(module\.double\(\)\), got dtype torch"):
        verify(linear(), using=lambda _: made(Line(3, torch.float32)))
    with pytest.raises(InputError, match="parameter W of the module: expected dtype float32"):
        verify(in_float32(), using=lambda _: made())
    with pytest.raises(InputError, match=r"parameter W of the module: expected one on the CPU \(module\.to_empty"):
        verify(linear(), using=lambda _: made(Line().to("meta")))


def test_what_the_user_s_code_raises_is_theirs() -> None:
    def criterion(*_: Tensor) -> Tensor:
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        verify(linear(), using=lambda _: made(criterion=criterion))


class Pair(Line):
    """As torch's recurrent modules are: the output, and something else."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x


def test_an_output_that_the_criterion_does_not_take_is_told() -> None:
    with pytest.raises(InputError, match=r"output of the torch module: expected a tensor, .*, got tuple"):
        verify(linear(), using=lambda _: made(Pair()))
    certificate = verify(linear(), using=lambda _: made(Pair(), criterion=lambda y, t: (y[0] - t).square().mean()))
    assert certificate.verdict == "certified"


class Frozen(Line):
    def __init__(self) -> None:
        super().__init__()
        self.b.requires_grad_(False)


def test_a_frozen_parameter_is_told() -> None:
    def own(_: Any) -> Session:
        using = made(Frozen())

        def train_step(x: Tensor, t: Tensor) -> Tensor:
            using.optimizer.zero_grad()
            loss = nn.functional.mse_loss(using.module(x), t)
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            using.optimizer.step()
            return loss

        return using._replace(train_step=train_step)

    for using in (lambda _: made(Frozen()), own):
        with pytest.raises(InputError, match="parameter b of the module: expected one that is trained"):
            verify(linear(), using=using)


@pytest.mark.parametrize("times", [1, 2])
def test_an_update_more_is_refuted(times: int) -> None:
    def own(_: Any) -> Session:
        using = made()

        def train_step(x: Tensor, t: Tensor) -> float:
            using.optimizer.zero_grad()
            using.module(x)  # once more, for nothing
            loss = nn.functional.mse_loss(using.module(x), t)
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            for _ in range(times):
                using.optimizer.step()
            return loss.item()

        return using._replace(train_step=train_step)

    certificate = verify(linear(), using=own)
    assert certificate.verdict == ("certified" if times == 1 else "refuted"), certificate.first
    assert times == 1 or (certificate.first is not None and certificate.first.tensor == "W")


def test_whole_numbers_beyond_torch_s_are_told() -> None:
    assert tensor(np.array([2**63 - 1], np.uint64)).tolist() == [2**63 - 1]
    with pytest.raises(InputError, match="numbers that torch's int64 can hold, got 18446744073709551615"):
        tensor(np.array([2**64 - 1], np.uint64))


class Doubled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside = Line()

    def forward(self, x: Tensor, sow: Any) -> Tensor:
        return sow("loss", sow("loss", self.inside(x)))


def test_a_value_that_torch_sows_twice_is_told() -> None:
    names = {"W": "inside.W", "b": "inside.b"}
    module = Doubled()
    load(module, names, linear().parameters)
    with pytest.raises(InputError, match="tensor loss: expected to be sown once a step by the torch module"):
        verify(linear(), using=lambda _: made(module, names=names))
