"""check_layer: layers as courses have them, right and with a mistake in each."""

from typing import Any

import numpy as np
import pytest

from reference.errors import InputError, UnknownNameError
from torch_mirror import check_layer

draw = np.random.default_rng(0).standard_normal


def affine_forward(x: Any, w: Any, b: Any) -> Any:
    return x.reshape(x.shape[0], -1).dot(w) + b, (x, w, b)


def affine_backward(dout: Any, cache: Any) -> Any:
    x, w, _ = cache
    return dout.dot(w.T).reshape(x.shape), x.reshape(x.shape[0], -1).T.dot(dout), dout.sum(axis=0)


def batchnorm_forward(x: Any, gamma: Any, beta: Any) -> Any:
    mean, var = x.mean(axis=0), x.var(axis=0)
    hat = (x - mean) / np.sqrt(var + 1e-5)
    return gamma * hat + beta, (hat, gamma, var)


def batchnorm_backward(dout: Any, cache: Any) -> Any:
    hat, gamma, var = cache
    dhat = dout * gamma
    dx = (dhat - dhat.mean(axis=0) - hat * (dhat * hat).mean(axis=0)) / np.sqrt(var + 1e-5)
    return dx, (dout * hat).sum(axis=0), dout.sum(axis=0)


def relu_forward(x: Any) -> Any:
    return np.maximum(x, 0), x


def relu_backward(dout: Any, x: Any) -> Any:
    return dout * (x > 0)


def gather_forward(table: Any, index: Any) -> Any:
    return table[index], (table.shape, index)


def gather_backward(dout: Any, cache: Any) -> Any:
    shape, index = cache
    dtable = np.zeros(shape)
    np.add.at(dtable, index, dout)
    return dtable, None


class Dense:
    def __init__(self) -> None:
        self.W, self.b = draw((3, 2)), draw((1, 2))
        self.dW, self.db = np.zeros((3, 2)), np.zeros((1, 2))
        self.scale = 1.0

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad: Any) -> Any:
        self.dW += self.x.T @ grad
        self.db += self.scale * grad.sum(axis=0, keepdims=True)
        return grad @ self.W.T


RIGHT: list[tuple[Any, Any, tuple[Any, ...]]] = [
    (affine_forward, affine_backward, (draw((4, 2, 3)), draw((6, 5)), draw(5))),
    (batchnorm_forward, batchnorm_backward, (draw((8, 3)), draw(3), draw(3))),
    (relu_forward, relu_backward, (draw((4, 5)),)),
    (gather_forward, gather_backward, (draw((5, 2)), np.array([0, 3, 3, 1]))),
]


@pytest.mark.parametrize(("forward", "backward", "inputs"), RIGHT, ids=[f.__name__ for f, *_ in RIGHT])
def test_right_layers_are_certified(forward: Any, backward: Any, inputs: Any) -> None:
    result = check_layer(forward, backward, *inputs)
    assert result.certified, str(result)
    assert len(result.rows) == sum(x.dtype.kind == "f" for x in inputs)


def of_ones(dout: Any, cache: Any) -> Any:
    return *affine_backward(dout, cache)[:2], np.full(5, 4.0)


def turned(dout: Any, cache: Any) -> Any:
    dx, _, db = affine_backward(dout, cache)
    return dx, affine_backward(dout[::-1], cache)[1], db


def without_the_means(dout: Any, cache: Any) -> Any:
    _, gamma, var = cache
    return dout * gamma / np.sqrt(var + 1e-5), *batchnorm_backward(dout, cache)[1:]


def elsewhere(dout: Any, x: Any) -> Any:
    return dout * (x > 0.25)


def forgetful(_: Any, x: Any) -> Any:
    return 1.0 * (x > 0)


def without_repeats(dout: Any, _: Any) -> Any:
    return np.stack([dout[0], dout[3], 0 * dout[0], dout[2], 0 * dout[0]]), None


@pytest.mark.parametrize(
    ("layer", "backward", "wrong"),
    [
        (0, of_ones, "db"), (0, turned, "dw"), (1, without_the_means, "dx"), (2, elsewhere, "dx"), (2, forgetful, "dx"),
        (3, without_repeats, "dtable"),
    ],
)  # fmt: skip
def test_a_mistake_is_refuted(layer: int, backward: Any, wrong: str) -> None:
    forward, _, inputs = RIGHT[layer]
    result = check_layer(forward, backward, *inputs)
    assert [row.name for row in result.rows if row.word == "WRONG"] == [wrong], str(result)


def test_a_layer_s_own_parameters() -> None:
    layer = Dense()
    kept, W = dict(vars(layer)), layer.W
    result = check_layer(layer.forward, layer.backward, draw((4, 3)), parameters=("W", "b"))
    assert result.certified
    assert {row.name for row in result.rows} == {"dx", "dW", "db"}
    assert vars(layer) == kept
    assert layer.W is W
    assert not layer.dW.any()
    layer.scale = 2.0
    result = check_layer(layer.forward, layer.backward, draw((4, 3)), parameters=("W", "b"))
    assert [row.name for row in result.rows if row.word == "WRONG"] == ["db"]


