"""How long a vector is that the code cuts into its parameters."""

import ast
from types import SimpleNamespace
from typing import Any

import pytest

from torch_mirror.doors.starting.unrolled import length_of, number, sizes_in

SIZES: Any = SimpleNamespace(of={"n": 3, "m": 5}.get)


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("n", 3), ("k", None), ("n * (m + 1)", 18), ("m - n", 2), ("n + k", None), ("k * n", None),
     ("n / m", None), ("2.5", None), ("-1", None), ("True", None)],
)  # fmt: skip
def test_an_expression_of_sizes(text: str, value: int | None) -> None:
    assert number(ast.parse(text, mode="eval").body, SIZES) == value


@pytest.mark.parametrize(
    ("text", "length", "names"),
    [
        ("th[:n * m].reshape(n, m); th[n * m:].reshape(m, 2)", 25, "n m"),
        ("np.reshape(th[:6], (n, 2)); np.reshape(th[6:n + 6], (n,))", 9, "n"), ("th[:m].reshape((m, 1))", 5, "m"),
        ("th[:k].reshape(k)", None, "k"), ("th[2:].reshape(n, k)", None, "n k"), ("th[2:].reshape(-1, 2)", None, ""),
        ("other[:6].reshape(6)", None, ""), ("th[0].reshape(3)", None, ""), ("th[:6].resize(3)", None, ""),
    ],
)  # fmt: skip
def test_the_piece_that_lies_farthest_back_ends_where_the_vector_does(
    text: str, length: int | None, names: str
) -> None:
    scope = [ast.parse(text)]
    assert length_of(scope, "th", SIZES) == length
    assert sizes_in(scope, "th") == {*names.split()}
