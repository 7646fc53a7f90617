"""Another form of a right gradient is certified and said to be one; what no form explains is refuted as before."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
from reference import SGD, Ensemble, Experiment, Own, SquaredError, Trace
from reference.arrays import Array
from reference.losses import BinaryCrossEntropyWithLogits
from reference.networks import linear_regression
from tests.judge.between import Between, Two, experiment, judged, row_of
from tests.unruled import unruled
from torch_mirror import certify, session, verify, verify_ensemble
from torch_mirror.balls.exactness import complement_of
from torch_mirror.judge.checks.forms import cancelled
from torch_mirror.judge.findings import Findings
from torch_mirror.judge.replay import judge_givens, parts
from torch_mirror.judge.verdict import Certificate, other_forms
from torch_mirror.training.session import Session

F = nn.functional
each_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


@pytest.fixture(autouse=True)
def _divergence_is_judged_not_warned_of() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


# --- right, in another form -----------------------------------------------------------------------------


def normalised(z: Any) -> Any:
    c = z - z.mean(axis=-1, keepdims=True)
    return c / np.sqrt((c * c).mean(axis=-1, keepdims=True) + 1e-5)


def of_normalised(da: Any, z: Any, a: Any) -> Any:
    c = z - z.mean(axis=-1, keepdims=True)
    s = np.sqrt((c * c).mean(axis=-1, keepdims=True) + 1e-5)
    return (da - da.mean(axis=-1, keepdims=True) - a * (da * a).mean(axis=-1, keepdims=True)) / s


class Form(NamedTuple):
    f: Callable[[Any], Any]
    slope: Callable[[Any, Any, Any], Any]
    torch: Callable[[Tensor], Tensor]
    sizes: tuple[float, ...] = (0.1, 1.0, 4.0)


FORMS = {
    "elu by a": Form(
        lambda z: np.where(z > 0, z, np.exp(z) - 1), lambda da, _z, a: np.where(_z > 0, da, da * (a + 1)), F.elu
    ),
    "sigmoid by z": Form(
        lambda z: 1 / (1 + np.exp(-z)), lambda da, z, _: da * np.exp(-z) / (1 + np.exp(-z)) ** 2, torch.sigmoid
    ),
    "softsign": Form(lambda z: z / (1 + np.abs(z)), lambda da, z, _: da / (1 + np.abs(z)) ** 2, F.softsign),
    "tanhshrink": Form(lambda z: z - np.tanh(z), lambda da, z, _: da * np.tanh(z) ** 2, F.tanhshrink),
    "squares factored": Form(
        lambda z: z * z - 1, lambda da, z, _: da * (2 * z), lambda z: (z - 1) * (z + 1), (0.1, 1.0)
    ),
    "layer norm far from 0": Form(
        lambda z: normalised(z + 1000), lambda da, z, a: of_normalised(da, z + 1000, a),
        lambda z: F.layer_norm(z + 1000, z.shape[-1:]),
    ),
}  # fmt: skip


@each_dtype
@pytest.mark.parametrize("form", FORMS)
def test_a_right_gradient_in_another_form_is_certified_and_said_to_be_one(form: str, dtype: str) -> None:
    f, slope, theirs, sizes = FORMS[form]
    noted = []
    for size in sizes:
        c = judged(experiment(Between(f, slope), dtype, size), theirs)
        row = row_of(c, "dz")
        assert c.verdict == "certified", c.refutations
        assert (row.forms > 0) is (row.beyond > 1)
        assert [n for n in c.notes if n.startswith("dz (local): equal up to")] == list(other_forms(Findings((row,))))
        noted.append(row.forms)
    assert any(noted), "no size of these shows the other form"


@each_dtype
def test_steps_that_overflow_do_not_spoil_what_is_granted_to_the_others(dtype: str) -> None:
    f, slope, theirs, _ = FORMS["squares factored"]
    c = judged(experiment(Between(f, slope), dtype, 4.0, steps=6), theirs)
    assert c.vacuous
    assert c.refutations == ()
    assert row_of(c, "dz").forms


def test_the_saturated_loss_of_members_is_in_another_form_under_vmap() -> None:
    """Of an ensemble nothing is known between parameters and gradients: see tests/conformance/test_drawn.py, too."""
    start = linear_regression.Parameters(np.array([[-11.0]]), np.zeros(1))
    x, t = np.array([[1.0]]), np.array([[0.0]])
    network, loss = linear_regression.LinearRegression(1), BinaryCrossEntropyWithLogits("sum")
    c = verify_ensemble(Ensemble.of([Experiment(network, start, x, t, loss, SGD(0.1), 1)]))
    assert c.verdict == "certified"
    assert row_of(c, "dW", "end to end").forms == 1


def by_hand(tenth: float, thousandth: float) -> Own:
    """Adam, with its constants as they are written."""

    def update(p: Any, g: Any, state: Any, t: Any) -> Any:
        m = {n: 0.9 * state["m"][n] + tenth * g[n] for n in p}
        v = {n: 0.999 * state["v"][n] + thousandth * g[n] * g[n] for n in p}
        size = 0.01 / (1 - 0.9 ** (t + 1))
        return {n: p[n] - size * m[n] / (np.sqrt(v[n] / (1 - 0.999 ** (t + 1))) + 1e-8) for n in p}, {"m": m, "v": v}

    return Own(update, lambda p: {s: {n: np.zeros_like(a) for n, a in p.items()} for s in "mv"}, elementwise=True)


class Line:
    def forward(self, p: Any, x: Any, sow: Any) -> Any:
        return sow("y", x @ p["W"]), x

    def backward(self, p: Any, x: Any, dy: Any, sow: Any) -> Any:
        return {"W": sow("dW", x.mT @ dy)}


class LineModule(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.zeros(3, 2, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.W


def with_adam(own: Own) -> Certificate:
    draw = np.random.default_rng(0)
    p = {"W": draw.normal(size=(3, 2))}
    e = Experiment(Line(), p, draw.normal(size=(5, 3)), draw.normal(size=(5, 2)), SquaredError("mean"), own, 4)

    def using(e: Experiment) -> Session:
        module = LineModule()
        adam = torch.optim.Adam(module.parameters(), lr=0.01)
        return session(e, module, {"W": "W"}, optimizer=adam, states={"m": "exp_avg", "v": "exp_avg_sq"})

    return verify(e, using=using)


def test_a_constant_may_be_written_as_the_complement_of_another() -> None:
    assert not row_of(with_adam(by_hand(1 - 0.9, 1 - 0.999)), "v.W").forms
    c = with_adam(by_hand(0.1, 0.001))
    assert c.verdict == "certified"
    assert row_of(c, "v.W").forms
    for wrong in (0.001 * (1 + 1e-12), 0.0010005):
        first = with_adam(by_hand(0.1, wrong)).first
        assert first is not None
        assert (first.tensor, first.check) == ("v.W", "local")


def test_the_distance_of_a_number_from_its_complement() -> None:
    assert complement_of(0.001) == (1 - 0.999) - 0.001
    for c in (0.5, 0.75, 0.9, 1.0, -0.1, 3.0, 0.0):
        assert complement_of(c) == 0
    for c in (0.1, 1e-3, 1e-9, 1e-17):
        exact = Fraction(c) - (1 - Fraction(1 - c))
        assert Fraction(complement_of(c)) == abs(exact)


# --- wrong ------------------------------------------------------------------------------------------------

TANH = Between(np.tanh, lambda da, _, a: da * (1 - a * a))
RELU = Between(lambda z: np.maximum(z, 0), lambda da, z, _: np.where(z > 0, da, 0))


def changed(e: Experiment, tensor: str, wrong: Callable[[Array], Array]) -> Certificate:
    """The certificate of a run of torch's that is NumPy's but for a tensor, or what it is after the steps."""
    trace = reference.train(e)
    tensors, parameters = dict(trace.tensors), dict(trace.parameters)
    values = tensors if tensor in tensors else parameters
    values[tensor] = wrong(values[tensor].copy())
    return certify(e, replace(trace, tensors=tensors, parameters=parameters))


@each_dtype
@pytest.mark.parametrize("tensor", ["dy", "dO", "da", "dz", "dW"])
def test_a_factor_in_a_gradient_is_refuted_from_64_units_on(tensor: str, dtype: str) -> None:
    """Whatever another form may round; of sums from twice on what their own terms round. Smaller ones are noted."""
    e = experiment(TANH, dtype, steps=1)
    u = float(np.finfo(dtype).eps) / 2
    resolution = row_of(certify(e, reference.train(e)), tensor).resolution
    assert resolution is not None

    def by(d: float) -> Certificate:
        with unruled():
            return changed(e, tensor, lambda a: a + a * a.dtype.type(d))

    for d in (max(64 * u, 2 * resolution), -max(64 * u, 2 * resolution), 1, -2):
        assert by(d).first is not None, d
    row = row_of(by(1.1 * resolution), tensor)
    assert row.first or row.forms


def test_a_sum_of_products_is_kept_as_it_is() -> None:
    """The radius of a long sum is that of its worst order, 1e-3 here, and no gradient starts from another order."""
    draw = np.random.default_rng(0)
    W, O, x, t = (draw.normal(size=s).astype("float32") for s in ((3, 4000), (2, 3), (5, 4000), (5, 2)))
    by_z = Between(np.tanh, lambda da, z, _: da * (1 - np.tanh(z) ** 2))
    e = replace(experiment(by_z, "float32", steps=1), parameters=Two(W / 60, O), x=x, t=t)
    assert certify(e, reference.train(e)).verdict == "certified"
    row = row_of(changed(e, "dz", lambda a: a * np.float32(1 + 1e-4)), "dz")
    assert row.first is not None
    assert (row.first.outside, row.forms) == (row.first.size, 0)


@each_dtype
def test_where_nothing_rounds_a_gradient_must_be_equal(dtype: str) -> None:
    """A ReLU's mask multiplies by 1 or 0; a unit in the last place is a fault."""
    e = experiment(RELU, dtype)
    c = changed(e, "dz", lambda a: np.nextafter(a, a.dtype.type(np.inf)))
    assert row_of(c, "dz").first is not None
    assert not row_of(c, "dz").forms