def test_what_has_no_parameters_is_told() -> None:
    with pytest.raises(InputError, match="method of a layer"):
        check_layer(relu_forward, relu_backward, draw((4, 5)), parameters=("W",))
    layer = Dense()
    del layer.dW
    with pytest.raises(InputError, match="attribute dW"):
        check_layer(layer.forward, lambda grad: grad @ layer.W.T, draw((4, 3)), parameters=("W",))


def test_gradients_of_what_is_no_input_are_not_dropped() -> None:
    W = draw((5, 3))
    with pytest.raises(InputError, match=r"at most 1, that of its input; .* parameters=.*, got 2"):
        check_layer(lambda x: (x @ W, x), lambda g, x: (g @ W.T, 77 * x.T @ g), draw((4, 5)))
    with pytest.raises(InputError, match="got a dict"):
        check_layer(lambda x: (x @ W, x), lambda g, _: {"x": g @ W.T}, draw((4, 5)))


class Drop:
    def __init__(self) -> None:
        self.W = draw((4, 3))

    def forward(self, x: Any) -> Any:
        self.x, self.mask = x, np.random.default_rng(3).random((len(x), 3)) > 0.4
        return (x @ self.W) * self.mask / 0.6

    def backward(self, d: Any) -> Any:
        dz = d * self.mask  # / 0.6 is missing
        self.dW = self.x.T @ dz
        return dz @ self.W.T


def tripled(x: Any, W: Any) -> Any:
    return 3 * (x @ W), (x, W)


def sigmoid_of(x: Any, W: Any) -> Any:
    return 1 / (1 + np.exp(-(x @ W))), (x, W)


def as_linear(d: Any, cache: Any) -> Any:
    x, W = cache
    return d @ W.T, x.T @ d


def halfway(d: Any, cache: Any) -> Any:
    x, W = cache
    dz = d / (1 + np.exp(-(x @ W)))
    return dz @ W.T, x.T @ dz


@pytest.mark.parametrize(
    ("forward", "backward", "at"),
    [(tripled, as_linear, "return d @ W.T, x.T @ d"), (sigmoid_of, as_linear, "return d @ W.T, x.T @ d"),
     (sigmoid_of, halfway, "dz = d / (1 + np.exp(-(x @ W)))"), (None, None, "dz = d * self.mask")],
)  # fmt: skip
def test_the_line_that_is_told_is_in_backward(forward: Any, backward: Any, at: str) -> None:
    layer, inputs = Drop(), [draw((6, 4)), draw((4, 3))]
    if forward is None:
        said = str(check_layer(layer.forward, layer.backward, inputs[0], parameters=("W",)))
    else:
        said = str(check_layer(forward, backward, *inputs))
    assert "refuted" in said
    assert "check_layer(" not in said, said
    begins = [line for line in said.splitlines() if "wrong from" in line or "missing at or behind" in line]
    assert begins
    assert all(at in line for line in begins), said


def test_the_upstream_gradient_is_called_as_backward_calls_it() -> None:
    said = str(check_layer(sigmoid_of, as_linear, draw((6, 4)), draw((4, 3))))
    ends = [line for line in said.splitlines() if "the right values end at" in line]
    assert [line.split("  = ")[0].split()[-1] for line in ends] == ["d"], said


def test_so_are_its_sizes() -> None:
    def mean(d: Any, cache: Any) -> Any:
        return as_linear(d / len(d), cache)

    said = str(check_layer(lambda x, W: (x @ W, (x, W)), mean, draw((7, 4)), draw((4, 3))))
    assert "1/(d.shape[0] or x.shape[0])" in said, said


def test_names_and_arguments_that_do_not_fit_are_told() -> None:
    layer = Dense()
    with pytest.raises(UnknownNameError, match="unknown parameter of Dense 'w': did you mean 'W'"):
        check_layer(layer.forward, layer.backward, draw((4, 3)), parameters=("w",))
    with pytest.raises(InputError, match=r"backward: expected \(dout, cache\), as forward returns .*, got one of \(d"):
        check_layer(relu_forward, lambda d: d, draw((4, 3)))
    with pytest.raises(InputError, match=r"backward: expected \(dout\), as forward returns out alone"):
        check_layer(lambda x: 2 * x, relu_backward, draw((4, 3)))
    with pytest.raises(InputError, match=r"forward: expected a function of the 1 inputs"):
        check_layer(affine_forward, affine_backward, draw((4, 3)))


def recurrent_forward(x: Any, h: Any, c: Any, W: Any) -> Any:
    """A cell with two states, each of which the next one has a gradient for."""
    a = np.tanh(x @ W + h)
    next_c = c * a + x @ W
    return a * next_c, next_c, (x, c, W, a, next_c)


