"""Of a sum that is wrong the line of the wrong addend is told, and no right one."""

from typing import Any

import numpy as np

from torch_mirror import Checked, check

draw = np.random.default_rng(5).normal
X, T = draw(size=(6, 4)), draw(size=(6, 3))
W = draw(size=(4, 3))


def first_wrong(result: Checked) -> str:
    """Of the first fault."""
    return result.faults[0].wrong[0].source.partition("  #")[0]


def test_a_term_divided_by_another_number_than_the_other_one_is_told_where_it_is() -> None:
    def mine(w: Any, x: Any, t: Any, reg: float) -> Any:
        loss, dw = 0.0, np.zeros_like(w)
        for a, b in zip(x, t, strict=True):
            e = a @ w - b
            loss += (e**2).sum()
            dw += np.outer(a, 2 * e)
        dw /= w.shape[1]  # the mistake: len(x)
        dw += 2 * reg * w
        return loss / len(x) + reg * (w**2).sum(), dw

    result = check(mine, W, X, T, 0.3)
    assert first_wrong(result) == "dw /= w.shape[1]"
    assert "6 = N (the batch) x what some uses of w add to dL/d w" in str(result)
    assert "dw += 2 * reg * w" in [right.line.source for right in result.faults[0].right]


def test_a_pooling_whose_step_back_forgets_its_number_is_told_and_not_what_came_before() -> None:
    """The sum inside of np.mean is nobody's value: what is due there is the mean's derivative, and it is right."""

    def pool(h: Any) -> Any:
        return h.reshape(6, 2, 2).mean(-1)

    def mine(p: Any, x: Any, t: Any, s: Any) -> Any:
        h = np.tanh(x @ p["W"])
        pooled = np.tanh(pool(h))
        e, f = pooled @ p["V"] - t, h - s
        dpooled = 2 * e @ p["V"].T * (1 - pooled**2)
        spread = np.repeat(dpooled, 2, axis=1)  # the mistake: / 2
        dh = 2 * f
        dh = dh + spread
        return (e**2).sum() + (f**2).sum(), {"W": x.T @ (dh * (1 - h * h)), "V": pooled.T @ (2 * e)}

    p = {"W": draw(size=(4, 4)), "V": draw(size=(2, 3))}
    result = check(mine, p, X, T, draw(size=(6, 4)))
    assert first_wrong(result) == "spread = np.repeat(dpooled, 2, axis=1)"
    assert "dpooled = 2 * e @ p[" in str(result)


def test_a_mask_that_one_addend_lacks_is_missing_behind_that_addend() -> None:
    def mine(p: Any, x: Any, mask: Any) -> Any:
        h = np.tanh(x @ p["W"])
        kept = h * mask
        loss = (kept**3).sum() + (h**2).sum()
        dkept = 3 * kept**2
        both = 2 * h
        dh = dkept + both  # the mistake: dkept * mask
        return loss, {"W": x.T @ (dh * (1 - h * h))}

    result = check(mine, {"W": W}, X, np.abs(T))
    assert result.faults[0].lacking
    assert first_wrong(result) == "dkept = 3 * kept**2"


def test_what_others_take_rightly_is_no_suspect_where_one_sum_takes_it_wrongly() -> None:
    def mine(p: Any, x: Any) -> Any:
        h = np.tanh(x @ p["W"])
        scaled = h * p["s"]
        loss = (scaled**3).sum() + (h**2).sum()
        dscaled = 3 * scaled**2
        ds = (dscaled * h).sum(0)
        dh = 2 * h + dscaled  # the mistake: dscaled * p["s"]
        return loss, {"W": x.T @ (dh * (1 - h * h)), "s": ds}

    result = check(mine, {"W": W, "s": draw(size=3)}, X)
    assert first_wrong(result) == "dh = 2 * h + dscaled"


def test_shares_of_two_losses_that_meet_at_the_logits_are_known_as_right() -> None:
    """dz is right before the last line adds to it: as what the first loss adds, through the softmax.

    There are more values of shape (N,) than are tried, and none of them is wrong.
    """

    def mine(p: Any, x: Any, k: Any, gain: Any, old: Any, aim: Any) -> Any:
        n, i = len(x), np.arange(len(x))
        h = np.tanh(x @ p["W"])
        z, v = h @ p["V"], h @ p["u"]
        lp = z - z.max(1, keepdims=True)
        lp = lp - np.log(np.exp(lp).sum(1, keepdims=True))
        q = np.exp(lp)
        ratio = np.exp(lp[i, k] - old)
        clipped = np.clip(ratio, 0.8, 1.2)
        least = np.minimum(ratio * gain, clipped * gain)
        ent = -(q * lp).sum(1)
        loss = -least.mean() + 0.5 * ((v - aim)**2).mean() - 0.01 * ent.mean()
        dlogp = -1.0 * (ratio * gain <= clipped * gain) * ratio * gain / n
        dz = -dlogp[:, None] * q
        dz[i, k] += dlogp
        dz += 0.01 / n * q * lp  # the mistake: (lp + ent[:, None])
        dv = (v - aim) / n
        dh = dz @ p["V"].T + np.outer(dv, p["u"])
        return loss, {"W": x.T @ (dh * (1 - h * h)), "V": h.T @ dz, "u": h.T @ dv}

    p = {"W": draw(size=(3, 5)), "V": draw(size=(5, 4)), "u": draw(size=5)}
    data = draw(size=(9, 3)), np.arange(9) % 4, draw(size=9), np.log(np.linspace(0.1, 0.5, 9)), draw(size=9)
    result = check(mine, p, *data)
    (fault,) = result.faults
    assert fault.gradients == ("dW", "dV"), str(result)
    assert first_wrong(result) == "dz += 0.01 / n * q * lp"
    assert "dz[i, k]" in [right.line.source for right in fault.right]
