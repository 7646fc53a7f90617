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
from torch_mirror.balls import masks, sameness
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import own_ids
from torch_mirror.balls.rules import choices, elementwise, order


def assigned(x: Any) -> Any:
    """The largest of each pair, one by one into an array; the pairs against it."""
    out = np.zeros_like(x[..., 0])
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j].max()
    return x == out[..., None]


def added(x: Any) -> Any:
    """The same, added to zeros."""
    out = np.zeros_like(x[..., 0])
    for i in range(x.shape[0]):
        out[i] += x[i].max(axis=-1)
    return x == out[..., None]


def into(ufunc: Any) -> Callable[[Any], Any]:
    def program(x: Any) -> Any:
        out = x[0].copy()
        ufunc(out, x[1], out=out)
        return x == out

    return program


def windows(x: Any) -> Any:
    """A pooling by strides, whose mask is written back into where the windows are."""
    mask = np.zeros_like(x[..., 0])
    for i in range(0, x.shape[1], 2):
        window = x[:, i : i + 2, 0]
        mask[:, i : i + 2] = (window == window.max(axis=1, keepdims=True)) * 1.0
    return mask == 1.0


def padded(x: Any) -> Any:
    """Several of what may be the largest are copies of one."""
    wide = np.pad(x, ((0, 0), (2, 1), (0, 0)), "edge")
    return wide == wide.max(axis=1, keepdims=True)


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
    "fmax": lambda x: np.fmax(x[0], x[1]) == x,
    "fmin": lambda x: np.fmin(x[0], x[1]) == x,
    "clip": lambda x: np.clip(x, -0.5, 0.5) == x,
    "max of maxima": lambda x: x == x.max(axis=1, keepdims=True).max(axis=2, keepdims=True),
    "a copy": lambda x: x == x.copy(),
    "stacked": lambda x: np.stack([x[0], x[1]]) == np.maximum(x[0], x[1]),
    "joined": lambda x: np.concatenate([x[0], x[1]], axis=1) == np.concatenate([x[0], x[1]], axis=1).max(axis=0),
    "padded": lambda x: np.pad(x, ((0, 0), (1, 1), (0, 0))) == x.max(axis=1, keepdims=True),
    "edge padded": padded,
    "assigned": assigned,
    "added to zeros": added,
    "maximum, out": into(np.maximum),
    "minimum, out": into(np.minimum),
    "windows": windows,
    "a running maximum": lambda x: np.maximum.accumulate(x, axis=1)[:, -1:] == x,
    "a running minimum": lambda x: np.minimum.accumulate(x, axis=0)[-1] == x,
    "where": lambda x: np.where(x[0] > x[1], x[0], x[1]) == x,
    "select": lambda x: np.select([x[0] > x[1]], [x[0]], x[1]) == x,
    "sorted": lambda x: np.sort(x, axis=1)[:, -1:] == x,
    "two of the largest": lambda x: x >= np.sort(x, axis=1)[:, -2:-1],
    "the middle": lambda x: x == np.sort(x, axis=0)[1],
    "median": lambda x: x == np.median(x, axis=0),
    "plus 0": lambda x: x + 0.0 == x.max(axis=1, keepdims=True),
    "0 plus": lambda x: np.zeros_like(x) + x == 0.0 + x.max(axis=1, keepdims=True),
    "minus 0": lambda x: x == x.max(axis=1, keepdims=True) - 0.0,
    "0 minus": lambda x: 0.0 - x == (-x).max(axis=1, keepdims=True),
    "times 1": lambda x: 1.0 * x == x.max(axis=1, keepdims=True) * 1,
    "times -1": lambda x: -1.0 * x == -x.min(axis=1, keepdims=True),
    "by 1": lambda x: x / 1 == x.max(axis=1, keepdims=True) / 1.0,
    "upsampled": lambda x: np.kron(x.max(axis=2), np.ones((1, 2))) == x.reshape(x.shape[0], -1),
    "least of the negatives": lambda x: -((-x).max(axis=1, keepdims=True)) == x,
    "magnitude": lambda x: np.abs(x) == np.abs(x).max(axis=1, keepdims=True),
    "its magnitude": lambda x: np.abs(x) == x,
    "magnitude of the negative": lambda x: np.abs(-x) == x,
    "close": lambda x: np.isclose(x, x.max(axis=1, keepdims=True)),
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
    for _ in range(30):
        way = draws.choice([-1.0, 1.0, 0.0, draws.uniform(-1, 1)], value.shape)
        other |= np.asarray(program(value + way * x.slack * radius)) != expected
    return int(decided.sum()), int((other & decided).sum())


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_decided_is_so_in_every_evaluation(name: str) -> None:
    found = [wrong(PROGRAMS[name], seed) for seed in range(20)]
    assert sum(decided for decided, _ in found) > 40
    assert sum(others for _, others in found) == 0


def by_centre(x: Any, axis: Any, *, keepdims: bool) -> Array:
    ids = np.where(x.value == x.value.max(axis, keepdims=True), x.ids(), 0)
    return np.asarray(ids.max(axis, keepdims=keepdims))


