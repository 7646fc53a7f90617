"""Of several lines the faulty one comes first, where the numbers show it; and a step that is missing has no line."""

from typing import Any

import numpy as np
import pytest

from torch_mirror import Checked, check, check_layer

draw = np.random.default_rng(3).normal
X, T = draw(size=(6, 4)), draw(size=(6, 3))
W = draw(size=(4, 3))


def lines(result: Checked) -> list[str]:
    """Of the first fault."""
    return [line.source.partition("  #")[0] for line in result.faults[0].wrong]


def slope(z: Any) -> Any:
    s = 1 / (1 + np.exp(-z))
    return s + z * s  # the mistake: s + z * s * (1 - s)


def test_a_slope_that_a_helper_makes_wrongly_comes_before_the_product_with_it() -> None:
    def mine(p: Any, x: Any, t: Any) -> Any:
        z = x @ p["W"]
        h = z / (1 + np.exp(-z))
        e = h @ p["V"] - t
        dh = 2 * e @ p["V"].T
        dz = dh * slope(z)
        return (e**2).sum(), {"W": x.T @ dz, "V": h.T @ (2 * e)}

    result = check(mine, {"W": W, "V": draw(size=(3, 3))}, X, T)
    assert lines(result)[:2] == ["return s + z * s", "dz = dh * slope(z)"]


def test_a_right_factor_in_the_wrong_place_is_no_suspect() -> None:
    """The slope at z1 is right where it is used for z1, and its line with it."""

    def mine(p: Any, x: Any, t: Any) -> Any:
        z1 = x @ p["W"]
        h1 = np.tanh(z1)
        z2 = h1 @ p["V"]
        h2 = np.tanh(z2)
        e = h2 - t
        s1 = 1 - h1**2
        dz2 = 2 * e * s1  # the mistake: 1 - h2**2
        dz1 = (2 * e * (1 - h2**2)) @ p["V"].T * s1
        return (e**2).sum(), {"W": x.T @ dz1, "V": h1.T @ dz2}

    result = check(mine, {"W": W, "V": draw(size=(3, 3))}, X, T)
    assert result.faults[0].gradients == ("dV",)
    assert lines(result)[0] == "dz2 = 2 * e * s1"


def clipped(p: Any, x: Any, gain: Any, *, right: bool) -> Any:
    ratio = np.exp(x @ p["w"])
    kept = np.clip(ratio, 0.8, 1.2)
    use = ratio * gain <= kept * gain
    if not right:
        use = np.abs(ratio - 1) <= 0.01
    d = -1.0 * use * ratio * gain / len(x)
    return -np.minimum(ratio * gain, kept * gain).mean() + (p["w"] ** 2).sum(), {"w": x.T @ d + 2 * p["w"]}


def test_a_mask_that_is_0_where_the_derivative_is_not_is_told_and_no_term_as_left_out() -> None:
    p, gain = {"w": draw(size=4)}, draw(size=6)
    assert check(lambda q, x, k: clipped(q, x, k, right=True), p, X, gain).certified
    result = check(lambda q, x, k: clipped(q, x, k, right=False), p, X, gain)
    (fault,) = result.faults
    assert lines(result)[0].startswith("use = np.abs")
    assert fault.causes[0].startswith("use (test_check_suspects.py:")
    assert "elements, at which the derivative is not (proof: a product with it is 0 there)" in fault.causes[0]
    assert "left out" not in str(result)


def test_a_value_that_is_called_after_its_derivative_is_right_and_the_step_is_missing_behind_it() -> None:
    def mine(p: Any, x: Any, t: Any) -> Any:
        z = x @ p["W"]
        s = z * p["g"]
        e = np.tanh(s) - t
        ds = 2 * e * (1 - np.tanh(s) ** 2)
        dz = ds  # the mistake: ds * p["g"]
        return (e**2).sum(), {"W": x.T @ dz, "g": (ds * z).sum(0)}

    result = check(mine, {"W": W, "g": draw(size=3)}, X, T)
    assert result.faults[0].lacking == "before"
    assert lines(result) == ['return (e**2).sum(), {"W": x.T @ dz, "g": (ds * z).sum(0)}']
    assert "missing at or before     test_check_suspects.py:" in str(result)
    assert any(r.line.source.startswith("ds = ") for r in result.faults[0].right)


def with_a_rest(shown: Any) -> Checked:
    """A sum that lacks a term, which is at hand; shown: what else is done with it."""

    def mine(p: Any, x: Any, t: Any) -> Any:
        h = np.tanh(x @ p["W"])
        u = h @ p["V"]
        e, f = u - t, h - t
        du = 2 * e
        skip = 2 * f
        extra = shown(skip)
        dh = du @ p["V"].T
        dh = dh + 0  # the mistake: + skip
        dz = dh * (1 - h * h)
        return (e**2).sum() + (f**2).sum() + extra, {"W": x.T @ dz, "V": h.T @ du}

    return check(mine, {"W": W, "V": draw(size=(3, 3))}, X, T)