@each_dtype
def test_a_mask_is_taken_from_the_value_that_the_trace_holds(dtype: str) -> None:
    """a is 0 and has a radius, as 0.1 * 0.3 - 0.03 has: a gradient of 1 at 0 is no other form of one of 0."""
    e = experiment(Between(lambda z: 0.1 * z - 0.03, lambda da, _, a: np.where(a > 0, da, 0)), dtype, steps=1)
    trace = reference.train(e)
    z, da = trace.tensors["z"], trace.tensors["da"]
    held = {**trace.tensors, "z": np.full_like(z, 0.3), "a": np.zeros_like(z), "dz": np.zeros_like(z)}
    right = row_of(certify(e, replace(trace, tensors=held)), "dz")
    assert (right.first, right.forms) == (None, 0)
    wrong = row_of(certify(e, replace(trace, tensors={**held, "dz": da})), "dz")
    assert wrong.first is not None
    assert (wrong.first.outside, wrong.forms) == (wrong.first.size, 0)


@pytest.mark.parametrize("tensor", ["a", "y", "loss", "W"])
def test_forwards_and_updates_have_no_other_form(tensor: str) -> None:
    """tanh of a z that is its own radius away; the update by a gradient that is."""
    e = experiment(TANH, steps=1)
    row = row_of(certify(e, reference.train(e)), tensor)
    assert row.resolution is not None
    c = changed(e, tensor, lambda a: np.concatenate([a[:-1], a[-1:] * (1 + 1.1 * row.resolution)]))  # type: ignore[operator]
    assert row_of(c, tensor).first is not None


