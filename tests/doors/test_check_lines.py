"""Which line is told, and what is said beside a cause, where a loop adds up or a division comes last."""

from typing import Any

import numpy as np
import pytest

from torch_mirror import Checked, check
from torch_mirror.reports import derivatives
from torch_mirror.tape import blame, causes

draw = np.random.default_rng(0).normal
P = {"W": draw(size=(4, 3)), "b": draw(size=3), "V": draw(size=(3, 2))}
X, T = draw(size=(7, 4)), draw(size=(7, 2))


def text(result: Checked) -> str:
    return "\n".join(derivatives.lines(result.rows, result.faults, result.notes))


def per_sample(p: Any, xs: Any, ts: Any) -> Any:
    """The planted fault: db is that of the last sample."""
    loss, dW, dV, db = 0.0, np.zeros((4, 3)), np.zeros((3, 2)), np.zeros(3)
    for x, t in zip(xs, ts, strict=True):
        z = x @ p['W'] + p['b']  # noqa: Q000 - as the text below has it
        a = np.tanh(z)
        e = a @ p["V"] - t
        loss = loss + (e * e).sum()
        delta = (p["V"] @ (2 * e)) * (1 - a * a)
        dW, dV = dW + np.outer(x, delta), dV + np.outer(a, 2 * e)
        db = delta
    return loss / len(xs), {"W": dW / len(xs), "b": db / len(xs), "V": dV / len(xs)}


def test_of_a_sum_that_a_loop_forgets_the_share_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "BUDGET", 0.0)  # no edit makes a sum of one of its terms
    result = check(per_sample, P, X, T)
    (fault,) = result.faults
    assert fault.gradients == ("db",)
    assert [(right.line.source, right.name) for right in fault.right] == [('p["V"] @ (2 * e)', "a")]  # and not delta
    assert [line.source[:11] for line in fault.wrong][-1] == "return loss"
    assert "the share of one of the 7 times that x @ p['W'] + p['b']" in text(result)
    assert "those of the others are added nowhere" in text(result)


def test_where_other_gradients_lose_a_factor_is_told() -> None:
    def mine(p: Any, x: Any, t: Any) -> Any:
        n = len(x)
        a = np.tanh(x @ p["W"] + p["b"])
        e = a @ p["V"] - t
        dz = (2 * e @ p["V"].T) * (1 - a * a)
        dW = x.T @ dz / n
        return (e**2).sum() / n, {"W": dW, "b": dz.sum(0), "V": a.T @ (2 * e) / n}

    result = check(mine, P, X, T)
    (fault,) = result.faults
    assert fault.gradients == ("db",)
    assert "to the return; for other gradients it is at test_check_lines.py:" in fault.note


def test_names_of_a_number_that_are_less_simple_are_told() -> None:
    """3/2 is N / 2 for a batch of 3, and N / (N - 1), the mistake of a biased variance."""

    def mine(p: Any, x: Any) -> Any:
        d = x @ p
        return (d**2).sum() / len(x), 1.5 * x.T @ (2 * d) / len(x)

    result = check(mine, draw(size=(4, 2)), draw(size=(3, 4)))
    assert "a factor 1.5" in result.causes[0]
    assert "and less simple a factor" in result.causes[0]
    assert "x.shape[0]/(x.shape[0] - 1)" in result.causes[0]


def test_what_the_forward_makes_of_the_data_is_no_suspect() -> None:
    """np.pad is made of no parameter, and the same slice of it is taken in both passes: neither is what is wrong."""

    def convolution(p: Any, x: Any, t: Any) -> Any:
        padded = np.pad(x, 1)
        y = np.zeros(4)
        for i in range(4):
            piece = padded[i : i + 3]
            y[i] = (piece * p).sum()
        d, dp = 2 * (y - t), np.zeros(3)
        for i in range(4):
            piece = padded[i : i + 3]
            dp = d[i] * piece  # the mistake: it is not added up
        return ((y - t) ** 2).sum(), dp

    (fault,) = check(convolution, draw(size=3), draw(size=4), draw(size=4)).faults
    assert [line.source.split("#")[0].strip() for line in fault.wrong] == ["dp = d[i] * piece"]


