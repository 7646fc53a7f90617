"""While torch is judged it adds up the terms of a convolution; afterwards it does as before."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference import SGD, Ensemble, Experiment, SquaredError
from reference.networks.linear_regression import LinearRegression, Parameters
from torch_mirror import session, verify, verify_ensemble
from torch_mirror.training.convolutions import _switch, term_by_term


@pytest.fixture(params=[True, False], ids=["on before", "off before"], autouse=True)
def before(request: pytest.FixtureRequest) -> Iterator[bool]:
    own = _switch(on=request.param)
    yield request.param
    _switch(on=own)


class Watching(nn.Module):
    """A line, that looks whether NNPACK is on when it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(1, 2)), nn.Parameter(torch.zeros(1))
        self.seen: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(on())
        return nn.functional.linear(x, self.weight, self.bias)


def on() -> bool:
    enabled: Any = getattr(torch._C, "_get_nnpack_enabled")  # noqa: B009 - torch tells it nowhere else
    return bool(enabled())


def experiment() -> Experiment:
    start = Parameters(np.ones((1, 2), np.float32), np.zeros(1, np.float32))
    x, t = np.ones((3, 2), np.float32), np.zeros((3, 1), np.float32)
    return Experiment(LinearRegression(2), start, x, t, SquaredError("mean"), SGD(0.1), 2)


@pytest.mark.parametrize("judge", [verify, lambda e, using: verify_ensemble(Ensemble.of([e]), using=using)])
def test_it_is_off_while_a_run_is_judged_and_as_before_afterwards(judge: Any, before: bool) -> None:  # noqa: FBT001 - a fixture
    module = Watching()
    judge(experiment(), using=lambda e: session(e, module, {"W": "weight", "b": "bias"}))
    assert module.seen
    assert not any(module.seen)
    assert on() is before


def test_of_several_at_once_the_last_one_restores_it(before: bool) -> None:  # noqa: FBT001 - a fixture
    first, second = term_by_term(), term_by_term()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not on()
    second.__exit__(None, None, None)
    assert on() is before
