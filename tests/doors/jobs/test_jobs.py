"""-j: the same lines in the same order as one process prints, errors too; Ctrl-C ends all of them at once."""

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner
from joblib.externals.loky import get_reusable_executor

from reference.errors import InputError
from tests.warm import python
from torch_mirror.doors.cli import cli
from torch_mirror.doors.jobs import ordered, workers
from torch_mirror.doors.jobs.ordered import How, certificates, certified
from torch_mirror.doors.jobs.software import software
from torch_mirror.doors.jobs.unit import Answer, Died, Unit, sendable, work
from torch_mirror.doors.runs import Source, again, judged, runs_of
from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports.json import as_json

ROOT = Path(__file__).parents[3]
MINE = """
import sys
from dataclasses import replace
from reference import experiments
from torch_mirror.training.session import session

print("read")
one = replace(experiments.load("linear-neuron"), steps=3)

def loud(e):
    print("says", e.name)
    return session(e)

def wrong(e):
    made = session(e)
    made.optimizer.param_groups[0]["lr"] *= 2
    return made

def broken(e):
    return 1 // 0

cases = {
    "loud": lambda: (replace(one, name="loud"), loud),
    "wrong": (replace(one, name="wrong"), lambda e: wrong(e)),
    "last": replace(one, name="last"),
    "broken": (replace(one, name="broken"), broken),
    "behind": replace(one, name="behind"),
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same_environment: None) -> Path:  # noqa: ARG001 - it is the same behind it
    """A folder with the file, that is the current one."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


in_the_folder = pytest.mark.usefixtures("folder")
T = TypeVar("T")


def sent_on(value: T) -> T:
    """As it comes out of the other end of a pipe."""
    came: T = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes
    return came


def through_pipes(units: Sequence[Unit], _: int) -> Generator[tuple[int, Answer], None, None]:
    """In the place of other processes: what would be sent is sent, and the last comes first."""
    for place, unit in reversed([*enumerate(units)]):
        yield place, sent_on(work(sent_on(unit)))


@in_the_folder
def test_the_lines_are_those_of_one_process_and_so_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambdas, a file's own prints, a refuted run, an error in the middle: and nothing of what is behind it."""
    monkeypatch.setattr(workers, "by_processes", through_pipes)
    line = ["verify", "two-layer-linear", "mine.py:cases", "--steps", "3", "--dtype", "float64"]
    one, several = (CliRunner().invoke(cli, [*line, "-j", jobs]) for jobs in ("1", "2"))
    assert one.stdout == several.stdout
    assert one.stderr == several.stderr == (
        "Error: broken float64: expected code that runs, got ZeroDivisionError: integer division or modulo by zero "
        f"(mine.py, line {MINE[: MINE.index('1 // 0')].count(chr(10)) + 1})\n"
    )
    assert one.exit_code == several.exit_code == 2
    words = ["two-layer-linear", "says loud", "loud", "wrong", "first wrong", "last"]
    found = [several.stdout.index(word) for word in words]
    assert found == sorted(found)
    assert "behind" not in several.stdout


def test_what_a_process_sends_back_is_the_verdict_whole(folder: Path) -> None:
    run = runs_of(["mine.py:cases"], [])[1]
    assert run.source == Source("mine.py:cases", "mine.py:cases wrong", str(folder))
    sent = sent_on(Unit("wrong", partial(certified, run.source, 2, strict=True, curves=False), str(folder)))
    came = sent_on(work(sent)).found
    assert came is not None
    assert came.ruling is not None
    here = judged(run, 2, strict=True)
    assert as_json(replace(came, seconds=0.0)) == as_json(replace(here, seconds=0.0))


GRADIENTS = """
import numpy as np

print("read")

def square(p, x):
    print("runs")
    y = x @ p["W"]
    return (y ** 2).sum(), {"W": FACTOR * x.T @ y}

FACTOR, x = 2, np.ones((2, 3)) + np.arange(3)
right = square, {"W": np.ones((3, 1))}, x
cases = {"right": right, "wrong": (lambda p, x: (square(p, x)[0], {"W": x.T @ x @ p["W"]}), *right[1:])}
bad = {"right": right, "none": 7, "behind": right}
others = {"one": right, "two": right}
"""


