"""Which tests a mutant of `tests.mutants` meets, and the copy of the project where they run."""

import hashlib
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch  # here, once for all forks; hypothesis may not be loaded before pytest looks at it

from tests.mutants_edits import Mutant

torch.set_num_threads(1)  # none that a fork would lack
PRODUCT = ("torch_mirror", "reference")
NOT_RUN = "tests/benchmarks/"  # speed is no result
BROKEN = 99  # the exit status where pytest could not be called: no mutant is killed by that
MEMORY = 8 << 30  # bytes: a mutant that fills more ends in a MemoryError of its own


class Lines(NamedTuple):
    """The tests that run each line, in a file of coverage.py, and the seconds that each test took under it."""

    path: Path
    seconds: Mapping[str, float]

    def tests(self, tree: Path, m: Mutant, budget: float) -> list[str]:
        """The tests that a mutant meets, in their order, up to so many seconds."""
        import coverage

        data = coverage.CoverageData(str(self.path))
        data.read()
        by_line = data.contexts_by_lineno(str(tree / m.file))
        direct = {t for t in by_line.get(m.line, ()) if t in self.seconds}
        direct = direct or {t for tests in by_line.values() for t in tests if t in self.seconds}  # a line of an import
        files = {_file(t) for t in direct}
        rest = {t for t in self.seconds if _file(t) in files or _mirrors(_file(t), m.file)} - direct
        chosen, left = [], budget
        for test in _ordered(direct, self.seconds, m.file) + _ordered(rest, self.seconds, m.file):
            left -= self.seconds[test]
            if left < 0:
                break
            chosen.append(test)
        return chosen


def _ordered(tests: Iterable[str], seconds: Mapping[str, float], file: str) -> list[str]:
    """File by file, because fixtures are made once a file: first the file's mirror, then those that take least."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for test in sorted(tests, key=lambda t: (seconds[t], t)):
        by_file[_file(test)].append(test)
    order = sorted(by_file, key=lambda f: (not _mirrors(f, file), sum(seconds[t] for t in by_file[f]), f))
    return [test for f in order for test in by_file[f]]


def _file(test: str) -> str:
    return test.split("::", maxsplit=1)[0]


def _mirrors(test_file: str, file: str) -> bool:
    """Whether tests/balls/rules/test_sums.py, say, is the test of torch_mirror/balls/rules/sums.py."""
    path = Path("tests") / file.removeprefix("torch_mirror/")
    return Path(test_file) == path.with_name(f"test_{path.name}")


def copied(root: Path, tree: Path) -> None:
    """The project where mutants may be planted. Bytecode is checked by content, as one second has many mutants."""
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(root, tree, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", *PRODUCT]
    subprocess.run(command, cwd=tree, check=True)


def measured(tree: Path, kept: Path) -> Lines:
    """The lines of all tests, measured anew where the product changed, or else for the test files that changed.

    Folder by folder, each of which is kept: what is interrupted goes on there.
    """
    lines, notes = kept / "lines", kept / "measured.json"
    product = hashlib.sha256(b"".join(f.read_bytes() for p in PRODUCT for f in sorted((tree / p).rglob("*.py"))))
    known: dict[str, Any] = json.loads(notes.read_text()) if notes.exists() else {}
    if known.get("product") != product.hexdigest():
        known = {"product": product.hexdigest(), "files": {}, "seconds": {}}
        lines.unlink(missing_ok=True)
    paths = [str(path.relative_to(tree)) for path in sorted((tree / "tests").rglob("test_*.py"))]
    digests = {f: hashlib.sha256((tree / f).read_bytes()).hexdigest() for f in paths if not f.startswith(NOT_RUN)}
    changed = [f for f in digests if known["files"].get(f) != digests[f]]
    for folder, some in groupby(changed, key=lambda f: Path(f).parent):
        files = list(some)
        say(f"which lines do the tests of {folder} run?")
        status, _ = run(tree, ["-q", *files], {"MUTANTS_MEASURE": str(lines)})
        if status not in {0, 1}:  # a test that fails is told by pytest, and no mutant meets it
            sys.exit(f"{folder}: expected pytest to run its tests, got the exit status {status}: mend that first")
        seconds = {t: s for t, s in known["seconds"].items() if _file(t) not in files}
        known["seconds"] = seconds | json.loads(lines.with_suffix(".json").read_text())
        known["files"] |= {f: digests[f] for f in files}
        notes.write_text(json.dumps(known))
    return Lines(lines, known["seconds"])


def run(tree: Path, options: list[str], told: Mapping[str, str], seconds: float = math.inf) -> tuple[int, str]:
    """Exit status and output of pytest in the tree. It hangs where it takes longer: -9, and its children end, too.

    In a fork, which need not load torch again: half of the time of a mutant that is soon killed. Without a
    number of seconds its output is shown instead.
    """
    output = tree.with_suffix(".txt")
    child = os.fork()
    if not child:
        try:
            status = _in_the_tree(tree, options, told, output if seconds < math.inf else None)
            sys.stdout.flush()
            os._exit(status)
        except BaseException:  # noqa: BLE001 - nothing may go on as the parent does
            traceback.print_exc()
            os._exit(BROKEN)
    end = time.monotonic() + seconds
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -9, "hangs"
        time.sleep(0.05)
    return os.waitstatus_to_exitcode(ended[1]), output.read_text() if output.exists() else ""


def _in_the_tree(tree: Path, options: list[str], told: Mapping[str, str], output: Path | None) -> int:
    """What pytest returns where `tests` and what it tests are the tree's."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    if output:
        stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
    for name in [name for name in sys.modules if name.partition(".")[0] in {"tests", *PRODUCT}]:
        del sys.modules[name]
    os.chdir(tree)
    sys.path[0] = str(tree)
    path = os.pathsep.join([str(tree), *sys.path[1:]])
    os.environ.update({"PYTHONPATH": path, "HYPOTHESIS_PROFILE": "ci", **told})
    return pytest.main(["-p", "no:cacheprovider", "-p", "tests.mutants_plugin", *options])


def say(words: str) -> None:
    """Shown at once, as the next line may take a minute."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
