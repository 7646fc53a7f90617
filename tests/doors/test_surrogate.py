"""surrogate: a derivative that is declared is the one that is asked for; undeclared it is told to be wrong."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from reference.errors import InputError
from tests.judge.between import Between, experiment, judged
from torch_mirror import Checked, check, surrogate
from torch_mirror.tape import surrogate as surrogates

draw = np.random.default_rng(0).normal
P = {"W": draw(size=(4, 3)), "V": draw(size=(3, 2))}
X, T = draw(size=(6, 4)), draw(size=(6, 2))

Declare = Callable[[Any, Any], Any]


def undeclared(value: Any, _: Any) -> Any:
    return value


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def largest(z: Any) -> Any:
    return np.abs(z).max(axis=-1, keepdims=True)


class Meant(NamedTuple):
    """f(z, declare), and dz from da and z."""

    f: Callable[[Any, Declare], Any]
    slope: Callable[[Any, Any], Any]


MEANT = {
    "straight through": Meant(lambda z, s: s(np.sign(z), z), lambda da, _z: da),
    "straight through, clipped": Meant(
        lambda z, s: s(np.sign(z), np.clip(z, -1, 1)), lambda da, z: da * (np.abs(z) < 1)
    ),
    "rounded": Meant(lambda z, s: s(np.round(4 * z) / 4, z), lambda da, _z: da),
    "spikes": Meant(
        lambda z, s: s(1.0 * (z > 0), sigmoid(z)), lambda da, z: da * sigmoid(z) * (1 - sigmoid(z))
    ),
    "spikes, a mask": Meant(lambda z, s: s(z > 0, z) * 2, lambda da, _z: 2 * da),
    "stopped": Meant(lambda z, s: z / s(largest(z), 0.0), lambda da, z: da / largest(z)),
    "reversed": Meant(lambda z, s: s(z, -z), lambda da, _z: -da),
}


def checked(meant: Meant, declare: Declare, factor: float = 1.0, x: Any = X) -> Checked:
    def network(p: Any, x: Any, t: Any) -> Any:
        z = x @ p["W"]
        a = meant.f(z, declare)
        d = 2 * (a @ p["V"] - t)
        dz = factor * meant.slope(d @ p["V"].T, z)
        return ((a @ p["V"] - t) ** 2).sum(), {"W": x.T @ dz, "V": a.T @ d}

    return check(network, P, x, T)


@pytest.mark.parametrize("name", MEANT)
def test_what_is_declared_is_the_derivative(name: str) -> None:
    result = checked(MEANT[name], surrogate)
    assert result.certified, str(result)
    assert (result.resolution or 1) < 1e-12


@pytest.mark.parametrize("name", MEANT)
def test_a_fault_beside_a_declaration_is_found(name: str) -> None:
    result = checked(MEANT[name], surrogate, 1 + 1e-9)
    assert result.verdict == "refuted"
    assert [row.name for row in result.rows if row.word == "WRONG"] == ["dW"]


def test_a_term_that_is_left_out_has_its_cause_and_no_way_out() -> None:
    """A gradient that is stopped is one; so are most mistakes, and under a proven one an excuse is no help."""
    result = checked(MEANT["stopped"], undeclared)
    (cause,) = result.causes
    assert cause.startswith("term ")
    assert " left out of " in cause
    assert not result.notes


def test_what_has_no_cause_and_other_signs_was_not_meant() -> None:
    def mine(p: Any, x: Any, t: Any) -> Any:
        e = x @ p["W"] - t
        return (e**2).sum(), {"W": np.sort(2 * x.T @ e, axis=None).reshape(p["W"].shape)}

    result = check(mine, {"W": P["W"]}, X, np.ones((len(X), P["W"].shape[1])))
    assert not result.causes
    assert not any("declare it" in note for note in result.notes)


@pytest.mark.parametrize("name", [name for name in MEANT if name != "stopped"])
def test_what_is_not_declared_is_told_to_be_wrong_with_the_way_out(name: str) -> None:
    result = checked(MEANT[name], undeclared)
    assert result.verdict == "refuted"
    assert "not the derivative of this forward; if that is meant" in result.notes[-1]
    assert "declare it: torch_mirror.surrogate" in result.notes[-1]
    assert "does not depend" not in str(result)  # it does, and its derivative is 0


def test_of_a_plain_fault_no_declaration_is_spoken() -> None:
    result = checked(Meant(lambda z, _: np.tanh(z), lambda da, z: 3 * da * (1 - np.tanh(z) ** 2)), undeclared)
    assert result.verdict == "refuted"
    assert not result.notes


def test_nobody_means_a_nan() -> None:
    def mine(p: Any, x: Any) -> Any:
        error = x @ p["W"]
        dW = 2 * x.T @ error
        dW[1] = np.nan
        return (error**2).sum(), {"W": dW}

    result = check(mine, {"W": np.ones(3)}, np.eye(4)[:, :3] + 1)
    assert result.verdict == "refuted"
    assert "has a NaN or an infinity" in str(result)
    assert not any("declare it" in note for note in result.notes)


def test_a_kink_of_a_value_whose_derivative_is_declared_is_none() -> None:
    meant, undecided = MEANT["straight through"], X * np.array([[0.0]] + [[1.0]] * 5)
    result = checked(meant, surrogate, x=undecided)  # sign(0) in the first sample
    assert result.certified
    assert "kink" not in str(result)


@pytest.mark.parametrize("name", MEANT)
def test_a_declaration_that_is_overheard_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted hole: the derivative of the value."""
    monkeypatch.setattr(surrogates, "held", lambda x: x)
    monkeypatch.setattr(surrogates, "declared", lambda value, _: value)
    assert checked(MEANT[name], surrogate).verdict == "refuted"