@pytest.mark.parametrize(
    "line",
    [
        ("check", "g.py:cases", "linear-neuron.py:none"),
        ("check", "g.py:cases", "g.py:bad", "-v"),
        ("check", "g.py:cases", "--json", "out", "--report", "page"),
        ("selftest", "g.py:others", "-q", "--dtype", "float64"),
        ("gate", "mine.py:others", "linear-neuron", "--steps", "3", "--baseline", "b.txt", "--github"),
    ],
)
def test_so_are_those_of_others(folder: Path, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...]) -> None:
    """Errors of a file, of an object and of the user's code, what they print, and what is written."""
    monkeypatch.setattr(workers, "by_processes", through_pipes)
    (folder / "g.py").write_text(GRADIENTS)
    (folder / "mine.py").write_text(MINE + 'others = {name: cases[name] for name in ("wrong", "loud", "last")}\n')
    if line[0] == "gate":
        assert CliRunner().invoke(cli, [*line, "--update"]).exit_code == 1  # as one is wrong
        baseline = ["gate", "linear-neuron", "--steps", "2", "--baseline", "b.txt", "--update"]
        assert CliRunner().invoke(cli, baseline).exit_code == 0
    found = []
    for jobs in ("1", "2"):
        result = CliRunner().invoke(cli, [*line, "-j", jobs])
        files = [(folder / name).read_text() for name in ("out", "page") if (folder / name).exists()]
        found.append((result.exit_code, *map(timeless, (result.stdout, result.stderr, *files))))
    assert found[0] == found[1]
    assert found[0][0] == {"check": 1 if "--json" in line else 2, "selftest": 0, "gate": 1}[line[0]]
    assert len(found[0]) == 3 + 2 * ("--json" in line)


def timeless(text: str) -> str:
    """Without what takes another time each time."""
    text = re.sub(r'"seconds": [0-9.e-]+', '"seconds"', text)
    return re.sub(r'[0-9.]+ s\b|<td class="n">[0-9.e-]+(?=<tr>|</table>)', "", text)


def test_what_is_written_is_where_it_was_asked_for_wherever_the_user_s_code_goes(folder: Path) -> None:
    (folder / "away").mkdir()
    goes = "import os\nos.chdir('away')\n"
    (folder / "goes.py").write_text(f"{GRADIENTS.replace('print(', 'str(')}\n{goes}")
    assert CliRunner().invoke(cli, ["check", "goes.py:right", "--json", "a.json", "--report", "a.html"]).exit_code == 0
    os.chdir(folder)
    assert CliRunner().invoke(cli, ["selftest", "goes.py:right", "--json", "b.json", "--limit", "0.01"]).exit_code < 2
    os.chdir(folder)
    (folder / "went.py").write_text(f"{MINE.replace('print(', 'str(')}\n{goes}")
    for line in (
        ["verify", "went.py:one", "--json", "c.json", "--figures", "d", "--resume"],
        ["gate", "went.py:one", "--json", "e.json", "--baseline", "f.txt", "--update"],
        ["record", "went.py:one", "-o", "g.npz"],
    ):
        os.chdir(folder)
        result = CliRunner().invoke(cli, line)
        assert result.exit_code == 0, result.output
    assert {path.name for path in (folder / "away").iterdir()} == set()
    written = {"a.json", "a.html", "b.json", "c.json", "d", "e.json", "f.txt", "g.npz", ".torch_mirror_cache"}
    assert written <= {path.name for path in folder.iterdir()}


@in_the_folder
def test_an_entry_is_made_alone_and_one_that_is_gone_is_told() -> None:
    assert again(Source("mine.py:cases", "mine.py:cases loud", ".")).name == "loud"
    with pytest.raises(InputError, match=r"cases none: expected the entry that was there before, got only loud"):
        again(Source("mine.py:cases", "mine.py:cases none", "."))


