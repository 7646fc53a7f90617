"""Anything in any place: it is used as what it is, or refused by name; a user sees no traceback of ours."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

import reference
import torch_mirror
from reference import (
    L2,
    SGD,
    Adagrad,
    Adam,
    Batches,
    ClippedByNorm,
    CrossEntropy,
    Ensemble,
    Experiment,
    Groups,
    Huber,
    Own,
    RMSprop,
    SquaredError,
    Trace,
    datasets,
    experiments,
    predict,
)
from reference.errors import InputError, TorchMirrorError
from reference.networks.attention import Attention
from reference.networks.char_rnn import CharRNN
from reference.networks.conv import Conv
from reference.networks.linear_regression import LinearRegression, Parameters
from reference.networks.mlp import MLP
from reference.networks.two_layer_relu import TwoLayerReLU
from torch_mirror import Ball, certify, session, verify, verify_ensemble

GOOD = replace(experiments.load("linear-batch"), steps=3)

ANYTHING: list[Any] = [
    np.int8(3), np.uint64(3), np.float32(0.1), np.longdouble(0.1), np.float64("nan"), np.array(3), np.array([3.0]),
    np.ma.masked_array([3.0], [True]), np.ma.masked_array(3.0, mask=True), 1j, np.complex64(1), b"1", bytearray(b"1"),
    memoryview(b"1"), "1", None, True, np.True_, [1], (1,), (), {}, {1}, object(), 10**400, -1, -0.0, float("inf"),
    range(3), int, len, np.datetime64("2020"), np.str_("a"), Decimal("0.1"), Fraction(1, 3),
]  # fmt: skip


@cache
def trace() -> Trace:
    return reference.train(GOOD)


def run(**changes: Any) -> Trace:
    """Training of some other experiment, of which no more than three steps are run."""
    e = replace(GOOD, **changes)
    return reference.train(replace(e, steps=min(e.steps, 3)))


class Layer:
    """A linear layer of which a part is anything."""

    def __init__(self, **parts: Any) -> None:
        self.__dict__ |= parts

    def forward(self, p: Any, x: Any) -> Any:
        return x @ p["W"].mT, x

    def backward(self, _p: Any, x: Any, dy: Any) -> Any:
        return {"W": dy.mT @ x}


def layer(**parts: Any) -> Trace:
    start = {"W": GOOD.parameters.W}
    return reference.train(Experiment(Layer(**parts), start, GOOD.x, GOOD.t, SquaredError(), SGD(0.01), 2))


def function(result: Callable[[Any], Any]) -> Trace:
    start = {"W": GOOD.parameters.W}
    return reference.train(Experiment(lambda p, _x, _t: result(p), start, GOOD.x, GOOD.t, None, SGD(0.01), 2))


PLACES: dict[str, Callable[[Any], Any]] = {
    # an experiment
    "steps": lambda a: run(steps=a),
    "batch size": lambda a: run(batches=Batches(a)),
    "seed of the batches": lambda a: run(batches=Batches(2, a)),
    "batches": lambda a: run(batches=a),
    "accumulate": lambda a: run(accumulate=a),
    "network": lambda a: run(network=a),
    "parameters": lambda a: run(parameters=a),
    "parameter": lambda a: run(parameters=Parameters(a, GOOD.parameters.b)),
    "x": lambda a: run(x=a),
    "t": lambda a: run(t=a),
    "loss": lambda a: run(loss=a),
    "optimizer": lambda a: run(optimizer=a),
    "penalty": lambda a: run(penalty=a),
    # options
    "lr": lambda a: run(optimizer=SGD(a)),
    "lr of each step": lambda a: run(optimizer=SGD([a, a, a])),
    "momentum": lambda a: run(optimizer=SGD(0.1, a)),
    "nesterov": lambda a: run(optimizer=SGD(0.1, 0.9, nesterov=a)),
    "betas": lambda a: run(optimizer=Adam(0.1, a)),
    "beta1": lambda a: run(optimizer=Adam(0.1, (a, 0.9))),
    "alpha": lambda a: run(optimizer=RMSprop(0.1, a)),
    "lr decay": lambda a: run(optimizer=Adagrad(0.1, a)),
    "largest": lambda a: run(optimizer=ClippedByNorm(SGD(0.1), a)),
    "clipped": lambda a: run(optimizer=ClippedByNorm(a, 1.0)),
    "groups": lambda a: run(optimizer=Groups(a)),
    "members of a group": lambda a: run(optimizer=Groups(((a, SGD(0.1)),))),
    "update": lambda a: run(optimizer=Own(a)),
    "result of an update": lambda a: run(optimizer=Own(lambda _p, _g: a)),
    "start": lambda a: run(optimizer=Own(lambda p, _g, s: (p, s), start=a)),
    "result of start": lambda a: run(optimizer=Own(lambda p, _g, s: (p, s), start=lambda _: a)),
    "scale": lambda a: run(loss=SquaredError("sum", a)),
    "reduction": lambda a: run(loss=SquaredError(a)),
    "delta": lambda a: run(loss=Huber("sum", a)),
    "label smoothing": lambda a: run(loss=CrossEntropy("sum", a)),
    "strength": lambda a: run(penalty=L2(a)),
    "penalised": lambda a: run(penalty=L2(0.1, a)),
    # a user's network
    "shapes()": lambda a: layer(shapes=lambda: a),
    "a shape": lambda a: layer(shapes=lambda: {"W": a}),
    "inputs": lambda a: layer(inputs=a),
    "forward's result": lambda a: layer(forward=lambda _p, _x: a),
    "y": lambda a: layer(forward=lambda _p, x: (a, x)),
    "backward's result": lambda a: layer(backward=lambda _p, _x, _dy: a),
    "a gradient": lambda a: layer(backward=lambda _p, _x, _dy: {"W": a}),
    "a function's result": lambda a: function(lambda _: a),
    "a function's loss": lambda a: function(lambda p: (a, p)),
    # calls
    "train": reference.train,
    "record": lambda a: reference.train(GOOD, record=a),
    "a name to record": lambda a: reference.train(GOOD, record=[a]),
    "plant": lambda a: callable(a) or reference.train(GOOD, plant=a),  # what a function of the user's raises is theirs
    "predict's network": lambda a: predict(a, GOOD.parameters, GOOD.x),
    "predict's parameters": lambda a: predict(GOOD.network, a, GOOD.x),
    "predict's x": lambda a: predict(GOOD.network, GOOD.parameters, a),
    "load": experiments.load,
    "dtype": lambda a: experiments.load("linear-batch", dtype=a),
    "seed": lambda a: experiments.load("linear-batch", seed=a),
    "sentence": datasets.sentence,
    "held out": lambda a: datasets.split(GOOD.x, GOOD.t, held_out=a, seed=1),
    "seed of a split": lambda a: datasets.split(GOOD.x, GOOD.t, held_out=0.5, seed=a),
    "members": Ensemble.of,
    "a member": lambda a: Ensemble.of([GOOD, a]),
    "which member": lambda a: Ensemble.of([GOOD, GOOD]).member(a),
    "which members": lambda a: Ensemble.of([GOOD, GOOD]).some(a),
    # networks of ours
    "widths": lambda a: MLP(a).shapes(),
    "a width": lambda a: MLP((3, a, 1)).shapes(),
    "activation": lambda a: MLP((3, 2, 1), a),
    "inputs of a line": lambda a: LinearRegression(a).shapes(),
    "hidden": lambda a: TwoLayerReLU(2, a, 1).shapes(),
    "channels": lambda a: Conv(a).shapes(),
    "alphabet": lambda a: CharRNN(a, 3).shapes(),
    "head": lambda a: Attention(3, 3, a, 1).shapes(),
    # traces
    "steps of a trace": lambda a: trace().at(a),
    "a tensor of a trace": lambda a: trace()[a],
    "dtype of a trace": lambda a: trace().astype(a),
    "limit": lambda a: Trace.load("/no such file", a),
    # torch's side and the judge
    "torch's train": torch_mirror.train,
    "session": session,
    "verify": verify,
    "progress": lambda a: a is None or callable(a) or verify(GOOD, a),
    "verify_ensemble": verify_ensemble,
    "certify": lambda a: certify(a, trace()),
    "certify's trace": lambda a: certify(GOOD, a),
    "certify's side": lambda a: certify(GOOD, trace(), a),
    "value of a ball": Ball,
    "radius of a ball": lambda a: Ball(np.ones(3), a),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of NumPy, on the way to the error
@pytest.mark.parametrize("place", PLACES)
def test_anything_in_any_place_is_used_or_refused_by_name(place: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    for a in ANYTHING:
        try:
            PLACES[place](a)
        except TorchMirrorError as error:
            told.append(str(error))
        except Exception as error:  # noqa: BLE001 - what the test is about
            pytest.fail(f"{place} = {a!r}: {type(error).__name__}: {error}")
    assert told, "nothing that stands here is wrong?"
    assert all(": expected " in words or "known are" in words for words in told), told


@pytest.mark.parametrize("size", [np.int8(100), np.uint8(100), np.int64(100)])
def test_small_types_do_not_overflow_when_they_are_counted_with(size: Any) -> None:
    batches = Batches(size)
    rows = [batches.rows(step, 300) for step in range(4)]
    assert [(r.start, r.stop) for r in rows if isinstance(r, slice)] == [(0, 100), (100, 200), (200, 300), (0, 100)]
    assert [batches.length(step, 250) for step in range(4)] == [100, 100, 50, 100]


def test_numbers_of_numpy_become_plain() -> None:
    e = replace(GOOD, steps=np.int8(3), batches=Batches(np.int8(2), np.uint8(1)), optimizer=SGD(np.float32(0.5)))  # type: ignore[arg-type]  # on purpose
    assert (type(e.steps), type(e.optimizer.lr)) == (int, float)
    assert e.batches is not None
    assert (type(e.batches.size), type(e.batches.seed)) == (int, int)
    widths = MLP((np.int8(100), np.int8(100))).widths  # type: ignore[arg-type]  # on purpose
    assert [type(width) for width in widths] == [int, int]


def test_a_list_is_a_shape() -> None:
    assert layer(shapes=lambda: {"W": [1, 5]}).steps == 2


@pytest.mark.parametrize("radius", [-1, -1.0, 1j, "a", None, b"1", np.array([1.0, -1.0, 1.0]), np.ones(2)])
def test_a_radius_is_a_number_from_0_on(radius: Any) -> None:
    with pytest.raises(InputError, match="radius of a ball: expected"):
        Ball(np.ones(3), radius)


@pytest.mark.parametrize("radius", [0, 0.5, np.float32(0.5), np.array([0.0, 1.0, np.inf]), [0.0, 1.0, 2.0], np.ones(1)])
def test_what_broadcasts_is_a_radius(radius: Any) -> None:
    assert np.array_equal(Ball(np.ones(3), radius).radius, np.broadcast_to(radius, 3))


def test_bytes_are_no_learning_rates() -> None:
    with pytest.raises(InputError, match="learning rate: expected a finite number, got b'1234'"):
        run(optimizer=SGD(b"1234"))


@pytest.mark.parametrize("steps", [2**46, 2**53])
def test_more_steps_than_memory_holds_are_told(steps: int) -> None:
    with pytest.raises(InputError, match="steps: expected as many as memory holds the tensors of"):
        reference.train(replace(GOOD, steps=steps))


def test_more_steps_than_floats_count_are_told() -> None:
    with pytest.raises(InputError, match=r"steps: expected 2\^53 .* at most, as floats count no further"):
        replace(GOOD, steps=2**53 + 1)
