"""torch-mirror init: what it writes fits what it finds, and nothing that is returned is dropped."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests import warm
from tests.doors.of_the_field import NETWORKS
from torch_mirror.doors.cli import cli
from torch_mirror.doors.starting.text import GUESSES, LOOKED_FOR, NOTHING

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in ("mine", "other"):  # what another test imports by that name is another file
        sys.modules.pop(name, None)


WRITTEN = "case.py is written. Next: torch-mirror check case.py:case\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def started(source: str, name: str = "mine.py") -> tuple[str, str]:
    """The text that is written for a source, and what check says of it in a process of its own."""
    Path(name).write_text(source, encoding="utf-8")
    result = run("init", "--from", name, "-o", "case.py")
    assert (result.exit_code, result.output[: len(WRITTEN)]) == (0, WRITTEN), result.output
    assert "guess" not in Path("case.py").read_text(encoding="utf-8") or GUESSES.format(name="case.py") in result.output
    checked = run("check", "case.py:case")
    sys.modules.pop(Path(name).stem, None)
    return Path("case.py").read_text(encoding="utf-8"), checked.output


def left_open(source: str) -> tuple[str, str, str]:
    """The same of a source that init cannot finish, which its exit status says, and what it says itself."""
    Path("mine.py").write_text(source, encoding="utf-8")
    result = run("init", "--from", "mine.py", "-o", "case.py")
    assert result.exit_code == 1, result.output
    checked = run("check", "case.py:case")
    sys.modules.pop("mine", None)
    return Path("case.py").read_text(encoding="utf-8"), result.output, checked.output


def without(example: str, *gone: str) -> str:
    """An example without some of its functions, classes and names, and without the shapes that docstrings tell."""
    tree = ast.parse((EXAMPLES / f"{example}.py").read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not _called(node) & {*gone}]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.unparse(tree)


def _called(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    return {t.id for t in node.targets if isinstance(t, ast.Name)} if isinstance(node, ast.Assign) else set()


@pytest.mark.parametrize("example", NETWORKS)
def test_every_style_of_the_examples_has_its_file(example: str) -> None:
    text, said = started((EXAMPLES / f"{example}.py").read_text(encoding="utf-8"))
    assert said.startswith("loss: certified"), said
    assert "mine.init(draw)" in text
    assert "case = mine.loss, p, " in text


LISTS = """
import numpy as np
def loss_and_grads(weights, x, t):
    (W1, b1), (W2, b2) = weights
    h = np.tanh(x @ W1 + b1)
    y = h @ W2 + b2
    dy = 2 * (y - t) / len(t)
    dz = dy @ W2.T * (1 - h**2)
    return np.mean((y - t) ** 2), [(x.T @ dz, dz.sum(axis=0)), (h.T @ dy, dy.sum(axis=0))]
"""
FLAT_COLUMNS = """
import numpy as np
def cost(X, Y, theta):
    W1, b1, W2, b2 = theta
    A1 = np.tanh(np.dot(W1, X) + b1)
    A2 = 1 / (1 + np.exp(-(np.dot(W2, A1) + b2)))
    m = X.shape[1]
    dZ2 = (A2 - Y) / m
    dZ1 = np.dot(W2.T, dZ2) * (1 - A1**2)
    J = -(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)).sum() / m
    return J, (dZ1 @ X.T, dZ1.sum(axis=1, keepdims=True), dZ2 @ A1.T, dZ2.sum(axis=1, keepdims=True))
"""
ONE_ARRAY = """
import numpy as np
def svm_loss(W, X, y, reg):
    scores = X @ W
    right = scores[np.arange(len(y)), y][:, None]
    margins = np.maximum(0, scores - right + 1)
    margins[np.arange(len(y)), y] = 0
    over = (margins > 0) * 1.0
    over[np.arange(len(y)), y] = -over.sum(axis=1)
    return margins.sum() / len(y) + reg * (W * W).sum(), X.T @ over / len(y) + 2 * reg * W
"""
VECTOR = """
def loss_grad(w, x, t):
    e = x @ w - t
    return (e**2).mean(), 2 * x.T @ e / len(x)
