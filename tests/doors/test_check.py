"""check: certified where the gradients are right, refuted where one is not, and never more than is known."""

import functools
import linecache
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from reference.claim.tree import zip_with
from reference.errors import InputError
from tests.doors.of_the_field import NETWORKS, claim, in_dtype
from tests.unruled import unexplained
from torch_mirror import Checked, Refuted, check
from torch_mirror.doors.check.claimed import gradient_name
from torch_mirror.tape.told import Fault, Line, Right, Row


def test_what_a_wrapper_fills_in_need_not_be_given() -> None:
    """And what nobody gives is told before anything is run."""

    def with_rate(p: Any, x: Any, rate: float) -> Any:
        return rate * (x @ p["w"]).sum(), {"w": rate * x.sum(axis=0)}

    @functools.wraps(with_rate)
    def filled(p: Any, x: Any) -> Any:
        return with_rate(p, x, 0.5)

    p, x = {"w": np.ones(3)}, np.arange(6.0).reshape(2, 3)
    assert check(filled, p, x).certified
    with pytest.raises(InputError, match="function: expected to take the parameters and 1 data, got with_rate"):
        check(with_rate, p, x)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NETWORKS)
def test_right_gradients_are_certified(name: str, dtype: str) -> None:
    function, *given = claim(name)
    result = check(function, *in_dtype(given, dtype))
    assert result.verdict == "certified", str(result)
    assert result.resolution is not None
    assert result.resolution < 1e-9  # of formulas, which are judged in float64
    assert not result.faults
    result.assert_certified()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_resolution_is_what_would_have_been_seen(name: str) -> None:
    """Each gradient in turn, changed as a whole by a little more than its row says."""
    function, p, *data = claim(name)
    rows = {row.name: row for row in check(function, p, *data).rows}
    for index, (row_name, row) in enumerate(rows.items()):
        assert row.resolution is not None

        def mine(p: Any, *data: Any, at: int = index, by: float = 1 + 1.01 * row.resolution) -> Any:
            loss, gradients = function(p, *data)
            names = list(rows)
            return loss, zip_with(lambda n, g: g * by if gradient_name(n) == names[at] else g, gradients)

        with unexplained():
            seen = [r.name for r in check(mine, p, *data).rows if r.word != "ok"]
        assert seen == [row_name], f"{row}"


@pytest.mark.parametrize("factor", [1 + 1e-11, 1 - 1e-9, 2.0, -1.0])
def test_a_factor_is_refuted_however_near_to_1(factor: float) -> None:
    function, p, X, y = claim("dicts")

    def mine(p: Any, X: Any, y: Any) -> Any:
        loss, grads = function(p, X, y)
        return loss, {**grads, "W1": grads["W1"] * factor}

    result = check(mine, p, X, y)
    assert [row.name for row in result.rows if row.word == "WRONG"] == ["dW1"]
    assert "yours / derivative = " in str(result)