def another() -> tuple[Experiment, Trace]:
    """An experiment, and the trace of a right gradient in another form."""
    f, slope, _, _ = FORMS["tanhshrink"]
    e = experiment(Between(f, slope), size=0.1)
    return e, reference.train(replace(e, network=Between(f, lambda da, z, _: da - da * (1 - np.tanh(z) ** 2))))


def test_a_fault_beside_another_form_is_refuted_alone() -> None:
    e, other = another()
    other.tensors["dW"][1] *= 2
    c = certify(e, other)
    assert next((f.tensor, f.step) for f in c.refutations) == ("dW", 1)
    assert "dz" not in {f.tensor for f in c.refutations}
    assert row_of(c, "dz").forms
    assert c.ruling is not None
    assert (c.ruling.verdict, c.ruling.tensor) == ("the mirror strays", "dW")


def test_numpy_s_own_run_has_one_form() -> None:
    e, other = another()
    assert certify(e, other, "torch").verdict == "certified"
    first = certify(e, other, "numpy").first
    assert first is not None
    assert first.tensor == "dz"


def test_code_that_must_have_a_branch_decided_is_judged_by_its_own_form() -> None:
    """Two units that are equal: which is the larger is open as soon as they have a radius."""

    def slope(da: Any, _z: Any, a: Any) -> Any:
        return da * (1 - a * a) * (1 + 0 * np.argmax(a, axis=-1)[..., None])

    e = experiment(Between(np.tanh, slope), steps=1)
    e.parameters.W[...] = e.parameters.W[:1]
    assert certify(e, reference.train(e)).verdict == "certified"
    first = changed(e, "dz", lambda a: 2 * a).first
    assert first is not None
    assert first.tensor == "dz"


def test_through_a_product_no_terms_cancel() -> None:
    """da = dy O of a square O that is tiny: 16 roundings of dy would be larger than all of da."""
    e = experiment(TANH, steps=1)
    p = Two(e.parameters.W[:2], 1e-17 * np.array([[1.0, 2.0], [3.0, -1.0]]))
    e = replace(e, parameters=p)
    first = changed(e, "da", lambda a: 1.5 * a).first
    assert first is not None
    assert first.tensor == "da"


def test_what_a_form_may_round_is_in_proportion_to_what_cancels() -> None:
    """z - tanh z has ways of 1 and 1 - tanh^2, element by element; the loss has one of 2 |y - t| / N."""
    f, slope, _, _ = FORMS["tanhshrink"]
    e = experiment(Between(f, slope), size=0.1, steps=1)
    trace = reference.train(e)
    _, givens = judge_givens(e, trace, "torch")
    (part,) = parts(e, trace, givens)
    extra = cancelled(e, part, trace.tensors, ["dz", "da", "dy"])
    sixteen = 16 * np.finfo(float).eps / 2
    ways = np.abs(trace.tensors["da"]) * (2 - np.tanh(trace.tensors["z"]) ** 2)
    assert (np.abs(extra["dz"] / (sixteen * ways) - 1) < 0.01).all()
    assert (np.abs(extra["dy"] / (sixteen * np.abs(trace.tensors["dy"])) - 1) < 0.5).all()
    assert "da" not in extra
