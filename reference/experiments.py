"""Set-ups by name, the documents' own and others: ``names()`` and ``load(name)``.

A builder draws in float64 and in its document's order; ``load`` rounds to the dtype afterwards, so that
float32 and float64 runs start from the same numbers. Where a document's seed is unknown the seed is
the caller's. Inputs are (batch, in), targets (batch, out).
"""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from reference import datasets, initial
from reference.arrays import Array, Shapes
from reference.claim.batches import Batches
from reference.claim.experiment import Experiment
from reference.claim.tree import zip_with
from reference.errors import InputError, UnknownNameError
from reference.losses import CrossEntropy, SquaredError
from reference.networks import (
    attention,
    char_rnn,
    conv,
    cubic,
    linear_regression,
    mlp,
    two_layer_linear,
    two_layer_relu,
)
from reference.optimizers.adagrad import Adagrad
from reference.optimizers.adam import Adam
from reference.optimizers.clipping import ClippedByNorm
from reference.optimizers.rmsprop import RMSprop
from reference.optimizers.sgd import SGD
from reference.options import whole

SUM = SquaredError("sum")
MEAN = SquaredError("mean")
HALF_SUM = SquaredError("sum", 0.5)

DOCUMENT_SEED = 42  # of document 002: numpy.random.seed(42)


def cubic_sine(draws: np.random.Generator) -> Experiment:
    """Document 000: the sine on [-pi, pi] by a cubic polynomial; a, b, c, d are drawn in this order."""
    x = np.linspace(-np.pi, np.pi, 2000)[:, None]
    a, b, c, d = draws.standard_normal(4)
    start = cubic.Parameters(W=np.array([[b, c, d]]), bias=np.array([a]))
    return Experiment(cubic.Cubic(), start, x, np.sin(x), SUM, SGD(1e-6), 2000)


def linear_neuron(_draws: np.random.Generator) -> Experiment:
    """Document 001: one neuron, one sample. The loss is the one whose gradient the document uses."""
    x, t = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]), np.array([[25.0]])
    start = linear_regression.Parameters(np.array([[4.2, 3.6, 1.5, 0.7, 0.1]]), np.zeros(1))
    return Experiment(linear_regression.LinearRegression(5), start, x, t, SUM, SGD(0.01), 1000)


def linear_batch(_draws: np.random.Generator) -> Experiment:
    """Document 001: the same neuron on three samples."""
    x = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 3.0, 4.0, 5.0, 6.0], [3.0, 4.0, 5.0, 6.0, 7.0]])
    t = np.array([[25.0], [30.0], [35.0]])
    start = linear_regression.Parameters(initial.zeros(5, 1), np.zeros(1))
    return Experiment(linear_regression.LinearRegression(5), start, x, t, MEAN, SGD(0.01), 1000)


class Diabetes(NamedTuple):
    """scikit-learn's diabetes data, split as in document 001."""

    x: Array            # (353, 10)
    t: Array            # (353, 1)
    x_held_out: Array   # (89, 10)
    t_held_out: Array   # (89, 1)
    mean: float         # of all 442 targets


def diabetes_split() -> Diabetes:
    """The data to train on, and the data held out, on which the document's R^2 is measured; float64."""
    x, t = datasets.diabetes()
    part = datasets.split(x, t, held_out=0.2, seed=42)
    return Diabetes(part.x, part.t[:, None], part.x_held_out, part.t_held_out[:, None], float(t.mean()))


def diabetes_linear(_draws: np.random.Generator) -> Experiment:
    """Document 001: linear regression; its table starts from w = 0 and the mean of all targets."""
    data = diabetes_split()
    start = linear_regression.Parameters(initial.zeros(10, 1), np.array([data.mean]))
    return Experiment(linear_regression.LinearRegression(10), start, data.x, data.t, MEAN, SGD(0.01), 10_000)


def diabetes_relu(draws: np.random.Generator) -> Experiment:
    """Document 001: the same with a ReLU on the output."""
    data = diabetes_split()
    network = linear_regression.LinearRegression(10, output="relu")
    start = linear_regression.Parameters(initial.small_normal(draws, 10, 1), np.zeros(1))
    return Experiment(network, start, data.x, data.t, MEAN, SGD(0.01), 10_000)


X_3X3 = ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0))
T_3X3 = ((10.0,), (28.0,), (40.0,))
"""Document 001's example of three samples with three inputs."""


def layers(
    widths: tuple[int, ...], draw: Callable[[initial.Draws, int, int], Array], draws: initial.Draws
) -> mlp.Parameters:
    """Weights of each layer drawn from the first to the last, and biases of zero."""
    pairs = list(pairwise(widths))
    return mlp.Parameters(tuple(draw(draws, i, o) for i, o in pairs), tuple(np.zeros(o) for _, o in pairs))


