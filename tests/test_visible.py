"""Text of others: it shows as what it is, and nothing obeys it."""

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from torch_mirror.doors.console import say
from torch_mirror.visible import inert, visible

ODD = ["\n", "\r", "\x1b[31m", "\x85", "\u2028", "\u202e", "\u2066", "\u200b", "\ufeff", "\ud800", "\x00", "\x7f"]


@given(st.text() | st.sampled_from(ODD))
def test_all_is_printable_and_what_was_stays(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown  # half a surrogate pair could not be
    assert visible(shown) == shown
    assert (shown == text) == text.isprintable()


def test_it_is_written_as_python_writes_it() -> None:
    assert visible("a\nb\x1b[1m\u202e\ud800é") == r"a\nb\x1b[1m\u202e\ud800é"


@pytest.mark.parametrize("line", ["::error::x", "  ::error title=a::b", "##[error]x", "a ##[add-mask]b", "::"])
def test_what_github_would_obey_it_does_not(line: str) -> None:
    assert not inert(line).lstrip().startswith("::")
    assert "##[" not in inert(line)


@given(st.text())
def test_other_lines_are_as_they_were(line: str) -> None:
    assert inert(line) == line or line.lstrip().startswith("::") or "##[" in line


@given(st.text() | st.sampled_from(ODD), st.text(), st.sampled_from(["certified", "refuted", ""]))
def test_whatever_is_said_comes_out_as_lines_of_their_own(text: str, end: str, verdict: str) -> None:
    @click.command()
    def command() -> None:
        say(text, end, verdict)

    result = CliRunner().invoke(command)
    assert result.exception is None
    lines = result.output.removesuffix("\n").split("\n")
    assert len(lines) == 1 + text.count("\n")
    assert all(line.isprintable() and not line.lstrip().startswith("::") for line in lines)
