"""torch-mirror init: a file to start from."""

import os
from pathlib import Path

import click

from torch_mirror.doors.console import errors_without_traceback, files_first, say


@click.command()
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), default=Path("case.py"), show_default=True,
              metavar="FILE", help="The file that is written, and that must not be there yet.")  # fmt: skip
@click.option("--from", "origin", type=click.Path(path_type=Path), metavar="FILE", shell_complete=files_first,
              help="Your own file, which is read and not run.")  # fmt: skip
@click.pass_context
def init(context: click.Context, path: Path, origin: Path | None) -> None:
    """Write a file to start from: a case for torch-mirror check.

    With --from it fits what it finds in your file: a function that returns a loss and gradients, functions that are
    apart, a class with loss or forward, and backward, names of the module; softmax and cross-entropy, lists of
    weights, samples in columns. What it had to guess, such as the shapes of your data, says "a guess": put yours
    there where it does not run as it is. In a loop that trains, an update that stands before a gradient reads its
    parameter is named and stays, and so is a gradient that is never set back to 0. Exit status 1 where the written
    file does not judge your network yet, as nothing was found in yours or a gradient has no parameter; 2 where the
    file is there already.
    """
    with errors_without_traceback():
        from reference.errors import InputError
        from torch_mirror.doors.starting.source import source_of
        from torch_mirror.doors.starting.text import Start, example, starting_file

        if os.path.lexists(path):
            raise InputError("--output", "a file that is not there yet", f"{str(path)!r}, which is")
        if path.suffix != ".py" or not path.stem.isidentifier():
            raise InputError("--output", "a name such as case.py, which Python can import", repr(str(path)))
        if origin is not None and origin.stem == path.stem:
            raise InputError("--output", f"another name than that of {origin}, which it imports", repr(str(path)))
        start = Start(example(path.name)) if origin is None else starting_file(source_of(origin), path)
        _write_new(path, start.text)
        say(f"{path} is written. Next: {'' if start.whole else 'complete it, then '}torch-mirror check {path}:case")
        for note in start.notes:
            say(note)
    context.exit(0 if start.whole else 1)


def _write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, whole or not at all. Raises InputError where it cannot be written."""
    from reference.errors import InputError

    made = False
    try:
        with path.open("x", encoding="utf-8") as file:
            made = True
            file.write(text)
    except OSError as error:
        if made:
            path.unlink(missing_ok=True)
        raise InputError("--output", "a path that can be written", f"{str(path)!r} ({error.strerror})") from error