def test_no_torch_is_imported() -> None:
    code = (
        "import sys, numpy as np; from torch_mirror import check\n"
        "r = check(lambda w, x: (np.sum((x @ w)**2), 2 * x.T @ (x @ w)), np.ones(3), np.eye(3) + 1.)\n"
        "assert r.certified, str(r); assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_raised_is_what_is_printed_in_twenty_lines() -> None:
    function, p, X, y = claim("dicts")

    def mine(p: Any, X: Any, y: Any) -> Any:
        loss, grads = function(p, X, y)
        return loss, {name: 2 * g for name, g in grads.items()}

    result = check(mine, p, X, y)
    with pytest.raises(Refuted) as raised:
        result.assert_certified()
    assert isinstance(raised.value, AssertionError)
    assert str(raised.value).strip() == str(result)
    assert len(str(result).splitlines()) <= 20


def test_many_parameters_fit_in_twenty_lines() -> None:
    p = [np.full(3, 0.1 * i) for i in range(1, 40)]

    def mine(p: Any, bug: Any) -> Any:
        factors = [3 if i < bug else 1 for i in range(len(p))]
        return sum(np.sum(np.tanh(w)) for w in p), [(1 - np.tanh(w) ** 2) * c for w, c in zip(p, factors, strict=True)]

    for bug in (0, 1, 39):
        result = check(mine, p, bug)
        assert result.certified is (bug == 0)
        assert len(str(result).splitlines()) <= 20
        assert len(result.table().splitlines()) == 39


def test_of_many_mistakes_every_cause_is_shown_before_what_else_is_known() -> None:
    line, names = Line("/a/net.py", 7, "d = 2 * e"), [f"dp[{i}]" for i in range(6)]
    faults = tuple(
        Fault((name,), (Right(line, line, "e"),), (line,) * 3, causes=(f"cause of {name}",), note="a note")
        for name in names
    )
    result = Checked("mine", tuple(Row(name, "WRONG", 4, pattern="twice") for name in names), faults)
    assert len(str(result).splitlines()) == 1 + 6 * 3
    assert len(result.details().splitlines()) == 1 + 6 * 7
    for text in (str(result), result.details()):
        assert all(f"cause: cause of {name}" in text for name in names)
    rows = (*result.rows, *(Row(f"dq[{i}]", "none", 4) for i in range(6)))
    assert str(Checked("mine", rows, faults)).splitlines()[-1] == "... and 6 lines more: print(result.details())"


def test_a_notebook_shows_a_table() -> None:
    html = check(lambda w: (np.sum(w * w), 3 * w), np.arange(1.0, 4.0))._repr_html_()
    assert "<table>" in html
    assert "WRONG" in html
    assert "<lambda>" not in html
    assert "&lt;lambda&gt;" in html


# --- what parameters, data and functions may be ---------------------------------------------------------------------


class Pair(NamedTuple):
    W: Any
    b: Any


def quadratic(W: Any, b: Any, x: Any) -> Any:
    y = x @ W + b
    return 0.5 * np.sum(y * y), x.T @ y, y.sum(axis=0)


class Model:
    """Parameters are its attributes; other attributes are none."""

    def __init__(self, W: Any, b: Any) -> None:
        self.W, self.b, self.name, self.calls = W, b, "model", 0

    def loss(self, x: Any) -> Any:
        self.calls += 1
        return quadratic(self.W, self.b, x)[0]

    def gradients(self, x: Any) -> Any:
        _, dW, db = quadratic(self.W, self.b, x)
        return {"W": dW, "b": db}


W, B, X = np.arange(6.0).reshape(3, 2) - 2, np.array([0.5, -1.0]), np.arange(12.0).reshape(4, 3) / 7


DICT = {"W": W, "b": B}


@pytest.mark.parametrize(
    ("function", "p"),
    [
        (lambda p, x: (quadratic(p[0], p[1], x)[0], list(quadratic(p[0], p[1], x)[1:])), [W, B]),
        (lambda p, x: (quadratic(p.W, p.b, x)[0], Pair(*quadratic(p.W, p.b, x)[1:])), Pair(W, B)),
        (lambda p, x: (quadratic(**p, x=x)[0], dict(zip(["dW", "db"], quadratic(**p, x=x)[1:], strict=True))), DICT),
        (lambda p, x: (quadratic(p, B, x)[0], quadratic(p, B, x)[1]), W),
        (lambda p, x: (p["s"] * np.sum(x), {"s": np.sum(x)}), {"s": 0.25}),
    ],
)  # fmt: skip
def test_parameters_are_any_tree(function: Any, p: Any) -> None:
    assert check(function, p, X).certified


def test_loss_and_gradients_may_be_two_functions_and_the_parameters_an_object() -> None:
    model = Model(W, B)
    result = check(loss=Model.loss, gradients=Model.gradients, parameters=model, data=(X,))
    assert result.certified
    assert [row.name for row in result.rows] == ["dW", "db"]
    assert (model.W is W, model.calls) == (True, 0)


def test_data_may_be_closed_over_and_layers_may_keep_buffers() -> None:
    class Layer:
        def __init__(self) -> None:
            self.dW = np.zeros_like(W)

        def loss(self, p: Any) -> Any:
            y = X.dot(p)  # an ordinary array of the module
            self.dW[...] = 0
            self.dW += X.T.dot(y)
            return float(0.5 * np.sum(y * y)), self.dW

    layer = Layer()
    layer.dW[:] = 7
    assert check(layer.loss, W).certified
    assert (layer.dW == 7).all()


def test_a_class_that_updates_itself_in_place() -> None:
    class Trained:
        def __init__(self) -> None:
            self.W, self.velocity = W.copy(), np.zeros_like(W)

        def step(self, x: Any) -> Any:
            y = x @ self.W
            self.velocity *= 0.5
            self.velocity += x.T @ y
            self.W -= 0.25 * self.velocity
            return 0.5 * np.sum(y * y)

    net = Trained()

    def mine(p: Any, x: Any, rate: float) -> Any:
        net.W = p.copy()
        net.velocity[:] = 0
        loss = net.step(x)
        return loss, (p - net.W) / rate

    assert check(mine, W, X, 0.25).certified
    assert check(mine, W, X, 0.125).verdict == "refuted"
    assert (net.W == W).all()
    assert not net.velocity.any()


def test_in_a_script_and_in_a_notebook(tmp_path: Path) -> None:
    code = (
        "import numpy as np\nfrom torch_mirror import check\n\ndef mine(w, x):\n    y = x @ w\n"
        "    return np.sum(y * y), 3 * x.T @ y\n\nprint(check(mine, np.ones(3), np.eye(3)))\n"
    )
    script = tmp_path / "mine.py"
    script.write_text(code)
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=path)
    assert "mine.py:6" in ran.stdout
    assert "3 * x.T @ y" in ran.stdout
    cell = "<ipython-input-7-0123456789ab>"
    linecache.cache[cell] = (len(code), None, code.splitlines(keepends=True), cell)
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code.replace("print(", "found = ("), cell, "exec"), space)  # noqa: S102 - as a notebook does
    assert "cell:6" in str(space["found"])
    assert "3 * x.T @ y" in space["found"]._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((3, W), "function"),
        ((lambda p: (1.0, p), {}), "parameters"),
        ((lambda p: (1.0, p), np.arange(3)), "floats"),
        ((np.sum, W), "to return (loss, gradients)"),
        ((lambda p: (p, p), W), "the loss: expected one number"),
        ((lambda p: (np.sum(p["W"]), {"V": p["W"]}), {"W": W}), "gradients: expected"),
        ((lambda _: (np.sum(W * W), 2 * W), W), "does not depend"),
    ],
)
def test_what_cannot_be_used_is_told(arguments: Any, told: str) -> None:
    with pytest.raises(InputError, match=told.replace("(", r"\(").replace(")", r"\)")):
        check(*arguments)


