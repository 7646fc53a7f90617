"""Where a document contradicts itself, its own output, or torch: each shown on numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import reference
from reference import experiments, printed
from reference.activations import relu_backward
from reference.arrays import Array
from reference.claim.objective import features
from reference.losses import SquaredError
from reference.networks.linear_regression import LinearRegression, Parameters
from tests.steps import gradients


def gradients_of(name: str) -> tuple[Parameters, reference.Experiment]:
    """The gradients at the experiment's start."""
    e = experiments.load(name)
    return gradients(e.network, e.parameters, features(e.network, e.x), e.t, e.loss), e


def test_001_s_printed_loss_is_not_the_loss_it_descends() -> None:
    """452.56 is a mean over products w_i x_i; from the second step on it rises, while the loss itself vanishes."""
    trace = reference.train(experiments.load("linear-neuron"))
    assert f"{printed.elementwise_loss(trace)[0]:.2f}" == "452.56"
    assert f"{trace['loss'][0]:.2f}" == "33.64"
    assert printed.elementwise_loss(trace)[-1] > printed.elementwise_loss(trace)[1]
    assert trace["loss"][-1] < trace["loss"][0] * np.finfo(float).eps


def test_001_s_printed_loss_has_another_gradient() -> None:
    """By its own formula, d/dw_i of the mean over i is 2 (w_i x_i + b - t) x_i / 5, not 2 (w . x + b - t) x_i."""
    dp, e = gradients_of("linear-neuron")
    w, x, t = e.parameters.W, e.x, e.t
    of_the_figure = 2 * (w * x - t) * x / 5
    assert (np.sign(dp.W) == np.sign(of_the_figure)).all()
    assert (np.abs(of_the_figure) < np.abs(dp.W)).any()
    assert (np.abs(of_the_figure - dp.W) > 1).all()


def test_001_s_formula_for_the_neuron_lacks_the_factor_2_of_its_code() -> None:
    """Formula: (w . x + b - y) x_1. Code, and squared error: twice that. Whole numbers, so equal means equal."""
    network = LinearRegression(5)
    p = Parameters(np.array([[4.0, 3.0, 1.0, 0.0, 2.0]]), np.zeros(1))
    x, t = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]), np.array([[25.0]])
    error = (p.W * x).sum() + p.b - t
    assert np.array_equal(gradients(network, p, x, t, SquaredError("sum")).W, 2 * error * x)
    assert np.array_equal(gradients(network, p, x, t, SquaredError("sum", 0.5)).W, error * x)


def test_001_s_first_diabetes_table_does_not_start_from_b_0() -> None:
    """The code says b = 0.0, where the loss is 29,711; the printed 6078.97 is that of b = mean of all 442 targets."""
    e = replace(experiments.load("diabetes-linear"), steps=1)
    from_zero = replace(e, parameters=e.parameters._replace(b=np.zeros(1)))
    assert f"{reference.train(e)['loss'][0]:.2f}" == "6078.97"
    assert f"{reference.train(from_zero)['loss'][0]:.0f}" == "29711"


def test_001_s_second_diabetes_table_goes_on_from_the_first_one_s_bias() -> None:
    """It says that w and b are drawn anew; only w is, near 0.

    Of the biases that the document has had so far (0, the mean of the targets, the one that the first run
    of 1000 steps ends with), the last explains the printed 6076.47, to within what such a w changes.
    """
    e = replace(experiments.load("diabetes-linear"), steps=1000)
    first_run = reference.train(e, ("b",))["b"]
    biases = {"zero": np.zeros(1), "mean": first_run[0], "first run": first_run[-1]}
    apart = {}
    for name, b in biases.items():
        again = replace(e, parameters=e.parameters._replace(b=b), steps=1)
        apart[name] = abs(reference.train(again, ("loss",))["loss"][0] - 6076.474836574767)
    assert min(apart, key=lambda name: apart[name]) == "first run"


