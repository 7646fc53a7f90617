"""torch-mirror compare: what differs between two reports."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from torch_mirror.doors.console import errors_without_traceback, say
from torch_mirror.interrupt import raise_as_usual

if TYPE_CHECKING:
    from torch_mirror.judge.verdict import Certificate

_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("first", type=_file, metavar="A.json")
@click.argument("second", type=_file, metavar="B.json")
@click.pass_context
def compare(context: click.Context, /, first: Path, second: Path) -> None:
    """Say what differs between two reports of verify or certify.

    A.json and B.json are what their --json wrote. Told are verdicts, headroom, resolution, every other number of a row,
    and rows and runs that only one of them has; seconds are no difference. What the reports were made with is told on
    standard error, where it differs, and counts for nothing. Exit status 0 if nothing differs, 1 if something does, 2
    for bad usage or input.
    """
    with errors_without_traceback():
        from torch_mirror.reports.difference import differences, environments

        raise_as_usual()
        one, other = _read(first), _read(second)
        for words in environments(one.made_with, other.made_with):
            click.echo(f"made with {words}", err=True)
        lines = differences(one.certificates, other.certificates)
        for line in lines or ["nothing differs"]:
            say(line)
    context.exit(1 if lines else 0)


class Report(NamedTuple):
    """A report: its verdicts; and what it was made with, versions and threads, by name."""

    certificates: "list[Certificate]"
    made_with: dict[str, Any]


def _whose(text: str) -> str:
    """The command of ours that wrote it, where it is neither verify nor certify; "" where nobody knows."""
    import json

    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    one = whole[0] if isinstance(whole, list) and whole else whole
    keys = one.keys() if isinstance(one, dict) else ()
    marks = {"check": {"subject", "faults"}, "gate": {"passed", "environment", "runs"}, "selftest": {"networks"}}
    return next((name for name, its in marks.items() if its <= {*keys}), "")


def _read(path: Path) -> Report:
    """The report in a file. Raises InputError, naming the file, where it holds none."""
    import json

    from reference.errors import InputError
    from torch_mirror.reports.json import read

    try:
        text = path.read_text(encoding="utf-8")
        whose = _whose(text)
        certificates = [] if whose else read(text)
    except OSError as error:
        raise InputError(f"file {path}", "one that can be read", error.strerror) from error
    except UnicodeDecodeError as error:
        raise InputError(f"file {path}", "a report in JSON", "bytes that are no text") from error
    except InputError as error:
        raise InputError(f"file {path}: {error.what}", error.expected, error.came) from error
    if whose:
        raise InputError(f"file {path}", "a report of verify or certify", f"one of {whose}")
    whole = json.loads(text)
    threads = whole.get("threads", {})
    versions = whole.get("versions", {})
    if not isinstance(threads, dict) or not isinstance(versions, dict):
        raise InputError(f"file {path}: report", "its versions and threads by name", "something else")
    return Report(certificates, {**versions, **{f"threads of {name}": n for name, n in threads.items()}})
