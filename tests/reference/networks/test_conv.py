"""The convolutional network against torch's own layers and autograd."""

from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest

from reference.arrays import Array, Sow, keep
from reference.claim.tree import zip_with
from reference.errors import InputError, UnknownNameError
from reference.networks import conv
from reference.networks.conv import Cache, Conv, Parameters, max_pool, max_pool_backward, windows_of
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
    ratio,
    reference_s,
    torch_s,
)
from torch_mirror import Ball

By = Literal["im2col", "einsum"]

each_way = pytest.mark.parametrize("by", ["im2col", "einsum"])
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def drawn(network: Conv, dtype: DTypeName, kind: Kind = "normal", *, batch: int = 5, seed: int = 0) -> Given:
    draws = np.random.default_rng(seed)
    p = parameters(network, draws, dtype, kind)
    x = numbers(draws, (batch, network.inputs, network.inputs), dtype, kind)
    return Given(p, x, numbers(draws, (batch, network.outputs), dtype, kind))


def full_of_ties(network: Conv, dtype: DTypeName) -> Given:
    """Images and kernels of zeros and ones: most blocks have several maxima, many of them zeros of the ReLU."""
    given = drawn(network, dtype, "dyadic", batch=7)
    p = given.p._replace(W1=(given.p.W1 > 0).astype(dtype), b1=np.full_like(given.p.b1, -3))
    return given._replace(p=p, x=(given.x > 0).astype(dtype))


@each_way
@each_dtype
@pytest.mark.parametrize(("channels", "inputs", "outputs", "batch"), [(1, 4, 1, 1), (3, 6, 3, 2), (4, 8, 10, 5)])
@pytest.mark.parametrize("seed", range(5))
def test_torch_is_within_the_radii(
    by: By, dtype: DTypeName, channels: int, inputs: int, outputs: int, batch: int, seed: int
) -> None:
    network = Conv(channels, inputs, outputs, by)
    assert_mirrored(network, drawn(network, dtype, batch=batch, seed=seed))


@each_way
@each_dtype
def test_so_it_is_with_many_channels_and_images(by: By, dtype: DTypeName) -> None:
    """Where torch's library has reason to take another algorithm."""
    network = Conv(32, by=by)
    assert_mirrored(network, drawn(network, dtype, batch=64))


@each_way
@each_dtype
@pytest.mark.parametrize("ties", [False, True])
def test_where_nothing_rounds_all_are_equal(by: By, dtype: DTypeName, *, ties: bool) -> None:
    network = Conv(4, by=by)
    given = full_of_ties(network, dtype) if ties else drawn(network, dtype, "dyadic")
    seen, floats = torch_s(network, given), reference_s(network, given)
    for name, ball in equations(network, given, seen).items():
        assert not ball.radius.any(), name
        np.testing.assert_array_equal(floats[name], seen[name], err_msg=name)
        np.testing.assert_array_equal(ball.value, seen[name], err_msg=name)


@each_way
@pytest.mark.parametrize("ties", [False, True])
def test_the_equations_agree_with_rational_arithmetic(by: By, *, ties: bool) -> None:
    network = Conv(2, inputs=6, outputs=3, by=by)
    given = full_of_ties(network, "float64") if ties else drawn(network, "float64", "dyadic", batch=2)

    def rational(a: Array) -> Array:
        return np.array([Fraction(float(n)) for n in a.ravel()], object).reshape(a.shape)

    exact = Given(zip_with(lambda _, a: rational(a), given.p), rational(given.x), rational(given.dy))
    fractions = reference_s(network, exact)
    for name, floats in reference_s(network, given).items():
        np.testing.assert_array_equal(rational(floats), fractions[name], err_msg=name)


@each_dtype
def test_both_ways_are_one_function(dtype: DTypeName) -> None:
    for kind in ("normal", "dyadic"):
        given = drawn(Conv(4), dtype, kind)
        rows, sums = (reference_s(Conv(4, by=by), balls(given)) for by in ("im2col", "einsum"))
        assert list(rows) == list(sums)
        for name, ball in rows.items():
            assert ratio(sums[name].value, ball) <= 1
            assert ratio(ball.value, sums[name]) <= 1


@each_way
@each_dtype
@pytest.mark.parametrize("kind", ["normal", "dyadic"])
@pytest.mark.parametrize("data", [False, True])
def test_stacked_passes_give_each_pass_its_own(by: By, dtype: DTypeName, kind: Kind, *, data: bool) -> None:
    network = Conv(2, inputs=6, outputs=3, by=by)
    assert_stacks(network, [drawn(network, dtype, kind, seed=seed) for seed in range(7)], data=data)


def test_the_windows_are_the_image_s_own() -> None:
    x = np.arange(2 * 5 * 6).reshape(2, 5, 6)
    windows = windows_of(x)
    assert windows.shape == (2, 3, 4, 3, 3)
    np.testing.assert_array_equal(windows, np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(-2, -1)))


