"""torch-mirror check: gradients by hand, in a file of the user's."""

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from torch_mirror.doors.console import (
    REPORTS,
    bar,
    check_paths,
    errors_without_traceback,
    files_first,
    jobs_option,
    quiet_option,
    report_options,
    say,
    settle_threads,
    show,
    wants_curves,
    watch_option,
    write_reports,
)
from torch_mirror.interrupt import raise_as_usual

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch_mirror.doors.check.result import Checked
    from torch_mirror.doors.jobs.tasks import Task
    from torch_mirror.doors.runs import Bar
    from torch_mirror.judge.verdict import Certificate

    Result: TypeAlias = Checked | Certificate


@click.command()
@click.argument("objects", nargs=-1, required=True, metavar="FILE:OBJECT...", shell_complete=files_first)
@report_options
@jobs_option
@watch_option
@quiet_option
@click.option("-v", "--verbose", is_flag=True, help="Print every row.")
@click.pass_context
def check(
    context: click.Context,
    /,
    objects: tuple[str, ...],
    jobs: int,
    *,
    watch: bool,
    quiet: bool,
    verbose: bool,
    **paths: Path | None,
) -> None:
    """Judge gradients against the derivative of their own loss.

    OBJECT is a tuple (function, parameters, *data) in a Python file, as torch_mirror.check takes them; what check, its
    like or verify returned; an Experiment, of which the first step is judged; a dict of these by name; or a function
    without arguments that returns one of these. FILE:OBJECT may be package.module:OBJECT, too. At most twenty lines
    each; exit status 0 if all are certified, 1 if one is not, 2 for bad usage or input.
    """
    settle_threads(one=jobs > 1)
    with errors_without_traceback():
        wanted = check_paths({name: paths[f"{name}_path"] for name in REPORTS}, objects)
        raise_as_usual()
        if watch:
            from torch_mirror.doors.watching import watched

            watched(context, objects)
        from torch_mirror.doors.jobs.tasks import Who, results

        tasks = (task for text in objects for task in _tasks(text, drawn=wants_curves(wanted), json="json" in wanted))
        found = []
        with closing(results(tasks, Who(jobs), bar_of_all=partial(bar, unit="object"))) as judged:
            for result in judged:
                _show(result, quiet=quiet, verbose=verbose)
                found.append(result)
        if "json" in wanted:
            _write(wanted.pop("json"), found)
        write_reports(wanted, found)
    context.exit(0 if all(result.verdict == "certified" for result in found) else 1)


def _tasks(text: str, *, drawn: bool, json: bool) -> "Iterator[Task]":
    """A piece of work for each object. Raises InputError for a file or an object that is not there."""
    from torch_mirror.doors.jobs.tasks import Task
    from torch_mirror.doors.jobs.unit import Unit
    from torch_mirror.doors.objects import each

    folder = str(Path.cwd())  # before the file is read, which may go to another one
    for name, found in each(text):
        here = partial(_checked, text, name, found, drawn=drawn, json=json)
        yield Task(here, Unit(name, partial(_checked_again, text, name, drawn=drawn, json=json), folder))


def _checked_again(text: str, name: str, bar: "Bar", *, drawn: bool, json: bool) -> "Result":
    """What check finds of an object whose file is read again."""
    from torch_mirror.doors.jobs.unit import read_again
    from torch_mirror.doors.objects import entry

    with read_again():
        found = entry(text, name)
    return _checked(text, name, found, bar, drawn=drawn, json=json)


def _checked(text: str, name: str, found: object, _bar: "Bar", *, drawn: bool, json: bool) -> "Result":
    """What check finds of an object; of a dict's by its key. Raises InputError for anything else."""
    from dataclasses import replace

    from reference.errors import InputError
    from torch_mirror.doors.check.result import Checked
    from torch_mirror.judge.verdict import Certificate

    result = _one(name, found, drawn=drawn)
    if json and isinstance(result, Certificate):
        expected = "what check found, for --json"
        raise InputError(name, expected, f"the Certificate of a run: torch-mirror verify {text} --json writes it")
    key = name.removeprefix(text).strip()  # several entries of a dict may be judgements of one function
    return replace(result, subject=key) if key and isinstance(result, Checked) else result


def _one(text: str, found: object, *, drawn: bool) -> "Result":
    """drawn: whether the result is to have the pictures of a report."""
    from dataclasses import replace

    from reference.claim.experiment import Experiment
    from reference.errors import InputError
    from torch_mirror import check as judge
    from torch_mirror.doors.check.result import Checked
    from torch_mirror.doors.objects import is_arguments, running
    from torch_mirror.judge.verdict import Certificate

    if isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Experiment):
        found = found[0]  # with what makes its torch side, which verify asks for
    if isinstance(found, Experiment):
        from torch_mirror.doors.mirror_causes import function_of
        from torch_mirror.doors.selftest.backward import point_of

        with running(text):
            at, name = point_of(found), found.name
            found = function_of(found), at.parameters, *at.data
            named = text.rpartition(":")[2] if name == Experiment.name else name  # nobody has named it
            return replace(_judged(judge, found, drawn=drawn), subject=named)
    if isinstance(found, tuple) and is_arguments(found):
        with running(text):
            return _judged(judge, found, drawn=drawn)
    if not isinstance(found, Checked | Certificate):
        expected = "a tuple (function, parameters, *data), an Experiment, what check returned, or a dict of these"
        raise InputError(text, expected, type(found).__name__)
    return found


def _judged(judge: "Callable[..., Checked]", arguments: tuple[Any, ...], *, drawn: bool) -> "Checked":
    from torch_mirror.doors.check.pictures import pictured

    result = judge(*arguments)
    return pictured(result, *arguments) if drawn else result


def _show(result: "Result", *, quiet: bool, verbose: bool) -> None:
    from torch_mirror.judge.verdict import Certificate

    if isinstance(result, Certificate):
        show(result, quiet=quiet, verbose=verbose)
    elif not (quiet and result.certified):
        say(str(result))
        if verbose:
            say(result.table())


def _write(path: Path, results: "Sequence[Result]") -> None:
    from reference.files import write_whole
    from torch_mirror.doors.check.result import Checked

    found = [result.json().rstrip() for result in results if isinstance(result, Checked)]
    write_whole("--json", path, f"[{', '.join(found)}]\n")