def recurrent_backward(dnext_h: Any, dnext_c: Any, cache: Any) -> Any:
    x, c, W, a, next_c = cache
    dc_sum = dnext_c + dnext_h * a
    da = dnext_h * next_c + dc_sum * c
    dz = da * (1 - a**2)
    dxw = dz + dc_sum
    return dxw @ W.T, dz, dc_sum * a, x.T @ dxw


def without_dnext_c(dnext_h: Any, dnext_c: Any, cache: Any) -> Any:
    return recurrent_backward(dnext_h, 0 * dnext_c, cache)


def exchanged(dnext_h: Any, dnext_c: Any, cache: Any) -> Any:
    return recurrent_backward(dnext_c, dnext_h, cache)


STATES = (draw((3, 4)), draw((3, 2)), draw((3, 2)), draw((4, 2)))


def test_every_output_has_its_upstream_gradient() -> None:
    check_layer(recurrent_forward, recurrent_backward, *STATES, outputs=2).assert_certified()


@pytest.mark.parametrize("backward", [without_dnext_c, exchanged])
def test_one_that_is_forgotten_or_another_s_is_refuted(backward: Any) -> None:
    assert check_layer(recurrent_forward, backward, *STATES, outputs=2).verdict == "refuted"


def test_a_parameter_may_not_be_called_as_an_input_is() -> None:
    class Both:
        W = draw((3, 3))

        def forward(self, W: Any) -> Any:
            return W @ self.W

        def backward(self, d: Any) -> Any:
            self.dW = d
            return d

    layer = Both()
    with pytest.raises(InputError, match="parameters of check_layer: expected other names than forward's arguments"):
        check_layer(layer.forward, layer.backward, draw((3, 3)), parameters=("W",))


def test_how_many_outputs_there_are_is_asked_and_not_guessed() -> None:
    with pytest.raises(InputError, match=r"from 1 to 3: .*, got none, and forward returns 3 \(the others go to"):
        check_layer(recurrent_forward, recurrent_backward, *STATES)
    split = lambda x: (2 * x, 3 * x)  # noqa: E731 - it has no name
    with pytest.raises(InputError, match=r"from 1 to 2: .* \(backward calls the second db\)"):
        check_layer(split, lambda da, db: 2 * da + 3 * db, draw(3))
    check_layer(split, lambda da, db: 2 * da + 3 * db, draw(3), outputs=2).assert_certified()
    assert check_layer(split, lambda da, db: 2 * da + 2 * db, draw(3), outputs=2).verdict == "refuted"
    wrong: tuple[Any, ...] = (0, 3, True, 1.5)
    for outputs in wrong:
        with pytest.raises(InputError, match="outputs of check_layer: expected from 1 to 2"):
            check_layer(split, lambda da, db: da + db, draw(3), outputs=outputs)
    with pytest.raises(InputError, match=r"output 2 of forward: expected an array of floats, .* got tuple"):
        check_layer(relu_forward_and_shape, relu_backward, draw(3), outputs=2)
    with pytest.raises(InputError, match=r"backward: expected \(dout1, dout2\), one for each output, got one of \(d\)"):
        check_layer(split, lambda d: 2 * d, draw(3), outputs=2)
    with pytest.raises(InputError, match=r"\(dout1, dout2, cache\), as forward returns \(out1, out2, cache\)"):
        check_layer(recurrent_forward, lambda d, e: (d, e), *STATES, outputs=2)


def relu_forward_and_shape(x: Any) -> Any:
    return np.maximum(x, 0), x.shape


def test_a_cache_of_several_values_is_handed_on() -> None:
    def forward(x: Any, W: Any) -> Any:
        return x @ W, x, W

    x, W = draw((5, 3)), draw((3, 2))
    check_layer(forward, lambda d, x, W: (d @ W.T, x.T @ d), x, W, outputs=1).assert_certified()
    assert check_layer(forward, lambda d, x, W: (d @ W.T, 2 * x.T @ d), x, W, outputs=1).verdict == "refuted"


def rows_forward(index: Any, table: Any) -> Any:
    return table[index], (index, table.shape)


def rows_backward(dout: Any, cache: Any) -> Any:
    index, shape = cache
    dtable = np.zeros(shape)
    np.add.at(dtable, index, dout)
    return dtable


def rows_once(dout: Any, cache: Any) -> Any:
    index, shape = cache
    dtable = np.zeros(shape)
    dtable[index] = dout  # a row that is used twice counts once
    return dtable


def test_integers_in_front_have_no_gradient() -> None:
    index, table = np.array([[0, 2, 2], [1, 0, 4]]), draw((5, 3))
    check_layer(rows_forward, rows_backward, index, table).assert_certified()
    check_layer(rows_forward, lambda d, cache: (None, rows_backward(d, cache)), index, table).assert_certified()
    check_layer(rows_forward, lambda d, cache: (0, rows_backward(d, cache)), index, table).assert_certified()
    assert check_layer(rows_forward, rows_once, index, table).verdict == "refuted"
