"""The commonest mistakes in backward passes: each is named by the edit that is proven, and by no other one."""

from typing import Any

import numpy as np
import pytest

from torch_mirror import Checked, check

draw = np.random.default_rng(11).normal
X = draw(size=(6, 4))


def cause(result: Checked) -> str:
    (one,) = result.causes
    return one.partition(" (proof")[0]


@pytest.mark.parametrize(("flipped", "told"), [(False, ""), (True, "in reverse order, as of a flipped kernel")])
def test_a_flipped_kernel(flipped: bool, told: str) -> None:  # noqa: FBT001 - a case
    def mine(p: Any, x: Any, t: Any) -> Any:
        h = np.tanh(x @ p["W"])                # (6, 7)
        y = np.zeros((6, 5))
        for k in range(3):
            y = y + h[:, k:k + 5] * p["c"][k]
        e = y - t
        dy = 2 * e / e.size
        dh, dc = np.zeros_like(h), np.zeros(3)
        for k in range(3):
            dh[:, k:k + 5] += dy * p["c"][2 - k if flipped else k]
            dc[k] = (h[:, k:k + 5] * dy).sum()
        return (e**2).mean(), {"W": x.T @ (dh * (1 - h * h)), "c": dc}

    result = check(mine, {"W": draw(size=(4, 7)), "c": draw(size=3)}, X, draw(size=(6, 5)))
    assert result.certified is not flipped
    assert not flipped or cause(result) == f"the 3 slices of h taken back {told}, in each turn"


def test_a_mean_for_one_of_the_sums_over_several_axes() -> None:
    """Two layers of different lengths: no one factor explains both."""

    def mine(p: Any, x: Any, t: Any) -> Any:
        def bias(d: Any) -> Any:
            return d.mean(axis=2).sum(axis=0)  # the mistake: sum

        def add(z: Any, b: Any) -> Any:
            return z + b[None, :, None]

        h = np.tanh(add(x, p["a"]))            # (3, 2, 8)
        m = h.reshape(3, 2, 4, 2).sum(-1)      # (3, 2, 4)
        e = add(m, p["b"]) - t
        dm = 2 * e
        dh = np.repeat(dm, 2, axis=2) * (1 - h * h)
        return (e**2).sum(), {"a": bias(dh), "b": bias(dm)}

    result = check(mine, {"a": draw(size=2), "b": draw(size=2)}, draw(size=(3, 2, 8)), draw(size=(3, 2, 4)))
    assert "mean for sum over axis 2 in d(" in cause(result)
    assert cause(result).endswith(", each time")


def test_a_penalty_that_is_forgotten_is_left_out_and_has_no_turned_sign() -> None:
    """v @ v has two halves; one with its sign turned cancels the other, and gives the same numbers."""

    def mine(p: Any, x: Any, t: Any) -> Any:
        loss, du = 0.0, np.zeros_like(p["u"])
        for i, a, b in zip((0, 1, 0), x, t, strict=False):
            v = p["u"][i]
            e = v @ a - b
            loss += e**2 + 0.3 * (v @ v)
            du[i] += 2 * e * a  # the mistake: + 0.3 * 2 * v
        return loss, {"u": du}

    result = check(mine, {"u": draw(size=(2, 4))}, X, draw(size=6))
    assert cause(result) == "the term of v @ v left out, in each turn"


def test_a_sign_that_is_turned_is_told_as_that() -> None:
    def mine(p: Any, x: Any, t: Any) -> Any:
        d = np.sqrt((x @ p["W"])**2 + 1)
        gap = 2 - d
        dd = t * d + gap  # the mistake: - gap
        return 0.5 * (t * d**2).sum() + 0.5 * (gap**2).sum(), {"W": x.T @ (dd * (x @ p["W"]) / d)}

    result = check(mine, {"W": draw(size=(4, 3))}, X, np.abs(draw(size=(6, 3))))
    assert "a factor -1 at " in cause(result)


def test_the_mask_of_another_value_that_is_0_itself_at_some_places() -> None:
    def mine(p: Any, x: Any, t: Any) -> Any:
        z = x @ p["W"]
        h = np.maximum(z, 0)
        g = h * np.array([1.0, 0.0, 1.0])  # 0 as well, where z is not
        e = g + h - t
        dh = 2 * e * np.array([2.0, 1.0, 2.0])
        return (e**2).sum(), {"W": x.T @ (dh * (g > 0))}  # the mistake: z

    result = check(mine, {"W": draw(size=(4, 3))}, X, draw(size=(6, 3)))
    assert cause(result) == "mask of g for (z > 0)"


def test_of_the_two_terms_that_are_left_out_together_the_one_that_matters_is_told() -> None:
    """The share of q log q through q is 0 behind a softmax; that it is missing as well is no cause."""

    def mine(p: Any, x: Any, k: Any) -> Any:
        n, i = len(x), np.arange(len(x))
        z = x @ p["W"]
        lp = z - np.log(np.exp(z).sum(1, keepdims=True))
        q = np.exp(lp)
        ent = -(q * lp).sum(1)
        loss = -lp[i, k].mean() - 0.1 * ent.mean()
        dz = 0.1 / n * q * (lp + ent[:, None])  # the mistake: the first loss has no share
        return loss, {"W": x.T @ dz}

    told = cause(check(mine, {"W": draw(size=(4, 3))}, X, np.array([0, 2, 1, 1, 0, 2])))
    assert told.startswith("term d(lp[i, k]) left out of "), told


def test_a_number_that_the_forward_makes_of_the_data_has_its_name() -> None:
    """5 samples of 7 count, and there are 5 outputs as well: which one it is these numbers do not tell."""

    def mine(p: Any, x: Any, t: Any, mask: Any) -> Any:
        e = (x @ p["W"] - t) * mask[:, None]
        return (e**2).sum() / mask.sum(), {"W": 2 * x.T @ e / len(x)}  # the mistake: mask.sum()

    mask = np.array([1.0, 1, 0, 1, 0, 1, 1])
    result = check(mine, {"W": draw(size=(4, 5))}, draw(size=(7, 4)), draw(size=(7, 5)), mask)
    assert "a factor 0.7142857 (here (mask.sum() or " in cause(result), result.causes
