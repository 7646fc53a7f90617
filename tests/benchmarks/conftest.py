"""Two runs side by side, and the table of what came out."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import pytest
from pytest_benchmark.fixture import BenchmarkFixture


class Row(NamedTuple):
    """A line of the table. figure: in ``unit``, x for the ratio to a baseline."""

    name: str
    figure: float
    subject: float          # seconds, of the fastest run
    baseline: float | None  # the same
    asked: float
    aim: float | None
    unit: str = "x"

    def __str__(self) -> str:
        unit = self.unit
        against = f"{self.baseline * 1e3:9.2f} ms" if self.baseline else f"{'':>12}"
        aim = f"{self.aim:g}{unit}" if self.aim else ""
        verdict = "" if self.figure <= self.asked else "  missed"
        return (
            f"{self.name:50} {self.figure:7.3g}{unit} {f'{self.asked:.3g}{unit}':>8} {aim:>6}"
            f" {self.subject * 1e3:9.2f} ms {against}{verdict}"
        )


HEADER = f"{'':50} {'figure':>8} {'asked':>8} {'aim':>6} {'subject':>12} {'baseline':>12}"

ROWS = pytest.StashKey[list[Row]]()


@dataclass(frozen=True)
class SideBySide:
    """Times a subject, in turns with a baseline, and fails where more is taken than is asked."""

    benchmark: BenchmarkFixture
    rows: list[Row]
    name: str

    @property
    def timing(self) -> bool:
        """Whether anything is timed: not in the ordinary suite."""
        return bool(self.benchmark.enabled)

    def __call__(
        self,
        subject: Callable[[], Any],
        baseline: Callable[[], Any] | None = None,
        *,
        asked: float,
        aim: float | None = None,
        rounds: int = 1,
        warmup: int = 1,
        each: bool = False,
    ) -> None:
        """Run both ``rounds`` times in turns; ``asked`` is of the ratio, or of seconds without a baseline.

        each: both return how many things they did, and the times are per thing.
        """
        taken: list[float] = []
        counts: list[int] = []

        def run_baseline() -> None:
            if baseline is not None:
                started = time.perf_counter()
                count = baseline()
                taken.append((time.perf_counter() - started) / (count if each else 1))

        def run_subject() -> None:
            counts.append(subject())

        self.benchmark.pedantic(  # type: ignore[no-untyped-call]  # untyped in pytest-benchmark
            run_subject, setup=run_baseline, rounds=rounds, warmup_rounds=warmup
        )
        if not self.timing:
            return
        assert self.benchmark.stats is not None
        times = self.benchmark.stats.stats.data
        if each:
            times = [seconds / count for seconds, count in zip(times, counts[warmup:], strict=True)]
        if baseline is None:
            row = Row(self.name, min(times), min(times), None, asked, aim, "s")
        else:
            against = taken[warmup:]
            ratio = median(a / b for a, b in zip(times, against, strict=True))
            row = Row(self.name, ratio, min(times), min(against), asked, aim)
        self._ruled(row)

    def beyond(
        self, subject: Callable[[], float], baseline: Callable[[], float] = float, *, asked: float, rounds: int = 1
    ) -> None:
        """Run both ``rounds`` times in turns; ``asked`` is of the seconds by which the subject takes more.

        Both return the seconds that they took, as their own clock has it; without a baseline these are 0.
        """
        pairs: list[tuple[float, float]] = []
        self.benchmark.pedantic(  # type: ignore[no-untyped-call]  # untyped in pytest-benchmark
            lambda: pairs.append((subject(), baseline() if self.timing else 0)), rounds=rounds
        )
        if self.timing:
            more = median(a - b for a, b in pairs)
            a, b = (min(times) for times in zip(*pairs, strict=True))
            self._ruled(Row(self.name, more, a, b, asked, None, "s"))

    def figure(self, of: Callable[[], float], unit: str, *, asked: float, aim: float | None = None) -> None:
        """Evaluate once what is no time, such as megabytes, and fail where it is more than is asked."""
        figures: list[float] = []
        self.benchmark.pedantic(lambda: figures.append(of()))  # type: ignore[no-untyped-call]  # as above
        if not self.timing:
            return
        assert self.benchmark.stats is not None
        self._ruled(Row(self.name, figures[0], min(self.benchmark.stats.stats.data), None, asked, aim, unit))

    def _ruled(self, row: Row) -> None:
        """Keep the row, and fail where it has more than is asked."""
        self.rows.append(row)
        self.benchmark.extra_info.update(figure=row.figure, asked=row.asked, aim=row.aim)
        if row.figure > row.asked:
            pytest.fail(f"{row.figure:.4g}, asked: {row.asked:g} at most", pytrace=False)


def processor_seconds(*arguments: str, python: str = sys.executable) -> float:
    """What an interpreter with these arguments takes of the processor: a start-up is mostly waiting where others work.

    Raises CalledProcessError where it fails.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture
def side_by_side(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> SideBySide:
    rows = request.config.stash.setdefault(ROWS, [])
    return SideBySide(benchmark, rows, request.node.name.removeprefix("test_").replace("_", " "))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="also time `torch-mirror verify` as a whole")


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter", config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("median of ratios of neighbouring runs, and the fastest run of each")
        for line in (HEADER, *rows):
            terminalreporter.write_line(str(line))