def test_001_s_diabetes_features_have_no_unit_standard_deviation() -> None:
    """It says that scikit-learn scaled them to standard deviation 1; their sum of squares is 1, over 442 samples."""
    data = experiments.diabetes_split()
    x = np.concatenate([data.x, data.x_held_out])
    assert [f"{s:.4f}" for s in x.std(axis=0)] == [f"{1 / np.sqrt(442):.4f}"] * 10


def test_001_s_comment_gives_the_shape_before_the_split() -> None:
    """``# shape (442, 1)``: the training targets are (353, 1)."""
    assert experiments.diabetes_split().t.shape == (353, 1)


def test_001_s_half_sum_is_not_the_loss_it_derives() -> None:
    """Derived: dL/dy = 2 (y - t). Run: y - t, which is the gradient of half the sum of squares."""
    e = experiments.load("three-layer-linear")
    y, t = np.array([[3.0], [1.0]]), np.array([[1.0], [4.0]])
    assert np.array_equal(e.loss.gradient(y, t), y - t)
    assert np.array_equal(replace(e, loss=SquaredError("sum")).loss.gradient(y, t), 2 * (y - t))


def test_001_s_mlp_prints_two_thirds_of_the_loss_it_descends() -> None:
    """np.mean of three squares is printed; the gradient y - t belongs to half their sum."""
    loss = experiments.load("mlp-relu").loss
    y, t = np.array([[3.0], [1.0], [2.0]]), np.array([[1.0], [4.0], [8.0]])
    shown = printed.mse(reference.Trace(1, {"t": t}, {}, {"y": y[None]}))[0]
    assert 3 * shown == 2 * loss.value(y, t) == 49


def document_mask(da: Array, z: Array) -> Array:
    """The gradient through a ReLU as documents 003 and 004 write it: zero where z < 0, passed where z == 0."""
    return np.where(z < 0, 0, da)


@pytest.mark.parametrize("z", [-1.0, -0.0, 0.0, 1.0, np.nan])
def test_003_and_004_pass_the_gradient_at_exactly_0_and_torch_does_not(z: float) -> None:
    tensor = torch.tensor([z], requires_grad=True)
    (grad,) = torch.autograd.grad(torch.relu(tensor), tensor, torch.tensor([3.0]))
    torch_s, da = grad.item(), np.array([3.0])
    assert relu_backward(da, np.array([z]), np.maximum([z], 0)).item() == torch_s
    assert (document_mask(da, np.array([z])).item() == torch_s) == (z != 0)


def test_002_trains_on_the_far_side_of_stability() -> None:
    """y = 2x is not learned: the weights alternate between two states, of which the table shows one.

    At any minimum W1 W2 = 2 the curvature is at least 2 mean(x^2) (2 + 2) = 228, and gradient descent is
    stable below 2 / lr = 200. The document prints every hundredth loss, 8.4656, and predicts with the slope
    1.5953^2 = 2.545 of the other state, whose loss, 17.8151, it never prints.
    """
    e = experiments.load("two-layer-linear")
    trace = reference.train(e)
    assert 2 * np.mean(e.x**2) * 4 == 228
    assert e.optimizer.lr * 228 > 2
    assert {f"{loss:.4f}" for loss in trace["loss"][100::2]} == {"8.4656"}
    assert {f"{loss:.4f}" for loss in trace["loss"][101::2]} == {"17.8151"}
    assert f"{(trace['W1'] * trace['W2'])[-1].item():.3f}" == "2.545"
    slower = reference.train(replace(e, optimizer=reference.SGD(0.008)))  # 228 * 0.008 < 2
    assert f"{(slower['W1'] * slower['W2'])[-1].item():.8f}" == "2.00000000"


def test_002_s_gradient_divides_by_the_batch_and_its_loss_by_every_element() -> None:
    """The same for the document's single output; for two outputs its gradient is twice that of its loss."""
    y, t = np.array([[3.0, 1.0], [2.0, 5.0]]), np.array([[1.0, 4.0], [8.0, 1.0]])
    document = 2 * (y - t) / len(y)
    assert np.array_equal(document, 2 * SquaredError("mean").gradient(y, t))
    assert np.array_equal(document[:, :1], SquaredError("mean").gradient(y[:, :1], t[:, :1]))
