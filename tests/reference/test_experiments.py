"""The documents' set-ups: what they contain, what they are drawn from, what they refuse, what they report."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from reference import experiments, initial, printed
from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from reference.errors import InputError, UnknownNameError
from reference.traces.trace import Trace


class Row(NamedTuple):
    """A row of the documents' table."""

    network: str
    x: tuple[int, int]
    t: tuple[int, int]
    loss: tuple[str, float]
    lr: float
    steps: int
    drawn: bool  # from the seed


TABLE = {
    "cubic-sine": Row("Cubic()", (2000, 1), (2000, 1), ("sum", 1), 1e-6, 2000, drawn=True),
    "linear-neuron": Row(
        "LinearRegression(inputs=5, outputs=1, output='identity')", (1, 5), (1, 1), ("sum", 1), 0.01, 1000, drawn=False
    ),
    "linear-batch": Row(
        "LinearRegression(inputs=5, outputs=1, output='identity')", (3, 5), (3, 1), ("mean", 1), 0.01, 1000, drawn=False
    ),
    "diabetes-linear": Row(
        "LinearRegression(inputs=10, outputs=1, output='identity')",
        (353, 10), (353, 1), ("mean", 1), 0.01, 10_000, drawn=False,
    ),
    "diabetes-relu": Row(
        "LinearRegression(inputs=10, outputs=1, output='relu')",
        (353, 10), (353, 1), ("mean", 1), 0.01, 10_000, drawn=True,
    ),
    "three-layer-linear": Row(
        "MLP(widths=(3, 3, 2, 1), activation='identity', output='identity', bias=True)",
        (3, 3), (3, 1), ("sum", 0.5), 0.001, 100, drawn=True,
    ),
    "mlp-relu": Row(
        "MLP(widths=(3, 5, 1), activation='relu', output='identity', bias=True)",
        (3, 3), (3, 1), ("sum", 0.5), 0.001, 100, drawn=True,
    ),
    "sigmoid-output": Row(
        "MLP(widths=(3, 3, 2, 1), activation='identity', output='sigmoid', bias=True)",
        (3, 3), (3, 1), ("sum", 1), 0.01, 1000, drawn=True,
    ),
    "two-layer-linear": Row(
        "TwoLayerLinear(inputs=1, hidden=1, outputs=1, bias=False)",
        (10, 1), (10, 1), ("mean", 1), 0.01, 1000, drawn=False,
    ),
    "two-layer-linear-bias": Row(
        "TwoLayerLinear(inputs=1, hidden=1, outputs=1, bias=True)",
        (10, 1), (10, 1), ("mean", 1), 0.01, 1000, drawn=False,
    ),
    "two-layer-relu": Row(
        "TwoLayerReLU(inputs=1000, hidden=100, outputs=10)", (64, 1000), (64, 10), ("sum", 1), 1e-6, 500, drawn=True
    ),
    "two-layer-relu-converged": Row(
        "TwoLayerReLU(inputs=1000, hidden=100, outputs=10)", (64, 1000), (64, 10), ("sum", 1), 1e-6, 2000, drawn=True
    ),
}  # fmt: skip

EACH = pytest.mark.parametrize("name", TABLE)


def tensors(experiment: Experiment) -> dict[str, Array]:
    return {**named(experiment.parameters), "x": experiment.x, "t": experiment.t}


def same(a: Experiment, b: Experiment) -> bool:
    """True if both start from the same bits."""
    return all(np.array_equal(tensors(a)[name], tensors(b)[name]) for name in tensors(a))


