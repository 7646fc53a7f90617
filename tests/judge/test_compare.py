"""What a comparison reports, whichever way it takes; and that nothing unbounded ever counts as a pass."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.activations import relu
from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.objective import predict
from reference.errors import InputError
from reference.losses import SquaredError
from reference.networks import cubic, two_layer_linear, two_layer_relu
from reference.optimizers.sgd import SGD
from reference.traces.trace import Trace
from reference.traces.training import train
from torch_mirror.balls.cell import Ball
from torch_mirror.doors.certify import certify
from torch_mirror.judge.compare import Where, allowed, compare

STEPS, ROWS, TERMS, COLUMNS = 3, 40, 5, 40
HERE = Where("z", "torch", "local", range(10, 10 + STEPS))


def product(seed: int = 0) -> tuple[Ball, Array]:
    """The ball of a product over some steps, and one admissible evaluation of it that differs in many places."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(STEPS, ROWS, TERMS)), rng.normal(size=(STEPS, TERMS, COLUMNS))
    return Ball(x) @ Ball(w), np.asarray(x[..., ::-1] @ w[..., ::-1, :])


def pushed(seen: Array, equation: Ball, where: Any, radii: float) -> Array:
    """The values with some elements moved to that many admissible distances from the centre."""
    moved = seen.copy()
    moved[where] = equation.value[where] + radii * allowed(equation)[where]
    return moved


def test_the_first_step_its_worst_element_and_the_counts() -> None:
    equation, seen = product()
    late, small, large = (2, 0, 0), (1, 3, 4), (1, 5, 6)
    for where, radii in ((late, 50), (small, 3), (large, 7)):
        seen = pushed(seen, equation, where, radii)
    findings = compare(seen, equation, HERE)
    (first,) = findings.refutations
    assert (first.step, first.index, first.outside, first.size) == (11, large[1:], 2, ROWS * COLUMNS)
    assert (first.seen, first.expected) == (seen[large], equation.value[large])
    assert first.radius == allowed(equation)[large]
    assert first.ratio == abs(seen[large] - equation.value[large]) / allowed(equation)[large]
    assert findings.worst is not None
    assert (findings.worst.step, findings.worst.index) == (12, late[1:])
    assert (findings.tensors, findings.judged, findings.vacuous) == (STEPS, seen.size, 0)


def test_what_is_not_stacked_has_the_run_s_first_step_and_a_whole_index() -> None:
    equation, seen = product()
    findings = compare(pushed(seen, equation, (1, 2, 3), 4), equation, HERE._replace(stacked=False))
    assert (findings.tensors, findings.refutations[0].step, findings.refutations[0].index) == (1, 10, (1, 2, 3))


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.5, 0.99, 1.01, 40.0]), st.integers(0, 3000))
def test_the_short_ways_find_what_the_long_way_finds(seed: int, radii: float, moved: int) -> None:
    """Few elements differ and are picked; or many do, and most lie below a worst that is known."""
    equation, other = product(seed)
    rng = np.random.default_rng(seed)
    for start in (equation.value, other):
        seen = pushed(start, equation, tuple(rng.integers(0, n, moved) for n in start.shape), radii)
        full = compare(seen, equation, HERE, roomy=False)
        fresh, _ = product(seed)  # with no radius computed yet
        few = compare(seen, fresh, HERE, roomy=True)
        assert (few.tensors, few.judged, few.vacuous) == (full.tensors, full.judged, full.vacuous)
        assert place(few.refutations) == place(full.refutations)
        assert place([f for f in [few.worst] if f]) == place([f for f in [full.worst] if f])


def place(findings: Any) -> list[Any]:
    return [(f.step, f.index, f.seen, f.expected, f.outside, f.size) for f in findings]


