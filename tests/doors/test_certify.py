"""A trace that is handed in is placed in the run, or said not to be."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import reference
from reference import SGD, Batches, Ensemble, Experiment, SquaredError, Trace, experiments
from reference.claim.tree import named
from reference.errors import InputError, TorchMirrorError
from reference.traces.schema import sha256
from torch_mirror import certify
from torch_mirror.reports import text

STEPS = 12


@cache
def run(*, momentum: float = 0.0) -> Experiment:
    return replace(experiments.load("mlp-relu"), steps=STEPS, optimizer=SGD(0.001, momentum))


@cache
def whole(*, momentum: float = 0.0) -> Trace:
    return reference.train(run(momentum=momentum))


def with_data(trace: Trace, name: str, change: Callable[[Any], Any]) -> Trace:
    return replace(trace, constants={**trace.constants, name: change(trace[name])})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"first": -5}, "first of the trace: expected a whole number, 0 or more, got -5"),
        ({"first": 1}, f"steps of the trace: expected some of the run's {STEPS}, .* got {STEPS} from step 1 on"),
        ({"first": 1000}, f"got {STEPS} from step 1000 on"),
        ({"first": 10**15}, f"got {STEPS} from step {10**15} on"),
        ({"first": np.int64(2**63 - 1)}, f"got {STEPS} from step {2**63 - 1} on"),
        ({"first": 0.0}, "first of the trace: expected a whole number, 0 or more, got 0.0"),
        ({"first": True}, "first of the trace: expected a whole number, 0 or more, got True"),
        ({"steps": -1}, "steps of the trace: expected a whole number, 0 or more, got -1"),
        ({"steps": str(STEPS)}, "steps of the trace: expected a whole number, 0 or more, got '12'"),
        ({"steps": STEPS + 1}, "steps of the trace: expected some of the run's 12"),
        ({"constants": None}, "constants of the trace: expected a mapping from names to arrays, got NoneType"),
        ({"parameters": [1.0]}, "parameters of the trace: expected a mapping from names to arrays, got list"),
    ],
)
def test_a_trace_that_has_no_place_in_the_run_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        certify(run(), replace(whole(), **changes), "numpy")


def test_numbers_of_numpy_are_numbers() -> None:
    trace = replace(whole(), first=np.int8(0), steps=np.int8(STEPS))  # type: ignore[arg-type]  # on purpose
    assert certify(run(), trace, "numpy").verdict == "certified"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((None, None), "experiment: expected a reference.Experiment, got NoneType"),
        ((Ensemble.of([run()]), whole()), "experiment: expected a reference.Experiment, got Ensemble"),
        ((run(), whole(), "tensorflow"), "side: expected 'torch' or 'numpy', got 'tensorflow'"),
        ((run(), whole(), "both"), "side: expected 'torch' or 'numpy', got 'both'"),
    ],
)
def test_what_is_no_run_and_no_side_is_refused(given: tuple[Any, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        certify(*given)


def test_a_masked_array_is_refused() -> None:
    masked = np.ma.masked_array(whole()["y"], whole()["y"] > 0)
    with pytest.raises(InputError, match="tensor y of the trace: expected an array of float64, got MaskedArray"):
        certify(run(), replace(whole(), tensors={**whole().tensors, "y": masked}), "numpy")


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (slice(0, STEPS), ()),
        (slice(0, 3), ("the trace holds 3 of the run's 12 steps (0 to 2): no others were judged",)),
        (
            slice(4, 5),
            (
                "the trace holds 1 of the run's 12 steps (step 4): no others were judged",
                "the start was not judged: the trace begins at step 4",
            ),
        ),
        (slice(12, 12), ("the start was not judged: the trace begins at step 12",)),
    ],
)
def test_the_certificate_says_of_which_steps_it_is(steps: slice, said: tuple[str, ...]) -> None:
    certificate = certify(run(), whole().at(steps), "numpy")
    assert certificate.notes == said
    assert certificate.refutations == ()
    printed = "\n".join(text.details(certificate))
    assert all(words in printed for words in said)


@pytest.mark.parametrize("name", ["x", "t"])
@pytest.mark.parametrize("first", [0, 5])
def test_other_data_are_refuted_wherever_the_trace_begins(name: str, first: int) -> None:
    part = with_data(whole().at(slice(first, None)), name, lambda a: np.nextafter(a, np.inf))
    found = certify(run(), part, "numpy").first
    assert found is not None
    assert (found.tensor, found.check, found.step) == (name, "start", first)


@pytest.mark.parametrize("first", [0, 2])
def test_other_labels_are_refuted_where_batches_see_few_of_them(first: int) -> None:
    """The last sample is in no batch of the run, so that no equation has it for an operand."""
    e = replace(experiments.load("digits-softmax"), steps=4, batches=Batches(4))

    def changed(t: Any) -> Any:
        t = t.copy()
        t[-1] = (t[-1] + 1) % 10
        return t

    trace = reference.train(e).at(slice(first, None))
    assert certify(e, trace, "numpy").verdict == "certified"
    found = certify(e, with_data(trace, "t", changed), "numpy").first
    assert found is not None
    assert (found.tensor, found.check) == ("t", "start")


class Pairs:
    """A network that reads of a whole number whether it is one of the first two of four: the last bit says nothing."""

    def forward(self, p: Any, x: Any) -> Any:
        z = np.where(x % 4 < 2, 0.5, 0.25)
        return z @ p["W"].mT, z

    def backward(self, _p: Any, z: Any, dy: Any) -> Any:
        return {"W": dy.mT @ z}


def test_whole_numbers_that_no_float_tells_apart_are_told_apart() -> None:
    x = np.array([[2**53], [2**53 + 2]])
    e = Experiment(Pairs(), {"W": np.ones((1, 1))}, x, np.zeros((2, 1)), SquaredError(), SGD(0.1), 3)
    trace = reference.train(e)
    assert certify(e, trace, "numpy").verdict == "certified"
    assert float(2**53) == float(2**53 + 1)
    found = certify(e, with_data(trace, "x", lambda x: np.add(x, [[1], [0]])), "numpy").refutations
    assert [(f.tensor, f.check, f.index) for f in found] == [("x", "start", (0, 0))]


@pytest.mark.parametrize(("group", "name"), [("parameters", "W1"), ("states", "v.W1")])
def test_the_start_is_judged_where_the_trace_begins_there_and_only_there(group: str, name: str) -> None:
    e, trace = run(momentum=0.9), whole(momentum=0.9)
    for first in (0, 3):
        part = trace.at(slice(first, None))
        rows = {row.tensor for row in certify(e, part, "numpy").rows if row.check == "start"}
        assert (name in rows) == (first == 0)
        assert {"x", "t"} <= rows
    values = getattr(trace, group)
    changed = values[name].copy()
    changed[0, 0, 0] += 1
    other: dict[str, Any] = {group: {**values, name: changed}}
    found = certify(e, replace(trace, **other), "numpy").first
    assert found is not None
    assert (found.tensor, found.check) == (name, "start")


def test_data_that_lack_rows_are_refused() -> None:
    with pytest.raises(InputError, match="tensor x of the trace: expected shape"):
        certify(run(), with_data(whole(), "x", lambda a: a[:2]), "numpy")


def test_a_part_that_says_it_is_the_beginning_is_refuted() -> None:
    part = whole().at(slice(1, 4))
    assert certify(run(), part, "numpy").verdict == "certified"
    assert {f.check for f in certify(run(), replace(part, first=0), "numpy").refutations} == {"start"}


# --- data and a start by hash -------------------------------------------------------------------------


def hashed(trace: Trace, *data: str, **others: str) -> Trace:
    """The trace with hashes in the place of these data, and with these hashes besides."""
    hashes = {**{name: sha256(trace[name]) for name in data}, **others}
    return replace(trace, constants={n: a for n, a in trace.constants.items() if n not in data}, hashes=hashes)


def start_hashes(e: Experiment) -> dict[str, str]:
    return {name: sha256(a) for name, a in {**named(e.parameters), **named(e.optimizer.init(e.parameters))}.items()}


def test_data_by_hash_are_the_experiments() -> None:
    trace = hashed(whole(), "x", "t")
    assert "x" not in trace
    certificate = certify(run(), trace, "numpy")
    assert certificate.verdict == "certified"
    assert certificate.notes == ("the trace has x, t by hash alone, the experiment's",)
    wrong = with_fault(trace, "dW1")
    assert [f.tensor for f in certify(run(), wrong, "numpy").refutations][:1] == ["dW1"]


def with_fault(trace: Trace, name: str) -> Trace:
    return replace(trace, tensors={**trace.tensors, name: -trace.tensors[name]})


@pytest.mark.parametrize("name", ["x", "t"])
def test_a_hash_of_other_data_is_bad_input(name: str) -> None:
    """One bit is enough; nothing is refuted, as nothing can be evaluated on data that nobody has."""
    other = sha256(np.nextafter(whole()[name], np.inf))
    trace = hashed(whole(), "x", "t", **{name: other})
    said = f"{name} of the trace: expected the experiment's, .* SHA-256 {sha256(whole()[name])}, got {other}: the run"
    with pytest.raises(InputError, match=said):
        certify(run(), trace, "numpy")


def test_a_hash_that_contradicts_the_trace_itself_is_bad_input() -> None:
    right = {"x": sha256(whole()["x"]), **start_hashes(run())}
    assert certify(run(), replace(whole(), hashes=right), "numpy").notes == ()
    for name, told in (("x", "0" * 64), ("W1", "f" * 64)):
        with pytest.raises(InputError, match=f"hash of {name} of the trace: expected SHA-256 of what the trace itself"):
            certify(run(), replace(whole(), hashes={name: told}), "numpy")


def test_data_in_the_trace_are_refuted_by_elements_with_a_hash_as_without() -> None:
    other = with_data(whole(), "x", lambda a: np.nextafter(a, np.inf))
    found = certify(run(), replace(other, hashes={"x": sha256(other["x"])}), "numpy").first
    assert found is not None
    assert (found.tensor, found.check) == ("x", "start")


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ((), "the trace begins at step 4, and has the start by hash alone, the experiment's"),
        (("v.W1",), "the start was not judged (the hash of W1, W2, b1, b2, v.W2, v.b1, v.b2 is the experiment's): the"),
    ],
)
def test_a_later_part_may_say_its_start_by_hash(left_out: tuple[str, ...], said: str) -> None:
    e = run(momentum=0.9)
    hashes = {name: told for name, told in start_hashes(e).items() if name not in left_out}
    part = replace(whole(momentum=0.9).at(slice(4, None)), hashes=hashes)
    certificate = certify(e, part, "numpy")
    assert certificate.verdict == "certified"
    assert any(note.startswith(said) for note in certificate.notes)


def test_a_later_part_of_a_run_from_another_start_is_bad_input() -> None:
    e = run()
    other = {**start_hashes(e), "W2": sha256(np.nextafter(named(e.parameters)["W2"], np.inf))}
    with pytest.raises(InputError, match=r"W2 of the trace: expected the experiment's, .*: the run had another W2"):
        certify(e, replace(whole().at(slice(4, None)), hashes=other), "numpy")


@pytest.mark.parametrize(
    ("hashes", "said"),
    [
        ({"W3": "0" * 64}, "unknown hash of the trace: of 'W3': did you mean 'W2'"),
        ({"dW1": "0" * 64}, "unknown hash of the trace: of 'dW1': did you mean 'W1'"),
        ({"x": "0" * 63}, "hash of x of the trace: expected SHA-256 in 64 hexadecimal digits"),
        ({"x": "g" * 64}, "hash of x of the trace: expected SHA-256 in 64 hexadecimal digits"),
        ({"x": b"0" * 64}, "hash of x of the trace: expected SHA-256 in 64 hexadecimal digits"),
        (["x"], "hashes of the trace: expected a mapping from names to texts, got list"),
    ],
)
def test_a_hash_of_nothing_is_bad_input(hashes: Any, said: str) -> None:
    with pytest.raises(TorchMirrorError, match=said):
        certify(run(), replace(whole(), hashes=hashes), "numpy")


def test_a_parameter_is_not_known_by_its_hash() -> None:
    trace = whole()
    without = replace(trace, parameters={n: a for n, a in trace.parameters.items() if n != "W1"})
    with pytest.raises(InputError, match="trace: expected to hold W1"):
        certify(run(), replace(without, hashes=start_hashes(run())), "numpy")
