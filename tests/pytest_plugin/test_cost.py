"""What the plugin costs a run that does not use it, and where it works."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pytest_plugin.runs import ALL, JSON, assert_written
from torch_mirror.pytest_plugin import plugin


def test_a_run_that_does_not_use_it_imports_neither_numpy_nor_torch(tmp_path: Path) -> None:
    """Nor our own reference, in whose place a user may have a folder of that name."""
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "test_theirs.py").write_text(
        "import sys\ndef test_theirs():\n    assert 'torch_mirror.pytest_plugin.plugin' in sys.modules\n"
        "    assert not {'numpy', 'torch', 'reference.errors'} & {*sys.modules}\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_loads_with_the_oldest_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/pytest_versions.py runs all of this with it; here what it lacks is taken away."""
    for later in ("TerminalReporter", "RaisesGroup", "RaisesExc", "Subtests"):
        monkeypatch.delattr(pytest, later, raising=False)
    source = Path(plugin.__file__).read_text(encoding="utf-8")
    exec(compile(source, plugin.__file__, "exec"), {"__name__": "as_if_new"})  # noqa: S102 - our own


def test_workers_optimised_python_and_importlib(tmp_path: Path) -> None:
    """What pytest-xdist's workers judged is merged; without asserts nothing passes that should not."""
    (tmp_path / "test_mine.py").write_text(ALL, encoding="utf-8")
    command = [sys.executable, "-O", "-m", "pytest", "-p", "no:cacheprovider", "--import-mode=importlib", "-n", "2"]
    command += ["-k", "right or wrong", *JSON]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "2 claims: 1 certified, 1 refuted; 8 elements judged" in done.stdout
    assert_written(tmp_path)
