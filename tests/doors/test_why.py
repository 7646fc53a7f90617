"""What a refuted run says of the line and the cause, on either side."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
from reference import SGD, Adam, Experiment, Own
from reference.errors import InputError
from tests.unruled import unruled
from torch_mirror import certify, check, session, verify
from torch_mirror.doors import mirror_causes
from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports.derivatives import of_causes
from torch_mirror.reports.text import details
from torch_mirror.training.session import Session

NAMES = {"W1": "0.weight.T", "b1": "0.bias", "W2": "2.weight.T", "b2": "2.bias"}


def network(p: Any, x: Any, t: Any, share: float = 1.0) -> Any:
    h = np.maximum(0, x @ p["W1"] + p["b1"])
    y = h @ p["W2"] + p["b2"]
    dy = 2 * (y - t) / (t.size * share)
    dz = dy @ p["W2"].T * (h > 0)
    return np.mean((y - t) ** 2), {"W1": x.T @ dz, "b1": dz.sum(axis=0), "W2": h.T @ dy, "b2": dy.sum(axis=0)}


def too_small(p: Any, x: Any, t: Any) -> Any:
    return network(p, x, t, share=len(x))


def experiment(dtype: str, **changes: Any) -> Experiment:
    draw = np.random.default_rng(0)
    shapes = {"W1": (4, 5), "b1": (5,), "W2": (5, 3), "b2": (3,)}
    p = {name: draw.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    x, t = (draw.normal(size=shape).astype(dtype) for shape in ((7, 4), (7, 3)))
    return replace(Experiment(network, p, x, t, None, SGD(lr=0.1), steps=3), **changes)


class Scaled(torch.autograd.Function):
    """The values as they are, and 1/7 of their gradients."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_: Any, g: Tensor) -> Tensor:
        return g / 7


class Squashed(torch.autograd.Function):
    """The values as they are, and the tangent of the sine of their gradients."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_: Any, g: Tensor) -> Tensor:
        return torch.tan(torch.sin(g))


def mse(y: Tensor, t: Tensor) -> Tensor:
    return nn.functional.mse_loss(y, t)


def small(y: Tensor, t: Tensor) -> Tensor:
    scaled: Tensor = Scaled.apply(y)  # type: ignore[no-untyped-call]  # untyped in torch
    return mse(scaled, t)


def halved(y: Tensor, t: Tensor) -> Tensor:
    return mse(y, t) / 2


def by(
    criterion: Callable[..., Tensor], optimizer: Callable[..., Any] | None = None
) -> Callable[[Experiment], Session]:
    """The session of a module that has the network, with this loss and torch's optimizer."""

    def using(e: Experiment) -> Session:
        module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).to(getattr(torch, str(e.dtype)))
        return session(e, module, NAMES, criterion, None if optimizer is None else optimizer(module.parameters()))

    return using


def sgd(lr: float) -> Callable[..., Any]:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr)


def said(c: Certificate) -> str:
    assert c.verdict == "refuted"
    assert all(f"      {line}" in details(c) for line in c.why)
    return "\n".join(c.why)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("changes", "using", "cause"),
    [
        ({}, by(small), "cause: a factor 1/7 (here 1/N, N the batch) at d(y)"),
        ({}, by(halved), "cause: a factor 1/2"),
        ({}, by(mse, sgd(0.3)), "cause: as if lr were 0.3, not 0.1 (proof: "),
        ({"network": too_small}, by(mse), "cause: a factor 1/7 (here 1/N, N the batch) at "),
    ],
    ids=["gradient", "loss", "update", "reference"],
)
def test_the_cause_is_named(changes: dict[str, Any], using: Any, cause: str, dtype: str) -> None:
    told = said(verify(experiment(dtype, **changes), using=using))
    if "lr" in cause and dtype == "float32":
        assert told == "cause: none is sought, as one step in float32 is met by too many an edit"
    else:
        assert cause in told


def test_the_line_of_the_reference_is_named() -> None:
    told = said(verify(experiment("float64", network=too_small), using=by(mse))).splitlines()
    assert told[0].startswith("dW1  the right values end at  test_why.py:")
    assert told[1].startswith("     wrong from               test_why.py:")
    assert told[1].endswith("dy = 2 * (y - t) / (t.size * share)")


def test_certify_tells_as_much() -> None:
    e = experiment("float64")
    trace = reference.train(replace(e, optimizer=SGD(lr=0.3)))
    assert "as if lr were 0.3, not 0.1" in said(certify(e, trace))


def test_state_that_a_trace_does_not_have_is_not_made_up() -> None:
    """An update of Adam's at step 2 follows from a state, which nobody knows who sees that step alone."""
    e = experiment("float64", optimizer=Adam(lr=0.01))
    later = replace(reference.train(e).at(slice(2, 3)), states={})
    with pytest.raises(InputError, match="expected the optimizer's state, or every step from the first on, got step 2"):
        mirror_causes.causes_of_update(e, later, 2)


def test_what_goes_wrong_on_the_way_changes_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(mirror_causes, "causes_of_gradients", broken)
    told = said(verify(experiment("float64"), using=by(small)))
    assert told == "looking for the cause ended in ZeroDivisionError: by nothing"


def test_nothing_is_said_where_no_side_is_known_to_be_wrong() -> None:
    with unruled():
        assert verify(experiment("float64"), using=by(small)).why == ()
    assert verify(experiment("float64"), using=by(mse)).why == ()


def squashed(y: Tensor, t: Tensor) -> Tensor:
    """The right loss, with gradients that no single edit gives."""
    return mse(Squashed.apply(y), t)  # type: ignore[no-untyped-call]  # untyped in torch


def test_where_no_cause_is_found_it_is_said() -> None:
    told = said(verify(experiment("float64"), using=by(squashed)))
    assert told.startswith(("cause: no single edit of the right equation explains it", "cause: none was found within"))
    own = Own(lambda p, g: {name: p[name] - 0.1 * g[name] for name in p}, elementwise=True)
    told = said(verify(experiment("float64", optimizer=own), using=by(mse, sgd(0.3))))
    assert told == "cause: none is sought of an update by Own, but of one by SGD, Adam, RMSprop, Adagrad"


def test_a_name_may_be_half_a_surrogate_pair() -> None:
    """Numbers are moved by their names' sums: such a name has no bytes in UTF-8."""
    name = "W\ud800"

    def mine(p: Any, x: Any, t: Any) -> Any:
        d = x @ p[name] - t
        return np.mean(d**2), {name: 1.001 * 2 / d.size * x.T @ d}

    draw = np.random.default_rng(0)
    found = check(mine, {name: draw.normal(size=(3, 2))}, draw.normal(size=(4, 3)), draw.normal(size=(4, 2)))
    assert "a factor 1.001 " in "\n".join(found.causes)


def test_of_a_tie_the_proof_is_told_once() -> None:
    proof = "(proof: with it all 9 elements are within their radius, worst 0.1; nothing simpler fits, 7 edits tried)"
    one, other = (f"{what} {proof}" for what in ("a factor 1/2 at z", "mean for sum in b"))
    (line,) = of_causes([one, other])
    assert line == (
        "cause, one of 2 that cannot be told apart: a factor 1/2 at z | mean for sum in b "
        "(proof: with each all 9 elements are within their radius)"
    )
    assert of_causes([one]) == [f"cause: {one}"]
    assert of_causes([one] * 5)[0].count("a factor 1/2") == 3
    assert " | 2 more (proof" in of_causes([one] * 5)[0]