def three_layer_linear(draws: np.random.Generator) -> Experiment:
    """Document 001: three linear layers, whose output gradient y - t is that of half the sum."""
    network = mlp.MLP((3, 3, 2, 1), activation="identity")
    start = layers(network.widths, initial.small_normal, draws)
    return Experiment(network, start, np.array(X_3X3), np.array(T_3X3), HALF_SUM, SGD(0.001), 100)


def mlp_relu(draws: np.random.Generator) -> Experiment:
    """Document 001: a hidden ReLU layer. The document prints the MSE (figures.mse), not the loss it descends."""
    network = mlp.MLP((3, 5, 1), activation="relu")
    start = layers(network.widths, initial.he, draws)
    return Experiment(network, start, np.array(X_3X3), np.array(T_3X3), HALF_SUM, SGD(0.001), 100)


def sigmoid_output(draws: np.random.Generator) -> Experiment:
    """Document 001: the derivation with sigma'(z) = a (1 - a) at the output, which the document never runs.

    Between the layers the document applies nothing; the targets are divided by 50 to lie within (0, 1).
    """
    network = mlp.MLP((3, 3, 2, 1), activation="identity", output="sigmoid")
    start = layers(network.widths, initial.small_normal, draws)
    return Experiment(network, start, np.array(X_3X3), np.array(T_3X3) / 50, SUM, SGD(0.01), 1000)


def two_layer_linear_plain(_draws: np.random.Generator) -> Experiment:
    """Document 002: y = 2x by two weights in a row, from the document's own legacy seed."""
    legacy = np.random.RandomState(DOCUMENT_SEED)
    x = np.arange(10.0)[:, None]
    start = two_layer_linear.Parameters(
        W1=initial.small_uniform(legacy, 1, 1), b1=None, W2=initial.small_uniform(legacy, 1, 1), b2=None
    )
    return Experiment(two_layer_linear.TwoLayerLinear(1, 1, 1), start, x, 2 * x, MEAN, SGD(0.01), 1000)


def two_layer_linear_bias(_draws: np.random.Generator) -> Experiment:
    """Document 002: y = 2x + 3 with biases, which are uniform on [0, 1); drawn in the order W1, b1, W2, b2."""
    legacy = np.random.RandomState(DOCUMENT_SEED)
    x = np.arange(10.0)[:, None]
    start = two_layer_linear.Parameters(
        W1=initial.small_uniform(legacy, 1, 1),
        b1=legacy.random(1),
        W2=initial.small_uniform(legacy, 1, 1),
        b2=legacy.random(1),
    )
    network = two_layer_linear.TwoLayerLinear(1, 1, 1, bias=True)
    return Experiment(network, start, x, 2 * x + 3, MEAN, SGD(0.01), 1000)


def two_layer_relu_500(draws: np.random.Generator) -> Experiment:
    """Documents 003 and 004: random data, drawn in the order x, t, W1, W2."""
    network = two_layer_relu.TwoLayerReLU(1000, 100, 10)
    x, t = draws.standard_normal((64, 1000)), draws.standard_normal((64, 10))
    start = two_layer_relu.Parameters(W1=initial.normal(draws, 1000, 100), W2=initial.normal(draws, 100, 10))
    return Experiment(network, start, x, t, SUM, SGD(1e-6), 500)


def two_layer_relu_converged(draws: np.random.Generator) -> Experiment:
    """Document 004: the same, trained on until the gradient is rounding noise."""
    return replace(two_layer_relu_500(draws), steps=2000)


# --- beside the documents: other data, losses and optimizers ------------------------------------------


def uniform(draws: np.random.Generator, shapes: Shapes) -> dict[str, Array]:
    """Weights and biases uniform within fan_in^(-1/2), as torch draws those of nn.Linear and nn.Conv2d."""
    fan_in = {name: math.prod(shape[1:]) for name, shape in shapes.items() if len(shape) > 1}
    within = 1.0
    values: dict[str, Array] = {}
    for name, shape in shapes.items():
        within = fan_in.get(name, within**-2) ** -0.5  # a bias has that of the weight before it
        values[name] = draws.uniform(-within, within, shape)
    return values


def digits_softmax(draws: np.random.Generator) -> Experiment:
    """Digits of 8 x 8 pixels by 64-32-10 with a ReLU, cross-entropy of the class, Adam, batches of 64 drawn anew."""
    data = datasets.digits()
    network = mlp.MLP((64, 32, 10))
    W1, W2, b1, b2 = uniform(draws, network.shapes()).values()
    start = mlp.Parameters((W1, W2), (b1, b2))
    x = data.x.reshape(-1, 64)
    return Experiment(network, start, x, data.t, CrossEntropy(), Adam(1e-3), 280, batches=Batches(64, seed=0))


