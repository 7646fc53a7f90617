"""torch-mirror gate: what has changed since a baseline was written."""

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import click

from torch_mirror.doors.console import (
    PAGES,
    bar,
    check_paths,
    command_to_github,
    dtype_option,
    dtypes_of,
    errors_without_traceback,
    jobs_option,
    names_and_files,
    path_options,
    quiet_option,
    say,
    settle_threads,
    wants_curves,
    write_reports,
)
from torch_mirror.doors.console import REPORTS as OF_RUNS
from torch_mirror.interrupt import raise_as_usual

if TYPE_CHECKING:
    from reference.traces.trace import Trace
    from torch_mirror.doors.jobs.tasks import Task
    from torch_mirror.doors.runs import Bar, Run, Source
    from torch_mirror.judge.verdict import Certificate
    from torch_mirror.reports.gate.claim import Baseline, Claim
    from torch_mirror.reports.gate.compare import Comparison

REPORTS = {
    "json": "Write what has changed in JSON.",
    "junit": "Write it as JUnit XML.",
    "markdown": "Write it in Markdown, for a job's summary.",
}
"""What the comparison can be written as: a ``document`` of torch_mirror/reports/gate/."""


def gate_reports(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each of REPORTS, and for each of PAGES."""
    return path_options({**REPORTS, **{name: OF_RUNS[name] for name in PAGES}})(command)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE:OBJECT]...", shell_complete=names_and_files)
@click.option("--baseline", required=True, type=click.Path(path_type=Path), metavar="FILE", help="What was there.")
@click.option("--update", is_flag=True, help="Write the baseline anew, and show what has changed.")
@dtype_option
@click.option("--steps", type=click.IntRange(min=0), help="Steps of training.  [default: the experiment's own]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of what is random.")
@click.option(
    "--headroom-factor", type=click.FloatRange(min=1), default=2.0, show_default=True,
    help="By how much a headroom may grow.",
)  # fmt: skip
@gate_reports
@jobs_option
@click.option("--github", is_flag=True, help="Print annotations of GitHub, at your lines where they are known.")
@quiet_option
@click.pass_context
def gate(
    context: click.Context,
    /,
    names: tuple[str, ...],
    baseline: Path,
    dtype: Literal["float64", "float32", "both"] | None,
    steps: int | None,
    seed: int,
    headroom_factor: float,
    jobs: int,
    *,
    update: bool,
    github: bool,
    quiet: bool,
    **paths: Path | None,
) -> None:
    """Tell what has changed since a baseline was written.

    The runs are judged as by verify, and held against FILE, which --update writes: the verdict, and of each tensor the
    headroom, the resolution, the doubts, the elements judged, and the bits. In another environment (processor, NumPy,
    torch, BLAS, threads) the bits are not compared. Every run of the baseline must be among those that are judged.
    Exit status 0 if all are certified and nothing became worse, 1 if not, 2 for bad usage or input or a baseline that
    cannot be read. docs/gate.md says what fails.
    """
    settle_threads(one=jobs > 1)
    with errors_without_traceback():
        from torch_mirror.doors.runs import chosen, runs_of

        names = tuple(chosen(names))
        found = {name: paths[f"{name}_path"] for name in (*REPORTS, *PAGES)}
        written_to = check_paths({"baseline": baseline} if update else {}, names).get("baseline")
        wanted = check_paths(found, [*names, str(baseline)])
        before = read_baseline(baseline, update=update)
        import torch_mirror.doors.verify  # noqa: F401 - now, while Ctrl-C ends the process without an exception

        raise_as_usual()
        from torch_mirror.doors.jobs.tasks import Who, results
        from torch_mirror.reports.gate import compare, words
        from torch_mirror.reports.gate.claim import Baseline
        from torch_mirror.reports.gate.surroundings import surroundings

        runs = [(name, run) for name in names for run in runs_of([name], dtypes_of(dtype), seed)]
        tasks = [task(run, steps, curves=wants_curves(wanted)) for _, run in runs]
        with closing(results(tasks, Who(jobs), bar, partial(bar, unit="run"))) as judged:
            both = list(judged)
        claims = [one.claim for one in both]
        check_distinct(claims)
        now = Baseline(surroundings(), tuple(claims))
        comparison = compare.compare(now if before is None else before, now, headroom_factor)
        taken = update and all_right(claims)
        for verdict, line in words.lines(comparison, quiet=quiet, taken=taken):
            say("", line, verdict)
        if written_to is not None:
            write_baseline(baseline, written_to, before, now)
        pages = {name: path for name, path in wanted.items() if name in PAGES}
        write_comparison({name: path for name, path in wanted.items() if name not in PAGES}, comparison)
        write_reports(pages, [one.certificate for one in both], comparison)
        if github:
            from torch_mirror.doors.sources import theirs
            from torch_mirror.reports.gate import github as annotations

            for line in annotations.lines(comparison, {run.name: name for name, run in runs}, theirs()):
                command_to_github(line)
    context.exit(0 if (all_right(claims) if update else comparison.passed) else 1)


def read_baseline(path: Path, *, update: bool) -> "Baseline | None":
    """What is in the file; None where it is to be written for the first time. Raises InputError."""
    from reference.errors import InputError
    from torch_mirror.reports.gate import baseline

    if update and not path.exists():
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        came = f"{str(path)!r} ({error.strerror}): --update writes it"
        raise InputError("--baseline", "a file that can be read", came) from error
    except UnicodeDecodeError as error:
        came = f"{str(path)!r} ({error})"
        raise InputError("--baseline", "a baseline of torch-mirror, which is text", came) from error
    return baseline.read(text)


class Printed(NamedTuple):
    """A run, judged: as the gate keeps it, and its certificate."""

    claim: "Claim"
    certificate: "Certificate"


def task(run: "Run", steps: int | None, *, curves: bool) -> "Task":
    """A run is judged here, or by a process of its own."""
    from torch_mirror.doors.jobs.tasks import Task
    from torch_mirror.doors.jobs.unit import Unit

    here = partial(printed, run, steps, curves=curves)
    if run.source is None:
        return Task(here)
    return Task(here, Unit(run.label, partial(printed_again, run.source, steps, curves=curves), run.source.folder))


def printed_again(source: "Source", steps: int | None, bar: "Bar", *, curves: bool) -> Printed:
    """As ``printed``, of a run whose file is read again."""
    from torch_mirror.doors.jobs.unit import read_again
    from torch_mirror.doors.runs import again

    with read_again():
        run = again(source)
    return printed(run, steps, bar, curves=curves)


def printed(run: "Run", steps: int | None, bar: "Bar", *, curves: bool) -> Printed:
    """The run, judged, with its fingerprints."""
    from torch_mirror.doors.runs import judged
    from torch_mirror.reports.gate.claim import claim_of
    from torch_mirror.reports.gate.prints import Mark, marks, prints_of, timelines_of

    found: list[Mark] = []

    def observe(torch: "Trace", numpy: "Trace") -> None:
        found.extend((*marks(torch, "torch"), *marks(numpy, "numpy")))

    certificate = judged(run, steps, curves=curves, bar=bar, observe=observe)
    return Printed(claim_of(certificate, prints_of(found), timelines_of(found))._replace(name=run.name), certificate)


def check_distinct(claims: "list[Claim]") -> None:
    """Raise InputError for two runs of one name and precision: a baseline could not tell them apart."""
    from reference.errors import InputError

    seen: set[tuple[str, str]] = set()
    for c in claims:
        if c.key in seen:
            raise InputError("runs", "names of their own", f"two called {c.name} in {c.dtype}")
        seen.add(c.key)


def all_right(claims: "list[Claim]") -> bool:
    """Whether a baseline may be written of them."""
    return bool(claims) and all(c.verdict == "certified" for c in claims)


def write_baseline(name: Path, path: Path, before: "Baseline | None", now: "Baseline") -> None:
    """Write it, whole or not at all, and say so; not where something is not certified. name: what it is called."""
    from reference.files import write_whole
    from torch_mirror.reports.gate import baseline

    if not all_right([*now.claims]):
        say(f"{name} was not written: a baseline holds what is certified")
        return
    write_whole("--baseline", path, baseline.written(now))
    say(f"{name} is written{'' if before is not None else ' for the first time'}")


def write_comparison(wanted: "dict[str, Path]", comparison: "Comparison") -> None:
    """Write each of REPORTS that is wanted."""
    from importlib import import_module

    from reference.files import write_whole

    for name, path in wanted.items():
        report = import_module(f"torch_mirror.reports.gate.{name}")
        write_whole(f"--{name}", path, report.document(comparison))