"""
DICT_OF_A_CLASS = """
import numpy as np
class Regression:
    def __init__(self, input_size, hidden_size, output_size):
        r = np.random.default_rng(0)
        self.params = {"W1": r.normal(size=(input_size, hidden_size)), "W2": r.normal(size=(hidden_size, output_size))}
    def forward(self, inp):
        self.inp = inp
        self.h = np.maximum(0, inp @ self.params["W1"])
        return self.h @ self.params["W2"]
    def backward(self, dy):
        dz = dy @ self.params["W2"].T * (self.h > 0)
        return {"W1": self.inp.T @ dz, "W2": self.h.T @ dy}
"""
ATTRIBUTES = """
import numpy as np
class Network:
    def __init__(self, n_in, n_hidden, n_out):
        self.W1 = np.random.default_rng(0).normal(size=(n_in, n_hidden))
        self.b1, self.W2 = np.zeros(n_hidden), np.ones((n_hidden, n_out))
    def forward(self, X):
        self.X, self.z = X, X.dot(self.W1) + self.b1
        self.a = np.maximum(0, self.z)
        return self.a.dot(self.W2)
    def backward(self, dout):
        self.dW2 = self.a.T.dot(dout)
        dz = dout.dot(self.W2.T) * (self.z > 0)
        self.dW1, self.db1 = self.X.T.dot(dz), dz.sum(axis=0)
