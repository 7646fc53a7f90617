"""One attack on one rule: hostile operands of a kind each, exact or anywhere in balls of their own."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.attack.adversary import FORMATS, KINDS, Rule, attack, centre_of, hostile, operand
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number
from torch_mirror.balls.table import Row

formats, kinds, seeds = st.sampled_from(FORMATS), st.tuples(*[st.sampled_from(KINDS)] * 3), st.integers(0, 2**32)
precisions, movements = st.sampled_from(["tested", "wider"]), st.booleans()


def strike(rule: Rule, fmt: Format, kinds: Sequence[str], seed: int, precision: str, *, moved: bool) -> float:
    """The worst error / radius of a rule. moved: of operands that lie anywhere in balls of their own."""
    rng = np.random.default_rng(seed)
    values = [hostile(kind, shape, fmt, rng) for kind, shape in zip(kinds, rule.shapes, strict=False)]
    # from a rounding to nearly as large as the number, and 0 for some: a part of a ball may be exact
    radii = [np.abs(v) * rng.choice(np.array([0, fmt.u, 2.0**-10, 0.3], fmt.dtype), v.shape) for v in values]
    pairs = zip(values, radii, strict=True)
    return attack(rule, [operand(v, e if moved else None, fmt, centre_of(fmt, precision), rng) for v, e in pairs])


def most(rule: Rule, *, moved: bool = True, kinds: Sequence[str] = ("normal", "cancelling")) -> float:
    """The worst error / radius of a few dozen attacks with ordinary numbers."""
    drawn = [(fmt, kind, seed) for fmt in FORMATS for kind in kinds for seed in range(20)]
    return max(strike(rule, fmt, (kind,) * 3, seed, "tested", moved=moved) for fmt, kind, seed in drawn)


def forgets_radii(row: Row) -> Row:
    """A hole: the row of the same rule, whose results are all taken to be exact."""

    @wraps(row.radius)  # whose keywords are looked up
    def holed(*arguments: Any, **named: Any) -> Any:
        result = row.radius(*arguments, **named)
        return Number(result.value, 0, result.format) if isinstance(result, Number) else result

    return row._replace(radius=holed)


def finds(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, hole: Any, strike: Callable[[], float]) -> None:
    """The attack passes as the bound stands, and finds the hole."""
    assert strike() <= 1
    monkeypatch.setattr(where, name, hole)
    assert strike() > 1
