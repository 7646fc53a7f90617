"""The lowest release of every requirement that pyproject.toml names, as constraints for pip: ``make lowest``.

    python tests/lowest.py > lowest.txt
    pip install -c lowest.txt -e '.[dev]'

What the requirements themselves require is not held down: pip takes the newest release that fits.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"([\w-]+)>=([\d.]+)")
UNBOUNDED = {"types-jsonschema", "types-PyYAML", "types-tqdm"}
"""Of stubs the release is that of what they describe."""


def requirements(project: Mapping[str, Any]) -> Iterable[str]:
    """All that is required, by the package or by one of its extras; extras of its own are what they stand for."""
    wanted = chain(project["dependencies"], *project["optional-dependencies"].values())
    return dict.fromkeys(r for r in wanted if not r.startswith(f"{project['name']}["))


def lowest(project: Mapping[str, Any]) -> list[str]:
    """A line ``name==release`` for each. Raises ValueError for a requirement that names no lowest release."""
    lines = []
    for requirement in requirements(project):
        if requirement in UNBOUNDED:
            continue
        match = REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise ValueError(f"{PROJECT.name}: expected requirements such as numpy>=2, got {requirement!r}")
        lines.append(f"{match[1]}=={match[2]}")
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest(tomllib.loads(PROJECT.read_text())["project"])) + "\n")
