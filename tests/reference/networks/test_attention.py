"""Layer normalisation and self-attention against torch's own layers and autograd."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from reference.arrays import Array, Sow, keep
from reference.errors import InputError
from reference.networks import attention
from reference.networks.attention import EPS, Attention, Cache, Parameters, softmax
from tests.reference.networks.mirrored import (
    DTypeName,
    Given,
    Kind,
    assert_mirrored,
    assert_stacks,
    balls,
    bounded,
    end_to_end,
    equations,
    local,
    numbers,
    outside,
    parameters,
    ratio,
    reference_s,
    torch_s,
)
from tests.sample import THOROUGH
from torch_mirror import Ball

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])

SMALL = Attention(3, 8, 4, 2)


def drawn(
    network: Attention, dtype: DTypeName, kind: Kind = "normal", *, batch: int = 5, tokens: int = 6, seed: int = 0
) -> Given:
    draws = np.random.default_rng(seed)
    p = parameters(network, draws, dtype, kind)
    x = numbers(draws, (batch, tokens, network.inputs), dtype, kind)
    return Given(p, x, numbers(draws, (batch, network.outputs), dtype, kind))


def moved_by(given: Given, mean: float) -> Given:
    """The same with tokens whose mean is large beside what they differ by."""
    return given._replace(p=given.p._replace(be=given.p.be + given.dy.dtype.type(mean)))


SIZES = [(1, 2, 1, 1, 1, 1), (2, 3, 2, 1, 1, 4), (3, 4, 3, 3, 2, 2), (3, 8, 4, 2, 5, 6), (5, 7, 5, 3, 4, 9)]
"""inputs, width, head, outputs, batch, tokens."""


@each_dtype
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_torch_is_within_the_radii(dtype: DTypeName, sizes: tuple[int, ...], seed: int) -> None:
    inputs, width, head, outputs, batch, tokens = sizes
    network = Attention(inputs, width, head, outputs)
    assert_mirrored(network, drawn(network, dtype, batch=batch, tokens=tokens, seed=seed))


@each_dtype
@pytest.mark.parametrize("width", [2, 3, 5, 6, 7, 8, 16, 40])
@pytest.mark.parametrize("mean", [10, 1000])
def test_so_it_is_where_the_mean_is_large(dtype: DTypeName, width: int, mean: float) -> None:
    """Where torch's form of the layer norm's backward rounds most: with the shorter one this fails at width 2."""
    network = Attention(3, width, 4, 2)
    for seed in range(3 if THOROUGH else 1):
        given = moved_by(drawn(network, dtype, seed=seed), mean)
        seen = torch_s(network, given)
        assert bounded(equations(network, given, seen))
        assert outside(local(network, given, seen)) == []


@each_dtype
def test_so_it_is_where_the_softmax_saturates(dtype: DTypeName) -> None:
    given = drawn(SMALL, dtype)
    given = given._replace(p=given.p._replace(Wq=given.p.Wq * given.dy.dtype.type(30)))
    seen = torch_s(SMALL, given)
    assert seen["w"].min() < 1e-30
    assert outside(local(SMALL, given, seen)) == []
    assert outside(end_to_end(SMALL, given, seen)) == []


@each_dtype
def test_where_nothing_rounds_all_are_equal(dtype: DTypeName) -> None:
    """On eighths, what comes before the layer norm and after the softmax; 4 tokens, so that the mean is exact."""
    given = drawn(SMALL, dtype, "dyadic", tokens=4)
    seen, floats = torch_s(SMALL, given), reference_s(SMALL, given)
    ours = equations(SMALL, given, seen)
    for name in ("e", "dby", "dm", "du", "dbo", "do"):
        assert not ours[name].radius.any(), name
        np.testing.assert_array_equal(floats[name], seen[name], err_msg=name)


def normalised(e: Array) -> Any:
    """(e - mean e) r in balls, from exact tokens."""
    tokens: Any = Ball(e)
    mean, r = attention.moments(tokens)
    return (tokens - mean) * r


def by_updates(e: Array) -> Array:
    """The same number by number, as Welford does and torch within its blocks."""
    mean, squares = e[..., :1], np.zeros_like(e[..., :1])
    for k in range(1, e.shape[-1]):
        apart = e[..., k : k + 1] - mean
        mean = mean + apart / np.asarray(k + 1, e.dtype)
        squares = squares + apart * (e[..., k : k + 1] - mean)
    return (e - mean) * (1 / np.sqrt(squares / np.asarray(e.shape[-1], e.dtype) + np.asarray(EPS, e.dtype)))


@each_dtype
@pytest.mark.parametrize("width", [2, 3, 5, 6, 7, 8, 16, 17])
def test_a_norm_by_updates_is_within_the_radius(dtype: DTypeName, width: int) -> None:
    """2000 tokens each, of torch's order and of plain Welford's."""
    draws = np.random.default_rng(width)
    for mean in (0, 1, 30):
        e = numbers(draws, (2000, width), dtype) + np.asarray(mean, dtype)
        seen = torch.nn.functional.layer_norm(torch.tensor(e), (width,), eps=EPS).numpy()
        assert ratio(seen, normalised(e)) <= 1
        assert ratio(by_updates(e), normalised(e)) <= 1


@each_dtype
def test_the_known_limit_of_the_norm_is_tokens_of_few_bits(dtype: DTypeName) -> None:
    """Their sums are exact, and where they all but cancel, so is the mean; by updates it is not."""
    draws = np.random.default_rng(0)
    whole, broken = draws.integers(-8, 9, (2000, 16)).astype(dtype), numbers(draws, (2000, 16), dtype)
    assert ratio(by_updates(whole), normalised(whole)) > 1
    assert ratio(by_updates(broken), normalised(broken)) <= 1


def test_the_parts_of_a_token_give_the_moments_of_the_whole() -> None:
    for width in range(2, 12):
        e: Any = Ball(np.random.default_rng(width).standard_normal((50, width)))
        mean, r = attention.moments(e)
        d = e - e.mean(axis=-1, keepdims=True)
        assert ratio(e.value.mean(axis=-1, keepdims=True), mean) <= 1
        assert ratio(1 / np.sqrt((d.value**2).mean(axis=-1, keepdims=True) + EPS), r) <= 1


def test_a_token_of_one_number_is_an_input_error() -> None:
    with pytest.raises(InputError, match="width: expected 2 or more, as one number has no variance, got 1"):
        Attention(3, 1, 1, 1)


@each_dtype
@pytest.mark.parametrize("kind", ["normal", "dyadic"])
@pytest.mark.parametrize("data", [False, True])
def test_stacked_passes_give_each_pass_its_own(dtype: DTypeName, kind: Kind, *, data: bool) -> None:
    network = Attention(3, 6, 4, 2)
    assert_stacks(network, [drawn(network, dtype, kind, batch=2, tokens=5, seed=seed) for seed in range(7)], data=data)


def test_a_token_comes_out_with_mean_0_and_variance_1() -> None:
    """But for eps, by which the variance is too large in r."""
    given = drawn(SMALL, "float64")
    unit = given.p._replace(gain=np.ones(8), shift=np.zeros(8))
    sown = reference_s(SMALL, balls(given._replace(p=unit)))
    n, e = sown["n"], Ball(sown["e"].value)
    variance: Any = ((e - e.mean(axis=-1, keepdims=True)) ** 2).mean(axis=-1)
    assert ratio(np.zeros(n.shape[:-1]), n.mean(axis=-1)) <= 1
    assert ratio((variance.value / (variance.value + EPS)), (n * n).mean(axis=-1)) <= 1


def test_weights_of_a_token_add_up_to_1() -> None:
    w: Any = softmax(Ball(np.random.default_rng(0).standard_normal((4, 9))))  # type: ignore[arg-type]  # a duck array
    assert ratio(np.ones(4), w.sum(axis=-1)) <= 1


def test_the_order_of_the_tokens_is_nothing_to_it() -> None:
    """There is no position in it: only sums over the tokens, each in another order."""
    given = drawn(SMALL, "float64")
    order = np.random.default_rng(1).permutation(6)
    here, there = (reference_s(SMALL, balls(g)) for g in (given, given._replace(x=given.x[:, order])))
    for name in ("y", *(f"d{name}" for name in SMALL.shapes())):
        assert ratio(here[name].value, there[name]) <= 1


def backward_changed(changes: dict[str, Callable[[Array, Parameters, Cache, dict[str, Array]], Array]]) -> Attention:
    """The network with other equations of some gradients: from the value, p, c and what has been sown before."""

    class Changed(Attention):
        def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
            sown: dict[str, Array] = {}

            def change(name: str, value: Array, /) -> Array:
                value = changes[name](value, p, c, sown) if name in changes else value
                sown[name] = sow(name, value)
                return sown[name]

            return super().backward(p, c, dy, change)

    return Changed(3, 8, 4, 2)


def without_the_mean(dn: Array, gain: Array, c: Cache) -> Array:
    """The layer norm's backward without the term of the mean."""
    dehat, ehat = dn * gain, (c.e - c.mean) * c.r
    return c.r * (dehat - ehat * (dehat * ehat).mean(axis=-1, keepdims=True))


