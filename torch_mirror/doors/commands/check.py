"""torch-mirror check: gradients by hand, in a file of the user's."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from torch_mirror.doors.console import check_paths, errors_without_traceback, say, settle_threads
from torch_mirror.interrupt import raise_as_usual

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch_mirror.doors.check.result import Checked


@click.command()
@click.argument("objects", nargs=-1, required=True, metavar="FILE:OBJECT...")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="PATH", help="Write a report in JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Print every row.")
@click.pass_context
def check(context: click.Context, /, objects: tuple[str, ...], json_path: Path | None, *, verbose: bool) -> None:
    """Judge gradients against the derivative of their own loss.

    OBJECT is a tuple (function, parameters, *data) in a Python file, as torch_mirror.check takes them; what check or
    its like returned; a dict of these by name; or a function without arguments that returns one of these. At most
    twenty lines each; exit status 0 if all are certified, 1 if one is not, 2 for bad usage or input.
    """
    settle_threads()
    with errors_without_traceback():
        check_paths({"json": json_path})
        raise_as_usual()
        results = []
        for result in (found for text in objects for found in _checked(text)):
            say(str(result))
            if verbose:
                say(result.table())
            results.append(result)
        if json_path is not None:
            from reference.files import write_whole

            write_whole("--json", json_path, f"[{', '.join(result.json().rstrip() for result in results)}]\n")
    context.exit(0 if all(result.certified for result in results) else 1)


def _checked(text: str) -> "Iterator[Checked]":
    """What check finds of an object. Raises InputError for anything else."""
    from reference.errors import InputError
    from torch_mirror.doors.objects import load

    found = load(text)
    if isinstance(found, dict) and not found:
        raise InputError(text, "at least one case", "an empty dict")
    for name, one in found.items() if isinstance(found, dict) else [("", found)]:
        yield _one(f"{text} {name}".rstrip(), one)


def _one(text: str, found: object) -> "Checked":
    from reference.errors import InputError
    from torch_mirror import check as judge
    from torch_mirror.doors.check.result import Checked
    from torch_mirror.doors.objects import running

    if isinstance(found, tuple) and len(found) > 1 and callable(found[0]):
        with running(text):
            return judge(*found)
    if not isinstance(found, Checked):
        expected = "a tuple (function, parameters, *data), what check returned, or a dict of these"
        raise InputError(text, expected, type(found).__name__)
    return found
