"""The referee: what exact arithmetic is too slow for is told by a derivative with a radius, and never otherwise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

import reference
from reference import SGD, Experiment, SquaredError
from reference.arrays import Array
from reference.networks.mlp import MLP
from tests.judge.between import Between, experiment, judged
from tests.judge.faults import affine_gradient, hooked, planted
from tests.judge.test_ruling import (
    MISTAKES,
    NOT_ITS_OWN,
    SEARCHED,
    Mistake,
    Miswritten,
    at_a_kink,
    disturbed,
    finding,
    miswritten,
    mlps,
    right_torch,
    ruling,
)
from tests.judge.test_what_cannot_be_told import surrogate
from torch_mirror import certify, train, verify
from torch_mirror.judge import referee as referees
from torch_mirror.judge import ruling as rulings
from torch_mirror.judge.allowance import Rounding
from torch_mirror.judge.ruling import rule_on
from torch_mirror.judge.verdict import NEITHER, Certificate, Ruling

if TYPE_CHECKING:
    from torch_mirror.doors.strategies import DTypeName

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


class Weights(NamedTuple):
    W: tuple[Array, ...]
    b: tuple[Array, ...]


def large(dtype: str, sizes: tuple[int, ...] = (64, 64, 10), **options: Any) -> Experiment:
    """Twenty samples: far above what exact arithmetic is granted."""
    draw = np.random.default_rng(0)

    def normal(*shape: int) -> Array:
        return draw.normal(size=shape).astype(dtype)

    shapes = list(zip(sizes[1:], sizes, strict=False))
    p = Weights(tuple(normal(*s) / np.float32(np.sqrt(s[1])) for s in shapes), tuple(normal(s[0]) for s in shapes))
    p = Weights(tuple(w.astype(dtype) for w in p.W), p.b)
    x, t = normal(20, sizes[0]), normal(20, sizes[-1])
    return Experiment(MLP(sizes, **options), p, x, t, SquaredError("mean"), SGD(0.01), 1)


@contextmanager
def no_exact_arithmetic() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rulings, "LIMIT", -1)
        yield


def with_its_evidence(judge: Callable[[], Certificate]) -> tuple[Certificate, tuple[Any, ...]]:
    """A certificate, and what its ruling was asked of: nothing where there is none."""
    asked: list[tuple[Any, ...]] = [()]

    def noted(*evidence: Any) -> Ruling:
        asked.append(evidence)
        return rule_on(*evidence)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rulings, "rule_on", noted)
        return judge(), asked[-1]


def by_balls(judge: Callable[[], Certificate]) -> Ruling:
    """The ruling of a small run, on which exact arithmetic is not granted a single operation."""
    with no_exact_arithmetic():
        r = ruling(judge())
    assert by_a_radius(r)
    return r


def by_a_radius(r: Ruling) -> bool:
    return "too large for exact arithmetic" in r.note or r.note == NEITHER or r.verdict.startswith(("no d", "the ref"))


# --- at a size that exact arithmetic does not reach ----------------------------------------------------------


def slope(_e: Experiment, _m: Any, z: Tensor, _out: Tensor) -> Tensor:
    """tanh' by z in the place of a."""
    return planted(torch.tanh, lambda da, z: (da * (1 - z * z),), z)


def slightly(_e: Experiment, dz: Tensor, x: Tensor, W: Tensor) -> tuple[Tensor, ...]:
    return dz @ W, dz.mT @ x * 1.001, dz.sum(dim=-2)


TORCH = {"dz1": hooked("activation1", slope), "dW1": affine_gradient("layer1", slightly)}
NUMPY = {m.tensor: m for m in (MISTAKES[1], MISTAKES[8])}


@each_dtype
@pytest.mark.parametrize("tensor", ["dz1", "dW1"])
def test_a_fault_in_torch(tensor: str, dtype: str) -> None:
    """A hidden gradient and a parameter's."""
    r = ruling(verify(large(dtype, activation="tanh"), using=TORCH[tensor]))
    assert (r.verdict, r.tensor) == ("the mirror strays", tensor)
    assert r.derivative is not None
    assert r.reference is not None
    assert r.mirror is not None
    assert abs(r.reference - r.derivative) < abs(r.mirror - r.derivative) / 10
    assert r.note.startswith("by a derivative with a radius, ")