def without_the_variance(dn: Array, gain: Array, c: Cache) -> Array:
    """The layer norm's backward without the term of the variance."""
    dehat = dn * gain
    return c.r * (dehat - dehat.mean(axis=-1, keepdims=True))


def without_the_gain(dn: Array, gain: Array, c: Cache) -> Array:
    return LAYER_NORM_BACKWARD(dn, gain / gain, c)


def one_less(e: Array) -> tuple[Array, Array]:
    """The moments with the variance of a sample, over D - 1."""
    mean = e.mean(axis=-1, keepdims=True)
    d = e - mean
    return mean, 1 / np.sqrt((d * d).sum(axis=-1, keepdims=True) / (e.shape[-1] - 1) + EPS)


def eps_outside(e: Array) -> tuple[Array, Array]:
    """The moments with eps beside the root and not in it."""
    mean = e.mean(axis=-1, keepdims=True)
    d = e - mean
    return mean, 1 / (np.sqrt((d * d).mean(axis=-1, keepdims=True)) + EPS)


LAYER_NORM_BACKWARD = attention.layer_norm_backward

OTHER_FUNCTIONS: dict[str, tuple[str, Callable[..., Any], list[str]]] = {
    "the mean's term left out": ("layer_norm_backward", without_the_mean, ["de"]),
    "the variance's term left out": ("layer_norm_backward", without_the_variance, ["de"]),
    "the gain left out": ("layer_norm_backward", without_the_gain, ["de"]),
    "the variance of a sample": ("moments", one_less, ["n", "dgain", "de"]),
    "eps outside the root": ("moments", eps_outside, ["n", "dgain", "de"]),
    "softmax backward without its sum": ("softmax_backward", lambda dw, w: dw * w, ["ds"]),
    "softmax backward with the sum over the wrong axis": (
        "softmax_backward", lambda dw, w: w * (dw - (dw * w).sum(axis=-2, keepdims=True)), ["ds"],
    ),
    "a softmax over the wrong axis": ("softmax", lambda s: softmax(s.mT).mT, ["w"]),
    "a scale of head and not of its root": ("sqrt", lambda head: head, ["s", "dq", "dk"]),
}  # fmt: skip