HOLES: dict[str, tuple[Any, str, Any, str]] = {
    "of_largest": (choices, "of_largest", by_centre, "max"),
    "of_larger": (choices, "of_larger", lambda x, y: np.where(x.value > y.value, x.ids(), y.ids()), "maximum"),
    "of_chosen": (choices, "of_chosen", lambda mask, _, x, y: np.where(mask, x.ids(), y.ids()), "where"),
    "of_ordered": (
        order, "of_ordered",
        lambda x, axis: np.take_along_axis(x.ids(), x.value.argsort(axis, kind="stable"), axis), "sorted",
    ),
    "of_magnitude": (elementwise, "of_magnitude", lambda x: x.ids(), "its magnitude"),
}  # fmt: skip


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_is_found(hole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is by its centre, though another one may be it."""
    module, name, wider, program = HOLES[hole]
    monkeypatch.setattr(module, name, wider)
    assert sum(wrong(PROGRAMS[program], seed)[1] for seed in range(20)) > 0


def test_what_may_be_infinite_is_open() -> None:
    """inf - inf may be NaN, which is not equal to itself."""
    x: Any = Ball(np.array([1.0, 2.0]), np.array([0.0, np.inf]))
    assert (x == x.copy()).open.tolist() == [False, True]


def test_what_may_be_flushed_to_0_is_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """x + 0 of a subnormal x is 0 where such results are flushed, and x is as it was given; of 0 nothing is known."""
    tiny = np.finfo(float).tiny

    def given() -> Any:
        return Ball(np.array([1.0, tiny / 4, 0.0, -2 * tiny]), np.full(4, tiny / 8))

    x = given()
    expected = [False, True, True, False]
    assert (x + 0.0 == x).open.tolist() == expected
    assert (x * 1.0 == x).open.tolist() == expected
    assert not (x == x.copy()).open.any()
    monkeypatch.setattr(sameness, "of_normal", lambda x: x.ids())
    assert not (x + 0.0 == x).open.any()


CHANGES: dict[str, Callable[[Any], Any]] = {
    "plus": lambda x: x + 2.0**-41,
    "minus": lambda x: x - 2.0**-41,
    "times": lambda x: x * (1 + 2.0**-41),
    "by": lambda x: x / (1 + 2.0**-41),
    "by 3, times 3": lambda x: x / 3 * 3,
    "plus what may be 0": lambda x: x + Ball(np.zeros(3), np.full(3, 2.0**-41)),
    "times what may be 1": lambda x: x * Ball(np.ones(3), np.full(3, 2.0**-41)),
    "1 over": lambda x: 1 / x,
    "square": lambda x: x * x,
    "exp of log": lambda x: np.exp(np.log(x)),
    "another element": lambda x: x[[1, 2, 0]],
    "mean": lambda x: np.stack([x, x]).mean(axis=0),
    "changed in place": lambda x: changed(x, ...),
}


def changed(x: Any, where: Any) -> Any:
    other = x.copy()
    other[where] += 2.0**-41
    return other


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_changed_is_no_copy(name: str) -> None:
    """Numbers so close to 1 that by their radii nothing is decided: what passed for a copy would be."""
    x: Any = Ball(np.full(3, 1.0), np.full(3, 2.0**-40))
    assert not (x == x.copy()).open.any()
    assert (x == CHANGES[name](x)).open.all()


def test_an_element_that_is_changed_is_none_and_the_others_are() -> None:
    x: Any = Ball(np.full(3, 1.0), np.full(3, 2.0**-40))
    assert (x == changed(x, slice(1))).open.tolist() == [True, False, False]
    assert (x == x[[2, 1, 0]]).open.tolist() == [True, False, True]


def test_either_side_changed_in_place_is_another_number() -> None:
    x: Any = Ball(np.array([1.0, 3.0, 2.0]), np.full(3, 2.0**-40))
    largest, kept, view = x.max(), x.copy(), x[1:]
    x[1] += 2.0**-41
    assert (x == largest).open.tolist() == [False, True, False]
    assert (view == largest).open.tolist() == [True, False]  # a view changes with it
    assert not (kept == largest).open.any()                  # a copy does not
    y: Any = Ball(np.array([1.0, 3.0, 2.0]), np.full(3, 2.0**-40))
    largest = y.max(keepdims=True)
    largest += 2.0**-41
    assert (y == largest).open.tolist() == [False, True, False]


def test_an_open_sum_and_a_0_may_be_one_sum_in_another_order() -> None:
    draws = np.random.default_rng(0)
    q: Any = Ball(draws.normal(size=(4, 3))) @ Ball(draws.normal(size=(3, 2)))
    assert (q + 0.0 == q).open.any()
    assert not (q == q.copy()).open.any()


def test_ids_never_meet() -> None:
    """Each number has ids of its own, and none where they would run out."""
    a, b = own_ids((3, 4)), own_ids((3, 4))
    assert len({*a.ravel().tolist(), *b.ravel().tolist()}) == 24
    assert (a > 0).all()
    assert not own_ids((1 << 16, 1 << 15)).any()


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
    assert (x[6] == largest).open  # one of many that may be the largest
    assert not (x[5] == largest).open


def test_a_window_of_many_by_a_running_maximum() -> None:
    draws = np.random.default_rng(0)
    x: Any = Ball(draws.normal(size=(400, 20)), np.full((400, 20), 2.0**-40))
    largest = x[0]
    for i in range(1, 400):
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
    monkeypatch.setattr(masks, "same", lambda *_: np.asarray(False))
    assert max(certified(1.0, 1.0).resolutions.values()) > 1


@pytest.mark.parametrize(("factor", "of_torch"), [(1.0, 1 + 1e-6), (1 + 1e-6, 1.0)])
def test_a_factor_behind_a_pooling_is_refuted(factor: float, of_torch: float) -> None:
    c = certified(factor, of_torch)
    assert c.first is not None
    assert c.first.tensor in ("dW", "db")
