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


def test_a_mean_whose_step_back_forgets_its_number_is_told_and_not_what_came_before() -> None:
    def mine(p: Any, x: Any, t: Any) -> Any:
        h = np.tanh(x @ p["W"])
        m = h.mean(0)
        e = h * m - t
        dprod = 2 * e / e.size
        dm = (dprod * h).sum(0)
        spread = np.ones_like(h) * dm  # the mistake: / len(h)
        dh = dprod * m
        dh = dh + spread
        return (e**2).mean(), {"W": x.T @ (dh * (1 - h * h))}

    assert first_wrong(check(mine, {"W": W}, X, T)) == "spread = np.ones_like(h) * dm"


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
    """dz is right before the second line adds to it: as what the first loss adds, through the softmax."""

    def mine(p: Any, x: Any, k: Any) -> Any:
        n, i = len(x), np.arange(len(x))
        z = x @ p["W"]
        q = np.exp(z - z.max(1, keepdims=True))
        q = q / q.sum(1, keepdims=True)
        lp = np.log(q)
        ent = -(q * lp).sum(1)
        loss = -lp[i, k].mean() - 0.1 * ent.mean()
        dz = q / n
        dz[i, k] -= 1 / n
        dz += 0.1 / n * q * lp  # the mistake: (lp + ent[:, None])
        return loss, {"W": x.T @ dz}

    result = check(mine, {"W": W}, X, np.array([0, 2, 1, 1, 0, 2]))
    assert first_wrong(result) == "dz += 0.1 / n * q * lp"
    assert "what some uses of" in str(result)
