"""check where many sides of kinks meet, or where only quotients are left: right code is never refuted for that."""

from typing import Any

import numpy as np

from torch_mirror import check
from torch_mirror.doors.check.result import Checked

R = np.random.default_rng(0)
X, Y = R.standard_normal((8, 5)), R.standard_normal((8, 1))
X[0] = 0  # whose row is at the kink of every relu, as biases are 0


def penalised(factors: dict[str, Any]) -> Checked:
    """Two relus and the absolute values of six tensors, three of them 0: far more conventions than are tried."""
    p = {"W1": R.standard_normal((5, 4)), "b1": np.zeros(4), "W2": R.standard_normal((4, 4)), "b2": np.zeros(4)}
    p |= {"W3": R.standard_normal((4, 1)), "b3": np.zeros(1)}

    def mine(p: Any, x: Any, y: Any) -> Any:
        z1 = x @ p["W1"] + p["b1"]
        a1 = np.maximum(z1, 0)
        z2 = a1 @ p["W2"] + p["b2"]
        a2 = np.maximum(z2, 0)
        d = a2 @ p["W3"] + p["b3"] - y
        loss = (d**2).mean() + 0.01 * sum(np.abs(v).sum() for v in p.values())
        g = 2 * d / d.size
        d2 = (g @ p["W3"].T) * (z2 > 0)
        d1 = (d2 @ p["W2"].T) * (z1 > 0)
        found = {"W3": a2.T @ g, "b3": g.sum(0), "W2": a1.T @ d2, "b2": d2.sum(0), "W1": x.T @ d1, "b1": d1.sum(0)}
        return loss, {k: factors.get(k, 1) * (found[k] + 0.01 * np.sign(p[k])) for k in p}

    return check(mine, p, X, Y)


def test_more_conventions_than_are_tried_refute_nothing() -> None:
    assert penalised({}).verdict == "certified"


def test_what_no_convention_touches_is_refuted_though_not_all_were_tried() -> None:
    result = penalised({"W3": 2.0})
    assert result.verdict == "refuted"
    assert [row.name for row in result.rows if row.word == "WRONG"] == ["dW3"]


def test_what_a_convention_may_explain_is_undecided_if_not_all_were_tried() -> None:
    result = penalised({"b1": 1.5})
    assert result.verdict == "undecided"
    assert "none of the conventions that were tried" in str(result)
