"""What check leaves behind, which is nothing; and what the user's code sees of NumPy while it runs on balls."""

import math
import random
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.doors.of_the_field import NETWORKS, claim
from tests.examples import char_rnn_globals, per_sample, two_layer_class
from torch_mirror import Ball, check
from torch_mirror.doors.check.standin import stand_in
from torch_mirror.doors.check.untouched import untouched
from torch_mirror.doors.check.world import world_of

COUNT = 0
BUFFER = np.zeros(3)
HISTORY: list[float] = []
SETTINGS = {"scale": np.array([2.0, 3.0, 4.0])}


def state(module: ModuleType) -> dict[str, Any]:
    return {name: (id(a), a.tobytes() if isinstance(a, np.ndarray) else None) for name, a in vars(module).items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_user_s_module_and_numbers_are_as_they_were(name: str) -> None:
    function, p, *data = claim(name)
    module = NETWORKS[name][0]
    nets = [n for n in (two_layer_class.NET, per_sample.NET) if type(n).__module__ == module.__name__]
    inside = [dict(vars(net)) for net in nets]
    before, numbers = state(module), repr((p, data))
    check(function, p, *data)
    assert state(module) == before
    assert repr((p, data)) == numbers
    assert [dict(vars(net)) for net in nets] == inside
    assert module.np is np
    assert "float" not in vars(module)


def test_it_is_so_after_an_error_too() -> None:
    def mine(p: Any) -> Any:
        global COUNT  # noqa: PLW0603 - people do
        COUNT += 1
        BUFFER[:] = 7
        HISTORY.append(1.0)
        SETTINGS["scale"] = SETTINGS["new"] = p
        char_rnn_globals.Wxh = p
        raise KeyError("theirs")

    before = char_rnn_globals.Wxh
    with pytest.raises(KeyError, match="theirs"):
        check(mine, np.ones(3))
    assert (COUNT, HISTORY, list(SETTINGS)) == (0, [], ["scale"])
    assert not BUFFER.any()
    assert isinstance(SETTINGS["scale"], np.ndarray)
    assert char_rnn_globals.Wxh is before
    assert vars(char_rnn_globals)["np"] is np


def states(draw: np.random.Generator) -> tuple[Any, ...]:
    return draw.bit_generator.state, repr(np.random.get_state()), random.getstate()  # noqa: NPY002 - what is asked about


def test_random_numbers_are_drawn_anew_and_the_generators_are_put_back() -> None:
    draw = np.random.default_rng(5)

    def mine(p: Any, x: Any) -> Any:
        kept = (draw.random(x.shape) < 0.5) / 0.5
        other = np.random.rand(*x.shape) + random.random()  # noqa: NPY002, S311 - people do
        z = x * kept * other @ p
        return np.sum(z * z), 2 * (x * kept * other).T @ z

    x = np.random.default_rng(0).standard_normal((20, 4))
    before = states(draw)
    assert check(mine, np.ones((4, 2)), x).certified
    assert states(draw) == before


def test_variables_of_an_enclosing_function_are_put_back() -> None:
    calls = 0
    cache: dict[str, Any] = {"z": None}

    def mine(p: Any) -> Any:
        nonlocal calls
        calls += 1
        cache["z"] = p * p
        return np.sum(cache["z"]), 2 * p

    assert check(mine, np.ones(3)).certified
    assert (calls, cache) == (0, {"z": None})


def test_a_set_a_class_and_an_array_are_put_back() -> None:
    class Counted:
        made = 0

    seen: set[str] = {"a"}
    array = np.arange(3.0)
    fixed = np.arange(3.0)
    fixed.flags.writeable = False

    def change() -> None:
        Counted.made += 1
        Counted.new = 3  # type: ignore[attr-defined]  # as somebody might
        seen.add("b")
        array[:] = fixed + 5

    with untouched(world_of(change)):
        change()
        assert (Counted.made, seen) == (1, {"a", "b"})
    assert (Counted.made, seen, array.tolist(), hasattr(Counted, "new")) == (0, {"a"}, [0, 1, 2], False)


class Slotted:
    __slots__ = ("W", "cache", "dW")

    def __init__(self) -> None:
        self.W, self.dW = np.ones((3, 2)), np.zeros((3, 2))

    def loss(self, p: Any, x: Any) -> Any:
        self.W = p
        self.cache = x @ self.W
        self.dW[:] = 0
        self.dW += 2 * x.T @ self.cache
        return np.sum(self.cache * self.cache), self.dW


def test_an_object_without_a_dict_is_followed_and_put_back() -> None:
    net = Slotted()
    W = net.W
    assert check(net.loss, np.ones((3, 2)), np.arange(12.0).reshape(4, 3)).certified
    assert net.W is W
    assert not net.dW.any()
    assert not hasattr(net, "cache")


def seen_by_numpy() -> dict[str, Any]:
    """The names of a module that has imported NumPy in three ways."""
    space: dict[str, Any] = {"np": np, "math": math, "zeros": np.zeros, "array": np.array, "other": 3}
    stand_in([space], Ball, np.float64)
    return space


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("np.zeros((2, 3))", Ball), ("np.ones(3, dtype=np.float32)", Ball), ("np.empty_like(x)", Ball),
        ("np.eye(3)", Ball), ("np.zeros(3, int)", np.ndarray), ("np.zeros_like(x, dtype=bool)", np.ndarray),
        ("np.arange(3)", np.ndarray), ("np.array([x[0], 2 * x[1]])", Ball), ("np.array(x)", Ball),
        ("np.array(x, ndmin=3)", Ball), ("array([1.0, 2.0])", Ball), ("np.asarray(x)", Ball), ("zeros(2)", Ball),
        ("np.ascontiguousarray(x)", Ball), ("np.array([1, 2])", np.ndarray), ("np.full(3, x[0])", Ball),
        ("np.full((2, 2), 0.5)", Ball), ("float(x[0])", Ball), ("math.exp(x[0])", Ball), ("math.exp(1)", float),
        ("float('1.5')", float), ("x.astype(float)", Ball), ("x.astype(np.float32)", Ball), ("np.pi", float),
        ("(x > 0).astype(np.float32)", Ball), ("np.zeros(3, dtype=float)", Ball), ("other", int),
        ("math.pow(x[0], 2)", Ball), ("np.ndarray((2, 2))", np.ndarray),
    ],
)  # fmt: skip
def test_what_code_sees_of_numpy(expression: str, kind: type) -> None:
    x = Ball(np.array([1.0, 2.0]))
    assert type(eval(expression, {**seen_by_numpy(), "x": x})) is kind  # noqa: S307 - the test's own


def test_isinstance_asks_as_before() -> None:
    given = {**seen_by_numpy(), "x": Ball(np.ones(2)), "a": np.ones(2), "l": [], "y": Ball(np.ones(()))}
    for asked in ("x, np.ndarray", "a, np.ndarray", "y, float", "2.0, float"):
        assert eval(f"isinstance({asked})", given)  # noqa: S307 - the test's own
    for asked in ("l, np.ndarray", "2, float", "a, float"):
        assert not eval(f"isinstance({asked})", given)  # noqa: S307 - the same


def test_code_that_assigns_copies_and_casts_is_followed() -> None:
    def mine(p: Any, x: Any) -> Any:
        z = np.zeros((len(x), 2))
        for i in range(len(x)):
            z[i] = np.array([np.dot(x[i], p[:, 0]), np.dot(x[i], p[:, 1])])
        assert isinstance(z, np.ndarray)
        a = np.asarray(z).astype(np.float32)
        return float(np.sum(a**2)), np.ascontiguousarray(x.T) @ np.array(2 * a, copy=True)

    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    assert check(mine, np.ones((3, 2), np.float32), x).certified
