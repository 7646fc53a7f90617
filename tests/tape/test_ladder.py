"""The ladder: the precision is chosen by what is left open, and the replays it rests on are right."""

from typing import Any

import flint
import numpy as np
import pytest

from reference.errors import InputError
from tests.attack.adversary import FORMATS
from tests.attack.oracle import workprec
from tests.tape import attack
from tests.tape.networks import Net, Taped, by_tanh, softmax_network, tanh_network, taped
from tests.tape.test_attack import SMALL
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.balls.recording import recording
from torch_mirror.tape import arb, compared, enclosures, ladder
from torch_mirror.tape.ladder import Rung, climb
from torch_mirror.tape.replay import Plan, replay
from torch_mirror.tape.sweep import derivative, leaf

LONG = format_of(np.dtype(np.longdouble))


def climbed(run: Taped, **options: Any) -> list[Rung]:
    return list(climb(run.loss, {name: (run.p[name], run.gradients[name]) for name in run.p}, **options))


def test_a_shallow_network_needs_float64_alone() -> None:
    (rung,) = climbed(taped(softmax_network(12, 8, 3, 6)))
    assert (rung.name, rung.tried) == ("float64", True)
    assert rung.width < 2.0**-20
    assert all(pair.ratio <= 1 for pair in rung.pairs.values())


def test_longdouble_comes_next() -> None:
    names = [rung.name for rung in climbed(taped(tanh_network(8, 32, 4)))]
    assert len(names) == 2
    assert names[0] == "float64"


@pytest.mark.parametrize("fault", [None, by_tanh(3, 1 + 1e-12)])
def test_as_many_bits_as_the_blow_up_asks_for(fault: Any) -> None:
    rungs = climbed(taped(tanh_network(20, 12, 3, scale=2.0, fault=fault)))
    last = rungs[-1]
    assert last.name.startswith("arb")
    assert rungs[0].width > 1  # nothing is known in float64
    assert max(pair.ratio for pair in rungs[0].pairs.values()) <= 1
    wrong = {name for name, pair in last.pairs.items() if pair.ratio > 1}
    assert wrong == (set() if fault is None else {f"{v}{i}" for v in "Wb" for i in range(4)})
    # 1 / (2 N) is a Python number, of which four roundings are taken; the rest is far below it
    assert last.width < 2.0**-45


def test_beyond_the_budget_it_says_what_would_do() -> None:
    run = taped(tanh_network(20, 16, 4))
    for options in ({"seconds": 1e-3}, {"most": 1000}):
        last = climbed(run, **options)[-1]
        assert not last.tried
        assert not last.pairs
        assert "fewer samples" in last.why


def test_what_is_no_ball_has_no_verdict_as_its_rounding_is_not_known() -> None:
    run = taped(softmax_network(12, 8, 3, 6))
    with pytest.raises(InputError, match="expected values that are balls, got ndarray"):
        list(climb(run.loss, {"W1": (run.p["W1"], run.gradients["W1"].value)}))


def test_a_constant_is_held_against_the_derivative_on_every_rung() -> None:
    run = taped(tanh_network(20, 8, 3, scale=2.0))
    rungs = list(climb(run.loss, {"b0": (run.p["b0"], Ball(np.zeros(8)))}))
    assert rungs[-1].name.startswith("arb")
    assert rungs[-1].pairs["b0"].ratio > 1


def test_without_flint_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise ImportError

    monkeypatch.setattr(enclosures, "flint", missing)
    last = climbed(taped(tanh_network(20, 8, 3, scale=2.0)))[-1]
    assert not last.tried
    assert "pip install" in last.why


def reciprocal(spelling: Any) -> Net:
    """A mean written as a division forwards, and with ``spelling(n)`` backwards."""

    def function(p: Any, x: Any, _: Any) -> tuple[Any, dict[str, Any]]:
        n = 3
        return ((p["w"] * x) ** 2).sum() / n, {"w": 2 * p["w"] * x * x * spelling(n)}

    rng = np.random.default_rng(0)
    return Net(function, {"w": rng.normal(size=3)}, rng.normal(size=3), np.zeros(3))


def test_a_number_that_python_has_rounded_is_no_fault_at_any_precision() -> None:
    rungs = climbed(taped(reciprocal(lambda n: 1 / n)), enough=2.0**-60)
    assert rungs[-1].name.startswith("arb")
    assert all(pair.ratio <= 1 for rung in rungs for pair in rung.pairs.values())
    assert rungs[-1].pairs["w"].apart.max() > 0  # and Arb has seen that 1/3 was rounded


def test_more_than_its_rounding_is_a_fault() -> None:
    rungs = climbed(taped(reciprocal(lambda n: (1 / n) * (1 + 2e-15))), enough=2.0**-60)
    assert rungs[-1].pairs["w"].ratio > 1


# --- replays --------------------------------------------------------------------------------------------------


def test_a_replay_is_the_recording() -> None:
    run = taped(softmax_network(12, 8, 3, 6))
    again = replay(run.tape.values, Plan())
    for value in run.tape.values:
        made = again.made[value.node.number]
        assert made.value.tolist() == value.value.tolist()
        assert made.node.place == value.node.place
    for name, x in run.p.items():
        there, here = derivative(again.at(run.loss)).by(again.at(x)), derivative(run.loss).by(x)
        assert there.radius.tolist() == here.radius.tolist(), name