def conv_digits(draws: np.random.Generator) -> Experiment:
    """The first 320 of the same digits by a 3 x 3 convolution and max-pooling; SGD with Nesterov's momentum."""
    data = datasets.digits()
    network = conv.Conv(4)
    start = conv.Parameters(**uniform(draws, network.shapes()))
    x, t = data.x[:320], data.t[:320]
    sgd = SGD(0.1, momentum=0.9, nesterov=True)
    return Experiment(network, start, x, t, CrossEntropy(), sgd, 100, batches=Batches(32, seed=0))


def char_rnn_sentence(draws: np.random.Generator) -> Experiment:
    """A vanilla RNN that foretells the next of 20 characters of a text, whose parts come in turn; Adagrad, clipped."""
    text = datasets.sentence(400)
    network = char_rnn.CharRNN(len(text.alphabet), 16)
    start = char_rnn.Parameters(**uniform(draws, network.shapes()))
    optimizer = ClippedByNorm(Adagrad(0.1), 5.0)
    return Experiment(network, start, text.x, text.t, CrossEntropy(), optimizer, 100, batches=Batches(20))


def attention_digits(draws: np.random.Generator) -> Experiment:
    """The first 64 digits, their rows as tokens, by one head of attention over a layer norm; RMSprop."""
    data = datasets.digits()
    network = attention.Attention(8, 16, 8, 10)
    values = uniform(draws, network.shapes())
    values["gain"], values["shift"] = np.ones(16), np.zeros(16)
    start = attention.Parameters(**values)
    return Experiment(network, start, data.x[:64], data.t[:64], CrossEntropy(), RMSprop(1e-3), 60)


EXPERIMENTS: dict[str, Callable[[np.random.Generator], Experiment]] = {
    "cubic-sine": cubic_sine,
    "linear-neuron": linear_neuron,
    "linear-batch": linear_batch,
    "diabetes-linear": diabetes_linear,
    "diabetes-relu": diabetes_relu,
    "three-layer-linear": three_layer_linear,
    "mlp-relu": mlp_relu,
    "sigmoid-output": sigmoid_output,
    "two-layer-linear": two_layer_linear_plain,
    "two-layer-linear-bias": two_layer_linear_bias,
    "two-layer-relu": two_layer_relu_500,
    "two-layer-relu-converged": two_layer_relu_converged,
    "digits-softmax": digits_softmax,
    "conv-digits": conv_digits,
    "char-rnn": char_rnn_sentence,
    "attention": attention_digits,
}


def names() -> list[str]:
    """The names of the experiments: those of the documents in their order, and then the others."""
    return list(EXPERIMENTS)


def load(name: str, dtype: str = "float64", seed: int = 0) -> Experiment:
    """The experiment of that name, in float32 or float64.

    seed: of numpy.random.default_rng, where start or data are random and the document does not seed
    them itself. Raises UnknownNameError for a name that is not in ``names()``, InputError for another
    dtype or a seed that is not a whole number, 0 or more.
    """
    if not isinstance(name, str) or name not in EXPERIMENTS:
        raise UnknownNameError("experiment", name, EXPERIMENTS)
    if not isinstance(dtype, str) or dtype not in ("float32", "float64"):
        raise InputError("dtype", "float32 or float64", repr(dtype))
    seed = whole("seed", seed)
    experiment = EXPERIMENTS[name](np.random.default_rng(seed))
    return replace(rounded(experiment, dtype), name=name, seed=seed)


def held_out(experiment: Experiment) -> tuple[Array, Array] | None:
    """Data (x, t) of an experiment's document that nobody trains on, in its dtype; None where there are none.

    Told by the name, and by the data: of another experiment of that name nothing is held out.
    """
    e = experiment
    if e.name not in {"diabetes-linear", "diabetes-relu"} or not isinstance(e.x, np.ndarray):
        return None
    data = diabetes_split()
    if not np.array_equal(e.x, data.x.astype(e.dtype)):
        return None
    return data.x_held_out.astype(e.dtype), data.t_held_out.astype(e.dtype)


def rounded(experiment: Experiment, dtype: str) -> Experiment:
    """The same experiment with every array of floats rounded to the dtype."""
    e = experiment
    parameters, x, t = (
        zip_with(lambda _, a: a.astype(dtype) if a.dtype.kind == "f" else a, tree) for tree in (e.parameters, e.x, e.t)
    )
    return replace(e, parameters=parameters, x=x, t=t)
