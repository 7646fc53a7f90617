"""Comparisons of an element with its copy: decided, and in every evaluation as the mask says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reference import SGD, Experiment
from reference.arrays import Array
from torch_mirror import session, verify
from torch_mirror.balls import sameness
from torch_mirror.balls.cell import Ball

PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "max": lambda x: x == x.max(axis=-1, keepdims=True),
    "max of all": lambda x: x == x.max(),
    "max over two axes": lambda x: x == x.max(axis=(0, 2), keepdims=True),
    "not max": lambda x: x != x.max(axis=-1)[..., None],
    "below max": lambda x: x < x.max(axis=-1, keepdims=True),
    "max at least": lambda x: x.max(axis=1, keepdims=True) <= x,
    "min": lambda x: x == x.min(axis=-1, keepdims=True),
    "views": lambda x: x.reshape(-1, 2, 2) == x.reshape(-1, 2, 2).max(axis=(1, 2))[:, None, None],
    "another view": lambda x: x.reshape(x.shape[0], -1).max(axis=1) == x.reshape(x.shape[0], -1).T,
    "repeated": lambda x: x.ravel() == np.repeat(x.max(axis=-1).ravel(), x.shape[-1]),
    "maximum": lambda x: np.maximum(x[0], x[1]) == x[0],
    "minimum": lambda x: np.minimum(x[0], x[1]) == x[1],
    "clip": lambda x: np.clip(x, -0.5, 0.5) == x,
    "max of maxima": lambda x: x == x.max(axis=1, keepdims=True).max(axis=2, keepdims=True),
    "a copy": lambda x: x == x.copy(),
    "stacked": lambda x: np.stack([x[0], x[1]]) == np.maximum(x[0], x[1]),
    "joined": lambda x: np.concatenate([x[0], x[1]], axis=1) == np.concatenate([x[0], x[1]], axis=1).max(axis=0),
    "padded": lambda x: np.pad(x, ((0, 0), (1, 1), (0, 0))) == x.max(axis=1, keepdims=True),
}


def drawn(draws: np.random.Generator) -> tuple[Array, Array]:
    """Values close to each other, some equal, and radii of their distances; some are 0."""
    value = draws.integers(-3, 4, (3, 4, 2)) / 4
    radius = draws.choice([0.0, 2.0**-40, 0.06, 0.125, 0.3], (3, 4, 2), p=[0.1, 0.6, 0.1, 0.1, 0.1])
    return value, radius


def wrong(program: Callable[[Any], Any], seed: int) -> tuple[int, int]:
    """How many outcomes are decided, and how many of them are others in some evaluation: its ends, mostly."""
    draws = np.random.default_rng(seed)
    value, radius = drawn(draws)
    x: Any = Ball(value, radius)
    mask = program(x)
    decided, expected = ~mask.open, np.asarray(mask.value)
    other = np.zeros(mask.shape, bool)
    for _ in range(60):
        way = draws.choice([-1.0, 1.0, 0.0, draws.uniform(-1, 1)], value.shape)
        other |= np.asarray(program(value + way * x.slack * radius)) != expected
    return int(decided.sum()), int((other & decided).sum())


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_decided_is_so_in_every_evaluation(name: str) -> None:
    found = [wrong(PROGRAMS[name], seed) for seed in range(40)]
    assert sum(decided for decided, _ in found) > 40
    assert sum(others for _, others in found) == 0


@pytest.mark.parametrize("hole", ["largest_of", "above", "finite"])
def test_a_hole_is_found(hole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest by its centre, one of several that may be, and numbers that may overflow."""
    from torch_mirror.balls.rules import choices

    def by_centre(x: Any, axis: Any, *, keepdims: bool) -> Any:
        def pick(at: Array) -> Array:
            top = x.value == x.value.max(axis, keepdims=True)
            return np.asarray(np.where(top, at, 0).max(axis, keepdims=keepdims))

        return pick

    if hole == "finite":
        x: Any = Ball(np.array([1.0, 2.0]), np.array([0.0, np.inf]))
        assert (x == x.copy()).open.tolist() == [False, True]  # inf - inf may be NaN, which is not equal to itself
        monkeypatch.setattr(sameness, "np", Finite())
        assert not (x == x.copy()).open.any()
        return
    monkeypatch.setattr(choices, hole, {"largest_of": by_centre, "above": lambda *_: lambda at: at}[hole])
    name = "max" if hole == "largest_of" else "maximum"
    assert sum(wrong(PROGRAMS[name], seed)[1] for seed in range(40)) > 0


