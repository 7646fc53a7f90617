"""A NaN or an infinity of NumPy's run: refuted where it is born if torch has a number there; if not, it is said."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reference import SGD
from tests.judge.between import Between, F, Module, experiment
from torch_mirror import session, verify
from torch_mirror.judge.checks import born as births
from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports import json, text

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def x_log_x(z: Any) -> Any:
    r = np.maximum(z, 0)
    return r * np.log(r)  # 0 times -infinity


def by_x_log_x(da: Any, z: Any, _a: Any) -> Any:
    r = np.maximum(z, 0)
    return da * np.where(r > 0, np.log(np.where(r > 0, r, 1)) + 1, 0)


def softplus(z: Any) -> Any:
    return np.log(1 + np.exp(z))  # which overflows


def by_softplus(da: Any, z: Any, _a: Any) -> Any:
    return da / (1 + np.exp(-z))


def root(z: Any) -> Any:
    return np.sqrt(z * z + 1)


def by_root(da: Any, z: Any, a: Any) -> Any:
    return da * (z / a) * (np.log(np.maximum(z, 0)) / np.log(np.maximum(z, 0)))  # log 0 / log 0, times 1


def guarded(z: Tensor) -> Tensor:
    r = torch.relu(z)
    return torch.special.xlogy(r, torch.where(r > 0, r, 1))


def unguarded(z: Tensor) -> Tensor:
    r = torch.relu(z)
    return r * torch.log(r)


def ran(network: Between, f: Callable[[Tensor], Tensor], dtype: str, **changes: Any) -> Certificate:
    e = experiment(network, dtype, **{"steps": 2, **changes})
    return verify(e, using=lambda e: session(e, Module(e, f), {"W": "W", "O": "O"}))


@each_dtype
def test_a_nan_that_torch_has_not_is_numpys_fault_told_by_its_line(dtype: str) -> None:
    c = ran(Between(x_log_x, by_x_log_x), guarded, dtype)
    assert c.verdict == "refuted"
    assert c.first is not None
    assert (c.first.tensor, c.first.step, c.first.side) == ("a", 0, "numpy")
    assert c.ruling is not None
    assert c.ruling.verdict == "the reference strays"
    assert "NaN born in a, step 0, numpy (log of 0, " in c.ruling.note
    assert "return r * np.log(r)" in c.ruling.note
    assert c.ruling.reference is not None
    assert np.isnan(c.ruling.reference)
    assert np.isnan(c.first.seen)
    assert np.isfinite(c.first.expected)
    assert json.read(json.document([c], {}, {}))[0].verdict == "refuted"
    assert "the reference strays" in "\n".join(text.details(c))


@each_dtype
def test_an_overflow_on_the_way_is_one_too(dtype: str) -> None:
    c = ran(Between(softplus, by_softplus), F.softplus, dtype, size=1000.0)
    assert c.ruling is not None
    assert c.ruling.verdict == "the reference strays"
    assert "an infinity born in a, step 0, numpy (overflow of exp, " in c.ruling.note


@each_dtype
def test_a_nan_of_the_backward_where_the_derivative_is_finite(dtype: str) -> None:
    c = ran(Between(root, by_root), lambda z: torch.sqrt(z * z + 1), dtype)
    assert c.verdict == "refuted"
    assert c.ruling is not None
    assert (c.ruling.verdict, c.ruling.tensor) == ("the reference strays", "dz")
    assert "divided" in c.ruling.note or "log of 0" in c.ruling.note


def test_a_gradient_whose_derivative_is_not_known_is_not_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(births, "_has_derivative", lambda *_: False)
    c = ran(Between(root, by_root), lambda z: torch.sqrt(z * z + 1), "float64")
    assert c.verdict == "vacuous"
    assert any("not judged, as the derivative is not known to be finite" in note for note in c.notes)


@each_dtype
def test_a_nan_of_both_is_not_judged_and_said(dtype: str) -> None:
    c = ran(Between(x_log_x, by_x_log_x), unguarded, dtype)
    assert c.verdict == "vacuous"
    assert c.ruling is None
    (note,) = (n for n in c.notes if n.startswith("NaN born in a, step 0, numpy (log of 0, "))
    assert "not judged, as torch has none either" in note


@each_dtype
@pytest.mark.parametrize("lr", [1e2, 1e6, 1e12])
def test_runs_that_diverge_are_nobodys_fault(dtype: str, lr: float) -> None:
    """Both overflow, not always at the same step or element."""
    square = Between(lambda z: z * z, lambda da, z, _a: 2 * da * z)
    c = ran(square, lambda z: z * z, dtype, steps=40, optimizer=SGD(lr))
    assert c.verdict == "vacuous"
    assert any("not judged" in note and "born in" in note for note in c.notes)


def test_a_finite_run_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch_mirror.judge.hearing.born", None)
    tanh = Between(np.tanh, lambda da, _z, a: da * (1 - a * a))
    assert ran(tanh, torch.tanh, "float32").verdict == "certified"
