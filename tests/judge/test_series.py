"""The curves beside a verdict: each number is the trace's own, and none changes the verdict."""

from dataclasses import replace

import numpy as np
import pytest

import reference
from reference import experiments
from reference.errors import InputError
from torch_mirror import certify, verify
from torch_mirror.judge.series import CLOSELY, QUANTILES, SHOWN, Series
from torch_mirror.training.loop import train

NAME = "mlp-relu"


def run_of(steps: int, name: str = NAME) -> reference.Experiment:
    return replace(experiments.load(name), steps=steps)


def series_of(c: object) -> Series:
    series = getattr(c, "series", None)
    assert isinstance(series, Series)
    return series


def test_the_curves_are_those_of_the_two_traces() -> None:
    e = run_of(5)
    s, torch, numpy = series_of(verify(e, series=True)), train(e), reference.train(e)
    assert s.loss.steps == (0, 1, 2, 3, 4)
    assert np.array_equal(s.loss.values["torch"], torch["loss"])
    assert np.array_equal(s.loss.values["numpy"], numpy["loss"])
    for t, distance in enumerate(s.distance.values["distance"], 1):
        apart = [(a[t] - numpy.parameters[name][t]).reshape(-1) for name, a in torch.parameters.items()]
        assert distance == np.sqrt(sum(np.vdot(d, d) for d in apart))
        way = [(a[t] - a[0]).reshape(-1) for a in torch.parameters.values()]
        assert s.distance.values["way from the start"][t - 1] == np.sqrt(sum(np.vdot(d, d) for d in way))
    assert s.distance.values["distance"].any()
    assert set(s.gradients.values) == {"dW1", "dW2"}  # no biases
    assert np.array_equal(s.gradients.values["dW2"], np.abs(torch["dW2"]).mean(axis=(1, 2)))
    assert list(s.weights["b2"].values) == ["[0]"]
    assert np.array_equal(s.weights["b2"].values["[0]"], torch.parameters["b2"][1:, 0])
    assert list(s.weights["W1"].values) == list(QUANTILES)
    assert np.array_equal(s.weights["W1"].values["largest"], torch.parameters["W1"][1:].max(axis=(1, 2)))


def test_errors_and_radii_are_those_that_the_judge_sees() -> None:
    e = run_of(5)
    c = verify(e, series=True)
    s, rows = series_of(c), {row.tensor: row for row in c.rows if (row.check, row.side) == ("local", "torch")}
    assert set(s.errors.values) == set(s.radii.values) == {name for name in rows if name != "x"}
    named = 0
    for name, error in s.errors.values.items():
        ratio = np.divide(error, s.radii.values[name], out=np.zeros(5), where=error > 0)
        worst = rows[name].worst
        assert ratio.max() <= max(rows[name].under, worst.ratio if worst else 0)
        if worst is not None:
            named += 1
            assert ratio[worst.step] == worst.ratio
            assert error[worst.step] == abs(worst.seen - worst.expected)
    assert named  # the worst of all is named


def test_a_long_run_is_shown_at_some_of_its_steps_from_the_first_to_the_last() -> None:
    s = series_of(verify(run_of(1500, "linear-neuron"), series=True))  # of more than one segment
    assert len(s.loss.steps) == SHOWN
    assert (s.loss.steps[0], s.loss.steps[-1]) == (0, 1499)
    assert len(s.errors.steps) == CLOSELY == len(s.weights["W"].steps)
    assert all(len(a) == SHOWN and np.isfinite(a).all() for a in s.loss.values.values())


def test_a_large_network_keeps_no_loss_and_has_its_curve_all_the_same() -> None:
    e = run_of(3, "two-layer-relu")
    assert np.array_equal(series_of(verify(e, series=True)).loss.values["numpy"], reference.train(e, ["loss"])["loss"])


def test_the_verdict_is_the_same_with_and_without() -> None:
    e = run_of(4)
    plain, drawn = verify(e), verify(e, series=True)
    assert plain.series is None
    assert replace(drawn, seconds=plain.seconds) == plain


def test_a_trace_has_the_reference_beside_it_where_it_begins() -> None:
    e = run_of(6)
    trace = train(e)
    s = series_of(certify(e, trace, series=True))
    assert np.array_equal(s.loss.values["reference"], reference.train(e)["loss"])
    later = series_of(certify(e, trace.at(slice(2, 5)), series=True))
    assert (later.loss.steps, list(later.loss.values)) == ((2, 3, 4), ["torch"])
    assert later.missing["distance"] == "there is no run of reference beside it"
    without = series_of(certify(e, replace(trace, tensors={"y": trace["y"]}), series=True))
    assert "no parameter gradients" in without.missing["gradients"]
    assert "the reference's loss of its parameters" in without.missing["loss"]
    assert "loss" not in s.missing
    for t, loss in enumerate(without.loss.values["torch"]):
        p = e.parameters_of({name: a[t] for name, a in trace.parameters.items()})
        assert loss == e.loss.value(reference.predict(e.network, p, e.x), e.t)
    assert series_of(certify(replace(e, steps=0), trace.at(slice(0, 0)), series=True)).loss.steps == ()


def test_accuracy_of_classes_and_what_is_no_pair() -> None:
    e = run_of(2, "digits-softmax")
    s = series_of(verify(e, series=True, held_out=(e.x, e.t)))
    last = reference.train(e).parameters
    y = reference.predict(e.network, e.parameters_of({name: a[-1] for name, a in last.items()}), e.x)
    assert s.scored == "accuracy"
    assert s.score.values["numpy"][-1] == np.mean(y.argmax(axis=-1) == e.t)
    with pytest.raises(InputError, match="held_out: expected a pair"):
        verify(e, series=True, held_out=e.x)
