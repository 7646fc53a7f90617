"""The documents' own set-ups, by name: ``names()`` and ``load(name)``.

A builder draws in float64 and in its document's order; ``load`` rounds to the dtype afterwards, so that
float32 and float64 runs start from the same numbers. Where a document's seed is unknown the seed is
the caller's. Inputs are (batch, in), targets (batch, out).
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from reference import initial
from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.tree import zip_with
from reference.errors import InputError, UnknownNameError
from reference.losses import SquaredError
from reference.networks import cubic, linear_regression, mlp, two_layer_linear, two_layer_relu
from reference.optimizers.sgd import SGD

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
    # scikit-learn takes a second to load, so it is loaded where it is used
    from sklearn.datasets import load_diabetes  # noqa: PLC0415 - as above
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 - as above

    x, t = load_diabetes(return_X_y=True)
    x_train, x_test, t_train, t_test = train_test_split(x, t, test_size=0.2, random_state=42)
    return Diabetes(x_train, t_train[:, None], x_test, t_test[:, None], float(t.mean()))


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
}


def names() -> list[str]:
    """The names of the experiments, in the order of the documents."""
    return list(EXPERIMENTS)


def load(name: str, dtype: str = "float64", seed: int = 0) -> Experiment:
    """The experiment of that name, in float32 or float64.

    seed: of numpy.random.default_rng, where start or data are random and the document does not seed
    them itself. Raises UnknownNameError for a name that is not in ``names()``, InputError for another
    dtype or a seed that is not a whole number, 0 or more.
    """
    if name not in EXPERIMENTS:
        raise UnknownNameError("experiment", name, EXPERIMENTS)
    if dtype not in ("float32", "float64"):
        raise InputError("dtype", "float32 or float64", repr(dtype))
    experiment = EXPERIMENTS[name](np.random.default_rng(checked_seed(seed)))
    return replace(rounded(experiment, dtype), name=name, seed=seed)


def checked_seed(seed: object) -> int:
    """The seed. Raises InputError for what is not a whole number, 0 or more."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError("seed", "a whole number, 0 or more", repr(seed))
    return int(seed)


def rounded(experiment: Experiment, dtype: str) -> Experiment:
    """The same experiment with every array of floats rounded to the dtype."""
    e = experiment
    parameters, x, t = (
        zip_with(lambda _, a: a.astype(dtype) if a.dtype.kind == "f" else a, tree) for tree in (e.parameters, e.x, e.t)
    )
    return replace(e, parameters=parameters, x=x, t=t)
