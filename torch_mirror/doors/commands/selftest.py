"""torch-mirror selftest and torch-mirror reproduce: faults planted in a network, and a script that shows one."""

from pathlib import Path
from typing import Any, NamedTuple

import click

from torch_mirror.doors.console import (
    DTYPES,
    check_paths,
    errors_without_traceback,
    files_first,
    names_and_files,
    say,
    settle_threads,
)
from torch_mirror.interrupt import raise_as_usual

LIMIT = 600.0


@click.command()
@click.argument("networks", nargs=-1, metavar="[NAME|FILE:OBJECT]...", shell_complete=names_and_files)
@click.option("--dtype", type=click.Choice([*DTYPES, "both"]), default="both", show_default=True, help="Precision.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="PATH", help="Write a report in JSON.")
@click.option("--limit", type=click.FloatRange(min=0), default=LIMIT, show_default=True, metavar="SECONDS",
              help="After so long no further fault is planted in a network.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the faults that were not found, and the sums.")
@click.pass_context
def selftest(
    context: click.Context, /, networks: tuple[str, ...], dtype: str, json_path: Path | None, limit: float, *,
    quiet: bool,
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
    settle_threads()
    with errors_without_traceback():
        check_paths({"json": json_path}, networks)
        subjects = [one for text in networks or ("mlp-relu",) for one in subjects_of(text)]
        from torch_mirror import selftest as test
        from torch_mirror.reports import selftest as report

        raise_as_usual()
        dtypes = DTYPES if dtype == "both" else (dtype,)

        def told(trial: report.Trial) -> None:
            if not (quiet and trial.found):
                say(report.line(trial))

        tests = [test(*one.arguments, **one.options, dtypes=dtypes, progress=told, limit=limit) for one in subjects]
        for text in report.summary(tests):
            say(text)
        if json_path is not None:
            from reference.files import write_whole

            write_whole("--json", json_path, report.as_json(tests))
    context.exit(0 if all(one.passed for one in tests) else 1)


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
        check_paths({"output": path}, [network], sources=True)
        what = _only(network)
        from torch_mirror import reproduce as of

        raise_as_usual()
        text = of(*what.arguments, **what.options, path=path)
        if path is None:
            say(text.rstrip())


class Subject(NamedTuple):
    """What is tested, as torch_mirror.selftest takes it."""

    arguments: tuple[Any, ...]
    options: dict[str, Any]


def subjects_of(text: str) -> list[Subject]:
    """An experiment by its name, or objects of a file. Raises InputError for anything else."""
    from reference import experiments

    if ":" not in text:
        return [Subject((experiments.load(text),), {})]
    from torch_mirror.doors.objects import each

    return [_subject(name, found) for name, found in each(text)]


def _only(text: str) -> Subject:
    from reference.errors import InputError

    found = subjects_of(text)
    if len(found) > 1:
        raise InputError(text, "one network", f"a dict of {len(found)}")
    return found[0]


def _subject(text: str, found: object) -> Subject:
    from torch_mirror.doors.objects import is_arguments
    from torch_mirror.doors.runs import sides

    if isinstance(found, tuple) and is_arguments(found):
        return Subject(found, {})
    tuples = "a tuple (experiment, using) or (function, parameters, *data)"
    made = sides(text, found, f"a reference.Experiment, {tuples}, or a dict of these")
    return Subject((made.experiment,), made.options)