OTHER_GRADIENTS: dict[str, Callable[[Array, Parameters, Cache, dict[str, Array]], Array]] = {
    "du": lambda du, _p, c, _: du * c.w.shape[-1],
    "dq": lambda _dq, _p, c, sown: (sown["ds"] / 2).mT @ c.k,
    "dk": lambda _dk, _p, c, sown: sown["ds"].mT @ c.q,
    "dv": lambda _dv, _p, c, sown: c.w @ sown["do"],
    "dn": lambda dn, p, _c, sown: dn - sown["dv"] @ p.Wv[..., None, :, :],
    "dgain": lambda dgain, p, _c, _: dgain * p.gain,
    "de": lambda de, _p, _c, sown: de - sown["du"],
    "dWe": lambda dWe, _p, c, _: dWe / c.x.shape[-3],
}
"""In turn: a sum for a mean, a transposition, no scale, a transposition left out, no term of v, a gain too many, no
residual, a mean for a sum."""


@each_dtype
@pytest.mark.parametrize("fault", OTHER_FUNCTIONS)
def test_a_fault_is_outside_the_radius(monkeypatch: pytest.MonkeyPatch, dtype: DTypeName, fault: str) -> None:
    function, wrong, tensors = OTHER_FUNCTIONS[fault]
    given = drawn(SMALL, dtype)
    seen = torch_s(SMALL, given)
    assert outside(local(SMALL, given, seen)) == []
    monkeypatch.setattr(attention, function, wrong)
    found = outside(local(SMALL, given, seen))
    assert found[0] == tensors[0]
    assert set(found) <= set(tensors)


@each_dtype
@pytest.mark.parametrize("tensor", OTHER_GRADIENTS)
def test_a_wrong_gradient_is_outside_the_radius(dtype: DTypeName, tensor: str) -> None:
    given = drawn(SMALL, dtype)
    seen = torch_s(SMALL, given)
    assert outside(local(backward_changed({}), given, seen)) == []
    assert outside(local(backward_changed({tensor: OTHER_GRADIENTS[tensor]}), given, seen)) == [tensor]


def test_two_numbers_are_the_fewest_that_have_a_variance() -> None:
    assert Attention(1, 2, 1, 1).width == 2
    with pytest.raises(InputError, match="width: expected 2 or more, as one number has no variance, got 1"):
        Attention(1, 1, 1, 1)
