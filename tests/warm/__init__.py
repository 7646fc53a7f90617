"""An interpreter that has loaded everything, of which a copy is forked for each command that a test runs.

To start Python, torch and one of torch's optimizers takes three seconds of the processor. A hundred tests run a
command, and most of them ask nothing about its start. ``python()`` is the path of a small program (program.py), which
is called as an interpreter is: ``-m torch_mirror ...``, ``script.py``, ``-c ...``. It hands its arguments, folder,
variables and open files to a server (server.py), which forks. The copy is a process of its own, with those files; it
runs what was asked for as ``__main__`` and ends as Python does. Its exit status, or the signal that ended it, is the
program's. A signal to the program is one to the copy. What a copy starts by ``sys.executable`` is a copy, too.

What a copy has that a fresh process has not: torch and all of torch_mirror are loaded. What it lacks: the limits, the
session and the terminal of whoever started it. So tests that ask about these use ``sys.executable``: what is loaded,
one module that hides another, Ctrl-C while it loads, too little memory. The program itself starts a fresh process for
options of Python's own, and where a variable differs that is read only while something loads.
"""

import atexit
import os
import shlex
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
VARIABLES = dict(os.environ)
"""As they are before any test."""

START = """import sys
sys.path.insert(0, {here!r})
from program import run
run({python!r}, {address!r}, {started_with!r}, sys.argv[1:])
"""
BEGIN = """#!/bin/sh
exec {python} -ISs {start} {arguments} "$@"
"""
"""By a shell, as a system reads no path with a space behind ``#!``, and no long one."""


def python() -> str:
    """The path of what is called as an interpreter."""
    return str(folder() / "python")


@cache
def folder() -> Path:
    """A folder with ``python`` and ``torch-mirror``, for a shell's PATH. The server ends with this process.

    Where the system is not Linux these are the ones that are installed.
    """
    if not hasattr(os, "pidfd_open"):
        return Path(sys.executable).parent
    made = tempfile.TemporaryDirectory(prefix="warm")
    address = Path(made.name) / "server"
    server = subprocess.Popen(
        [sys.executable, str(HERE / "server.py"), str(address), str(Path(made.name) / "python")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=VARIABLES, cwd=HERE,
    )  # fmt: skip
    given, said = server.stdin, server.stdout
    assert given is not None
    assert said is not None
    assert said.readline() == b"listening\n"
    start = Path(made.name) / "start.py"
    start.write_text(START.format(here=str(HERE), python=sys.executable, address=str(address), started_with=VARIABLES))
    for name, arguments in {"python": "", "torch-mirror": "-m torch_mirror"}.items():
        program = Path(made.name) / name
        program.write_text(
            BEGIN.format(python=shlex.quote(sys.executable), start=shlex.quote(str(start)), arguments=arguments)
        )
        program.chmod(0o755)

    def end() -> None:
        given.close()
        said.close()
        server.wait()
        made.cleanup()

    atexit.register(end)
    return Path(made.name)
