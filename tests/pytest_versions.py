"""The plugin's tests with the oldest pytest that pyproject.toml names, and with the newest there is.

    python tests/pytest_versions.py                # both, each in two ways
    python tests/pytest_versions.py 8.3.5 9.0.0    # these releases

Each release is installed into a folder of its own, that is dropped afterwards; all else is what this interpreter has.
It takes a minute or two and the network, so no test does it. Exit status 1 where a run fails.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
WAYS = {
    "as it is": [],
    "all options": [
        "-p", "no:cacheprovider", "--import-mode=importlib", "-n", "2", "-W", "ignore:assertions not in test modules",
    ],
}  # fmt: skip
"""The second one with ``python -O``, too, of which pytest warns."""


def oldest() -> str:
    """The release that ``pytest>=`` names."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return next(match[1] for r in extras["dev"] if (match := re.fullmatch(r"pytest>=([\d.]+)", r)))


def installed(release: str, folder: Path) -> bool:
    """Put a release, or the newest for "", into a folder. pytest's own requirements are there already."""
    wanted = f"pytest=={release}" if release else "pytest"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade",
               "--target", str(folder), wanted]  # fmt: skip
    return subprocess.run(command, check=False).returncode == 0


def run(way: str, folder: Path) -> int:
    """Run the plugin's tests with what lies in the folder, and say which pytest that was."""
    options = ["-O"] if way != "as it is" else []
    first = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]; import pytest"
    code = f"{first}; print('pytest', pytest.__version__, {way!r}, flush=True); sys.exit(pytest.main(sys.argv[1:]))"
    arguments = ["-q", "-rs", *WAYS[way], "tests/pytest_plugin"]
    command = [sys.executable, *options, "-c", code, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}  # of what tests start
    return subprocess.run(command, cwd=ROOT, check=False, env=environment).returncode


def main(releases: list[str]) -> int:
    failed = []
    for release in releases or [oldest(), ""]:
        with tempfile.TemporaryDirectory() as folder:
            ways = WAYS if installed(release, Path(folder)) else ["cannot be installed"]
            bad = [way for way in ways if way not in WAYS or run(way, Path(folder)) != 0]
            failed += [f"pytest {release or 'newest'}, {way}" for way in bad]
    print("failed: " + "; ".join(failed) if failed else "all passed")  # noqa: T201 - a script
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
