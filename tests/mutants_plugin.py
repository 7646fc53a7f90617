"""What `tests.mutants` has pytest do: measure which test runs which line, or run chosen tests in a stated order.

Loaded by ``-p tests.mutants_plugin``, in the copy of the tree. MUTANTS_MEASURE names a file: the lines go there, by
test, and beside it as JSON the seconds of each test that passed. MUTANTS_CHOSEN names a list of tests.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOMS = ["reference", "torch_mirror"]


class Measure:
    """Lines, and seconds of the processor and its children's, by test; added to what was measured before."""

    def __init__(self, path: Path) -> None:
        import coverage

        self.path = path
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self.coverage = coverage.Coverage(data_file=path, config_file=False, source=ROOMS, messages=False)
        if path.exists():
            self.coverage.load()
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        start = sum(os.times()[:4])
        self.coverage.switch_context(item.nodeid)
        done: Any = yield
        self.coverage.switch_context("")
        self.seconds[item.nodeid] = sum(os.times()[:4]) - start
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed":
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        self.coverage.save()
        passed = {test: seconds for test, seconds in self.seconds.items() if test not in self.failed}
        self.path.with_suffix(".json").write_text(json.dumps(passed))


class Choose:
    """The named tests and no others, in their order."""

    def __init__(self, tests: list[str]) -> None:
        self.place = {test: i for i, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.place), key=lambda i: self.place[i.nodeid])


def pytest_configure(config: pytest.Config) -> None:
    """The one or the other, as the environment says."""
    if measured := os.environ.get("MUTANTS_MEASURE"):
        config.pluginmanager.register(Measure(Path(measured)))
    if chosen := os.environ.get("MUTANTS_CHOSEN"):
        config.pluginmanager.register(Choose(Path(chosen).read_text().splitlines()))