def test_a_replay_in_longdouble_is_narrower_and_agrees() -> None:
    run = taped(softmax_network(12, 8, 3, 6))
    again = replay(run.tape.values, Plan(widest=LONG))
    for x in run.p.values():
        wide, narrow = derivative(again.at(run.loss)).by(again.at(x)), derivative(run.loss).by(x)
        assert wide.dtype == np.longdouble
        assert (np.abs(wide.value - narrow.value) <= wide.radius + narrow.radius).all()
        assert wide.radius.max() < narrow.radius.max() / 500


def test_a_replay_of_thousands_of_operations_needs_no_deep_recursion() -> None:
    with recording() as tape:
        x = leaf(np.array([1.0, 2.0]))
        total = x * 1.0
        for i in range(1200):
            total += x * (0.1 * i)
    again = replay(tape.values, Plan())
    assert again.at(total).radius.tolist() == total.radius.tolist()


def test_what_is_given_is_exact_to_others_and_keeps_its_own_radius() -> None:
    with recording() as tape:
        x = leaf(np.array([0.3, 0.7]))
        y = np.exp(x)
        z = np.exp(y)
    plain, given = (replay(tape.values, Plan(given=g)) for g in (frozenset(), frozenset({1})))
    own = given.at(y).node
    assert own is not None
    assert own.operation == "given"
    assert given.at(y).exact
    assert own.operands[0].radius.tolist() == y.radius.tolist()
    assert (given.at(z).radius < plain.at(z).radius).all()


# --- the sweep in Arb ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_enclosures_hold_exact_quotients(name: str) -> None:
    """The attack again, on the derivatives that Arb gives: each encloses the exact one."""
    operation = SMALL[name]
    rng = np.random.default_rng(7)
    operands = attack.drawn(operation, FORMATS[1], rng, 1, few=False)
    constants = operation.constants(rng)
    with recording(), np.errstate(all="ignore"):
        leaves = [leaf(a) for a in operands]
        if operation.alone:
            result: Any = np.stack([operation.equation(*case, *constants) for case in zip(*leaves, strict=True)])
        else:
            result = operation.equation(*leaves, *constants)
        weights = rng.normal(size=result.shape)
        loss = np.sum(result * weights)
    bits = 300
    found = enclosures.enclosures([loss.settled()], bits)
    d = enclosures.derivatives(loss.settled(), found, "first", bits)
    for i, x in enumerate(leaves):
        exact = attack.quotients(operation, operands, constants, weights, i)
        by = d.get(x.settled().node.number)  # type: ignore[union-attr]  # it is a leaf
        by = arb.of_arb(np.zeros(x.shape)) if by is None else by
        with workprec(attack.BITS):
            slack = flint.arb(0, attack.TRUNCATION)
            for a, b in zip(np.asarray(by).reshape(-1), exact.reshape(-1), strict=True):
                assert not a.is_finite() or (a + slack).overlaps(b), (i, a, b)


def test_most_of_them_are_narrow() -> None:
    """The ball that was recorded stands in for few operations only."""
    run = taped(softmax_network(12, 8, 3, 6, penalty=0.125))
    found = enclosures.enclosures([run.loss.settled()], 200)
    d = enclosures.derivatives(run.loss.settled(), found, "first", 200)
    for x in run.p.values():
        node = x.settled().node
        assert node is not None
        assert arb.radii(d[node.number]).max() < 1e-15
        with flint.ctx.workprec(200):
            assert all(float(v.rad()) < 1e-50 for v in np.asarray(d[node.number]).reshape(-1))


def test_an_array_of_arb_keeps_a_longdouble_s_bits() -> None:
    third = np.longdouble(1) / 3
    x = Ball(np.array([third])).settled()
    with flint.ctx.workprec(200):
        (made,) = np.asarray(enclosures.enclosed(x, as_given=False))
        assert (made - flint.arb(1) / 3).abs_upper() < 2.0**-60
        assert made.rad() == 0


def test_width_of_what_is_not_known_is_infinite() -> None:
    pair = ladder.Pair(np.ones(2), np.zeros(2), np.array([np.inf, 0.0]), np.ones(2))
    assert pair.width == np.inf
    assert pair.ratio == 0.0


def test_so_many_bits_that_what_may_be_0_is_told_from_what_is_if_there_is_the_time() -> None:
    """A room of 2^k at so many bits is 2^(k - n) at n more: below TINY, and with eight bits to spare."""
    for bits, largest in ((64, 1.0), (128, 2.0**-60), (256, 2.0**900)):
        found = ladder._next(bits, largest, 1e9, 1e-3)
        assert found == max(2 * bits, found)
        assert np.log2(largest) - (found - bits) <= np.log2(compared.TINY) - 8 < np.log2(largest) - (found - bits) + 1
        assert ladder._next(bits, largest, 1e-3, 1.0) == 2 * bits
    assert ladder._next(64, 0.0, 1e9, 1e-3) == ladder._next(64, np.inf, 1e9, 1e-3) == 128