def test_a_worker_with_other_versions_judges_nothing(folder: Path) -> None:
    source = Source("linear-neuron", "linear-neuron", ".", "float64")
    versions, do = software(), partial(certified, source, 1, strict=False, curves=False)
    assert work(Unit("one", do, str(folder), versions)).found is not None
    refused = work(Unit("one", do, str(folder), {**versions, "numpy": "1.0"}))
    assert refused.found is None
    assert str(refused.error).startswith("numpy of a worker: expected 1.0, got 2.")


def test_an_error_that_cannot_be_sent_keeps_its_words() -> None:
    told = sendable(InputError("x", "an array", "none"))
    assert isinstance(told, InputError)
    assert not hasattr(told, "__notes__")

    class Odd(Exception):  # noqa: N818 - as a user may call it, in a function of theirs
        pass

    fault = sent_on(sendable(Odd("x is odd")))
    assert (type(fault), str(fault)) == (RuntimeError, "Odd: x is odd")
    where = sent_on(sendable(ZeroDivisionError("so")))
    assert isinstance(where, ZeroDivisionError)
    assert "ZeroDivisionError: so" in where.__notes__[0]


# --- in order, whatever comes first ---------------------------------------------------------------


def answer(name: str) -> Answer:
    return Answer(Certificate(name, "float64", 0, 1))


def coming(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, Answer] | type[BaseException]) -> list[str]:
    """The names that certificates() gives where the answers come in this order, and how it ends."""

    def come(*_: object) -> Generator[tuple[int, Answer], None, None]:
        for one in answers:
            if isinstance(one, tuple):
                yield one
            else:
                raise one

    monkeypatch.setattr(ordered, "_answers", come)
    names: list[str] = []
    with closing(certificates([], How())) as found:
        try:
            names.extend(c.experiment for c in found)  # which keeps what came before an error
        except (KeyboardInterrupt, InputError) as error:
            names.append(type(error).__name__)
    return names


BAD = Answer(error=InputError("x", "an array", "none"))


def test_they_are_told_in_the_order_of_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c = ((place, answer(name)) for place, name in enumerate("abc"))
    assert coming(monkeypatch, c, a, b) == ["a", "b", "c"]
    assert coming(monkeypatch, c, (1, BAD), a) == ["a", "InputError"]  # as one process, which never comes to c


def test_on_ctrl_c_what_is_judged_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    a, c = (0, answer("a")), (2, answer("c"))
    assert coming(monkeypatch, c, (3, BAD), a, KeyboardInterrupt) == ["a", "c", "KeyboardInterrupt"]


def test_where_a_process_died_the_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    a, c, died = (0, answer("a")), (2, answer("c")), (1, Answer(error=Died("-j", "b")))
    assert coming(monkeypatch, died, a, c) == ["a", "c", "Died"]
    assert coming(monkeypatch, c, died, (3, BAD), a, (4, answer("d"))) == ["a", "c", "Died"]
    assert coming(monkeypatch, (3, answer("d")), died, a, KeyboardInterrupt) == ["a", "d", "KeyboardInterrupt"]


DYING = """
import os
from dataclasses import replace
from pathlib import Path
from reference import experiments
from torch_mirror.training.session import session

one = replace(experiments.load("linear-neuron"), steps=3)

def dying(e):
    os._exit(7)  # as where memory is out

def once(e):
    "Is there while another one dies, and is judged again."
    note = Path("seen-" + e.name)
    if not note.exists():
        note.touch()
        os._exit(7)
    return session(e)

cases = {
    "first": replace(one, name="first"),
    "dying": (replace(one, name="dying"), dying),
    "once": (replace(one, name="once"), once),
    "last": replace(one, name="last"),
}
"""