def test_of_a_sum_that_lacks_a_term_the_range_is_told_and_what_is_left_over() -> None:
    result = with_a_rest(lambda _: 0.0)
    assert result.faults[0].lacking == "behind"
    assert lines(result)[0] == 'dh = du @ p["V"].T'
    assert "up to    test_check_suspects.py:" in str(result)
    assert "with skip (test_check_suspects.py:" in result.faults[0].note
    assert "added it would be right, and nothing uses that" in result.faults[0].note


def test_lines_of_which_each_may_be_right_are_no_wrong_ones_where_a_term_is_left_out() -> None:
    def hinge(w: Any, x: Any, y: Any) -> Any:
        loss, dw = 0.0, np.zeros_like(w)
        for a, k in zip(x, y, strict=True):
            scores = a @ w
            for j in range(w.shape[1]):
                margin = scores[j] - scores[k] + 1
                if j != k and margin > 0:
                    loss += margin
                    dw[:, j] += a
                    # the mistake: dw[:, k] -= a
        dw /= len(x)
        return loss / len(x) + 0.1 * (w**2).sum(), dw + 0.2 * w

    result = check(hinge, W, X, np.array([0, 1, 2, 0, 1, 2]))
    assert result.faults[0].lacking == "behind"
    assert lines(result)[0] == "dw[:, j] += a"


def added(total: Any, d: Any) -> float:
    total += d
    return 0.0


@pytest.mark.parametrize(
    "shown", [lambda d: np.sign(d).sum(), lambda d: (d > 0).sum() * 0.0, lambda d: added(np.zeros_like(d), d)]
)
def test_what_anything_uses_is_not_told_as_what_nothing_uses(shown: Any) -> None:
    assert "nothing uses that" in str(with_a_rest(lambda _: 0.0))
    result = with_a_rest(shown)
    assert result.verdict == "refuted"
    assert "nothing uses" not in str(result)


def test_an_array_that_is_added_to_in_place_is_used_by_what_reads_it() -> None:
    """A convolution in time with a skip: da2 is all that dxp holds behind the padding."""

    def causal(x: Any, W: Any) -> Any:
        xp = np.pad(x, ((2, 0), (0, 0)))
        return xp[: len(x)] @ W[0] + xp[2:] @ W[1], xp

    def back(dy: Any, xp: Any, W: Any) -> Any:
        dW, dxp = np.zeros_like(W), np.zeros_like(xp)
        for k in range(2):
            dW[k] = xp[2 * k : 2 * k + len(dy)].T @ dy
            dxp[2 * k : 2 * k + len(dy)] += dy @ W[k].T
        return dxp[2:], dW

    def mine(p: Any, x: Any, t: Any) -> Any:
        z1, xp1 = causal(x, p["W1"])
        a1 = np.maximum(z1, 0)
        z2, xp2 = causal(a1, p["W2"])
        y, xp3 = causal(a1 + np.maximum(z2, 0), p["W3"])
        da2, dW3 = back(2 * (y - t), xp3, p["W3"])
        da1, dW2 = back(da2 * (z2 > 0), xp2, p["W2"])
        _, dW1 = back(da1 * (z1 > 0), xp1, p["W1"])  # the mistake: da1 + da2
        return ((y - t) ** 2).sum(), {"W1": dW1, "W2": dW2, "W3": dW3}

    p = {"W1": draw(size=(2, 4, 3)), "W2": draw(size=(2, 3, 3)), "W3": draw(size=(2, 3, 3))}
    result = check(mine, p, X, T)
    assert result.verdict == "refuted"
    assert "nothing uses" not in str(result)


def test_what_we_make_ourselves_for_a_layer_is_not_told_as_what_nothing_uses() -> None:
    def forward(x: Any, w: Any) -> Any:
        return x, x @ w, (x, w)

    def backward(dx: Any, dy: Any, cache: Any) -> Any:
        del dx  # the mistake
        x, w = cache
        return dy @ w.T, x.T @ dy

    result = check_layer(forward, backward, X, W, outputs=2)
    assert result.verdict == "refuted"
    assert "nothing uses" not in str(result)


def test_what_is_due_of_a_term_is_not_told_as_due_of_its_line() -> None:
    """Contrastive loss: dd is the derivative by d, and only its second term is one by 1 - d."""

    def mine(p: Any, x: Any, same: Any) -> Any:
        e = x @ p["W"]
        d = np.sqrt((e**2).sum(axis=1) + 1)
        room = np.maximum(0, 4 - d)
        dd = (same * d - (1 - same) * d) / len(x)  # the mistake: (1 - same) * room
        de = (dd / d)[:, None] * e
        return (same * d**2 + (1 - same) * room**2).mean() / 2, {"W": x.T @ de}

    result = check(mine, {"W": W / 2}, X, np.array([1, 0, 0, 1, 0, 1]))
    assert lines(result)[0].startswith("dd = ")
    assert "dL/d 4 - d" not in str(result)
