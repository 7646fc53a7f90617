"""What pytest calls: options, fixtures, and hooks that carry what was judged from the tests to the summary.

``def test_mine(check): check(loss_and_gradients, parameters, X, y)`` passes where all is certified. It fails with the
text of the verdict where something is refuted. What could not be judged is an error, and no pass.
"""

import base64
import pickle
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

import torch_mirror
from torch_mirror.pytest_plugin.records import PROPERTIES, Record
from torch_mirror.pytest_plugin.summary import document, lines

if TYPE_CHECKING:
    from reference.claim.experiment import Experiment
    from torch_mirror.doors.check.result import Checked
    from torch_mirror.judge.verdict import Certificate
    from torch_mirror.pytest_plugin.claims import Part
    from torch_mirror.pytest_plugin.judging import Keep

JUDGED = pytest.StashKey[list[Record]]()
"""What a test judged since its last report: its setup, its teardown and each of its subtests has one."""

CURRENT = pytest.StashKey[pytest.Item]()
"""The test that runs, whose fixtures and subtests judge for it: of the configuration's stash."""

PASSED = pytest.StashKey[bool]()
"""Whether a test's function has ended well."""

KEPT = "torch_mirror"
"""The attribute of a report that holds what its test judged, and that pytest-xdist brings over from its workers."""

SHOWN = pytest.StashKey[list[str]]()
"""The verdicts themselves, for a page: pickled, in base64, as pytest-xdist sends text. Its workers are ours."""

KEPT_TO_SHOW = "torch_mirror_shown"
"""The attribute of a report that holds them."""

STRICT = "--torch-mirror-strict"
JSON, PAGE = "--torch-mirror-json", "--torch-mirror-report"

