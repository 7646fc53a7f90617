"""What is installed only where it is wanted: the extras of pyproject.toml, and what is said where one is missing.

This imports nothing, because it is what runs where something could not be imported.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

EXTRAS = {
    "click": "cli",
    "tqdm": "cli",
    "sklearn": "documents",
    "flint": "exact",
    "matplotlib": "plot",
    "PIL": "plot",
}
"""The extra that brings a module, by the module's name."""


@contextmanager
def or_exit() -> Iterator[None]:
    """Within it, a missing module of an extra ends the process: a line on standard error, exit status 2.

    Another missing module is raised as it is: then the installation is broken, and no extra mends it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        extra = EXTRAS[error.name]
        sys.stderr.write(f"Error: {error.name}: expected to be installed, got no such module: ")
        sys.stderr.write(f"pip install 'torch-mirror[{extra}]'\n")
        raise SystemExit(2) from error