def test_more_bits_know_of_it() -> None:
    """Through Arb: the float64 radius of the sum exceeds the gradient."""
    b = np.full(3, 2.0**80)

    def mine(p: Any, b: Any, factor: Any = 1.0) -> Any:
        a = surrogate(np.sign(p), p)
        return (a * b).sum() - (p * b).sum() + (p * p).sum(), factor * 2 * p + b - b

    start = np.array([1.0, 1.5, -1.25])
    assert check(mine, start, b).certified
    assert check(mine, start, b, 1.5).verdict == "refuted"


# --- on arrays --------------------------------------------------------------------------------------------------


def test_on_arrays_it_is_the_value_itself() -> None:
    value = np.sign(X)
    assert surrogate(value, X) is value
    assert surrogate(value, 0.0) is value
    assert surrogate(2.0, 3.0) == 2.0


def test_what_cannot_be_the_derivative_is_told() -> None:
    with pytest.raises(InputError, match=r"backward of surrogate: expected shape \(6, 4\), or one number"):
        surrogate(X, X.T)
    with pytest.raises(InputError, match="detach"):
        surrogate(torch.zeros(3), torch.zeros(3))
    with pytest.raises(TypeError, match="exact arithmetic"):
        surrogate(np.array([1, 2], object), 0)


def test_difference_quotients_know_nothing_of_it() -> None:
    def mine(p: Any, x: Any) -> Any:
        a = surrogate(np.sign(x @ p), x @ p)
        twice = float(str(2.0 * float(np.sum(p))))  # nobody follows that
        return (a**2).sum() + 0 * twice, x.T @ (2 * a)

    result = check(mine, P["W"], X)
    assert result.verdict == "undecided"
    assert "difference quotients know nothing" in result.rows[0].why


# --- in verify's rulings ------------------------------------------------------------------------------------------


