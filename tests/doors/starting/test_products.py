"""Which weight an array is multiplied by: the products of some code, single rows, indices, classes."""

import ast
from typing import Any

import pytest

from torch_mirror.doors.starting import products as module
from torch_mirror.doors.starting.guesses import ends_of
from torch_mirror.doors.starting.plan import Plan
from torch_mirror.doors.starting.products import called, has_classes, indexed_by, is_binary, products, samples


def code(text: str) -> list[ast.AST]:
    return [ast.parse(text)]


@pytest.mark.parametrize(
    ("text", "left", "right", "single"),
    [
        ("x @ W", "x", "W", False), ("np.dot(x, p['W'])", "x", "W", False), ("numpy.matmul(W.T, x)", "W.T", "x", False),
        ("self.W.dot(x)", "W", "x", False), ("W @ xs[t]", "W", "xs", True), ("W @ xs[t - 1]", "W", "xs", True),
        ("x @ p['W']", "x", "W", False), ("W @ xs[0, 1]", "W", "xs", False), ("W @ xs[1:]", "W", "xs", False),
        ("x @ p['l1']['W']", "x", f"l1{module.INSIDE}W", False),
    ],
)  # fmt: skip
def test_a_product_and_its_two_sides(text: str, left: str, right: str, *, single: bool) -> None:
    (found,) = products(code(text))
    assert found[:2] == (left, right)
    assert found.single is single


@pytest.mark.parametrize("text", ["x * W", "np.dot(x)", "x.dot()", "dot(x, W)", "np.outer(x, W)"])
def test_what_is_no_product_of_two(text: str) -> None:
    assert products(code(text)) == []


def test_products_are_in_the_order_of_their_lines() -> None:
    found = products([*code("\n\na @ b"), *code("c @ d\ne @ f; g @ h")])
    assert [p.left for p in found] == ["c", "e", "g", "a"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("for x in X: pass", "x"), ("for x, y in zip(X, Y): pass", "x y"), ("for i, x in enumerate(X): pass", "x"),
        ("for i, (x, y) in enumerate(zip(X, T)): pass", "x"), ("x = X[i]", "x"), ("x = X[i, 0]", ""), ("x = X[1:]", ""),
        ("x = X['a']", ""), ("x = Z[i]", ""), ("[f(x) for x in X]", "x"), ("for i, x, j in enumerate(X): pass", ""),
    ],
)  # fmt: skip
def test_the_names_of_single_rows(text: str, names: str) -> None:
    assert samples(code(text), ["X", "Y"]) == {*names.split()}


@pytest.mark.parametrize(
    ("text", "yes"),
    [("p[np.arange(n), y]", True), ("p[y]", True), ("p[y[t]]", True), ("p[t, y[t]]", True), ("y[p]", False),
     ("p[i]", False), ("p[y + 1]", False), ("y", False)],
)  # fmt: skip
def test_an_array_that_is_an_index(text: str, *, yes: bool) -> None:
    assert indexed_by(code(text), "y") is yes
    assert has_classes(code(text), ["y"]) is yes
    assert has_classes(code(f"np.exp(z); {text}"), ["y"])


@pytest.mark.parametrize(
    ("text", "yes"),
    [("np.log(1 - y)", True), ("math.log(1.0 - y)", True), ("np.log(y)", False), ("np.log(1 + y)", False),
     ("np.log(2 - y)", False), ("np.exp(1 - y)", False), ("log(1 - y)", False)],
)  # fmt: skip
def test_a_binary_cross_entropy(text: str, *, yes: bool) -> None:
    assert is_binary(code(text)) is yes


@pytest.mark.parametrize(
    ("text", "name"),
    [("p['W1']", "W1"), ("self.W1", "W1"), ("self.p['W1'].T", "W1.T"), ("hs[t]", "hs"), ("W1.T", "W1.T"), ("W", "W")],
)
def test_what_an_operand_is_called(text: str, name: str) -> None:
    assert called(ast.parse(text, mode="eval").body) == name


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("x @ W1; h @ W2", ("W1", "W2", 0, 1, False)), ("x @ W1.T; h @ W2.T", ("W1", "W2", 1, 0, False)),
        ("W1 @ x; W2 @ h", ("W1", "W2", 1, 0, True)), ("W1.T @ x; W2.T @ h", ("W1", "W2", 0, 1, True)),
        ("for r in x: W1 @ r; W2 @ h", ("W1", "W2", 1, 0, False)), ("W1 @ x[i]; W2 @ h", ("W1", "W2", 1, 0, False)),
        ("for r in x: W1.T @ r; W2.T @ h", ("W1", "W2", 0, 1, False)), ("h @ W1; g @ W2", ("", "W2", 0, 1, False)),
        ("W1 @ h; W2 @ g", ("", "W2", 1, 0, True)), ("h @ g", ("", "", 0, 1, False)),
    ],
)  # fmt: skip
def test_the_weights_at_the_two_ends_and_their_axes(text: str, ends: tuple[Any, ...]) -> None:
    """The axis that meets the input, that along which the output lies, and whether samples are columns."""
    plan = Plan("", "", [], ["x", "t"], code(text), ["W1", "W2"], {})
    assert ends_of(plan) == ends