"""

STYLES = [
    ("functions apart", without("columns", "loss"), "compute_cost(A2, Y)", 'X = draw.normal(size=(p["W1"].shape[1]'),
    ("a class with a loss", without("two_layer_class", "loss", "init", "NET"), "net.params = p",
     'y = draw.integers(0, p["W2"]'),
    ("names of the module", without("char_rnn_globals", "loss", "init"), "vars(mine).update(p)",
     'hprev = draw.normal(size=(p["Whh"]'),
    ("a dict without init", without("dicts", "init"), "mine.loss, p", '"W2": draw.normal(size=(5, 3))'),
    ("a layer", without("layer_objects", "loss", "init", "Model"), "mine.Dense(draw.normal(size=(4,", '"W": net.dW'),
    ("a layer with a vector", without("layer_objects", "loss", "init", "Model").replace(", keepdims=True", ""),
     "mine.Dense(draw.normal(size=(4, 3)), draw.normal(size=3))", '"b": net.db'),
    ("a list of pairs", LISTS, "shapes are a guess", "p = [(draw.normal(size=(4, 5)), draw.normal(size=5)), ("),
    ("parameters last, columns", FLAT_COLUMNS, "return mine.cost(X, Y, p)",
     "p = (draw.normal(size=(5, 4)), draw.normal(size=(5, 1))"),
    ("one array, classes", ONE_ARRAY, "p = draw.normal(size=(4, 3))", "y = draw.integers(0, p.shape[1], size=6)"),
    ("a function of any name", (EXAMPLES.parents[1] / "examples" / "mine.py").read_text(encoding="utf-8").replace(
        "x.T @ error", "2 * x.T @ error"), "mine.mine, p, x, t", '"W": draw.normal(size=(4, 1))'),
    ("a vector", VECTOR, "p = draw.normal(size=4)", "t = draw.normal(size=(6, *p.shape[1:]))"),
    ("a class with a dict", DICT_OF_A_CLASS, "net = mine.Regression(4, 5, 3)", "gradients = net.backward("),
    ("a class with two dicts", DICT_OF_A_CLASS.replace(
        "        return {", "        self.grads = {"), "net.params = p", "return ((y - t) ** 2).mean(), net.grads"),
    ("a class with attributes", ATTRIBUTES, '"b1": net.db1', 'x = draw.normal(size=(6, p["W1"].shape[0]))'),
]  # fmt: skip


@pytest.mark.parametrize(("source", "one", "other"), [row[1:] for row in STYLES], ids=[row[0] for row in STYLES])
def test_a_style_is_found(source: str, one: str, other: str) -> None:
    text, said = started(source)
    assert ": certified, each is the derivative" in said, f"{said}\n{text}"
    assert one in text, text
    assert other in text, text


@pytest.mark.parametrize(
    ("source", "right", "wrong", "said"),
    [
        (without("dicts"), "np.sum(dscores, axis=0)", "np.mean(dscores, axis=0)", "mean for sum"),
        (ATTRIBUTES, " * (self.z > 0)", "", "mask"),
        (FLAT_COLUMNS, "(1 - A1**2)", "(1 - A1)", "the square left out"),
    ],
    ids=["a function", "a class", "columns"],
)
def test_a_mistake_in_the_file_is_found(source: str, right: str, wrong: str, said: str) -> None:
    assert right in source
    text, report = started(source.replace(right, wrong))
    assert "refuted" in report, f"{report}\n{text}"
    assert said in report


def test_the_written_file_is_a_script_and_a_case(folder: Path) -> None:
    for arguments in ((), ("--from", str(EXAMPLES / "dicts.py"))):
        assert run("init", "-o", "own.py", *arguments).exit_code == 0
        done = subprocess.run([warm.python(), "own.py"], capture_output=True, text=True, check=False, cwd=folder)
        assert (done.returncode, "certified" in done.stdout, done.stderr) == (0, True, "")
        assert run("check", "own.py:case").exit_code == 0
        Path("own.py").unlink()


def test_a_file_in_another_folder_is_imported_as_a_module_of_its_package() -> None:
    run("init", "-o", "own.py", "--from", str(EXAMPLES / "dicts.py"))
    assert "from tests.examples import dicts\n" in Path("own.py").read_text(encoding="utf-8")
    Path("deep").mkdir()
    Path("deep/two words.py").write_text(VECTOR, encoding="utf-8")
    Path("deep/mine.py").write_text(VECTOR, encoding="utf-8")
    for name, line in (("mine", "import mine\n"), ("two words", 'mine = import_module("two words")\n')):
        Path("own.py").unlink()
        assert run("init", "-o", "own.py", "--from", f"deep/{name}.py").exit_code == 0
        text = Path("own.py").read_text(encoding="utf-8")
        assert line in text
        assert 'str(Path(__file__).parent / "deep")' in text
        assert run("check", "own.py:case").exit_code == 0


def test_a_file_that_is_called_as_a_name_of_the_starting_file_has_another_name_there() -> None:
    text, said = started(VECTOR, "draw.py")
    assert "import draw as mine\n" in text
    assert "certified" in said


def test_the_file_is_read_and_not_run() -> None:
    text, _ = started(f"{VECTOR}\nprint('I ran')\nfor i in range(2):\n    print(i)\n")
    assert "mine.py does more than define things" in text
    Path("case.py").unlink()
    Path("mine.py").write_text(f"{VECTOR}\nraise SystemExit('I ran')\n", encoding="utf-8")
    assert run("init", "--from", "mine.py").output.startswith(WRITTEN)


def test_where_nothing_is_found_there_is_an_example_that_says_so() -> None:
    text, result, report = left_open((EXAMPLES / "transformer.py").read_text(encoding="utf-8"))
    assert "In mine.py no network by hand was recognised" in text
    assert NOTHING.format(name="mine.py", looked_for=LOOKED_FOR) in result
    assert "an example of ours, not your network" in report  # and nothing is certified
    assert "certified" not in report
    assert "loss_and_gradients" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "there.py"), "--output: expected a file that is not there yet, got 'there.py', which is"),
        (("-o", "link.py"), "--output: expected a file that is not there yet, got 'link.py', which is"),
        (("-o", "no/case.py"), "--output: expected a path that can be written, got 'no/case.py' (No such file"),
        (("-o", "case.txt"), "--output: expected a name such as case.py, which Python can import"),
        (("-o", "two words.py"), "--output: expected a name such as case.py, which Python can import"),
        (("--from", "nope.py"), "--from nope.py: expected a file that can be read, got No such file or directory"),
        (("--from", "folder"), "--from folder: expected a file that can be read, got Is a directory"),
        (("--from", "broken.py"), "--from broken.py: expected a Python file, got SyntaxError: '(' was never closed"),
        (("--from", "null.py"), "--from null.py: expected a Python file, got"),
        (("--from", "there.py", "-o", "deep/there.py"), "--output: expected another name than that of there.py"),
        (("--form", "there.py"), "Did you mean"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    (folder / "there.py").write_text(VECTOR)
    (folder / "link.py").symlink_to("nowhere.py")
    (folder / "folder").mkdir()
    (folder / "deep").mkdir()
    (folder / "broken.py").write_text("f(\n")
    (folder / "null.py").write_bytes(b"a = 1\0\xff\n")
    before = sorted(folder.rglob("*"))
    result = run("init", *arguments)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert sorted(folder.rglob("*")) == before
    assert (folder / "there.py").read_text() == VECTOR