UNJUDGED = "torch_mirror_unjudged"
"""The attribute of a report that says that its test could not be judged."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("torch-mirror", "gradients and training runs written by hand")
    group.addoption(JSON, metavar="PATH", type=Path, help="write what was judged in JSON")
    group.addoption(PAGE, metavar="PATH", type=Path, help="write a report to look at: one page of HTML")
    group.addoption(STRICT, action="store_true", help="fail where there is a doubt, too: what roundings hardly explain")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # pytest-xdist's workers send theirs
        paths = {option: path for option in (JSON, PAGE) if (path := config.getoption(option)) is not None}
        config.pluginmanager.register(Collected(paths), "torch_mirror_collected")


class Collected:
    """What the tests of this run judged; the plugin of one run, as pytest's hooks share state by their object alone."""

    def __init__(self, paths: dict[str, Path]) -> None:
        """paths: of the reports that are wanted, by option."""
        self.paths = paths
        self.records: list[tuple[str, Record]] = []  # with the test that each is of
        self.shown: list[str] = []
        for option, path in paths.items():
            _check_writable(option, path)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.records += [(report.nodeid, record) for record in getattr(report, KEPT, ())]
        self.shown += getattr(report, KEPT_TO_SHOW, ())

    # Between quotes, as pytest 8.2 has no public name for it.
    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        if self.records:
            terminalreporter.section("torch-mirror")
            for text in lines(self.records):
                terminalreporter.write_line(text)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Write the report when everything else is said, so that a folder that is gone hides no failure."""
        yield
        if not self.paths or session.config.option.collectonly:
            return
        from reference.errors import InputError
        from reference.files import write_whole

        try:
            for option, path in self.paths.items():
                write_whole(option, path, document(self.records) if option == JSON else _page(self.shown))
        except InputError as error:
            pytest.exit(str(error), pytest.ExitCode.USAGE_ERROR)


def _page(shown: list[str]) -> str:
    from torch_mirror.reports import environment
    from torch_mirror.reports.html import page

    results = [pickle.loads(base64.b64decode(text)) for text in shown]  # noqa: S301 - our own workers wrote them
    return page.document(results, environment.versions(), environment.threads())


def _check_writable(option: str, path: Path) -> None:
    from reference.errors import InputError
    from reference.files import check_writable

    try:
        check_writable(option, path)
        if option == PAGE:
            import torch_mirror.reports.html.page  # noqa: F401 - now, and not after the tests
    except (InputError, ImportError) as error:
        from torch_mirror.extras import missing

        told = missing(error) if isinstance(error, ImportError) else str(error)
        raise pytest.UsageError(told or str(error)) from error


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Remember which test runs."""
    item.config.stash[CURRENT] = item
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Hand on what was judged, and whether it could be."""
    if call.excinfo is not None and not item.config.getoption("fulltrace"):
        _leave_out_ours(call.excinfo)
    report = yield
    if JUDGED in item.stash:
        setattr(report, KEPT, item.stash[JUDGED])
        del item.stash[JUDGED]
    if SHOWN in item.stash:
        setattr(report, KEPT_TO_SHOW, item.stash[SHOWN])
        del item.stash[SHOWN]
    if call.when == "call":
        item.stash[PASSED] = report.passed
    if call.when == "call" and call.excinfo is not None and issubclass(call.excinfo.type, _unjudged()):
        setattr(report, UNJUDGED, True)
    return report


def _leave_out_ours(raised: pytest.ExceptionInfo[BaseException]) -> None:
    """Of the frames that a failure shows, unless ours is the last: then the fault is ours, and all is needed."""
    frames, entry = [], raised.value.__traceback__
    while entry is not None:
        frames.append(entry)
        entry = entry.tb_next
    if not frames or (_is_ours(frames[-1]) and not issubclass(raised.type, _meant())):
        return
    theirs = [frames[0], *(frame for frame in frames[1:] if not _is_ours(frame))]
    for frame, following in zip(theirs, [*theirs[1:], None], strict=True):
        frame.tb_next = following  # pytest cuts what it shows out of this chain


def _is_ours(entry: TracebackType) -> bool:
    name: str = entry.tb_frame.f_globals.get("__name__", "")
    return name.startswith(("torch_mirror.", "reference.claim.", "reference.traces."))


def _meant() -> tuple[type[BaseException], ...]:
    """The errors that this package raises to say something."""
    return _loaded({"torch_mirror.doors.check.result": "Refuted"}) + _unjudged()


def _unjudged() -> tuple[type[BaseException], ...]:
    """The errors that say that something could not be judged."""
    return _loaded({"torch_mirror.pytest_plugin.judging": "Unjudged", "reference.errors": "TorchMirrorError"})


def _loaded(homes: dict[str, str]) -> tuple[type[BaseException], ...]:
    """These classes, by their modules; none of a module that nobody has imported, as nobody has raised it."""
    return tuple(getattr(sys.modules[home], name) for home, name in homes.items() if home in sys.modules)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """An error, as in a fixture, and no failure."""
    return ("error", "E", "ERROR") if report.failed and getattr(report, UNJUDGED, False) else None


# --- fixtures -----------------------------------------------------------------------------------------


class Checks:
    """``torch_mirror.check`` and its like, which must certify: each returns what it found, or raises."""

    def __init__(self, keep: "Keep", *, rows: bool, drawn: bool) -> None:
        """rows: whether a failure shows every row. drawn: whether a page is wanted, which has pictures."""
        self._keep, self._rows, self._drawn = keep, rows, drawn

    def __call__(self, *arguments: Any, **options: Any) -> "Checked":
        """As ``torch_mirror.check``. Raises Refuted where a gradient is wrong, Unjudged where it cannot be told."""
        return self._by("check", arguments, options)

    def layer(self, *arguments: Any, **options: Any) -> "Checked":
        """As ``torch_mirror.check_layer``."""
        return self._by("check_layer", arguments, options)

    def step(self, *arguments: Any, **options: Any) -> "Checked":
        """As ``torch_mirror.check_step``."""
        return self._by("check_step", arguments, options)

    def forward(self, *arguments: Any, **options: Any) -> "Checked":
        """As ``torch_mirror.check_forward``."""
        return self._by("check_forward", arguments, options)

    def _by(self, door: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> "Checked":
        from torch_mirror.pytest_plugin.judging import demand_checked, of_example

        if door == "check" and of_example():
            options = {"explain": False, **options}  # hypothesis tries a failing example some hundred times
        result = getattr(torch_mirror, door)(*arguments, **options)
        if self._drawn and door == "check" and callable(arguments[0] if arguments else None):
            from torch_mirror.doors.check.pictures import pictured

            result = pictured(result, *arguments, *options.get("data", ()))
        return demand_checked(result, self._keep, rows=self._rows)


@pytest.fixture(scope="session")
def check(request: pytest.FixtureRequest) -> Checks:
    """torch_mirror.check, which must certify: ``check(loss_and_gradients, parameters, X, y)``.

    It is the same for all tests, as hypothesis asks for under @given; and it is loaded here, out of the time that
    hypothesis gives an example.
    """
    _ = torch_mirror.check
    return Checks(_keeper(request), rows=_rows(request), drawn=_drawn(request))


@pytest.fixture(scope="session")
def verify(request: pytest.FixtureRequest) -> "Callable[..., Certificate]":
    """torch_mirror.verify, which must certify: ``verify(experiment)``."""
    keep, rows, strict = _keeper(request), _rows(request), request.config.getoption(STRICT)
    drawn = _drawn(request)

    def verified(experiment: "Experiment", **options: Any) -> "Certificate":
        options = {"strict": strict, **({"series": True} if drawn else {}), **options}
        from torch_mirror.pytest_plugin.judging import demand_certificate

        return demand_certificate(torch_mirror.verify(experiment, **options), keep, rows=rows)

    return verified


@pytest.fixture
def claim(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """One part of a claim of ``torch_mirror.parametrize``: call it, and it is judged. An error where nobody does."""
    part: Part | None = getattr(request, "param", None)
    keep, rows, strict = _keeper(request), _rows(request), request.config.getoption(STRICT)
    called = False

    def judged() -> None:
        nonlocal called
        called = True
        if part is None:
            wanted = "a test under @torch_mirror.parametrize(claims)"
            pytest.fail(f"claim: expected {wanted}, got one without it", pytrace=False)
        part.judge(keep, rows=rows, strict=strict)

    yield judged
    if not called and request.node.stash.get(PASSED, default=False):
        pytest.fail("claim: expected a call, claim(), got a test that ended without one", pytrace=False)


def _of_property(node: pytest.Item) -> bool:
    """Whether a test is one of hypothesis, which calls it with many examples."""
    return bool(getattr(getattr(node, "obj", None), "is_hypothesis_test", False))


def _forget(node: pytest.Item, records: list[Record], shown: list[str], claim: str) -> None:
    """Drop what the example before said of the claim: the last one counts, which is the simplest if it fails."""
    before = next((i for i, record in enumerate(records) if record["claim"] == claim), None)
    if before is not None:
        del records[before]
        del shown[before : before + 1]  # none where no page is wanted
        own = [pair for pair in node.user_properties if not pair[0].startswith("torch_mirror.")]
        node.user_properties[:] = [*own, *(pair for record in records for pair in _properties(record))]


def _properties(record: Record) -> list[tuple[str, object]]:
    return [(f"torch_mirror.{name}", str(record[name])) for name in PROPERTIES]


def _rows(request: pytest.FixtureRequest) -> bool:
    """Whether a failure shows every row: under -vv."""
    return request.config.get_verbosity() > 1


def _drawn(request: pytest.FixtureRequest) -> bool:
    """Whether a page is wanted."""
    return request.config.getoption(PAGE) is not None


def _keeper(request: pytest.FixtureRequest) -> "Keep":
    """A function that keeps a record for the summary, and in the properties that a JUnit file shows."""
    config, drawn = request.config, _drawn(request)

    def keep(record: Record, result: "Checked | Certificate") -> None:
        node = config.stash[CURRENT]
        records, shown = node.stash.setdefault(JUDGED, []), node.stash.setdefault(SHOWN, [])
        if _of_property(node):
            _forget(node, records, shown, record["claim"])
        records.append(record)
        if drawn:
            shown.append(base64.b64encode(pickle.dumps(result)).decode())
        node.user_properties += _properties(record)

    return keep
