"""Exit status 1 means refuted or vacuous and nothing else; whatever else ends a command is told in a line."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from reference.errors import InputError
from tests import warm
from torch_mirror.ending import FAULT, TRACEBACK, outcome
from torch_mirror.neighbour import HiddenReferenceError

ROOT = Path(__file__).parents[2]
SHORT = ("verify", "linear-neuron", "--steps", "1", "--dtype", "float64")
Ended: TypeAlias = "subprocess.CompletedProcess[str]"


def shell(line: str, folder: Path | None = None, *, fresh: bool = True, **variables: str) -> Ended:
    """A line as a user's shell runs it; ``command`` stands for ours. fresh: in a process that loads it (tests/warm)."""
    line = line.replace("command", f"{sys.executable if fresh else warm.python()} -m torch_mirror")
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )  # fmt: skip


def python(code: str, **variables: str) -> Ended:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **variables},
    )  # fmt: skip


def is_told(ended: Ended, said: str) -> bool:
    """One line on standard error, and no traceback."""
    return said in ended.stderr and len(ended.stderr.splitlines()) == 1


CASE = "import numpy as np\ndef mine(p): return (p**2).sum(), 2 * p\ncase = mine, np.ones(3)\n"
FULL = "Error: standard output: expected to be writable, got No space left on device"


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("command --help > /dev/full", 2, FULL),
        ("command --version > /dev/full", 2, FULL),
        (f"command {' '.join(SHORT)} > /dev/full", 2, FULL),
        ("command.figures --help > /dev/full", 2, FULL),
        (f"command {' '.join(SHORT)[:-1]}", 2, ""),
        ("command verify linear-neuron --steps 100000000000000000000", 2, "Error: steps: expected 2^53"),
        ("ln -s a b; ln -s b a; command verify linear-neuron --json a", 2, "Too many levels of symbolic links"),
        ("command.doors.cli verify nope", 2, "Error: unknown experiment 'nope'"),
    ],
)
def test_whatever_ends_it_is_told_and_is_not_1(tmp_path: Path, line: str, status: int, said: str) -> None:
    """One of them in a process that was started anew."""
    ended = shell(line, tmp_path, fresh=line.startswith("command --help"))
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr
    assert is_told(ended, said) or not said


@pytest.mark.parametrize("line", ["--help", " ".join(SHORT), "check case.py:case", "reproduce case.py:case"])
def test_where_nobody_reads_on_it_ends_quietly_as_other_tools_do(tmp_path: Path, line: str) -> None:
    """With the status of SIGPIPE: not 0, which would say that all is certified, and not 1."""
    (tmp_path / "case.py").write_text(CASE.replace("2 * p", "p"))
    ended = shell(f"command {line} | head -c 0", tmp_path, fresh="--help" in line)
    assert (ended.returncode, ended.stderr) == (141, ""), ended.stderr


def test_the_module_of_before_is_missed_by_python_itself() -> None:
    """Status 1, but of Python: nothing of ours was found to run, and that is what it says."""
    ended = shell(f"{sys.executable} -m torch_mirror.cli verify linear-neuron")
    assert is_told(ended, "No module named torch_mirror.cli")


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full", "<&-", ">&- 2>&-"])
def test_a_stream_that_is_closed_does_not_change_the_status(stream: str) -> None:
    ended = shell(f"command verify nope {stream}", fresh=False)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert not ended.stdout


@pytest.mark.parametrize(
    ("line", "stream", "fresh"), [(" ".join(SHORT), "2>&-", False), ("check case.py:case", ">&-", True)]
)
def test_nor_does_a_report_take_the_place_of_the_stream(
    tmp_path: Path, line: str, stream: str, fresh: bool  # noqa: FBT001 - a case
) -> None:
    """A folder that is called ``reference`` and is no package hides nothing, either, of what is loaded anew."""
    (tmp_path / "reference").mkdir()
    (tmp_path / "case.py").write_text(CASE)
    ended = shell(f"command {line} --json out.json {stream}", tmp_path, fresh=fresh)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ("certified" in ended.stdout) == (stream != ">&-")
    report = (tmp_path / "out.json").read_text()
    assert report[0] in "{["
    assert report.endswith(("}\n", "]\n"))