@each_dtype
@pytest.mark.parametrize("tensor", ["dz1", "dW1"])
def test_a_fault_in_the_reference(tensor: str, dtype: str) -> None:
    r = ruling(verify(miswritten(large(dtype, activation="tanh"), NUMPY[tensor]), using=right_torch))
    assert (r.verdict, r.tensor) == (NOT_ITS_OWN, tensor)
    assert r.derivative is not None
    assert r.reference is not None
    assert r.mirror is not None
    assert abs(r.mirror - r.derivative) < abs(r.reference - r.derivative) / 10
    assert "times their radii apart" in r.note


@each_dtype
def test_parameters_alone_show_it(dtype: str) -> None:
    """A trace that does not hold the gradient: by what the optimizer makes of the derivative."""
    e = large(dtype, activation="relu")
    wrong = miswritten(e, MISTAKES[0])
    names = ["W1", "b1", "W2", "b2"]
    of_torch, of_wrong = certify(wrong, train(e, record=names)), certify(e, reference.train(wrong, record=names))
    assert (ruling(of_torch).verdict, ruling(of_torch).tensor) == (NOT_ITS_OWN, "W2")
    assert (ruling(of_wrong).verdict, ruling(of_wrong).tensor) == ("the mirror strays", "W2")


@each_dtype
def test_numpy_s_own_trace(dtype: str) -> None:
    e = large(dtype, activation="relu")
    r = ruling(certify(e, disturbed(e, "dW1", reference.train), "numpy"))
    assert (r.verdict, r.mirror) == ("the reference strays", None)


def test_a_cast_that_balls_do_not_see() -> None:
    """NumPy's own evaluation of the equation is put to the test, too."""

    def cast_down(da: Any, _z: Any, a: Any) -> Any:
        dz = da * (1 - a * a)
        return dz.astype(np.float32).astype(np.float64) if isinstance(dz, np.ndarray) else dz

    e = experiment(Between(np.tanh, cast_down), steps=1)
    mirror = reference.train(replace(e, network=Between(np.tanh, lambda da, _z, a: da * (1 - a * a))))
    with no_exact_arithmetic():
        assert rule_on(e, mirror, finding("dz", "local", "torch", (0, 0))).verdict == "the reference strays"
        mirror.tensors["dz"][0, 0, 0] += 1.0
        assert rule_on(e, mirror, finding("dz", "local", "torch", (0, 0))).verdict == "both stray"


# --- it says what exact arithmetic says ----------------------------------------------------------------------


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
@given(data=st.data())
@SEARCHED
def test_it_agrees_with_exact_arithmetic(mistake: Mistake, data: st.DataObject) -> None:
    """Of small networks: a mistake in the reference, and the same one in the mirror; and exact arithmetic is right."""
    dtype: DTypeName = data.draw(st.sampled_from(["float32", "float64"]))
    kind = data.draw(st.sampled_from(["normal", "decimals", "eighths"]))
    e = data.draw(mlps(kind, dtype, **mistake.options))
    wrong = miswritten(e, mistake)
    for run, guilty in (
        (lambda: verify(wrong, using=right_torch), NOT_ITS_OWN),
        (lambda: certify(e, reference.train(wrong)), "the mirror strays"),
    ):
        exactly, r = both_ways(run, mistake.tensor)
        at_kinks = {"no derivative exists there"} if mistake.options["activation"] == "relu" else set()
        assert exactly.verdict in {guilty} | at_kinks
        if exactly.derivative is not None and guilty == NOT_ITS_OWN:
            assert exactly.reference is not None
            assert exactly.mirror is not None
            assert abs(exactly.mirror - exactly.derivative) < abs(exactly.reference - exactly.derivative)
        assert r.verdict == exactly.verdict
        assert r.index == exactly.index or r.verdict == "no derivative exists there"


