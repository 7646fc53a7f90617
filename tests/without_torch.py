"""For a Python that torch has no wheel for: the part of the suite that needs none.

    python -m pytest -p tests.without_torch tests/reference tests/balls

Whoever asks for torch is passed over, a whole file or a single test; how many is in pytest's last line. Elsewhere
tests start interpreters of their own, which find no torch and fail.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import pytest


class Passed(MetaPathFinder):
    """Finds no torch, and has whoever looks for it skipped."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name.partition(".")[0] == "torch":
            pytest.skip("it needs torch", allow_module_level=True)


sys.meta_path.insert(0, Passed())