@pytest.mark.parametrize("module", ["torch_mirror.ending", "click", "numpy._core", "torch._utils"])
def test_ctrl_c_while_it_loads(module: str) -> None:
    assert interrupted_behind(module) == (130, "", "Interrupted.")


def test_ctrl_c_while_it_runs(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text("old")
    (tmp_path / "case.py").write_text(
        "from reference import experiments\nfrom torch_mirror.training.session import session\n"
        "def told(e):\n    print('begun', flush=True)\n    return session(e)\n"
        "case = experiments.load('linear-neuron'), told\n"
    )
    with subprocess.Popen(
        [warm.python(), "-m", "torch_mirror", "verify", "case.py:case", "--json", "out.json", "--steps", str(10**12)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        preexec_fn=as_in_a_terminal,  # noqa: PLW1509 - no thread of ours runs here
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        shown, told = process.communicate(timeout=60)
    assert (process.returncode, shown, told) == (130, "", "0 of 1 runs were judged.\nInterrupted.\n")
    assert {path.name for path in tmp_path.iterdir()} == {"case.py", "out.json"}
    assert (tmp_path / "out.json").read_text() == "old"


def test_next_to_nothing_loads_before_ctrl_c_is_ours() -> None:
    """Until then it would be a traceback of ours. -S: what other packages have Python load at its start is theirs."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import torch_mirror.__main__; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert "torch_mirror.interrupt" in ended.stdout.split()
    assert not {"enum", "functools", "re", "typing", "pathlib"} & {*ended.stdout.split()}


def as_in_a_terminal() -> None:
    """Ctrl-C is not ignored, as it is in what a script has started in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted_behind(module: str) -> tuple[int, str, str]:
    """How a run ends that gets Ctrl-C when that module is loaded: status, output, and the last line of all told.

    Python tells of each module when it is loaded: so the moment is no matter of luck.
    """
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "torch_mirror", "verify", "linear-neuron"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        preexec_fn=as_in_a_terminal,  # noqa: PLW1509 - no thread of ours runs here
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if line.rsplit("|", 1)[-1].strip() == module:
                break
        process.send_signal(signal.SIGINT)
        shown, told = process.communicate(timeout=60)
    assert "Traceback" not in told
    return process.returncode, shown, told.splitlines()[-1]


def test_nohup_is_respected() -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from torch_mirror.interrupt import leave_at_once, raise_as_usual\n"
        "leave_at_once(); raise_as_usual(); signal.raise_signal(signal.SIGINT); print('on')"
    )
    assert python(code).stdout == "on\n"


# --- what goes wrong inside ----------------------------------------------------------------------

ENDING = "from torch_mirror.ending import finish\ndef command(): {}\nfinish(command)"


def test_an_exception_of_ours_is_3_and_says_where_to_report_it() -> None:
    ended = python(ENDING.format("return 1 // 0"))
    assert ended.returncode == 3
    assert is_told(ended, "nothing was decided: ZeroDivisionError: integer division or modulo by zero; please report")


def test_a_traceback_is_shown_to_whoever_asks() -> None:
    ended = python(ENDING.format("return 1 // 0"), **{TRACEBACK: "1"})
    assert ended.returncode == 3
    assert "Traceback" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("Error: a fault of torch-mirror")


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("return 0", 0, ""),
        ("return 1", 1, ""),
        ("raise MemoryError", 2, "Error: memory: expected enough for the run (fewer steps need less), got none left\n"),
        ("bytearray(10**18)", 2, "Error: memory: "),
        ("import nothing_like_it", 2, "Error: installation: expected every package that torch-mirror needs, got No"),
        ("import torch_mirror.nothing", 3, "ModuleNotFoundError: No module named 'torch_mirror.nothing'"),
        ("raise KeyboardInterrupt", 130, "Interrupted.\n"),
        ("raise SystemExit(0)", 0, ""),
        ("import ctypes; ctypes.CDLL(None).exit(1)", 3, ""),  # as OpenBLAS does where memory is short
        ("import atexit; atexit.register(print, 'in the end'); return 1", 1, ""),
    ],
)
def test_what_a_command_returns_or_raises_decides_the_status(code: str, status: int, said: str) -> None:
    ended = python(ENDING.format(code))
    assert ended.returncode == status, ended.stderr
    assert said in ended.stderr
    assert bool(said) == bool(ended.stderr)
    assert ("in the end" in ended.stdout) == ("atexit" in code)


