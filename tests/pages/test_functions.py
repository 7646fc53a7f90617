"""docs/functions.md is what the table of the rules makes, as far as this release of NumPy has the functions."""

import re
from typing import Any

import numpy as np
import pytest

from tests.pages import functions
from tests.pages.api import ROOT
from torch_mirror import Ball
from torch_mirror.balls.recording import Choice, Kind
from torch_mirror.balls.table import TABLE, Row

WRITTEN = (ROOT / "docs" / "functions.md").read_text(encoding="utf-8")
BY_PART = {part.split("\n")[0]: part for part in WRITTEN.split("\n## ")}
ONLY_OLDER = {"np.in1d", "np.trapz"}
"""What NumPy 2.0 has, and the release that the page is made with has not."""


def rows(part: str) -> set[str]:
    return set(re.findall(r"^\| `.*$", BY_PART[part], re.MULTILINE))


def there(name: str) -> bool:
    return not name.startswith("np.") or functions.function_of(name) is not None


def made(told: list[functions.Told]) -> set[str]:
    return {line for line in functions.table(("", ""), told) if line.startswith("| `")}


def test_the_functions_with_a_rule_are_those_of_the_table() -> None:
    written = rows("With a rule and an adjoint")
    assert len(written) > 190
    assert {row for row in written if there(row.split("`")[1])} == made(functions.followed())
    assert made(functions.without_adjoint()) == rows("With a rule and no adjoint")


def test_the_ways_out_are_those_of_the_messages() -> None:
    assert rows("Without a rule, with a way out") == made(functions.refused())


def test_all_other_functions_of_numpy_are_listed() -> None:
    written = set(re.findall(r"`(np\.[\w.]+)`", BY_PART["Without a rule"]))
    found = {name for names in functions.unknown().values() for name in names}
    assert len(found) > 120
    assert {name for name in written if there(name)} == found - ONLY_OLDER


def test_no_function_stands_in_two_parts() -> None:
    """np.array(x, like=ball) has a rule, and np.array(x) a way out: its one row says both."""
    names = {part: set(re.findall(r"`((?:np|scipy)\.[\w.]+)`", text)) for part, text in BY_PART.items()}
    followed, ways = names["With a rule and an adjoint"], names["Without a rule, with a way out"]
    assert not followed & ways
    array = next(row for row in rows("With a rule and an adjoint") if row.startswith("| `np.array` "))
    assert "if there is a like=; else: x.copy() copies a ball" in array
    assert not names["Without a rule"] & (followed | ways)


def test_the_head_of_the_page() -> None:
    assert WRITTEN.startswith(functions.HEAD), "python -m tests.pages.functions > docs/functions.md"


@pytest.mark.parametrize("adjoint", [*Kind, (abs,), Choice((), abs)], ids=str)
def test_every_sort_of_adjoint_has_its_words(adjoint: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is added, or loses its adjoint, changes the page."""
    if adjoint is Kind.LEAF:  # of variables, no function's
        return
    monkeypatch.setitem(TABLE, np.i0, Row(abs, adjoint))  # type: ignore[arg-type]  # any of them
    added = made(functions.without_adjoint() if adjoint is Kind.UNKNOWN else functions.followed())
    assert [row for row in added if "`np.i0`" in row]
    assert "np.i0" not in functions.unknown()["numpy"]


def test_what_the_page_promises_of_each_part() -> None:
    x: Any = Ball(np.array([0.5, 1.5]))
    assert isinstance(np.add.outer(x, x), Ball)
    with pytest.raises(TypeError, match=r"no radius is known for numpy\.i0; @Ball\.rule"):
        np.i0(x)
    with pytest.raises(TypeError, match=r"sinc; np\.sin\(np\.pi \* x\)"):
        np.sinc(x)
