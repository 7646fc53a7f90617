"""The judge's radii are a theorem: what all else is made of is attacked with numbers that hypothesis chooses to hurt.

A ball promises that the exact result lies within its radius of every admissible evaluation, the centre
among them. So each operation is evaluated exactly on hostile numbers, with operands that are exact and with
operands moved about inside their own balls, and the exact result is held against NumPy, torch in several
environments, and other orders, blocking and fusing of the same equation.
"""

import pytest
from hypothesis import given

from tests.attack.draws import Plan
from tests.attack.evaluations import flushed
from tests.attack.holes import of_each
from tests.attack.operations import OPERATIONS
from tests.attack.strategies import formats, plans
from tests.attack.strike import strike
from torch_mirror.balls.format import Format

ELEMENTARY = (
    "add", "subtract", "multiply", "divide", "divide by a number", "scale", "square", "cube", "reciprocal", "sign",
    "exp", "tanh", "sigmoid", "log", "sqrt", "relu", "relu backward", "mask as a factor", "maximum", "minimum", "clip",
    "where equal", "where not equal", "mean of a mask", "sum of 4", "mean", "max", "cumsum", "prod", "add.reduce",
    "numpy.dot", "numpy.outer", "affine of 1", "affine of 5", "update", "SGD", "loss, mean", "loss gradient, mean",
)  # fmt: skip
"""Those that others are composed of. The others are left to the attack in bulk (test_soundness), which makes several
hundred comparisons or more of each evaluation of each operation in each dtype."""

SMALL = [name for name, operation in OPERATIONS.items() if operation.share >= 0.1]
"""Those of which one draw costs little."""


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("name", ELEMENTARY)
@given(formats, plans)
def test_every_evaluation_lies_within_the_radius(name: str, moved: bool, fmt: Format, plan: Plan) -> None:  # noqa: FBT001 - pytest fills it
    """moved: of operands that lie anywhere in balls of their own."""
    tally = strike(OPERATIONS[name], fmt, plan._replace(moved=moved))
    assert (tally.first, tally.open) == (None, 0)


@pytest.mark.parametrize("name", ["affine of 5", "multiply", "update", "sum of 4", "einsum", "prod", "SGD", "mean"])
@given(formats, plans)
def test_flushing_subnormal_results_stays_within_the_radius(name: str, fmt: Format, plan: Plan) -> None:
    """Of every evaluation, the others too. Operands are normal or 0: what was flushed is no operand any more."""
    operation = OPERATIONS[name]
    every = {how: flushed(f) for how, f in operation.others.items()}
    assert strike(operation._replace(others=every), fmt, plan._replace(environment="flushed")).first is None


@pytest.mark.parametrize("name", SMALL)
def test_no_operation_is_vacuous(name: str) -> None:
    """Ordinary numbers soon give an error / radius that the bound can nearly attain, and none that is above it."""
    for worst in of_each(OPERATIONS[name]):
        assert worst <= 1
        if worst > 0.2:
            return
    raise AssertionError(f"{name}: no error is a fifth of its radius")