def test_a_process_that_dies_is_told_by_its_run_and_the_others_are_judged(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(DYING)
    command = [python(), "-m", "torch_mirror", "verify", "mine.py:cases", "-j", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)
    assert ended.stderr == (
        "Error: -j: expected a process that lives until dying is judged, got one that ended before, each time: "
        "too little memory, or the run ends it\n"
    )
    assert (ended.returncode, [line.split()[0] for line in ended.stdout.splitlines()]) == (2, ["first", "once", "last"])


def test_no_more_is_handed_out_than_the_queue_of_a_pool_has_room_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """loky's own thread may die of the rest, with a traceback, where it is told to end (``workers.AHEAD``)."""
    open_at_once: list[int] = []
    room: list[int] = []

    def watched(**options: Any) -> Any:
        executor = get_reusable_executor(**options)
        futures: list[Any] = []
        submit = executor.submit

        def counted(*given: Any) -> Any:
            futures.append(submit(*given))
            open_at_once.append(sum(not one.done() for one in futures))
            room.append(executor._call_queue._maxsize)
            return futures[-1]

        executor.submit = counted
        return executor

    monkeypatch.setattr(workers, "get_reusable_executor", watched)
    units = [Unit(str(i), print, str(folder)) for i in range(9)]
    monkeypatch.setattr(workers, "_noted", squared)
    found = sorted(((place, answer.found) for place, answer in workers.by_processes(units, 2)))
    assert found == [(i, i * i) for i in range(9)]
    assert len(open_at_once) == 9
    assert max(open_at_once) < min(room)


def squared(unit: Unit, note: str) -> Answer:
    """What a process does in the place of judging."""
    Path(note).touch()
    return Answer(int(unit.name) ** 2)


SLEEPING = """
import time
from pathlib import Path
import numpy as np

def square(p):
    return (p**2).sum(), 2 * p

def sleeping(name):
    def asleep(p):
        Path(name).touch()
        try:
            time.sleep(1000)
        except KeyboardInterrupt:
            Path("heard").touch()
            raise
    return asleep

p = np.ones(3)
cases = {
    "first": (square, p),
    "sleeping": (sleeping("sleeping"), p),
    "last": (square, p),
    **{f"later {i}": (sleeping(f"later-{i}"), p) for i in range(8)},  # more than a pool hands out
}
"""
PATIENCE = 60
"""Seconds that a busy machine may take to begin."""


@pytest.mark.skipif(sys.platform == "win32", reason="sends Ctrl-C as a signal")
def test_ctrl_c_ends_all_processes_at_once(tmp_path: Path) -> None:
    """Of ``check``, whose processes need no torch and so begin at once; ``verify`` has the same pool."""
    (tmp_path / "mine.py").write_text(SLEEPING)
    command = [sys.executable, "-m", "torch_mirror", "check", "mine.py:cases", "-j", "2", "--json", "out.json"]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread of ours runs here
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("first: certified")
            assert process.stdout.readline().startswith("dp  ok")
            latest = time.monotonic() + PATIENCE
            while not all((tmp_path / name).exists() for name in ("sleeping", "later-0")):
                assert time.monotonic() < latest
                time.sleep(0.02)
            assert len(running_in(process.pid)) >= 3
            time.sleep(1)  # who has begun a later one has sent the verdict of the last, which is now heard
            began = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            shown, told = process.communicate(timeout=PATIENCE)
            took = time.monotonic() - began
            while running_in(process.pid):  # what has ended is still listed for a moment
                assert time.monotonic() < began + PATIENCE
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert took < 10  # of a thousand seconds that they would sleep
    assert process.returncode == 130
    assert [line.split()[0] for line in shown.splitlines()] == ["last:", "dp"]
    assert told == "Interrupted.\n"
    assert not (tmp_path / "out.json").exists()  # a report is of all runs
    assert not (tmp_path / "heard").exists()  # by the processes that judge, which are ended and clear up nothing


def running_in(session: int) -> list[str]:
    """The processes of a session that are still running, by their commands."""
    listed = subprocess.run(["ps", "-e", "-o", "sess=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return [args for sess, state, args in rows if sess == str(session) and not state.startswith("Z")]