def both_ways(judge: Callable[[], Certificate], tensor: str) -> tuple[Ruling, Ruling]:
    """The ruling of a run, if it is on that tensor, by exact arithmetic, and on the same evidence without."""
    c, evidence = with_its_evidence(judge)
    assume(c.first is not None and c.first.tensor == tensor)
    with no_exact_arithmetic():
        r = rule_on(*evidence)
    assert by_a_radius(r)
    return ruling(c), r


def test_at_a_kink() -> None:
    e = at_a_kink()
    trace = reference.train(e)
    trace.tensors["dz1"][0, 0, 0] = 12.0
    r = by_balls(lambda: certify(e, trace))
    assert (r.verdict, r.index, r.reference, r.mirror) == ("no derivative exists there", (0, 0), 0, 12)
    assert r.note == "from 0 to 12, by the side of the kink"
    trace.tensors["dz1"][0] = [[1e9, 13.0]]
    r = by_balls(lambda: certify(e, trace))
    assert (r.verdict, r.index, r.derivative, r.mirror) == ("the mirror strays", (0, 1), 12, 13)


def test_a_branch_within_the_radius_is_no_kink() -> None:
    """z = 0.1 + 0.2 - 0.3 is open within its radius, and by which side dW goes nobody knows."""

    def relu(da: Any, z: Any, _a: Any) -> Any:
        return da * (z > 0)

    right = experiment(Between(lambda z: np.maximum(z, 0), relu), steps=1)
    e = replace(right, parameters=right.parameters._replace(W=np.ones_like(right.parameters.W)))
    row = np.array([0.1, 0.2, -0.3] + [0.0] * (e.x.shape[1] - 3))
    e = replace(e, x=np.broadcast_to(row, e.x.shape).copy())
    trace = reference.train(e)
    trace.tensors["dW"][0] += 1.0
    r = by_balls(lambda: certify(e, trace))
    assert (r.verdict, r.note.split(" (")[0]) == ("no ruling", referees.OPEN)


@each_dtype
def test_what_is_not_meant_to_be_the_derivative(dtype: str) -> None:
    e = experiment(Between(lambda z: 1 * z, lambda da, _z, _a: -da), dtype, steps=1)
    r = by_balls(lambda: judged(e, lambda z: surrogate(z, lambda z: z, lambda _: -2)))
    assert (r.verdict, r.note) == ("no ruling", NEITHER)