@pytest.mark.parametrize("above", [0.0, 0.3, 0.999, 1.0, 5.0, 1e6, float("inf")])
def test_a_worse_element_elsewhere_hides_no_refutation(above: float) -> None:
    equation, seen = product()
    seen = pushed(seen, equation, (1, 2, 3), 4)
    (found,) = compare(seen, equation, HERE, roomy=True, above=above).refutations
    assert (found.step, found.index) == (11, (2, 3))


def test_equal_elements_pass_and_shapes_must_agree() -> None:
    equation, _ = product()
    for roomy in (False, True):
        findings = compare(equation.value.copy(), equation, HERE, roomy=roomy)
        assert (findings.judged, findings.worst, findings.refutations) == (equation.value.size, None, ())
    with pytest.raises(InputError, match=r"tensor z.*shape \(3, 40, 40\).*shape \(3, 40\)"):
        compare(equation.value[..., 0], equation, HERE)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,)])
def test_shapes_at_the_edge(shape: tuple[int, ...]) -> None:
    """A scalar parameter, and no steps at all."""
    findings = compare(np.ones(shape), Ball(np.ones(shape)), HERE._replace(stacked=bool(shape)))
    assert (findings.judged, findings.refutations) == (np.ones(shape).size, ())
    if np.ones(shape).size:
        assert compare(np.zeros(shape), Ball(np.ones(shape)), HERE._replace(stacked=bool(shape))).refutations


def test_a_difference_that_the_format_cannot_hold_is_vacuous() -> None:
    """Float32 with float64 radii: the branch that the centre did not take is further away than float32 reaches."""
    large, far = np.float32(2.3e38), np.float32(-1e38)
    mask: Any = Ball(np.ones(3, np.float32), np.array([2.0, 0, 0])) > 0  # open in the first only
    branches: Any = Ball(np.full(3, large)), Ball(np.full(3, far), np.full(3, 1e37))
    ball: Any = np.where(mask, *branches)
    assert np.finfo(np.float32).max < ball.radius[0] < np.inf
    assert ball.radius[1:].tolist() == [0, 0]
    other = np.array([-1.2e38, large, large], np.float32)  # two radii from the centre of its branch
    findings = compare(other, ball, HERE._replace(stacked=False))
    assert (findings.judged, findings.vacuous, findings.refutations) == (2, 1, ())
    seen = np.array([-1.2e38, large, far], np.float32)
    (found,) = compare(seen, ball, HERE._replace(stacked=False)).refutations
    assert (found.index, found.outside) == ((2,), 1)


def test_zero_radii_demand_equality_but_for_the_sign_of_zero() -> None:
    exact = Ball(np.array([[0.0, 1.0]]))
    assert not compare(np.array([[-0.0, 1.0]]), exact, HERE).refutations
    (found,) = compare(np.array([[5e-324, 1.0]]), exact, HERE).refutations
    assert found.ratio == np.inf


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_an_infinite_radius_is_vacuous_and_agreement_on_overflow_too(value: float) -> None:
    """A ReLU of an infinity is exactly that infinity, and says nothing of rounding: not a pass, not a fault."""
    with np.errstate(all="ignore"):
        x: Any = Ball(np.array([[value, 1.0]]))
        equations: tuple[Any, ...] = (x + x, x * x, relu(x), x @ Ball(np.eye(2)), x / 2)
        for equation in equations:
            with_error = equation.value.copy()
            findings = compare(with_error, equation, HERE)
            assert findings.refutations == ()
            assert findings.vacuous >= 1 or np.isfinite(equation.value).all()
            first = findings.unbounded
            assert (None if first is None else first.index) == next(
                (tuple(map(int, at[HERE.lead :])) for at in np.argwhere(~np.isfinite(equation.value))), None
            )
            assert findings.judged + findings.vacuous == 2


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("roomy", [False, True])
def test_a_nan_or_an_infinity_is_refuted_where_the_equation_is_finite(bad: float, *, roomy: bool) -> None:
    equation, seen = product()
    seen[1, 2, 3] = bad
    (found,) = compare(seen, equation, HERE, roomy=roomy).refutations
    assert (found.step, found.index, found.ratio) == (11, (2, 3), np.inf)