def test_names_are_the_documents() -> None:
    assert experiments.names()[: len(TABLE)] == list(TABLE)
    assert experiments.names()[len(TABLE) :] == ["digits-softmax", "conv-digits", "char-rnn", "attention"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", experiments.names()[len(TABLE) :])
def test_the_others_learn(name: str, dtype: str) -> None:
    """A third of what chance leaves is learned by the end: log(classes) is the loss of a guess."""
    e = experiments.load(name, dtype)
    loss = reference.train(e, ("loss",))["loss"]
    assert loss[-1] < np.log(e.network.outputs) * 2 / 3
    assert loss.dtype == dtype


@EACH
def test_an_experiment_is_what_the_table_says(name: str) -> None:
    e, row = experiments.load(name), TABLE[name]
    assert repr(e.network) == row.network
    assert (e.x.shape, e.t.shape) == (row.x, row.t)
    assert (tuple(e.loss[:2]), e.optimizer.lr, e.steps) == (row.loss, row.lr, row.steps)
    assert (e.name, e.seed, e.dtype.name) == (name, 0, "float64")


@EACH
def test_float32_starts_from_the_same_numbers_rounded(name: str) -> None:
    wide, narrow = tensors(experiments.load(name, "float64", 3)), tensors(experiments.load(name, "float32", 3))
    for tensor, value in narrow.items():
        assert value.dtype == np.float32
        assert value.flags.c_contiguous
        assert np.array_equal(value, wide[tensor].astype(np.float32))


@EACH
def test_the_seed_decides_where_the_document_has_none(name: str) -> None:
    assert same(experiments.load(name, seed=5), experiments.load(name, seed=5))
    assert same(experiments.load(name, seed=5), experiments.load(name, seed=6)) != TABLE[name].drawn


def test_the_starts_that_are_given() -> None:
    def start(name: str) -> dict[str, list[Any]]:
        return {key: a.ravel().tolist() for key, a in named(experiments.load(name).parameters).items()}

    assert start("linear-neuron") == {"W": [4.2, 3.6, 1.5, 0.7, 0.1], "b": [0]}
    assert start("linear-batch") == {"W": [0] * 5, "b": [0]}
    assert start("diabetes-linear") == {"W": [0] * 10, "b": [experiments.diabetes_split().mean]}
    for name in ("diabetes-relu", "three-layer-linear", "mlp-relu", "sigmoid-output"):
        assert all(set(values) == {0} for key, values in start(name).items() if key.startswith("b"))


def test_document_002_draws_weights_and_biases_in_its_own_order() -> None:
    legacy = np.random.RandomState(42)
    drawn = [legacy.random_sample() for _ in range(4)]
    plain = [float(a.item()) for a in named(experiments.load("two-layer-linear").parameters).values()]
    biased = [float(a.item()) for a in named(experiments.load("two-layer-linear-bias").parameters).values()]
    assert plain == [drawn[0] * 0.01, drawn[1] * 0.01]
    assert biased == [drawn[0] * 0.01, drawn[1], drawn[2] * 0.01, drawn[3]]


def test_the_data_that_the_documents_give() -> None:
    sine, example, tenth = (experiments.load(name) for name in ("cubic-sine", "mlp-relu", "two-layer-linear-bias"))
    assert (sine.x[0], sine.x[-1]) == (-np.pi, np.pi)
    assert np.array_equal(sine.t, np.sin(sine.x))
    assert example.x.ravel().tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert example.t.ravel().tolist() == [10, 28, 40]
    assert experiments.load("sigmoid-output").t.ravel().tolist() == [10 / 50, 28 / 50, 40 / 50]
    assert np.array_equal(tenth.t, 2 * tenth.x + 3)


def test_the_diabetes_split() -> None:
    data = experiments.diabetes_split()
    assert (data.x.shape, data.t.shape, data.x_held_out.shape, data.t_held_out.shape) == (
        (353, 10), (353, 1), (89, 10), (89, 1),
    )  # fmt: skip
    assert [f"{value:.6f}" for value in data.x[0, :4]] == ["0.070769", "0.050680", "0.012117", "0.056301"]
    assert data.t[0] == 144
    assert data.mean * 442 == data.t.sum() + data.t_held_out.sum()


def test_two_layer_relu_converged_is_trained_into_rounding_noise() -> None:
    loss = reference.train(experiments.load("two-layer-relu-converged"), ("loss",))["loss"]
    assert loss[500] > 1e-20 > loss[-1]
    assert (np.diff(loss[100:500]) < 0).all()
    assert (np.diff(loss[-100:]) > 0).any()  # rounding noise has no direction


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("two-layer-rel",), UnknownNameError, "experiment 'two-layer-rel'.*did you mean 'two-layer-relu'"),
        (("mlp-relu", "float16"), InputError, "dtype: expected float32 or float64, got 'float16'"),
        (("mlp-relu", None), InputError, "dtype: expected float32 or float64, got None"),
        (("mlp-relu", "float64", -1), InputError, "seed: expected a whole number, 0 or more, got -1"),
        (("mlp-relu", "float64", 1.0), InputError, r"seed: expected a whole number, 0 or more, got 1\.0"),
        (("mlp-relu", "float64", True), InputError, "seed: expected a whole number, 0 or more, got True"),
    ],
)
def test_bad_input_is_named(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        experiments.load(*arguments)


LOADED = "sys.modules['torch'] = sys"


@pytest.mark.parametrize(("code", "loads"), [("reference.experiments.names()", False), (LOADED, True)])
def test_importing_the_reference_is_light(code: str, *, loads: bool) -> None:
    """Neither torch nor scikit-learn is loaded. The second case shows that the test can fail."""
    script = f"import sys, reference; {code}; sys.exit(bool({{'torch', 'sklearn'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == int(loads)


def test_the_public_names_are_sorted_and_there() -> None:
    assert reference.__all__ == sorted(reference.__all__, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(reference, name) for name in reference.__all__)


# --- starts ------------------------------------------------------------------------------------

DRAWS: dict[str, tuple[Callable[[initial.Draws, int, int], Array], Callable[[Array, int], Array]]] = {
    "normal": (initial.normal, lambda a, _: a),
    "small_normal": (initial.small_normal, lambda a, _: a * 0.01),
    "he": (initial.he, lambda a, inputs: a * np.sqrt(2 / inputs)),
}


@pytest.mark.parametrize("start", DRAWS)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_normal_starts_are_drawn_in_the_documents_order(start: str, inputs: int, outputs: int, seed: int) -> None:
    draw, equation = DRAWS[start]
    for generator in (np.random.default_rng, np.random.RandomState):
        weights = draw(generator(seed), inputs, outputs)
        drawn = np.array([generator(seed).standard_normal(inputs * outputs)]).reshape(inputs, outputs)
        assert weights.flags.c_contiguous
        assert np.array_equal(weights, equation(drawn, inputs).T)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_small_uniform_starts(inputs: int, outputs: int, seed: int) -> None:
    weights = initial.small_uniform(np.random.default_rng(seed), inputs, outputs)
    assert weights.shape == (outputs, inputs)
    assert ((weights >= 0) & (weights < 0.01)).all()
    assert np.array_equal(weights.T, np.random.default_rng(seed).random((inputs, outputs)) * 0.01)
    assert not initial.zeros(inputs, outputs).any()
    assert initial.zeros(inputs, outputs).shape == (outputs, inputs)


# --- figures -----------------------------------------------------------------------------------


def test_figures_of_a_trace_of_whole_numbers() -> None:
    """Two steps, written out: every figure is exact."""
    trace = Trace(
        2,
        {"x": np.array([[1.0, 2.0]]), "t": np.array([[3.0]])},
        {"W": np.array([[[1.0, 2.0]], [[0.0, 4.0]], [[2.0, 2.0]]]), "b": np.array([[1.0], [1.0], [0.0]])},
        {"y": np.array([[[6.0]], [[9.0]]]), "dW": np.array([[[1.0, -3.0]], [[-4.0, 2.0]]])},
    )
    assert {name: a.tolist() for name, a in printed.mean_absolute_gradients(trace).items()} == {"W": [2, 3]}
    assert printed.mse(trace).tolist() == [9, 36]
    assert printed.rmse(trace).tolist() == [3, 6]
    assert printed.elementwise_loss(trace).tolist() == [(1 + 4) / 2, (4 + 36) / 2, (1 + 1) / 2]
    history = printed.weight_history(trace)
    assert [{name: a.tolist() for name, a in step.items()} for step in history] == [
        {"W": [[0, 4]], "b": [1]},
        {"W": [[2, 2]], "b": [0]},
    ]
    history[0]["W"][:] = 7
    assert trace["W"][1].tolist() == [[0, 4]]  # a copy


def test_gradients_are_reported_for_every_layer() -> None:
    e = experiments.load("mlp-relu")
    trace = reference.train(e)
    found = printed.mean_absolute_gradients(trace)
    assert {name: a.shape for name, a in found.items()} == {"W1": (100,), "W2": (100,)}
    assert len(printed.weight_history(trace)) == 100
    assert found["W2"][7] == np.mean(np.abs(trace["dW2"][7]))


def test_r2_of_a_perfect_and_of_a_constant_prediction() -> None:
    t = np.array([[1.0], [2.0], [6.0]])
    assert (printed.r2(t, t), printed.r2(t, np.full((3, 1), 3.0))) == (1, 0)


def test_r2_is_scikit_learn_s() -> None:
    """Of whole numbers, in which no sum is rounded: 1 - 16/32 of the first output, 1 - 64/32 of the second."""
    from sklearn.metrics import r2_score

    t = np.array([[0.0, 8.0], [4.0, 0.0], [8.0, 4.0]])
    y = t - np.array([[0.0, 8.0], [4.0, 0.0], [0.0, 0.0]])
    assert printed.r2(t, y) == r2_score(t, y) == (0.5 - 1) / 2


def test_r2_of_equal_targets_has_no_value() -> None:
    with pytest.raises(InputError, match="t: expected targets that differ from each other, in each output, got equal"):
        printed.r2(np.array([[1.0, 5.0], [2.0, 5.0]]), np.zeros((2, 2)))
