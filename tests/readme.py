"""The code blocks of a Markdown file, and whether they are true.

console: commands after "$ " (continued after "> ") and their literal output; "..." stands for what differs
from machine to machine. sh: commands alone. python: a script, or a session with ">>>"; a text block right
after a script is its output. text: not run otherwise.

A python block is run in this process and a command as a copy of one that has loaded everything (tests/warm), unless a
fresh interpreter is asked for: that takes seconds to load torch.
"""

import contextlib
import doctest
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests import warm

ROOT = Path(__file__).parents[1]
LANGUAGES = ("console", "python", "sh", "text")
PASSED_OVER = ("git clone ", "cd ")  # how a reader gets here


class Block(NamedTuple):
    """A fenced block; ``printed`` is the text block right after it, if there is one."""

    language: str
    line: int
    text: str
    printed: str | None = None


def blocks(markdown: str) -> list[Block]:
    """All fenced blocks, in order. A fence that is never closed is an error."""
    found = []
    for match in re.finditer(r"^```(.*)\n((?:(?!```).*\n)*)(```$)?", markdown, re.MULTILINE):
        line = markdown.count("\n", 0, match.start()) + 1
        assert match[3], f"line {line}: this block is never closed"
        after = re.match(r"\n\n```text\n((?:(?!```).*\n)*)```$", markdown[match.end() :], re.MULTILINE)
        found.append(Block(match[1].strip(), line, match[2], after[1] if after else None))
    return found


def check(block: Block, folder: Path, *, fresh: bool = False) -> None:
    """Run the block in a folder, which has the examples as ours has. Raises AssertionError where it is not true."""
    if not (folder / "examples").exists():
        (folder / "examples").symlink_to(ROOT / "examples")
    if block.language == "console":
        _check_console(block.text, folder, fresh=fresh)
    elif block.language == "sh":
        for command in block.text.splitlines():
            _run(command, folder, must_succeed=True, fresh=fresh)
    elif block.language == "python":
        _check_python(block, folder, fresh=fresh)
    else:
        assert block.language == "text", f"line {block.line}: no test runs {block.language!r} blocks, see LANGUAGES"


def _check_console(text: str, folder: Path, *, fresh: bool) -> None:
    assert text.startswith("$ "), f"a console block starts with a command: {text!r}"
    status = 0
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = re.sub(r"\\\n> ", "", part).partition("\n")
        printed, status = _run(f"(exit {status}); {command}", folder, fresh=fresh)  # so that `echo $?` is what it says
        _compare(command, expected, printed)


def _check_python(block: Block, folder: Path, *, fresh: bool) -> None:
    code = block.text
    if code.lstrip().startswith(">>>"):
        code = (
            f"import doctest, sys\nexamples = {code!r}\n"
            "test = doctest.DocTestParser().get_doctest(examples, {}, 'README', None, None)\n"
            "sys.exit(doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed > 0)\n"
        )
    path = folder / "example.py"
    path.write_text(code)
    printed = _run("python example.py", folder, must_succeed=True, fresh=True)[0] if fresh else _run_here(path)
    if block.printed is not None:
        _compare("the script", block.printed, printed)


def _run_here(path: Path) -> str:
    """What a script prints. Raises AssertionError where it does not end well."""
    printed = io.StringIO()
    with contextlib.chdir(path.parent), contextlib.redirect_stdout(printed):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except (Exception, SystemExit) as end:
            if not (isinstance(end, SystemExit) and end.code in (None, 0)):
                raise AssertionError(f"failed:\n{printed.getvalue()}") from end
    return printed.getvalue()


def _run(command: str, folder: Path, *, must_succeed: bool = False, fresh: bool) -> tuple[str, int]:
    """What a command prints, and its exit status. Of a make target, only that it exists: it may run this test."""
    bare = command.removeprefix("(exit 0); ")
    words = shlex.split(bare, comments=True)
    if not words or bare.startswith(PASSED_OVER):
        return "", 0
    if words[0] == "make":
        command, must_succeed = shlex.join([*words, "--dry-run", "--directory", str(ROOT)]), True
    programs = [] if fresh else [str(warm.folder())]
    environment = {**os.environ, "COLUMNS": "80", "PATH": os.pathsep.join([*programs, _bin(), os.environ["PATH"]])}
    result = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert not must_succeed or result.returncode == 0, f"{bare!r} failed:\n{result.stdout}"
    return ("" if words[0] == "make" else result.stdout), result.returncode


def _compare(command: str, expected: str, printed: str) -> None:
    same = doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)
    assert same, f"{command!r} should print\n{expected}\nbut it prints\n{printed}"


def _bin() -> str:
    return str(Path(sys.executable).parent)