@pytest.mark.parametrize("case", ["a scalar term", "a stack of one"])
def test_few_elements_of_a_sum_whose_operands_broadcast(case: str) -> None:
    rng = np.random.default_rng(0)
    x, w = Ball(rng.normal(size=(1, 8, 5))), Ball(rng.normal(size=(3, 5, 8)))
    equation = x @ w if case == "a stack of one" else x @ w[:1] + 1
    seen = pushed(equation.value, equation, (-1, 0, 0), 0.5)
    assert compare(seen, equation, HERE, roomy=True).refutations == ()


# --- certificates -------------------------------------------------------------------------------------


def relu_experiment(scale: float, lr: float = 0.1) -> Experiment:
    rng = np.random.default_rng(0)
    W = two_layer_relu.Parameters(rng.normal(size=(4, 3)), rng.normal(size=(2, 4)))
    network = two_layer_relu.TwoLayerReLU(3, 4, 2)
    x, t = scale * rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    return Experiment(network, W, x, t, SquaredError("mean"), SGD(lr), 3)


def test_overflow_is_never_certified() -> None:
    """The reference's own run overflows: it agrees with itself to the last bit, and that is no proof."""
    e = relu_experiment(1e200)
    with np.errstate(all="ignore"):
        trace = train(e)
        certificate = certify(e, trace)
    assert certificate.verdict == "vacuous"
    assert certificate.refutations == ()
    assert certify(relu_experiment(1), train(relu_experiment(1))).verdict == "certified"


@pytest.mark.parametrize("tensor", ["z1", "a1", "y", "dy", "dW2", "da1", "dz1", "dW1", "loss", "W1"])
def test_a_nan_in_a_trace_is_refuted(tensor: str) -> None:
    e = relu_experiment(1)
    trace = train(e)
    group = trace.parameters if tensor == "W1" else trace.tensors
    group[tensor].reshape(-1)[-1] = np.nan
    first = certify(e, trace).first
    assert first is not None
    assert first.tensor == tensor


def test_an_element_equal_to_the_centre_may_still_be_unbounded() -> None:
    """A trace of its ends only: h cancels to about 0 with a radius of 2^950, which W2 carries over the top."""
    big = 2.0**500
    x, W1, W2 = (np.array([row]) for row in ([big, big, 1.0], [big, -big, 2.0**-200], [big]))
    network = two_layer_linear.TwoLayerLinear(3, 1, 1)
    p = two_layer_linear.Parameters(W1, None, W2, None)
    t, _ = network.forward(p, x)
    e = Experiment(network, p, x, t, SquaredError(), SGD(0.5), 1)
    trace = train(e)
    ends = Trace(trace.steps, trace.constants, trace.parameters, {"loss": trace.tensors["loss"]})
    certificate = certify(e, ends)
    assert certificate.refutations == ()
    assert certificate.vacuous == 1 + W1.size + W2.size


def test_features_that_a_trace_does_not_hold_may_be_unbounded() -> None:
    """x^3 is within a rounding of overflow and W brings it back: y is finite, its radius is not."""
    x = np.array([[(0.9 * np.finfo(np.float64).max) ** (1 / 3)]])
    p = cubic.Parameters(np.array([[0.0, 0.0, 2.0**-1000]]), np.zeros(1))
    e = Experiment(cubic.Cubic(), p, x, predict(cubic.Cubic(), p, x), SquaredError(), SGD(0.5), 1)
    trace = train(e)
    constants = {name: a for name, a in trace.constants.items() if name != "powers"}
    certificate = certify(e, Trace(trace.steps, constants, trace.parameters, trace.tensors))
    assert certificate.refutations == ()
    assert certificate.vacuous >= 1