def wrapped(inner: BaseException) -> BaseException:
    """An error with another behind it, as a judge's own that says which equation it was."""
    try:
        raise InputError("equations behind z1", "NumPy functions that run on balls", "an error") from inner
    except InputError as error:
        return error


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (wrapped(MemoryError("Unable to allocate 9 GiB")), 2, "Error: memory: "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 2, "Error: memory: "),
        (wrapped(ValueError()), 2, "Error: equations behind z1: expected NumPy functions"),
        (InputError("tensor x", "finite\nnumbers", "nan"), 2, "Error: tensor x: expected finite numbers, got nan"),
        (HiddenReferenceError("package reference: expected"), 2, "Error: package reference: expected"),
        (OSError(13, "Permission denied", "data.csv"), FAULT, "PermissionError: [Errno 13] Permission denied: 'data"),
        (AssertionError(), FAULT, "AssertionError: ;"),
    ],
)
def test_an_error_has_one_status_and_one_line(error: BaseException, status: int, said: str) -> None:
    found, words = outcome(error)
    assert (found, "\n" in words) == (status, False)
    assert said in words


@pytest.mark.parametrize("kilobytes", [300_000, 640_000])
def test_too_little_memory_is_not_1(kilobytes: int) -> None:
    """At whichever point it runs out: while torch loads, or inside a library that calls exit(1)."""
    ended = shell(f"ulimit -v {kilobytes}; command verify two-layer-relu --steps 20 --dtype float64")
    assert ended.returncode not in (0, 1), ended
    assert ended.stderr
    assert "Traceback" not in ended.stderr


# --- a package of the same name ------------------------------------------------------------------


def package(folder: Path) -> Path:
    (folder / "reference").mkdir()
    (folder / "reference" / "__init__.py").write_text("raise SystemExit('it ran')")
    return folder / "reference" / "__init__.py"


def module(folder: Path) -> Path:
    (folder / "reference.py").write_text("raise SystemExit('it ran')")
    return folder / "reference.py"


@pytest.mark.parametrize("hide", [package, module])
@pytest.mark.parametrize("line", ["command --help", f"command {' '.join(SHORT)}"])
def test_a_reference_of_the_user_s_own_is_told_by_the_command(
    tmp_path: Path, hide: Callable[[Path], Path], line: str
) -> None:
    path = hide(tmp_path)
    ended = shell(line, tmp_path)
    assert ended.returncode == 2
    assert is_told(ended, f"Error: package reference: expected torch-mirror's own, got {path}, which hides it: rename")


@pytest.mark.parametrize("hide", [package, module])
@pytest.mark.parametrize("code", ["from torch_mirror import verify", "from torch_mirror.doors import strategies"])
def test_a_reference_of_the_user_s_own_is_told_by_an_import(
    tmp_path: Path, hide: Callable[[Path], Path], code: str
) -> None:
    path = hide(tmp_path)
    ended = shell(f'{sys.executable} -c "{code}"', tmp_path)
    assert f"HiddenReferenceError: package reference: expected torch-mirror's own, got {path}" in ended.stderr


def test_one_that_was_imported_before_is_told_as_well() -> None:
    code = "import sys, types; sys.modules['reference'] = types.ModuleType('reference')\nfrom torch_mirror import train"
    assert "package reference: expected torch-mirror's own, got nothing" in python(code).stderr


