"""The judge's radii are a theorem: every operation is attacked with numbers that hypothesis chooses to hurt.

A ball promises that the exact result lies within its radius of every admissible evaluation, the centre
among them. So each operation is evaluated exactly on hostile numbers, with operands that are exact and with
operands moved about inside their own balls, and the exact result is held against NumPy, torch in several
environments, and other orders, blocking and fusing of the same equation.
"""

import pytest
from hypothesis import given

from tests.attack.draws import Plan
from tests.attack.evaluations import flushed
from tests.attack.holes import most
from tests.attack.operations import DRAWN, OPERATIONS
from tests.attack.strategies import formats, plans
from tests.attack.strike import strike
from torch_mirror.balls.format import Format

SMALL = [name for name, operation in OPERATIONS.items() if operation.share >= 0.1]
"""Those with thousands of terms in one draw are left to the attack in bulk, which makes a few draws of them."""


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("name", SMALL)
@given(formats, plans)
def test_every_evaluation_lies_within_the_radius(name: str, moved: bool, fmt: Format, plan: Plan) -> None:  # noqa: FBT001 - pytest fills it
    """moved: of operands that lie anywhere in balls of their own."""
    tally = strike(OPERATIONS[name], fmt, plan._replace(moved=moved))
    assert tally.first is None
    assert not tally.open or name == DRAWN


@pytest.mark.parametrize("name", ["affine of 5", "multiply", "update", "sum of 4", "einsum", "prod", "SGD", "mean"])
@given(formats, plans)
def test_flushing_subnormal_results_stays_within_the_radius(name: str, fmt: Format, plan: Plan) -> None:
    """Of every evaluation, the others too. Operands are normal or 0: what was flushed is no operand any more."""
    operation = OPERATIONS[name]
    every = {how: flushed(f) for how, f in operation.others.items()}
    assert strike(operation._replace(others=every), fmt, plan._replace(environment="flushed")).first is None


@pytest.mark.parametrize("name", SMALL)
def test_no_operation_is_vacuous(name: str) -> None:
    """Ordinary numbers give an error / radius that the bound can nearly attain, and no infinite radius."""
    assert 0.2 < most(OPERATIONS[name]) <= 1
