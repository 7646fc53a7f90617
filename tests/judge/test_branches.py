"""An open comparison hides what is behind it: a wrong gradient there is undecided, and told with the line."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reference import SGD, Experiment
from torch_mirror import session, verify
from torch_mirror.balls.cell import Ball
from torch_mirror.judge import hearing
from torch_mirror.judge.compare import Where, compare, tells
from torch_mirror.judge.findings import Findings, Row, merge
from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports.json import document, read


def same_numbers(pairs: Any, h: Any) -> Any:
    return pairs + 0.0 == h[..., None]  # of a sum that is still open, to which the 0 may belong


def differences(pairs: Any, h: Any) -> Any:
    return 1 - np.abs(np.sign(pairs - h[..., None]))


def doubled(pairs: Any, h: Any) -> Any:
    return ~np.logical_not(2 * pairs >= 2 * h[..., None])


def copied_signs(pairs: Any, h: Any) -> Any:
    return (1 + np.copysign(1.0, pairs - h[..., None])) / 2


def remainders(pairs: Any, h: Any) -> Any:
    return 1 - np.mod(pairs - h[..., None], 1e3) / 1e3


def floors(pairs: Any, h: Any) -> Any:
    return 1 + (pairs - h[..., None]) // 1e3


MASKS = {
    "==": same_numbers, "sign": differences, ">=": doubled, "copysign": copied_signs, "mod": remainders, "//": floors,
}  # fmt: skip
LINES = {name: mask.__code__.co_firstlineno + 1 for name, mask in MASKS.items()}


def pooled(seed: int, mask: str = "==") -> Experiment:
    """The larger of each pair of x W + b, and a sum of squares: which of them it is, is told by an open comparison."""
    draws = np.random.default_rng(seed)
    p = {"W": draws.normal(size=(5, 8)), "b": draws.normal(size=8)}
    x, t = draws.normal(size=(6, 5)), draws.normal(size=(6, 4))

    def mine(p: Any, x: Any, t: Any) -> Any:
        pairs = (x @ p["W"] + p["b"]).reshape(len(x), 4, 2)
        h = pairs.max(axis=-1)                                           # (6, 4)
        dh = 2 * (h - t) / h.size
        dz = (MASKS[mask](pairs, h) * dh[..., None]).reshape(len(x), 8)  # (6, 8)
        return ((h - t) ** 2).mean(), {"W": x.T @ dz, "b": dz.sum(axis=0)}

    return Experiment(mine, p, x, t, None, SGD(0.1), 3, name="pooled")


class Pooled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.W, self.b = (nn.Parameter(torch.zeros(*shape)) for shape in ((5, 8), (8,)))
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h: torch.Tensor = (x @ self.W + self.b).reshape(len(x), 4, 2).max(dim=-1).values
        if h.requires_grad:  # not where it is only looked at
            h.register_hook(lambda g: g * self.factor)  # type: ignore[no-untyped-call]  # torch has no types for it
        return h


def judged(seed: int, factor: float, mask: str = "==") -> Certificate:
    def by_torch(e: Any) -> Any:
        module = Pooled(factor).double()
        return session(e, module, {n: n for n in "Wb"}, nn.MSELoss(), torch.optim.SGD(module.parameters(), lr=0.1))

    return verify(pooled(seed, mask), using=by_torch, explain=False)


def told(c: Certificate) -> str:
    return " ".join(note for note in c.notes if note.startswith("open comparison: "))


@pytest.mark.parametrize("seed", range(3, 7))
@pytest.mark.parametrize("factor", [1.5, 0.5, 1 + 1e-6])
def test_a_wrong_gradient_behind_an_open_comparison_is_undecided(seed: int, factor: float) -> None:
    c = judged(seed, factor)
    assert c.verdict == "vacuous"
    assert c.undecided == ("dW", "db")
    assert f"open comparison: tests/judge/test_branches.py:{LINES['==']} hides dW, db" in told(c)
    assert read(document([c], {}, {})) == [c]


@pytest.mark.parametrize("mask", [">=", "sign", "copysign", "mod", "//"])
def test_other_marks_are_told_as_well(mask: str) -> None:
    c = judged(3, 1.5, mask)
    assert c.verdict == "vacuous"
    assert f"test_branches.py:{LINES[mask]} hides" in told(c)


@pytest.mark.parametrize("seed", range(8))
def test_a_right_gradient_is_certified_or_told_with_the_line(seed: int) -> None:
    c = judged(seed, 1.0)
    assert c.first is None
    assert c.verdict == "certified" or f"test_branches.py:{LINES['==']} hides" in told(c)
    assert (c.verdict == "certified") == (told(c) == "")


def test_as_the_reference_branches_it_is_right() -> None:
    assert judged(3, 1.0).verdict == "certified"


def test_without_a_look_at_the_branches_it_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "judge_branches", lambda _e, _sample, found, **_: found)
    assert judged(3, 1.5).verdict == "certified"


# --- which entries tell -------------------------------------------------------------------------------------------


def telling(seen: Any, centre: Any, radius: Any) -> bool:
    """Whether some of the entries tells, as it is known when all radii are, and when they are asked for."""
    values, ball = np.array(seen, float), Ball(np.array(centre, float), np.array(radius, float))
    where = Where("dW", "torch", "local", range(len(values)))
    by_all = tells(values, ball, where, ball.slack * np.broadcast_to(ball.radius, values.shape))
    assert by_all == tells(values, ball, where)
    (row,) = compare(values, ball, where).rows
    assert (row.open_at is None) == by_all
    return by_all


def test_an_entry_tells_where_twice_and_half_would_be_seen_of_most_elements() -> None:
    one = [1.0, 1.0, 1.0, 1.0]
    off = [1.1, 1.1, 1.1, 1.1]
    assert telling([off], [one], 0.24)                               # R = 2: half of 1 is just outside
    assert not telling([off], [one], 0.26)
    assert telling([off], [one], [[0.2, 0.2, 0.2, 9.0]])
    assert not telling([off], [one], [[0.2, 0.2, 9.0, 9.0]])         # half of them are not most
    assert telling([off, off], [one, one], [[9.0], [0.1]])           # one step is enough
    assert telling([one], [one], 9.0)                                # equal to the last bit
    assert not telling([[1.1, 1.1, 0.0, 0.0]], [[1.0, 1.0, 0.0, 0.0]], 9.0)  # zeros tell of nothing
    assert not telling([[0.0] * 4, off], [[0.0] * 4, one], 9.0)      # nor does a step of zeros
    assert not telling([[0.5] * 4], [[0.0] * 4], 9.0)                # torch has something where all may be
    assert telling([[0.0] * 4], [[0.0] * 4], 9.0)                    # 0 throughout: said elsewhere


def test_a_step_that_tells_is_enough_and_places_are_kept() -> None:
    def row(open_at: str | None) -> Row:
        return Row("dW", "local", "torch", 1, 4, open_at=open_at)

    def merged(*rows: Row) -> Row:
        return merge(Findings((one,)) for one in rows).rows[0]

    assert merged(row(""), row(None), row("net.py:3")).open_at is None
    assert merged(row(""), row("net.py:3")).open_at == "net.py:3"
    assert not merged(row(""), row("net.py:3")).decides
    assert merged(row(""), row("")).decides
    assert Findings((row(""),)).untold == ("dW",)
    assert Findings((row(""),)).undecided == ()