def test_what_some_uses_add_is_not_told_as_the_derivative() -> None:
    """lv is used three times. The penalty's share of dL/d lv is known by its values, and is no multiple of dL/d lv."""

    def autoencoder(p: Any, x: Any, noise: Any) -> Any:
        n = len(x)
        lv = x @ p["W"]
        s = np.exp(0.5 * lv)
        loss = (((s * noise) ** 3).sum() - 0.5 * (lv - np.exp(lv)).sum()) / n
        dz = 3 * (s * noise) ** 2 / n
        dlv = dz * noise * s + 0.5 * (np.exp(lv) - 1) / n  # the mistake: 0.5 * s
        return loss, {"W": x.T @ dlv}

    result = check(autoencoder, {"W": P["W"]}, X, draw(size=(7, 3)))
    (fault,) = result.faults
    shares = [right for right in fault.right if right.name == "lv"]
    assert [right.line.source for right in fault.right] == ["dz * noise", "0.5 * (np.exp(lv) - 1) / n"]
    assert shares
    assert all(right.partial for right in shares)
    assert "= what some uses of lv (test_check_lines.py:" in text(result)
    assert ") add to dL/d lv" in text(result)
    assert "x dL/d lv" not in text(result)


def test_what_is_right_in_the_middle_of_a_line_excuses_none_before_it() -> None:
    """c - new is (1 - z)(c - before): so dz z is by chance what is due at the end of the line, behind dz z (1 - z)."""

    def gate(p: Any, x: Any, before: Any, t: Any) -> Any:
        z = 1 / (1 + np.exp(-(x @ p["W"])))
        c = np.tanh(x @ p["V"])
        new = (1 - z) * before + z * c
        dnew = 2 * (new - t)
        dz = dnew * (c - new)  # the mistake: c - before
        da = dz * z * (1 - z)
        return ((new - t) ** 2).sum(), {"W": x.T @ da, "V": x.T @ (dnew * z * (1 - c**2))}

    p = {"W": draw(size=(3, 2)), "V": draw(size=(3, 2))}
    (fault,) = check(gate, p, draw(size=(5, 3)), draw(size=(5, 2)), draw(size=(5, 2))).faults
    assert [line.source[:5] for line in fault.wrong] == ["dz = ", "da = "]
    assert [right.line.source[:7] for right in fault.right] == ["dnew = "]


# --- where nothing, or not all, can be told -------------------------------------------------------------------------


def attention(p: Any, x: Any, t: Any, masked: float = -np.inf) -> Any:
    """The planted fault: softmax's derivative without what is off its diagonal."""
    s = (x @ p["Q"]) @ x.T
    s = np.where(np.tril(np.ones(s.shape)) > 0, s, masked)
    e = np.exp(s - s.max(axis=1, keepdims=True))
    a = e / e.sum(axis=1, keepdims=True)
    o = a @ x
    da = 2 * (o - t) @ x.T
    ds = a * (1 - a) * da
    return ((o - t) ** 2).sum(), {"Q": x.T @ ds @ x}


def test_lines_and_causes_are_told_behind_a_mask_of_infinite_scores() -> None:
    p, x, t = {"Q": draw(size=(3, 3))}, draw(size=(5, 3)), draw(size=(5, 3))
    infinite, large = check(attention, p, x, t), check(lambda p, x, t: attention(p, x, t, -1e9), p, x, t)
    (fault,) = infinite.faults
    assert [line.source for line in fault.wrong] == ["ds = a * (1 - a) * da"]
    assert "the off-diagonal elements of softmax's derivative left out" in infinite.causes[0]
    assert fault.wrong == large.faults[0].wrong
    assert "mend the others" not in str(infinite)


def test_what_is_taken_as_given_is_called_as_it_is() -> None:
    """Piece by piece, as the radii are infinite end to end: where a piece starts is nothing that the code does."""

    def mine(p: Any, x: Any, t: Any) -> Any:
        s = np.where(np.tril(np.ones((5, 5))) > 0, (x @ p["Q"]) @ (x @ p["K"]).T, -np.inf)
        e = np.exp(s - s.max(axis=1, keepdims=True))
        a = e / e.sum(axis=1, keepdims=True)
        da = 2 * (a @ x - t) @ x.T
        ds = a * (da - (a * da).sum(axis=1, keepdims=True))
        return ((a @ x - t) ** 2).sum(), {"Q": x.T @ (ds @ (x @ p["K"])), "K": x.T @ (ds @ (x @ p["Q"]))}

    p = {"Q": draw(size=(3, 3)), "K": draw(size=(3, 3))}
    (cause,) = check(mine, p, draw(size=(5, 3)), draw(size=(5, 3))).causes
    assert cause.startswith("d((x @ Q) @ (x @ K).T) transposed"), cause


