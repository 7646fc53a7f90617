"""State of the user's that is easily overlooked, in the class of a dict or in iterators; and forms of gradients."""

import itertools
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from reference.errors import InputError
from torch_mirror import check


class Kept(dict[str, Any]):
    calls = 0


class Listed(list[Any]):
    seen: ClassVar[list[int]] = []


KEPT, LISTED, SPACE = Kept(), Listed(), SimpleNamespace(calls=0)
NEXT, COUNT, CYCLE = iter([1.0, 2.0, 3.0, 4.0]), itertools.count(1), itertools.cycle([1.0, 2.0])


def by_class(p: Any) -> Any:
    type(KEPT).calls += 1
    LISTED.seen.append(1)
    SPACE.calls += 1
    return (p**2).sum(), 2 * p


def by_iterators(p: Any) -> Any:
    """The function is the same at each call, and takes from what it can reach."""
    return (p**2).sum() + 0 * (next(NEXT) + next(COUNT) + next(CYCLE)), 2 * p


def test_state_in_the_class_of_a_container_is_put_back() -> None:
    assert check(by_class, np.ones(3)).certified
    assert (Kept.calls, Listed.seen, SPACE.calls) == (0, [], 0)


def test_nothing_is_taken_from_iterators() -> None:
    assert check(by_iterators, np.ones(3)).certified
    assert (next(NEXT), next(COUNT), next(CYCLE)) == (1, 1, 1)


def test_what_takes_the_next_of_something_is_told() -> None:
    scales = iter([1.0, 2.0, 3.0])

    def mine(p: Any) -> Any:
        scale = next(scales)
        return scale * (p**2).sum(), scale * 2 * p

    with pytest.raises(InputError, match="takes what is next"):
        check(mine, np.ones(3))
    assert next(scales) == 1.0


# --- parameters that share memory, gradients in lists, numbers made into text by % ------------------------------------


def test_parameters_that_are_one_array_are_told() -> None:
    def mine(p: Any) -> Any:
        return (p["a"] * p["b"]).sum(), {"a": p["b"], "b": p["a"]}

    w = np.arange(1.0, 7)
    for other in (w, w[:], w[::-1]):
        result = check(mine, {"a": w, "b": other})
        assert result.certified
        assert [note.split(":")[0] for note in result.notes] == ["a and b share memory"]
    assert not check(mine, {"a": w[::2], "b": w[1::2]}).notes


@pytest.mark.parametrize(
    "listed",
    [
        lambda g: g.tolist(),
        list,
        lambda g: [[float(v) for v in row] for row in g],
        lambda g: tuple(tuple(row) for row in g),
    ],
)
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_gradients_in_lists_are_arrays(listed: Any, factor: float) -> None:
    def mine(p: Any, x: Any) -> Any:
        return ((x @ p["W"]) ** 2).sum(), {"dW": listed(factor * x.T @ (2 * x @ p["W"]))}

    def alone(p: Any, x: Any) -> Any:
        loss, gradients = mine({"W": p}, x)
        return loss, gradients["dW"]

    x, w = np.random.default_rng(0).normal(size=(5, 3)), np.ones((3, 2))
    for result in (check(mine, {"W": w}, x), check(alone, w, x)):
        assert result.verdict == ("certified" if factor == 1 else "refuted")


def test_lists_of_another_length_are_none() -> None:
    with pytest.raises(InputError, match=r"gradients: .* got W\.0\.0, W\.0\.1, W\.1\.0"):
        check(lambda p: ((p["W"] ** 2).sum(), {"W": [[1.0, 2.0], [3.0]]}), {"W": np.ones((2, 2))})


def test_a_number_that_is_printed_by_percent_is_followed(capsys: pytest.CaptureFixture[str]) -> None:
    def mine(p: Any) -> Any:
        loss = (p**2).sum()
        print("loss %.3f, %d" % (loss, loss))  # noqa: T201, UP031 - as people do
        return loss, 2 * p

    assert check(mine, np.ones(3)).certified
    assert "loss 3.000, 3" in capsys.readouterr().out


def test_a_number_that_percent_made_into_text_is_no_constant() -> None:
    def mine(p: Any) -> Any:
        scale = float("%.17g" % np.abs(p).max())  # noqa: UP031 - as people do
        return (p**2).sum() * scale, 2 * p * scale

    result = check(mine, np.array([1.0, 2.0, 1.5]))
    assert result.verdict == "refuted"
    assert "text becomes a number again" in str(result)


def test_an_array_of_float16_that_nobody_uses_leaves_the_numbers_of_float32_what_they_are() -> None:
    unused = np.ones(3, np.float16)

    def mine(p: Any, x: Any) -> Any:
        return ((x * p) ** 2).sum() if x is not None else unused, 2 * x * x * p

    assert check(mine, np.full(3, 0.1, np.float32), np.full(3, 0.3, np.float32)).certified