# --- what it does not tell, it says --------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["torch", "numpy"])
def test_radii_that_are_too_wide(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a deep network radii from end to end tell nothing in float64; more bits do."""
    monkeypatch.setattr(referees, "SECONDS", 100.0)  # on a busy machine, too
    e = large("float32", (8, *(32,) * 20, 4), activation="tanh")

    def judge() -> Certificate:
        if side == "torch":
            return verify(e, using=affine_gradient("layer1", slightly))
        return verify(miswritten(e, NUMPY["dW1"]), using=right_torch)

    c, evidence = with_its_evidence(judge)
    r = ruling(c)
    assert (r.verdict, r.tensor) == ("the mirror strays" if side == "torch" else NOT_ITS_OWN, "dW1")
    assert "bits" in r.note
    monkeypatch.setattr(referees, "LONG", 0)  # so that more bits are never begun
    r = rule_on(*evidence)
    assert (r.verdict, r.tensor) == ("no ruling", "dW1")
    assert r.note.startswith("radii of ")


def test_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    e = large("float64", activation="tanh")
    trace = disturbed(e, "dW1", reference.train)
    monkeypatch.setattr(referees, "SECONDS", 0.0)
    r = ruling(certify(e, trace))
    assert r.verdict == "no ruling"
    assert "LateError: the derivative with a radius takes more than 0 s" in r.note
    monkeypatch.setattr(referees, "MOST", 1000)
    r = ruling(certify(e, trace))
    assert r.verdict == "no ruling"
    assert "operations, 1,000 at most" in r.note


# --- faults planted in the referee itself --------------------------------------------------------------------


def test_a_referee_that_ignores_its_radius_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It blames a right backward pass in another form than the adjoint's, for its rounding."""
    e = experiment(Between(np.tanh, lambda da, _z, a: da * (1 - a) * (1 + a)), steps=1)

    def verdicts() -> set[str]:
        runs = [reference.train(e) for _ in range(8)]
        for element, trace in enumerate(runs):
            trace.tensors["dW"].flat[element] += 1.0
        return {by_balls(lambda trace=trace: certify(e, trace)).verdict for trace in runs}  # type: ignore[misc]  # a default

    assert verdicts() == {"the mirror strays"}
    monkeypatch.setattr(referees, "_room", lambda a, _b: np.zeros(a.shape))
    assert verdicts() != {"the mirror strays"}


def test_a_referee_that_allows_the_mirror_no_rounding_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It blames a right mirror, too."""
    e = miswritten(large("float32", activation="tanh"), NUMPY["dW1"])
    monkeypatch.setattr(referees, "rounding_of", lambda case, *_: Rounding(np.zeros(case.seen.shape), 0.0))
    assert ruling(verify(e, using=right_torch)).verdict != NOT_ITS_OWN


def test_a_referee_that_takes_one_convention_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It blames a side at a kink."""
    e = at_a_kink()
    trace = reference.train(e)
    trace.tensors["dz1"][0, 0, 0] = 12.0
    monkeypatch.setattr(referees, "CONVENTIONS", 1)
    assert by_balls(lambda: certify(e, trace)).verdict != "no derivative exists there"


def test_the_experiments_are_right_without_their_faults() -> None:
    e = large("float32", activation="tanh")
    assert verify(e).verdict == "certified"
    assert isinstance(miswritten(e, MISTAKES[0]).network, Miswritten)


@each_dtype
def test_a_forward_of_any_size_is_ruled_on_by_its_own_layer(dtype: str) -> None:
    """784-128-64-10, of 20 samples: 4 million operations, where 300,000 are the most of exact arithmetic."""
    e = large(dtype, (784, 128, 64, 10))
    for tensor in ("z1", "a2", "y", "loss"):
        r = ruling(certify(e, disturbed(e, tensor)))
        assert (r.verdict, r.tensor) == ("forwards differ", tensor)
        assert r.note.startswith("by wider floats (too large for exact arithmetic: ")
        assert r.mirror is not None
        assert r.reference is not None
        assert abs(r.mirror - r.reference) > 0
    r = rule_on(e, reference.train(e), finding("z1", index=(0, 0)))
    assert r.verdict == "too large for exact arithmetic"
    assert r.note.startswith("wider floats do not confirm it")


def test_a_large_forward_that_float32_explains_is_said_to_be_one() -> None:
    e = large("float64", (784, 128, 64, 10))

    def cast(a: Array) -> Array:
        return a.astype("f4").astype(float)

    def scaled(a: Array) -> Array:
        return a * (1 + 1e-3)

    for wrong, told in ((cast, True), (scaled, False)):
        trace = reference.train(e)
        trace.tensors["a1"][...] = wrong(trace.tensors["a1"])
        r = ruling(certify(e, trace))
        assert (r.verdict, r.tensor) == ("forwards differ", "a1")
        assert ("no more than float32 rounds" in r.note) is told


@pytest.mark.parametrize("radius", [0.0, 0.25])
def test_float32_explains_what_its_own_radius_and_the_equation_s_hold_and_no_more(
    radius: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referees, "equation", lambda *_: None)
    monkeypatch.setattr(referees, "as_ball", lambda *_: SimpleNamespace(radius=np.array([0.5, 0.5])))
    local: Any = SimpleNamespace(value=np.zeros(2), radius=np.array([radius] * 2))
    for seen, note in ((0.49, referees.FLOAT32), (0.5 + radius, referees.FLOAT32), (0.51 + radius, ""), (0.9, "")):
        case: Any = SimpleNamespace(experiment=SimpleNamespace(dtype=np.float64), seen=np.array([9.0, seen]), at=(1,))
        assert referees._narrow(case, local) == note