def test_an_error_of_the_user_s_own_is_theirs() -> None:
    with pytest.raises(ZeroDivisionError):
        check(lambda p: (np.sum(p) / (1 // 0), p), W)


def test_a_gradient_of_another_shape_is_wrong_and_a_missing_one_is_not_certified() -> None:
    def mine(p: Any, x: Any) -> Any:
        loss, dW, db = quadratic(p["W"], p["b"], x)
        return loss, {"W": dW.T} if p["b"].shape == (2,) else {"W": dW, "b": db}

    result = check(mine, {"W": W, "b": B}, X)
    words = {row.name: row for row in result.rows}
    assert words["dW"].word == "WRONG"
    assert "shape (2, 3)" in words["dW"].pattern
    assert words["db"].word == "none"
    assert result.verdict == "refuted"


# --- kinks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compare", [np.greater, np.greater_equal])
def test_either_side_of_a_kink_is_right_and_said(compare: Any) -> None:
    def mine(p: Any, x: Any) -> Any:
        z = x @ p
        return np.sum(np.maximum(z, 0)), x.T @ np.where(compare(z, 0), 1.0, 0.0)

    result = check(mine, np.array([1.0, -1.0]), np.array([[1.0, 1.0], [2.0, 0.5], [0.25, 1.0]]))
    assert result.certified, str(result)
    assert "two sides of a kink meet" in str(result)


def test_what_fits_neither_side_is_wrong() -> None:
    def mine(p: Any, x: Any) -> Any:
        z = x @ p
        return np.sum(np.maximum(z, 0)), x.T @ np.where(z > 0, 1.0, np.where(z == 0, 2.0, 0.0))

    assert check(mine, np.array([1.0, -1.0]), np.array([[1.0, 1.0], [2.0, 0.5], [0.25, 1.0]])).verdict == "refuted"


def test_a_decision_that_is_open_is_followed_and_said() -> None:
    def mine(p: Any) -> Any:
        s = np.sum(p * np.array([0.1, 0.2, -0.3]))  # 0 but for rounding
        return (s * s, 2 * s * np.array([0.1, 0.2, -0.3])) if s > 1e-30 else (0.0 * s, np.zeros(3))

    result = check(mine, np.ones(3))
    assert result.verdict != "refuted", str(result)
    assert "followed as your run took it" in str(result)
    assert "test_check.py" in str(result)


# --- where the code cannot be followed ------------------------------------------------------------------------------


def by_inverse(A: Any, x: Any, sign: float = 1.0) -> Any:
    inverse = np.linalg.inv(A)
    return np.sum(x @ inverse), -sign * inverse.T @ x.T @ np.ones((len(x), len(A))) @ inverse.T


def test_what_cannot_be_followed_is_consistent_at_best() -> None:
    A, x = np.eye(3) + 0.1 * np.arange(9.0).reshape(3, 3), np.ones((2, 3))
    result = check(by_inverse, A, x)
    assert result.verdict == "consistent", str(result)
    assert not result.certified
    assert "numpy.linalg.inv" in str(result)
    assert "test_check.py" in str(result)
    wrong = check(lambda A, x: by_inverse(A, x, 1.001), A, x)
    assert wrong.verdict == "refuted"
    assert "difference quotients" in str(wrong)


def test_code_that_looks_at_types_is_not_certified_by_what_balls_show_of_it() -> None:
    def mine(p: Any) -> Any:
        factor = 2.0 if type(p) is not np.ndarray else 3.0  # right on balls alone
        return np.sum(p * p), factor * p

    result = check(mine, np.arange(1.0, 4.0))
    assert result.verdict == "refuted", str(result)
    assert "your own run" in str(result)


def test_a_cast_to_a_narrower_dtype_is_told() -> None:
    def mine(p: Any) -> Any:
        return np.sum(p**3), (3 * p**2).astype(np.float32).astype(np.float64)

    assert "casts to a narrower dtype" in str(check(mine, np.array([0.1, 0.2, 0.3])))


def test_code_that_asks_for_the_dtype_is_not_certified_in_the_other_one() -> None:
    def mine(p: Any) -> Any:
        return np.sum(p * p), 2 * p + (1e-3 if p.dtype.itemsize == 4 else 0)

    assert check(mine, np.arange(1.0, 4.0)).certified
    result = check(mine, np.arange(1.0, 4.0, dtype=np.float32))
    assert not result.certified
    assert "your own run" in str(result)


def test_a_float32_gradient_beyond_its_rounding_is_not_certified() -> None:
    def mine(p: Any, off: float) -> Any:
        return np.sum(p * p), 2 * p * (1 + np.asarray(off, p.dtype))

    for off, certified in ((0.0, True), (1e-6, False)):
        assert check(mine, np.arange(1.0, 4.0, dtype=np.float32), off).certified is certified


def test_a_kink_at_every_element_is_undecided_by_quotients() -> None:
    def mine(p: Any) -> Any:
        return np.linalg.inv(np.diag(np.abs(p) + 1)).sum(), np.zeros(2)

    assert check(mine, np.zeros(2)).verdict == "undecided"


# --- depth ----------------------------------------------------------------------------------------------------------


def deep(p: Any, x: Any, t: Any, at: Any = None) -> Any:
    """Twenty layers of tanh, in which the gradient of one may be wrong by a millionth."""
    a = [x]
    for W, b in p:
        a.append(np.tanh(a[-1] @ W + b))
    error = a[-1] - t
    d = error / len(x)
    grads: list[Any] = []
    for i in reversed(range(len(p))):
        dz = d * (1 - a[i + 1] ** 2)
        if i == at:
            dz = dz * 1.000001
        grads.append((a[i].T @ dz, dz.sum(axis=0)))
        d = dz @ p[i][0].T
    return 0.5 * np.sum(error * error) / len(x), grads[::-1]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twenty_layers_of_64_get_a_verdict(dtype: str) -> None:
    draw = np.random.default_rng(0)
    p = [(draw.standard_normal((64, 64)) * 1.2 / 8, 0.1 * draw.standard_normal(64)) for _ in range(20)]
    given = in_dtype([p, draw.standard_normal((8, 64)), draw.standard_normal((8, 64))], dtype)
    right = check(deep, *given)
    assert right.certified, str(right)
    assert right.resolution is not None
    assert right.resolution < 1e-6
    with unexplained():
        wrong = check(deep, *given, 10)
    assert wrong.verdict == "refuted"
    names = {row.name for row in wrong.rows if row.word == "WRONG"}
    assert names >= {"gradients[10][0]", "gradients[10][1]", "gradients[9][0]"}
    assert not names & {f"gradients[{i}][{j}]" for i in range(11, 20) for j in (0, 1)}
    assert "dz = dz * 1.000001" in [line.source for line in wrong.faults[0].wrong]
    assert len(wrong.faults) == 1


def test_math_and_scalars_are_followed() -> None:
    def mine(p: Any, x: float) -> Any:
        s = 1 / (1 + math.exp(-p["w"] * x))
        return -math.log(s), {"w": float((s - 1) * x)}

    assert check(mine, {"w": 0.3}, 2.0).certified
