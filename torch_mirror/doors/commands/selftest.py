"""torch-mirror selftest and torch-mirror reproduce: faults planted in a network, and a script that shows one."""

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from torch_mirror.doors.console import (
    DTYPES,
    bar,
    check_paths,
    errors_without_traceback,
    files_first,
    jobs_option,
    names_and_files,
    say,
    settle_threads,
)
from torch_mirror.interrupt import raise_as_usual

if TYPE_CHECKING:
    from torch_mirror.doors.runs import Bar
    from torch_mirror.doors.selftest.told import SelfTest

LIMIT = 600.0


@click.command()
@click.argument("networks", nargs=-1, metavar="[NAME|FILE:OBJECT]...", shell_complete=names_and_files)
@click.option("--dtype", type=click.Choice([*DTYPES, "both"]), default="both", show_default=True, help="Precision.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="PATH", help="Write a report in JSON.")
@click.option("--limit", type=click.FloatRange(min=0), default=LIMIT, show_default=True, metavar="SECONDS",
              help="After so long no further fault is planted in a network.")
@jobs_option
@click.option("-q", "--quiet", is_flag=True, help="Print only the faults that were not found, and the sums.")
@click.pass_context
def selftest(
    context: click.Context, /, networks: tuple[str, ...], dtype: str, json_path: Path | None, limit: float, jobs: int,
    *, quiet: bool,
) -> None:  # fmt: skip
    """Plant faults in a network, and see whether each is found.

    NAME is an experiment (default: mlp-relu). FILE:OBJECT is an object of a Python file, or package.module:OBJECT of a
    module: a reference.Experiment, a tuple of one and of the function that makes its torch side, a tuple (function,
    parameters, *data) as torch_mirror.check takes them, a dict of these, or a function that returns one of these. One
    line a fault: a factor, a transposition, a mask, a cast, an optimizer's option, a line of the source. Exit status 0
    if all that change a number are refuted and located, laid at the right side and none is named wrongly; else 1; 2 for
    bad usage or input. It takes a second or two a fault of a large network: --limit bounds it, and what was left out is
    told.
    """
    settle_threads(one=jobs > 1)
    with errors_without_traceback():
        wanted, folder = check_paths({"json": json_path}, networks), str(Path.cwd())
        subjects = [one for text in networks or ("mlp-relu",) for one in subjects_of(text)]
        import torch_mirror.doors.selftest.run  # noqa: F401 - now, while Ctrl-C ends the process without an exception
        from torch_mirror.doors.jobs.tasks import Task, Who, results
        from torch_mirror.doors.jobs.unit import Unit
        from torch_mirror.reports import selftest as report

        raise_as_usual()
        ask = Asked(DTYPES if dtype == "both" else (dtype,), limit, quiet)
        tasks = [
            Task(partial(tested, one, ask), Unit(one.name, partial(tested_again, one.text, one.name, ask), folder))
            for one in subjects
        ]
        with closing(results(tasks, Who(jobs), bar_of_all=partial(bar, unit="network"))) as found:
            tests = list(found)
        for text in report.summary(tests):
            say(text)
        for path in wanted.values():
            from reference.files import write_whole

            write_whole("--json", path, report.as_json(tests))
    context.exit(0 if all(one.passed for one in tests) else 1)


class Asked(NamedTuple):
    """What is asked of a selftest, in words that can be sent to another process."""

    dtypes: tuple[str, ...]
    limit: float
    quiet: bool


def tested(one: "Subject", ask: Asked, _bar: "Bar") -> "SelfTest":
    """The selftest of a network, whose trials are printed as they come."""
    from torch_mirror import selftest as test
    from torch_mirror.doors.objects import running
    from torch_mirror.reports import selftest as report

    def told(trial: report.Trial) -> None:
        if not (ask.quiet and trial.found):
            say(report.line(trial))

    with running(one.name):
        return test(*one.arguments, **one.options, dtypes=ask.dtypes, progress=told, limit=ask.limit)


def tested_again(text: str, name: str, ask: Asked, bar: "Bar") -> "SelfTest":
    """The same of a network whose file is read again."""
    from torch_mirror.doors.jobs.unit import read_again
    from torch_mirror.doors.objects import entry

    with read_again():
        one = _subject(text, name, entry(text, name)) if ":" in text else subjects_of(text)[0]
    return tested(one, ask, bar)


@click.command()
@click.argument("network", metavar="FILE:OBJECT", shell_complete=files_first)
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), metavar="PATH", help="The script's file.")
def reproduce(network: str, path: Path | None) -> None:
    """Make a script of NumPy alone that shows a wrong gradient.

    FILE:OBJECT is an object of a Python file, as for selftest. The script holds the code of the network, the smallest
    sizes and simplest numbers at which the gradient is still wrong, and the derivative; it ends in an AssertionError.
    It is printed, or written to PATH. Exit status 2 where no gradient is wrong.
    """
    with errors_without_traceback():
        path = check_paths({"output": path}, [network], sources=True).get("output")
        what = _only(network)
        from torch_mirror import reproduce as of
        from torch_mirror.doors.objects import running

        raise_as_usual()
        with running(what.name):
            text = of(*what.arguments, **what.options, path=path)
        if path is None:
            say(text.rstrip())


class Subject(NamedTuple):
    """What is tested, as torch_mirror.selftest takes it. text, name: what it is found by again, see objects.entry."""

    text: str
    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


def subjects_of(text: str) -> list[Subject]:
    """An experiment by its name, or objects of a file. Raises InputError for anything else."""
    from reference import experiments
    from torch_mirror.doors.objects import is_file_alone

    if ":" not in text and not is_file_alone(text):
        return [Subject(text, text, (experiments.load(text),), {})]
    from torch_mirror.doors.objects import each

    return [_subject(text, name, found) for name, found in each(text)]


def _only(text: str) -> Subject:
    from reference.errors import InputError

    found = subjects_of(text)
    if len(found) > 1:
        raise InputError(text, "one network", f"a dict of {len(found)}")
    return found[0]


def _subject(text: str, name: str, found: object) -> Subject:
    from torch_mirror.doors.objects import is_arguments
    from torch_mirror.doors.runs import sides

    if isinstance(found, tuple) and is_arguments(found):
        return Subject(text, name, found, {})
    tuples = "a tuple (experiment, using) or (function, parameters, *data)"
    made = sides(name, found, f"a reference.Experiment, {tuples}, or a dict of these")
    return Subject(text, name, (made.experiment,), made.options)
