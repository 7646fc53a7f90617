"""Every word that a report prints as a status, and every cause that it can name, is explained."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner

from tests.tape.edits.networks import SIGMOID, SOFTMAX, TANH
from tests.tape.edits.optimizers import HERE
from tests.tape.edits.planted import Sizes, run, update
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import paused
from torch_mirror.doors.check import result
from torch_mirror.doors.cli import cli
from torch_mirror.doors.selftest import told as selftest
from torch_mirror.glossary import causes, find
from torch_mirror.judge import findings, verdict
from torch_mirror.pytest_plugin.records import Record
from torch_mirror.reports import derivatives, text
from torch_mirror.reports import selftest as report
from torch_mirror.tape import told
from torch_mirror.tape.edits import menu, menu_operations, menu_updates
from torch_mirror.tape.edits.case import case_of
from torch_mirror.tape.edits.explain import candidates
from torch_mirror.tape.edits.sites import sites

ROOT = Path(__file__).parents[2]
STATUSES = [
    *get_args(result.Verdict), *get_args(verdict.Verdict), *get_args(verdict.Words), *get_args(told.Word),
    *get_args(findings.Check), *get_args(findings.Side), *get_args(selftest.Named), *get_args(selftest.Side),
    *get_args(Record.__annotations__["verdict"]),
]  # fmt: skip
ASKED = ["radius", "ball", "ulp", "doubt", "resolution", "headroom", "sow", "trace", "vacuous", "undecided",
         "certified", "refuted", "kink"]  # fmt: skip


def test_every_status_is_explained() -> None:
    assert len(STATUSES) > 30
    assert [word for word in [*STATUSES, *ASKED] if find.find(word) is None] == []


def test_every_word_at_the_head_of_a_selftest_s_line_is_explained() -> None:
    source = ast.parse(Path(report.__file__).read_text())
    (line,) = (f for f in source.body if isinstance(f, ast.FunctionDef) and f.name == "line")
    texts = [c.value for c in ast.walk(line) if isinstance(c, ast.Constant) and isinstance(c.value, str)]
    words = {text for text in texts if re.fullmatch(r"[A-Z]+\??|ok", text)} | {"--"}
    assert {"ok", "MISSED", "WHERE?", "SIDE?", "NAME?"} <= words
    assert [word for word in words if find.find(word) is None] == []


# --- lines and notes ----------------------------------------------------------------------------------


HEAD = re.compile(r" *([a-z][a-z ]*):(?= |$)")


def beginnings(path: Path) -> set[str]:
    """What the texts in the code begin with; of an f-string what is there before its first value."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inner = {id(part) for node in joined for part in node.values}
    alone = {id(n): n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in docs | inner}
    firsts = [*(node.values[0] for node in joined if node.values), *alone.values()]
    return {c.value for c in firsts if isinstance(c, ast.Constant) and isinstance(c.value, str)}


@pytest.mark.parametrize("module", [text, derivatives], ids=["text", "derivatives"])
def test_every_word_at_the_head_of_a_report_s_line_is_explained(module: Any) -> None:
    heads = {found[1] for said in beginnings(Path(module.__file__)) if (found := HEAD.match(said))}
    assert {"first wrong", "coarse", "vacuous", "doubt"} <= heads if module is text else "cause" in heads
    assert sorted(head for head in heads if find.find(head) is None) == []
    assert sorted(head for head in heads if find.find(f"{head}: of 3 for it") is None) == []


NOTES = {
    "judge/hearing.py": ["judged one step at a time"],
    "judge/ruling.py": ["looking for the side that is wrong ended in "],
    "doors/why.py": ["looking for the cause ended in "],
    "doors/formulas.py": ["formulas were not judged in float64, because "],
    "doors/check/convened.py": ["two sides of a kink meet at "],
    "doors/check/forward.py": ["looking for the cause ended in "],
}
"""Notes by the file that says them: what begins so in it is found, and every note that looking for something failed."""


def test_every_note_is_explained_and_by_no_cause() -> None:
    home = Path(find.__file__).parents[1]
    for file, notes in NOTES.items():
        said = beginnings(home / file)
        assert all(any(text.startswith(note) for text in said) for note in notes), (file, said)
    files = [path for folder in ("doors", "judge") for path in (home / folder).rglob("*.py")]
    failed = {text for path in files for text in beginnings(path) if re.match("looking .* ended in", text)}
    assert len(failed) >= 3
    every = [*failed, *(note for notes in NOTES.values() for note in notes)]
    found = {note: find.find(f"{note}W1 for x of elementwise") for note in every}
    assert [note for note, entry in found.items() if entry is None or entry.kind == "cause"] == []