class Torch(torch.autograd.Function):
    """The same on torch's side, times a factor."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return torch.sign(z)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("numpy", "mirror", "said"),
    [
        (1, 1, None),
        (1, 2, "the mirror strays"),
        (2, 1, "the reference's backward does not belong to its own forward"),
    ],
)
def test_a_ruling_goes_by_the_declaration(numpy: int, mirror: int, said: str | None, dtype: str) -> None:
    e = experiment(Between(lambda z: surrogate(np.sign(z), z), lambda da, _z, _a: numpy * da), dtype, steps=1)
    c = judged(e, lambda z: Torch.apply(z, mirror))  # type: ignore[no-untyped-call]  # torch's own
    assert c.verdict == ("certified" if said is None else "refuted")
    assert (c.ruling.verdict if c.ruling else None) == said


def test_without_it_the_ruling_says_that_it_may_be_meant() -> None:
    e = experiment(Between(np.sign, lambda da, _z, _a: da), steps=1)
    c = judged(e, lambda z: Torch.apply(z, 2))  # type: ignore[no-untyped-call]  # torch's own
    assert c.ruling is not None
    assert c.ruling.verdict == "no ruling"
    assert "straight-through" in c.ruling.note
    assert "torch_mirror.surrogate" in c.ruling.note


def test_a_certified_verdict_tells_of_what_was_declared() -> None:
    def mine(p: Any, x: Any) -> Any:
        z = surrogate((x @ p["W"]).sum(), (7 * p["W"]).sum())
        return z, {"W": np.full(p["W"].shape, 7.0)}

    result = check(mine, {"W": P["W"]}, X)
    assert result.certified
    (note,) = result.notes
    assert note.startswith("declared by you: the derivative that surrogate has at ")
    assert f"test_surrogate.py:{mine.__code__.co_firstlineno + 1}" in note


def test_a_gradient_that_the_user_stops_is_among_what_is_declared() -> None:
    def mine(p: Any, x: Any, t: Any) -> Any:
        y = x @ p["W"]
        e = y - surrogate(0.5 * y, 0) - t
        return (e**2).sum(), {"W": x.T @ (2 * e)}

    result = check(mine, {"W": P["W"][:, :2]}, X, T)
    assert result.certified
    assert [note[:15] for note in result.notes] == ["declared by you"]


def q_learning(p: Any, s: Any, a: Any, r: Any, after: Any, share: float = 0.0, factor: float = 1.0) -> Any:
    """Semi-gradient: the target counts as a constant. share: how much of its own gradient is added all the same."""
    n = np.arange(len(s))
    q = s @ p["W"] + p["b"]
    best = after @ p["W"] + p["b"]
    y = r + 0.9 * best.max(axis=1)
    e = q[n, a] - y
    dq = np.zeros_like(q)
    dq[n, a] = 2 * e
    dW, db = s.T @ dq, dq.sum(axis=0)
    if share:
        back = np.zeros_like(q)
        back[n, best.argmax(axis=1)] = -0.9 * share * 2 * e
        dW, db = dW + after.T @ back, db + back.sum(axis=0)
    return (e**2).sum(), {"W": dW, "b": factor * db}


@pytest.mark.parametrize(
    ("share", "factor", "told"), [(0.0, 1.0, True), (1.0, 1.0, False), (0.5, 1.0, False), (0.0, 2.0, False)]
)
def test_a_target_that_counts_as_a_constant_has_its_way_out(*, share: float, factor: float, told: bool) -> None:
    """Told only where each gradient is right but for it."""
    r = np.random.default_rng(0)
    p = {"W": r.normal(size=(4, 3)), "b": r.normal(size=3)}
    data = r.normal(size=(7, 4)), r.integers(0, 3, 7), r.normal(size=7), r.normal(size=(7, 4))

    def mine(p: Any, s: Any, a: Any, r: Any, after: Any) -> Any:
        return q_learning(p, s, a, r, after, share, factor)

    result = check(mine, p, *data)
    assert result.verdict == ("certified" if share == factor == 1 else "refuted")
    ways = [note for note in result.notes if note.endswith("torch_mirror.surrogate(value, 0)")]
    assert bool(ways) is told
    assert all(way.startswith("dW, db: right if no gradient goes through y (test_surrogate.py:") for way in ways)


def test_a_gradient_of_another_shape_is_none_that_is_meant() -> None:
    def mine(p: Any, x: Any) -> Any:
        y = x @ p["W"]
        z = y * y
        return (z + y).sum(), {"W": np.ones((1, *p["W"].shape)), "V": 0 * p["V"]}

    result = check(mine, P, X)
    assert result.verdict == "refuted"
    assert not any("surrogate(value, 0)" in note for note in result.notes)