class Finite:
    """NumPy, to which everything is finite."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name) if name != "isfinite" else lambda _: True


def test_the_largest_is_marked_and_ties_are_open() -> None:
    tiny = np.full(4, 2.0**-40)
    for values, expected in (
        ([1.0, 2.0, 3.0, 0.0], [False] * 4),
        ([1.0, 3.0, 3.0, 0.0], [False, True, True, False]),
        ([3.0, 3.0 + 2.0**-41, 1.0, 0.0], [True, True, False, False]),
    ):
        x: Any = Ball(np.array(values), tiny)
        assert (x == x.max()).open.tolist() == expected
    x = Ball(np.array([1.0, np.nan, 3.0, 0.0]), tiny)
    assert (x == x.max()).open.any()


@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
def test_an_infinity_that_may_be_any_number_may_be_the_largest_and_the_smallest(infinity: float) -> None:
    x: Any = Ball(np.array([infinity, 0.5, 1.25]), np.array([np.inf, 2.0**-40, 0.0625]))
    with np.errstate(invalid="ignore"):
        for mask in (x == x.max(), x == x.min()):
            assert mask.open[0]
            assert mask.open[1:].any() or not np.asarray(mask.value)[1:].any()
        ordered: Any = np.sort(x)
        middle: Any = np.median(x)
        assert (ordered.radius == np.inf).all()
        assert middle.radius == np.inf


def test_what_is_computed_anew_is_no_copy() -> None:
    draws = np.random.default_rng(0)
    a, w = Ball(draws.normal(size=(2, 3))), Ball(draws.normal(size=(3, 2)))
    assert ((a @ w) == (a @ w).max(axis=1, keepdims=True)).open.any()


def test_a_loop_of_many_maxima_costs_no_more_than_its_turns() -> None:
    x: Any = Ball(np.arange(3000.0) % 7, np.full(3000, 2.0**-40))
    largest = x[0]
    for i in range(1, 300):
        largest = np.maximum(largest, x[i])
        largest = np.maximum(largest, largest)
    assert (x[299] == largest).open is not None


def test_a_window_of_many_by_a_running_maximum() -> None:
    draws = np.random.default_rng(0)
    x: Any = Ball(draws.normal(size=(16, 20)), np.full((16, 20), 2.0**-40))
    largest = x[0]
    for i in range(1, 16):
        largest = np.maximum(largest, x[i])
    assert not (x == largest).open.any()


# --- a pooling by hand ----------------------------------------------------------------------------------------


def pooled(factor: float) -> Experiment:
    """x W + b, the larger of each pair, and a sum of squares; nothing is sown but the gradients."""
    draws = np.random.default_rng(1)
    p = {"W": draws.normal(size=(5, 8)), "b": draws.normal(size=8), "V": draws.normal(size=(4, 2))}
    x, t = draws.normal(size=(6, 5)), draws.normal(size=(6, 2))

    def mine(p: Any, x: Any, t: Any) -> Any:
        pairs = (x @ p["W"] + p["b"]).reshape(len(x), 4, 2)
        h = pairs.max(axis=-1)                                     # (6, 4)
        d = h @ p["V"] - t                                         # (6, 2)
        dy = 2 * d / d.size
        dh = dy @ p["V"].T * factor
        dz = ((pairs == h[..., None]) * dh[..., None]).reshape(len(x), 8)
        return (d**2).mean(), {"W": x.T @ dz, "b": dz.sum(axis=0), "V": h.T @ dy}

    return Experiment(mine, p, x, t, None, SGD(0.1), 3, name="pooled")


class Pooled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.W, self.b, self.V = (nn.Parameter(torch.zeros(*shape)) for shape in ((5, 8), (8,), (4, 2)))
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = (x @ self.W + self.b).reshape(len(x), 4, 2).max(dim=-1).values
        if h.requires_grad:  # not where it is only looked at
            h.register_hook(lambda g: g * self.factor)  # type: ignore[no-untyped-call]  # torch has no types for it
        return h @ self.V


def certified(factor: float, of_torch: float) -> Any:
    def by_torch(e: Any) -> Any:
        module = Pooled(of_torch).double()
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        return session(e, module, {name: name for name in "WbV"}, nn.MSELoss(), optimizer)

    return verify(pooled(factor), using=by_torch)


def test_a_pooling_by_hand_is_judged_finely(monkeypatch: pytest.MonkeyPatch) -> None:
    c = certified(1.0, 1.0)
    assert c.verdict == "certified"
    assert max(c.resolutions.values()) < 1e-9
    monkeypatch.setattr(sameness, "SOURCES", 1)
    assert max(certified(1.0, 1.0).resolutions.values()) > 1


@pytest.mark.parametrize(("factor", "of_torch"), [(1.0, 1 + 1e-6), (1 + 1e-6, 1.0)])
def test_a_factor_behind_a_pooling_is_refuted(factor: float, of_torch: float) -> None:
    c = certified(factor, of_torch)
    assert c.first is not None
    assert c.first.tensor in ("dW", "db")
