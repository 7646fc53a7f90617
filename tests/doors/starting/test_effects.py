"""Which names a line reads, and which it changes: by itself, by another name, or by a function of the file."""

import ast

import pytest

from torch_mirror.doors.starting.effects import Setting, changed, in_step, read, roots, setting_of, stored

FUNCTIONS = ast.parse(
    """
def step(W, g, lr=0.1):
    W -= lr * g
def anew(W, g):
    W = W - g
    return W
def swap(g, /, *, W):
    np.copyto(W, g)
def both(W, b):
    W += 1
    b[0] = 2
"""
).body
LINES = ast.parse("params = [W1, b1]\nV = W2[1:]\nothers = dict(a=V)\nn = W1.shape")
SETTING = setting_of({f.name: f for f in FUNCTIONS if isinstance(f, ast.FunctionDef)}, LINES.body)


def test_what_a_name_holds() -> None:
    assert SETTING.holds == {"params": {"W1", "b1"}, "V": {"W2"}, "others": {"V", "W2"}}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("W = A", "W"), ("W[0] = A", "W"), ("W.a[1] = A", "W"), ("W, (b, *c) = A", "W b c"), ("W += A", "W"),
        ("W: int = A", "W"), ("for W in A: pass", "W"), ("np.exp(z, out=W)", "W"), ("np.add.at(W, i, 1)", "W"),
        ("np.copyto(W, A)", "W"), ("W.fill(0)", "W"), ("W.sum()", ""), ("f(W)", ""), ("x = W.copy()", "x"),
        ("if (W := A): pass", "W"), ("fill(0)", ""),
    ],
)  # fmt: skip
def test_what_a_line_sets_or_changes(line: str, names: str) -> None:
    assert stored(ast.parse(line)) == {*names.split()}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("step(W, dW)", "W"), ("step(g=dW, W=W)", "W"), ("step(W=W, g=dW)", "W"), ("anew(W, dW)", ""),
        ("swap(dW, W=W)", "W"), ("both(W, b)", "W b"), ("both(b=b, W=W)", "W b"), ("elsewhere(W)", ""),
        ("step([W1, W2], dW)", "W1 W2"), ("step(params, dW)", "params W1 b1"), ("V += 1", "V W2"),
        ("V = V + 1", "V"), ("others['a'][0] = 1", "others V W2"),
        ("for p, d in zip([W, b], g): p -= d", "p d W b"), ("for p, d in ((W, dW), (b, db)): p -= d", "p d W b"),
        ("for p, d, e in ((W, dW), (b, db)): p -= d", "p d e W b"),
        ("for i, p in enumerate([W, b]): p *= 2", "i p W b"),
        ("for p in [W, b]: p = p + 1", "p"),
    ],
)  # fmt: skip
def test_what_is_changed_by_another_name(line: str, names: str) -> None:
    """W is p in a loop over [W, b], and in a function that is given it under whatever name, by place or by name."""
    assert changed(ast.parse(line).body[0], SETTING) == {*names.split()}


@pytest.mark.parametrize(
    ("loop", "pairs"),
    [
        ("for p in W: pass", [("p", {"W"})]), ("for p, d in zip(W, g): pass", [("p", {"W"}), ("d", {"g"})]),
        ("for i, (p, d) in enumerate(zip(W, g)): pass", [("p", {"W"}), ("d", {"g"})]),
        ("for a, b in ((W, c), V): pass", []), ("for a, b in x: pass", [("a", {"x"}), ("b", {"x"})]),
    ],
)  # fmt: skip
def test_what_a_loop_goes_through(loop: str, pairs: list[tuple[str, set[str]]]) -> None:
    node = ast.parse(loop).body[0]
    assert isinstance(node, ast.For)
    assert in_step(node.target, node.iter) == pairs


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("a = W @ x + b", "W x b"), ("n = W.shape[0]", ""), ("v = np.zeros_like(W)", "np"), ("v = len(x) * y", "len y"),
        ("W += dW", "W dW"), ("W[i] = c", "W i c"), ("v = np.full_like(W, c)", "np c"),
    ],
)  # fmt: skip
def test_whose_numbers_are_read(line: str, names: str) -> None:
    assert {*read(ast.parse(line))} == {*names.split()}


@pytest.mark.parametrize(("target", "names"), [("(W, b[0], *c)", ["W", "b", "c"]), ("f(x).a", []), ("W.a[0].b", ["W"])])
def test_the_roots_of_a_target(target: str, names: list[str]) -> None:
    assert [*roots(ast.parse(target, mode="eval").body)] == names


def test_without_functions_a_call_changes_nothing() -> None:
    assert changed(ast.parse("step(W, dW)"), Setting({}, {})) == set()
