"""The recurrent network against torch's own layers and autograd."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reference.arrays import Array, Sow, keep
from reference.networks import char_rnn
from reference.networks.char_rnn import Cache, CharRNN, Parameters
from tests.reference.networks.mirrored import (
    DTypeName,
    Given,
    Kind,
    assert_mirrored,
    assert_stacks,
    balls,
    equations,
    local,
    numbers,
    outside,
    parameters,
    reference_s,
    torch_s,
)

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def drawn(network: CharRNN, dtype: DTypeName, kind: Kind = "normal", *, length: int = 7, seed: int = 0) -> Given:
    draws = np.random.default_rng(seed)
    p = parameters(network, draws, dtype, kind)
    x = draws.integers(0, network.alphabet, length)
    return Given(p, x, numbers(draws, (length, network.alphabet), dtype, kind))


@each_dtype
@pytest.mark.parametrize(("alphabet", "hidden", "length"), [(1, 1, 1), (3, 3, 2), (6, 5, 7), (9, 4, 12)])
@pytest.mark.parametrize("seed", range(4))
def test_torch_is_within_the_radii(dtype: DTypeName, alphabet: int, hidden: int, length: int, seed: int) -> None:
    network = CharRNN(alphabet, hidden)
    given = drawn(network, dtype, length=length, seed=seed)
    assert_mirrored(network, given)


@each_dtype
def test_on_a_long_text_each_tensor_is_within_its_own_radius(dtype: DTypeName) -> None:
    """End to end the radii grow with the length and say nothing any more; from torch's own operands they do not."""
    network = CharRNN(20, 32)
    given = drawn(network, dtype, length=60)
    seen = torch_s(network, given)
    assert all(decides(ball) for ball in equations(network, given, seen).values())
    assert outside(local(network, given, seen)) == []
    assert not all(decides(ball) for ball in reference_s(network, balls(given)).values())


def decides(ball: Any) -> bool:
    """True if every radius is smaller than the tensor's largest value."""
    with np.errstate(all="ignore"):
        return bool((ball.radius < np.abs(ball.value).max()).all())


@each_dtype
def test_where_nothing_rounds_all_are_equal(dtype: DTypeName) -> None:
    """tanh rounds; what comes before the first and after the last one does not, on eighths."""
    network = CharRNN(4, 3)
    given = drawn(network, dtype, "dyadic")
    seen, floats = torch_s(network, given), reference_s(network, given)
    balls = equations(network, given, seen)
    for name in ("z1", "dby", f"dh{len(given.x)}"):
        assert not balls[name].radius.any(), name
        np.testing.assert_array_equal(floats[name], seen[name], err_msg=name)


@each_dtype
@pytest.mark.parametrize("kind", ["normal", "dyadic"])
@pytest.mark.parametrize("data", [False, True])
def test_stacked_passes_give_each_pass_its_own(dtype: DTypeName, kind: Kind, *, data: bool) -> None:
    network = CharRNN(4, 3)
    givens = [drawn(network, dtype, kind, length=5, seed=seed) for seed in range(7)]
    assert_stacks(network, givens, data=data)


@each_dtype
def test_one_character_tells_nothing_of_the_recurrent_weights(dtype: DTypeName) -> None:
    """Before the first character h is 0, and so is the gradient of what multiplies it."""
    given = drawn(CharRNN(4, 3), dtype, length=1)
    assert not reference_s(CharRNN(4, 3), given)["dWhh"].any()


def test_a_character_is_a_row_of_the_identity_and_no_other_comes_in() -> None:
    sown: dict[str, Array] = {}

    def sow(name: str, value: Array, /) -> Array:
        sown[name] = value
        return value

    rows = CharRNN(3, 2).features(np.array([2, 0, 2]), sow)
    np.testing.assert_array_equal(rows, [[0, 0, 1], [1, 0, 0], [0, 0, 1]])
    assert sown["onehot"] is rows
    with pytest.raises(IndexError):
        CharRNN(3, 2).features(np.array([3]))


def test_the_future_does_not_change_the_past() -> None:
    network = CharRNN(4, 3)
    given = drawn(network, "float64")
    other = given._replace(x=np.append(given.x[:-1], (given.x[-1] + 1) % 4))
    one, two = reference_s(network, given), reference_s(network, other)
    np.testing.assert_array_equal(one["y"][:-1], two["y"][:-1])
    assert (one["y"][-1] != two["y"][-1]).all()


class OneStepLate(CharRNN):
    """dWhh of dz_t^T h_t, where it is h_(t-1)."""

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        late = c._replace(h=(*c.h[1:], c.h[-1]))
        dz: dict[str, Array] = {}

        def change(name: str, value: Array, /) -> Array:
            if name == "dWhh":
                Z = np.concatenate([dz[f"dz{t}"] for t in range(1, len(dz) + 1)], axis=-2)
                value = Z.mT @ np.concatenate(late.h[:-1], axis=-2)
            value = sow(name, value)
            if name.startswith("dz"):
                dz[name] = value
            return value

        return super().backward(p, c, dy, change)


class WithoutThroughTime(CharRNN):
    """dh_t of y_t alone: what z_(t+1) passes back is left out."""

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        def change(name: str, value: Array, /) -> Array:
            if name.startswith("dh"):
                t = int(name[2:])
                value = dy[..., t - 1 : t, :] @ p.Why
            return sow(name, value)

        return super().backward(p, c, dy, change)


class WithoutTheFirst(CharRNN):
    """dbh of all characters but the first."""

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        first: list[Array] = []

        def change(name: str, value: Array, /) -> Array:
            value = sow(name, value - first[0][..., 0, :] if name == "dbh" else value)
            if name == "dz1":
                first.append(value)
            return value

        return super().backward(p, c, dy, change)


class FromTheSecond(CharRNN):
    """h_0 is the bias and not 0."""

    def forward(self, p: Parameters, x: Array, sow: Sow = keep) -> tuple[Array, Cache]:
        def change(name: str, value: Array, /) -> Array:
            return sow(name, value + p.bh[..., None, :] @ p.Whh.mT if name == "z1" else value)

        return super().forward(p, x, change)


FAULTS: dict[type[CharRNN], list[str]] = {
    OneStepLate: ["dWhh"],
    WithoutThroughTime: [f"dh{t}" for t in range(6, 0, -1)],
    WithoutTheFirst: ["dbh"],
    FromTheSecond: ["z1"],
}


@each_dtype
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_outside_the_radius(dtype: DTypeName, fault: type[CharRNN]) -> None:
    given = drawn(CharRNN(4, 3), dtype)
    seen = torch_s(CharRNN(4, 3), given)
    assert outside(local(CharRNN(4, 3), given, seen)) == []
    assert outside(local(fault(4, 3), given, seen)) == FAULTS[fault]


SLOPES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "of z and not of h": lambda da, z, _a: da * (1 - z * z),
    "without the square": lambda da, _z, a: da * (1 - a),
    "left out": lambda da, _z, _a: da,
}


@each_dtype
@pytest.mark.parametrize("slope", SLOPES)
def test_another_slope_is_outside_the_radius(
    monkeypatch: pytest.MonkeyPatch, dtype: DTypeName, slope: str
) -> None:
    network = CharRNN(4, 3)
    given = drawn(network, dtype)
    seen = torch_s(network, given)
    assert outside(local(network, given, seen)) == []
    monkeypatch.setattr(char_rnn, "tanh_backward", SLOPES[slope])
    assert outside(local(network, given, seen)) == [f"dz{t}" for t in range(7, 0, -1)]