def test_that_a_new_word_at_the_head_of_a_line_would_be_missed(tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text('x = f"brandnew: only {3}"\ny = "seldom: of it"\nz = "no head at all"\n')
    heads = {found[1] for said in beginnings(tmp_path / "new.py") if (found := HEAD.match(said))}
    assert heads == {"brandnew", "seldom"}
    assert [find.find(head) for head in heads] == [None, None]


@pytest.mark.parametrize(("said", "term"), [
    ("coarse: only a change of dW by 45% would have been seen;", "coarse"),
    ("looking for the side that is wrong ended in TypeError: no adjoint for elementwise", "looking for it ended in"),
    ("vacuous: the radius of 3 elements is infinite", "vacuous"), ("doubt: dW, torch: 1.5 times", "doubt"),
    ("1e-06 for 1e-05: a note", "another value"),
])  # fmt: skip
def test_a_line_is_found_by_its_head_and_a_note_by_its_words(said: str, term: str) -> None:
    assert getattr(find.find(said), "term", None) == term


# --- causes -------------------------------------------------------------------------------------------


def templates(module: Any) -> Iterator[str]:
    """The words of every edit that a menu makes, with X for what depends on the network.

    Words are what at_node, edit_at and Edit are called with: an f-string, or a name that one was given to.
    """
    tree = ast.parse(Path(module.__file__).read_text())
    for function in (f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef)):
        named: dict[str, list[str]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                named.setdefault(node.targets[0].id, []).extend(texts(node.value, named))
        for call in (c for c in ast.walk(function) if isinstance(c, ast.Call) and isinstance(c.func, ast.Name)):
            if call.func.id in ("at_node", "edit_at", "Edit", "edit"):  # type: ignore[attr-defined]  # a Name, as just seen
                which = call.args[0] if call.func.id == "edit" else call.args[1]  # type: ignore[attr-defined]  # the same
                yield from texts(which, named)


def texts(node: ast.expr, named: dict[str, list[str]]) -> list[str]:
    """The texts that an expression may be."""
    if isinstance(node, ast.Name):
        return named.get(node.id, [])
    if isinstance(node, ast.IfExp):
        return [*texts(node.body, named), *texts(node.orelse, named)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if not isinstance(node, ast.JoinedStr):
        return []
    found = [""]
    for part in node.values:
        inner = texts(part.value if isinstance(part, ast.FormattedValue) else part, named)
        found = [text + more for text in found for more in inner or ["X"]]
    return found


@pytest.mark.parametrize("module", [menu, menu_operations, menu_updates], ids=lambda m: m.__name__.rpartition(".")[2])
def test_every_edit_of_the_menus_is_explained(module: Any) -> None:
    found = [text for text in templates(module) if text.replace("X", "").strip(" {}")]  # X alone says nothing
    assert len(found) >= 10
    assert [text for text in found if find.find(f"cause: {text} (proof: all)") is None] == []


@pytest.mark.parametrize("source", [SOFTMAX, SIGMOID, TANH], ids=["softmax", "sigmoid", "tanh"])
def test_every_edit_of_a_network_s_gradients_is_explained(source: str) -> None:
    point = run(source, None, Sizes(6, 4, 5, 5), 0)
    assert unexplained(point) == []


@pytest.mark.parametrize("name", HERE)
def test_every_edit_of_an_update_is_explained(name: str) -> None:
    assert unexplained(update(HERE[name], None, 5, 0)) == []


def unexplained(point: Any) -> list[str]:
    """The edits without an entry, where every output is wrong."""
    wrong = {name: Number(3 * x.value + 1, x.radius) for name, x in point.seen.items()}
    with paused():
        case = case_of(point.eq, wrong, point.constants, point.others, point.previous)
        words = {edit.words for edit in candidates(case, sites(case))}
    assert len(words) > 20
    return [text for text in sorted(words) if getattr(find.find(text), "kind", "") != "cause"]


SAID = [
    ("a factor 1/2 at d(W) (proof: with it all 3 elements are within their radius, worst 0; it alone fits)", "factor"),
    ("mask (z1 > 0) left out of d(z1)", "mask left out"),
    ("= where += or -= is due: of 3 turns the share of the last one alone is kept", "= where += is due"),
    ("the 3 slices of xp taken back in reverse order, as of a flipped kernel", "flipped kernel"),
    ("the term of u @ u left out", "left out"),
    ("the gradients not clipped", "clipped in another way"),
    ("divided by the norm where it is smaller than the largest one as well", "clipped in another way"),
    ("W @ x of another call for W @ x", "another value"),
    ("dt / 2 * k2 where dt / 2 * k1 (ode.py:21) is due, in each of 4 turns", "computed from another value"),
    ("the module has the mean over axis 2, not 1, in sum(x) / 3, in each turn", "a layer that differs"),
    ("axes 1 and 2 swapped before the shape is (2, 3, 8), in mixed", "a layer that differs"),
    ("a momentum of 0.9, where there should be none", "momentum"),
    ("+ for - in y - t in 2 * (y - t)", "sign of a term"),
    ("the terms of a mean and a variance over axis 0, which are given here, too many in d(z)",
     "statistics that are given"),
    ("mask (z1 > 0) inverted", "mask inverted"),
    ("mask (z1 > 0) is 0 for 1 where both sides are equal, >", "mask at equality"),
    ("mask of z2 for (z1 > 0)", "mask"),
    ("mean for sum in d(b1)", "mean for sum"),
    ("d(b2) summed over all axes", "axes"),
    ("the square left out of (1 - a1^2)", "derivative of an activation"),
    ("1 - z1^2 for (1 - a1^2)", "derivative of an activation"),
    ("t of shape (N,), not (N, 1), so that it is broadcast to (N, N)", "broadcast"),
    ("W2 transposed", "transposed"),
    ("last of axis 0 of x dropped", "dropped"),
    ("x rounded to float32", "rounded"),
    ("eps inside the root", "eps"),
    ("bias correction left out", "bias correction"),
    ("momentum left out, as if it were 0", "settings"),
    ("1 - beta1 for beta1", "settings"),
    ("as if lr were 0.0001, not 0.07", "settings"),
    ("weight decay added to the gradient", "weight decay"),
    ("the off-diagonal elements of softmax's derivative left out of d(z3)", "softmax's derivative"),
    ("term d(sum(z)) left out of d(z)", "left out"),
    ("a1 for z1", "another value"),
    ("a gradient that is added to at every call, and never set to 0 (proof: called)", "added to at every call"),
    ("the gradient of the call before is returned", "the call before"),
    ("no single edit of the right equation explains it (412 were tried)", "no single edit explains it"),
    ("none was found before the time was up (412 edits of the right step were tried)",
     "none was found before the time was up"),
    ("arbiter: the mirror strays", "the mirror strays"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "term"), SAID, ids=[term for _, term in SAID])
def test_what_a_report_says_is_found_by_its_own_words(text: str, term: str) -> None:
    entry = find.find(text)
    assert entry is not None
    assert entry.term == term


def test_that_a_cause_without_an_entry_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the last pattern, which is the most general one, some edits have none."""
    monkeypatch.setattr(find, "CAUSES", causes.CAUSES[:-1])
    assert "z1 for a1" in unexplained(run(TANH, None, Sizes(6, 4, 5, 5), 0))


def test_every_cause_is_reached_by_some_words() -> None:
    """A pattern behind a more general one would never be tried."""
    said = [text for module in (menu, menu_operations, menu_updates) for text in templates(module)]
    said += [f"{words}, of a1" for words in ("X reversed along axis 0", "X rounded to TF32")]
    said += [text for text, _ in SAID] + ["cannot be told apart, here", "not asked for", "its proof, here"]
    reached = {entry.term for text in said if (entry := find.find(text)) is not None}
    assert [entry.term for entry in causes.CAUSES if entry.term not in reached] == []


# --- the data, and where they are shown ---------------------------------------------------------------


def test_each_term_is_there_once_and_refers_to_terms_that_are_there() -> None:
    terms = [term.casefold() for term in find.terms()]
    assert len(terms) == len(set(terms))
    assert [also for entry in find.ENTRIES for also in entry.also if also.casefold() not in terms] == []
    assert [entry.term for entry in find.ENTRIES if entry.term in entry.also] == []


def test_an_entry_is_short() -> None:
    assert [entry.term for entry in find.ENTRIES if len(entry.words) > 420] == []


def test_the_page_is_what_the_entries_make() -> None:
    written = subprocess.run(
        [sys.executable, "-m", "torch_mirror.glossary"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert (ROOT / "docs" / "glossary.md").read_text() == written, "python -m torch_mirror.glossary > docs/glossary.md"
    assert all(f"- **{entry.term}**: " in written for entry in find.ENTRIES)


def explained(*arguments: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(cli, ["explain", *arguments])
    return outcome.exit_code, outcome.output


def test_the_command_explains() -> None:
    status, said = explained("ULP")
    assert (status, said.splitlines()[0].startswith("ulp: Unit in the last place")) == (0, True)
    assert max(map(len, said.splitlines())) <= 79
    assert explained("end", "to", "end") == explained("end to end")
    assert explained("mask (z > 0) left out of d(z)")[1].startswith("mask left out: ")
    assert explained("-1", "for", "1")[1].startswith("another value: ")  # no option


def test_the_command_alone_lists_all_terms() -> None:
    status, said = explained()
    assert (status, [line.strip() for line in said.splitlines() if line.startswith("  ")]) == (
        0, [entry.term for kind in find.TITLES for entry in find.ENTRIES if entry.kind == kind]
    )  # fmt: skip


def test_an_unknown_term_is_one_message() -> None:
    said = "Error: unknown term 'vacous': did you mean 'vacuous'? torch-mirror explain lists all terms\n"
    assert explained("vacous") == (2, said)
    assert explained("zzzz") == (2, "Error: unknown term 'zzzz': torch-mirror explain lists all terms\n")


def test_neither_numpy_nor_torch_is_needed_to_explain() -> None:
    command = "from torch_mirror.doors.cli import run; run(['explain', 'radius'])"
    code = f"import sys; {command}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