def test_what_went_through_whole_numbers_is_not_said_to_be_made_of_no_parameter() -> None:
    def mine(p: Any, x: Any) -> Any:
        e = x @ p
        return (e**2).sum(), (2 * x.T @ e).astype(int)

    (fault,) = check(mine, draw(size=3), draw(size=(5, 3))).faults
    assert "or by way of whole numbers (a cast to int" in fault.note


def test_the_line_that_calls_check_is_no_suspect() -> None:
    def mine(p: Any, x: Any) -> Any:
        e = x @ p
        d = 2 * x.T @ e
        return (e**2).sum(), d > 0

    (fault,) = check(mine, draw(size=3), draw(size=(5, 3))).faults
    assert [line.source for line in fault.wrong] == ["return (e**2).sum(), d > 0"]


def test_a_second_mistake_is_none_that_follows_from_the_first() -> None:
    """Of two calls of a layer the halves of db cancel, so that it is 0: the value that is wrong is by x @ W + b."""

    def embed(p: Any, x: Any) -> Any:
        return np.maximum(x @ p["W"] + p["b"], 0)

    def mine(p: Any, xa: Any, xb: Any, t: Any) -> Any:
        ha, hb = embed(p, xa), embed(p, xb)
        d = ha - hb - t
        da, db = d.copy(), -d
        da[ha <= 0] = 0
        db[ha <= 0] = 0  # the mistake: hb
        return (d**2).sum() / 2, {"W": xa.T @ da + xb.T @ db, "b": da.sum(0) + db.sum(0)}

    r = np.random.default_rng(0)
    p = {"W": r.normal(size=(3, 4)), "b": np.zeros(4)}
    (fault,) = check(mine, p, *(r.normal(size=s) for s in ((6, 3), (6, 3), (6, 4)))).faults
    assert fault.gradients == ("dW", "db")
    assert [line.source[:14] for line in fault.wrong] == ["db[ha <= 0] = "]
    assert len(fault.causes) == 1
    assert "of another call" in fault.causes[0]


def test_a_step_that_is_missing_is_at_the_last_right_line_or_behind_it() -> None:
    def mine(p: Any, x: Any) -> Any:
        q = np.exp(p["q"])
        e = x * q
        dq = (2 * e * x).sum()
        return (e**2).sum(), {"q": dq}  # the mistake: dq * q

    result = check(mine, {"q": 0.3}, X)
    assert [line.source[:5] for line in result.faults[0].wrong] == ["dq = "]
    assert "missing at or behind     test_check_lines.py:" in text(result)
    assert "wrong from" not in text(result)


def test_a_term_that_is_missing_is_behind_the_last_right_line() -> None:
    def mine(p: Any, x: Any, t: Any) -> Any:
        z = x @ p["W"]
        a = np.tanh(z)
        e = z + a - t
        dy = 2 * e
        da = dy * (1 - a * a)
        d = da  # the mistake: dy + da
        return (e**2).sum(), {"W": x.T @ d}

    result = check(mine, {"W": P["V"]}, X[:, :3], T)
    assert [line.source[:5] for line in result.faults[0].wrong] == ["da = ", "retur"]
    assert "missing at or behind     test_check_lines.py:" in text(result)


def recurrence(p: Any, x: Any) -> Any:
    h, hs = np.zeros(3), []
    for a in x:
        before = h
        h = np.tanh(p["W"] @ h + a)
        hs.append((before, h))
    dW, dh = 0 * p["W"], np.zeros_like(h)
    for before, h in reversed(hs):
        dz = (dh + 2 * h) * (1 - h * h)
        dW = dW + np.outer(dz, before)
        dh = p["W"] @ dz  # the mistake: W.T
    return sum((h * h).sum() for _, h in hs), {"W": dW}


def test_lines_have_a_budget_and_it_is_told_where_it_was_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    r = np.random.default_rng(0)
    p, x = {"W": 0.3 * r.normal(size=(3, 3))}, r.normal(size=(5, 3))
    assert check(recurrence, p, x).faults[0].wrong
    monkeypatch.setattr(blame, "SECONDS", -1.0)
    result = check(recurrence, p, x)
    assert result.verdict == "refuted"
    assert [fault.note for fault in result.faults] == [blame.LATE]
    assert not result.faults[0].wrong
