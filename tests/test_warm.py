"""A copy of an interpreter that has loaded everything ends, reads and writes as a fresh one does."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import warm
from tests.warm.program import LOST, is_for_a_copy

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
Ended = tuple[int, str, str]


def by(python: str, *arguments: str, given: str = "", **variables: str) -> Ended:
    reading, writing = os.pipe()
    os.write(writing, b"more")
    ended = subprocess.run(
        [python, *arguments], input=given, capture_output=True, text=True, check=False, pass_fds=[reading],
        env={**os.environ, "GIVEN": str(reading), **variables},
    )  # fmt: skip
    os.close(reading)
    os.close(writing)
    return ended.returncode, ended.stdout, ended.stderr


SCRIPTS = {
    "prints": "print(6 * 7)",
    "prints without a newline": "import sys; sys.stdout.write('6 * 7')",
    "reads": "print(input() * 2)",
    "ends with a status": "import sys; sys.exit(3)",
    "ends with words": "raise SystemExit('words')",
    "ends at once": "import os; print('lost'); os._exit(4)",
    "has something to do in the end": "import atexit; atexit.register(print, 'in the end'); print('first')",
    "aborts": "import os; os.abort()",
    "is killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "knows who it is": "import __main__; x = 1; print(__name__, __main__.x)",
    "knows where it is": "import os, sys; print(os.getcwd(), os.environ['WORD'], sys.argv, sys.path)",
    "is interrupted": "import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(10)",
    "starts another": "import subprocess, sys; print(subprocess.run([sys.executable, '-c', '1 // 0']).returncode)",
    "has a file that it was given": "import os, sys; print(os.read(int(os.environ['GIVEN']), 9), sys.stdin.read())",
    "fails": "import sys; print('out'); 1 // 0",
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("how", ["-c", "file"])
def test_it_ends_as_a_fresh_one_does(tmp_path: Path, script: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(SCRIPTS[script])
    what = ("-c", SCRIPTS[script]) if how == "-c" else ("script.py",)
    fresh, copy = (by(python, *what, "a", "b", given="ab\n", WORD="word") for python in (sys.executable, warm.python()))
    assert copy[:2] == fresh[:2]
    assert copy[2].splitlines()[-1:] == fresh[2].splitlines()[-1:]  # of a traceback, the error


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_closed_there_too(tmp_path: Path, streams: str) -> None:
    code = "import os, sys; open('said', 'w').write(str([sys.stdin, sys.stdout, sys.stderr].count(None)))"
    for python in (sys.executable, warm.python()):
        subprocess.run(["bash", "-c", f'"{python}" -c "{code}" {streams}'], cwd=tmp_path, check=True)
        assert (tmp_path / "said").read_text() == str(streams.count("&-"))


def test_it_is_a_module_s_as_well_and_each_has_its_own_state(tmp_path: Path) -> None:
    code = "import sys, reference; print(__name__, sys.argv[1:], vars(reference).pop('x', 0)); reference.x = 1"
    (tmp_path / "own.py").write_text(code)
    for _ in range(2):
        ended = by(warm.python(), "-m", "own", "a", PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
        assert ended == (0, "__main__ ['a'] 0\n", "")


def test_torch_and_the_command_are_loaded_before_it_begins() -> None:
    code = "import sys; print(*sorted({'torch', 'torch._dynamo', 'torch_mirror.doors.cli', 'pytest'} & {*sys.modules}))"
    assert by(warm.python(), "-c", code)[1] == "torch torch._dynamo torch_mirror.doors.cli\n"
    assert by(warm.python(), "-I", "-c", code)[1] == "\n"
    assert by(warm.python(), "-c", code, PYTHONHASHSEED="1")[1] == "\n"


@pytest.mark.parametrize("arguments", [[], ["-I", "-c", "1"], ["-"], ["-W", "error", "script.py"]])
def test_what_it_cannot_do_is_left_to_a_fresh_one(arguments: list[str]) -> None:
    assert not is_for_a_copy(arguments, os.environ)
    assert is_for_a_copy(["-c", "1"], os.environ)
    assert is_for_a_copy(["-c", "1"], {**os.environ, "TORCH_MIRROR_TRACEBACK": "1", "PYTHONPATH": "/else", "HOME": "/"})
    assert is_for_a_copy(["-c", "1"], {**os.environ, "KMP_INIT_AT_FORK": "FALSE"})  # scikit-learn was imported
    assert not is_for_a_copy(["-c", "1"], {**os.environ, "OMP_NUM_THREADS": "7"})


@pytest.mark.parametrize(
    ("send", "status"),
    [(lambda p: p.send_signal(signal.SIGINT), -signal.SIGINT), (lambda p: p.terminate(), -signal.SIGTERM),
     (lambda p: p.kill(), -signal.SIGKILL)],
    ids=["interrupted", "terminated", "killed"],
)  # fmt: skip
def test_a_signal_to_the_program_ends_the_copy(
    send: Callable[["subprocess.Popen[str]"], None], status: int
) -> None:
    code = "import os, signal, time; signal.signal(2, signal.SIG_DFL); print(os.getpid(), flush=True); time.sleep(100)"
    with subprocess.Popen(
        [warm.python(), "-c", code], stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it takes no lock
    ) as process:  # fmt: skip
        assert process.stdout is not None
        copy = int(process.stdout.readline())
        send(process)
        assert process.wait(60) == status
        latest = time.monotonic() + 60
        while Path(f"/proc/{copy}").exists():
            assert time.monotonic() < latest
            time.sleep(0.01)


def test_who_ends_before_it_has_asked_is_in_nobody_s_way() -> None:
    for sent in (b"", (100).to_bytes(8), (100).to_bytes(8) + b"half"):
        with socket.socket(socket.AF_UNIX) as program:
            program.connect(str(warm.folder() / "server"))
            program.sendall(sent)
    ended = subprocess.run([warm.python(), "-c", "print(7)"], capture_output=True, text=True, check=True, timeout=120)
    assert ended.stdout == "7\n"


ASKING = """
import os, sys
from program import run
run(sys.executable, sys.argv[1], dict(os.environ), ["-c", "print(7)"])
"""


def test_where_the_server_has_ended_a_fresh_process_does_it_and_where_it_ends_that_is_no_status_of_ours(
    tmp_path: Path,
) -> None:
    address = str(tmp_path / "server")
    asking = [sys.executable, "-c", ASKING, address]
    here = {**os.environ, "PYTHONPATH": str(warm.HERE)}
    fresh = subprocess.run(asking, env=here, capture_output=True, text=True, check=True)
    assert fresh.stdout == "7\n"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        with subprocess.Popen(asking, env=here) as process:
            connection, _ = server.accept()
            connection.recv(1 << 16)
            connection.close()
            assert process.wait(120) == LOST


def test_as_many_as_are_wanted_run_at_once() -> None:
    line = " | ".join([f"{warm.python()} -c 'print(int(input()) + 1)'"] * 3)
    ended = subprocess.run(["bash", "-c", f"echo 1 | {line}"], capture_output=True, text=True, check=True)
    assert ended.stdout == "4\n"