def test_of_several_maxima_the_first_takes_the_gradient() -> None:
    """Every pattern of ties in a block of 2 x 2, all in one image."""
    patterns = np.array([[n >> k & 1 for k in range(4)] for n in range(16)], float).reshape(16, 2, 2)
    dp = np.arange(1.0, 17)[:, None, None]
    np.testing.assert_array_equal(max_pool(patterns)[1:], np.ones((15, 1, 1)))
    da = max_pool_backward(dp, patterns)
    for pattern, gradient, upstream in zip(patterns.reshape(16, 4), da.reshape(16, 4), dp.reshape(16), strict=True):
        expected = np.zeros(4)
        expected[np.argmax(pattern)] = upstream  # of several, numpy.argmax gives the first
        np.testing.assert_array_equal(gradient, expected)


def test_a_nan_is_not_lost_in_the_pooling() -> None:
    a = np.array([[1.0, np.nan], [2.0, 3.0]])
    assert np.isnan(max_pool(a)).all()
    assert max_pool_backward(np.array([[5.0]]), a)[0, 1] == 5


def test_a_maximum_that_the_radii_leave_open_holds_both_branches() -> None:
    a: Any = Ball(np.array([[4.0, 4.5], [0.0, 0.5]]), np.array([[0.5, 0.5], [0.0, 0.0]]))
    dp: Any = Ball(np.array([[3.0]]))
    da: Any = max_pool_backward(dp, a)
    np.testing.assert_array_equal(da.value, [[0, 3], [0, 0]])
    assert (da.radius[0] >= 3).all()
    assert not da.radius[1].any()


def turned(windows: Array, W: Array, b: Array) -> Array:
    """The kernel transposed."""
    return conv.by_im2col(windows, W.mT, b)


def flipped(windows: Array, W: Array, b: Array) -> Array:
    """The kernel flipped, as the convolution of mathematics has it."""
    return conv.by_im2col(windows, W[..., ::-1, ::-1], b)


def turned_gradient(dz: Array, windows: Array) -> Array:
    return conv.by_im2col_backward(dz, windows).mT


def shifted_gradient(dz: Array, windows: Array) -> Array:
    """Each window's neighbour."""
    return conv.by_im2col_backward(dz, windows[..., ::-1, :, :, :])


def to_the_last(dp: Array, a: Array) -> Array:
    """Of several maxima the last takes the gradient."""
    return max_pool_backward(dp[..., ::-1, ::-1], a[..., ::-1, ::-1])[..., ::-1, ::-1]


def to_all(dp: Array, a: Array) -> Array:
    """Of several maxima each takes the gradient."""
    blocks = np.repeat(np.repeat(max_pool(a), 2, axis=-1), 2, axis=-2)
    return np.where(a == blocks, np.repeat(np.repeat(dp, 2, axis=-1), 2, axis=-2), 0)


class BiasOverImages(Conv):
    """db1 of the mean over the windows, where it is their sum."""

    def backward(self, p: Parameters, c: Cache, dy: Array, sow: Sow = keep) -> Parameters:
        def change(name: str, value: Array, /) -> Array:
            return sow(name, value / 36 if name == "db1" else value)

        return super().backward(p, c, dy, change)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a transposed kernel": ({"CONVOLUTIONS": {"im2col": turned}}, "z1"),
    "a flipped kernel": ({"CONVOLUTIONS": {"im2col": flipped}}, "z1"),
    "a transposed gradient of the kernel": ({"KERNEL_GRADIENTS": {"im2col": turned_gradient}}, "dW1"),
    "the gradient of other windows": ({"KERNEL_GRADIENTS": {"im2col": shifted_gradient}}, "dW1"),
    "a tie to the last": ({"max_pool_backward": to_the_last}, "da1"),
    "a tie to all": ({"max_pool_backward": to_all}, "da1"),
}


@each_dtype
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_outside_the_radius(monkeypatch: pytest.MonkeyPatch, dtype: DTypeName, fault: str) -> None:
    changes, tensor = FAULTS[fault]
    network = Conv(4)
    given = full_of_ties(network, dtype) if "tie" in fault else drawn(network, dtype)
    seen = torch_s(network, given)
    assert outside(local(network, given, seen)) == []
    for name, value in changes.items():
        monkeypatch.setattr(conv, name, value)
    assert outside(local(network, given, seen)) == [tensor]


@each_dtype
def test_a_mean_for_a_sum_is_outside_the_radius(dtype: DTypeName) -> None:
    given = drawn(Conv(4), dtype)
    assert outside(local(BiasOverImages(4), given, torch_s(Conv(4), given))) == ["db1"]


@pytest.mark.parametrize("inputs", [2, 3, 7])
def test_an_image_that_does_not_pool_is_an_input_error(inputs: int) -> None:
    with pytest.raises(InputError, match=f"inputs: expected the side of an image: .*, got {inputs}"):
        Conv(1, inputs)


def test_an_unknown_way_is_told() -> None:
    by: Any = "einsun"
    with pytest.raises(UnknownNameError, match="unknown by 'einsun': did you mean 'einsum'"):
        Conv(1, by=by)
