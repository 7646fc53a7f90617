"""What every command does with its lines, files and errors.

Whatever computes is imported when it is needed, so that ``--help`` is immediate and the number of threads can be
settled before NumPy and torch load.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from torch_mirror.interrupt import INTERRUPTED
from torch_mirror.training.threads import VARIABLES

if TYPE_CHECKING:
    from torch_mirror.doors.check.result import Checked
    from torch_mirror.judge.verdict import Certificate

DTYPES = ("float64", "float32")
REPORTS = {
    "json": "Write a report in JSON.",
    "report": "Write a report to look at: one page of HTML.",
    "figures": "Write the pictures of a report into this folder, as SVG and PNG.",
}
"""What a run can be written as, by option: ``--json PATH``."""
MAKERS = {
    "json": "torch_mirror.reports.json",
    "report": "torch_mirror.reports.html.page",
    "figures": "torch_mirror.reports.figures",
}
"""The module that makes it: its ``document`` is a text, its ``files`` are those of a folder."""
PAGES = ("report", "figures")
"""Those that show curves. Their modules need an extra."""


COLOURS = {"certified": "green", "refuted": "red", "vacuous": "yellow", "doubted": "yellow"}


def files_first(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """How a shell may complete FILE:OBJECT: by a file."""
    return [CompletionItem(incomplete, type="file")]


def names_and_files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """How a shell may complete NAME|FILE:OBJECT: by an experiment of ours, or a file where none begins so."""
    from reference import experiments

    names = [CompletionItem(name) for name in experiments.names() if name.startswith(incomplete)]
    return [*files_first(_context, _parameter, incomplete), *names]


quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print only what is not certified.")
watch_option = click.option("--watch", is_flag=True, help="Judge again whenever the file, or what it imports, changes.")


def suggested(name: str, known: Iterable[str]) -> str:
    """A question after the nearest known name; "" where none is near."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else ""


class BadInput(click.ClickException):
    """One message on standard error and exit status 2, which click keeps for bad usage."""

    exit_code = 2


def report_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each of REPORTS, which takes the path of its file."""
    for name, what in reversed(REPORTS.items()):
        path, metavar = click.Path(path_type=Path), "DIR" if name == "figures" else "PATH"
        command = click.option(f"--{name}", f"{name}_path", type=path, metavar=metavar, help=what)(command)
    return command


def settle_threads(*, one: bool = False) -> None:
    """One thread each for NumPy and torch, unless a variable says otherwise; of use only before these load.

    one: whatever a variable says.
    """
    if one or not any(variable in os.environ for variable in VARIABLES):
        os.environ |= dict.fromkeys(VARIABLES, "1")


def check_paths(
    paths: "dict[str, Path | None]", read: Iterable[str | Path] = (), *, sources: bool = False
) -> "dict[str, Path]":
    """The reports that are wanted, by option.

    read: what the command reads, files or FILE:OBJECT, which no report may take the place of; nor of any other Python
    file, unless it is one (sources). Raises InputError for such a path, and for one that could not be written;
    ImportError where the extra is missing that a report needs.
    """
    from importlib import import_module

    from reference.errors import InputError
    from reference.files import check_writable

    wanted = {name: path for name, path in paths.items() if path is not None}
    inputs = [path for given in read for path in (Path(given), Path(str(given).rpartition(":")[0])) if path.is_file()]
    for name, path in wanted.items():
        if any(path.resolve() == given.resolve() or (path.exists() and path.samefile(given)) for given in inputs):
            raise InputError(f"--{name}", "another file than is read", str(path))
        if any(path.resolve() == other.resolve() for known, other in wanted.items() if known != name):
            raise InputError(f"--{name}", "another file than the other reports have", str(path))
        if path.suffix == ".py" and not sources:
            raise InputError(f"--{name}", "a file that is no Python source", str(path))
        if name == "figures":
            check_folder(f"--{name}", path)
        else:
            check_writable(f"--{name}", path)
        if name in PAGES:
            import_module(MAKERS[name])  # now, and not after long work
    return wanted


def check_folder(what: str, path: Path) -> None:
    """Raise InputError unless files can be written into this folder, or into one that can be made there."""
    from reference.errors import InputError
    from reference.files import check_writable

    if path.exists() and not path.is_dir():
        raise InputError(what, "a folder, or a name for one", f"{str(path)!r}, which is a file")
    check_writable(what, path / "a-picture" if path.is_dir() else path)


def wants_curves(wanted: "dict[str, Path]") -> bool:
    """Whether a report is wanted that shows the curves of a run."""
    return any(name in PAGES for name in wanted)


@contextmanager
def bar(steps: int, label: str, unit: str = "step") -> Iterator[Callable[[int], None]]:
    """A function to call with what is done further; on a terminal it shows in a bar that disappears in the end."""
    from tqdm import tqdm

    with tqdm(total=steps, desc=label, unit=unit, leave=False, disable=None, dynamic_ncols=True) as shown:
        # disable=None: silent unless standard error is a terminal

        def advance(steps: int) -> None:
            shown.update(steps)

        yield advance


def at_rest() -> AbstractContextManager[None]:
    """Within it lines can be printed: a bar that shows is taken away, and shown again behind them."""
    from tqdm import tqdm

    return tqdm.external_write_mode()


def say(text: str, *, color: bool | None = None) -> None:
    """Print a line. Raises InputError where it cannot be written, BrokenPipeError where nobody reads any more."""
    from reference.errors import InputError

    try:
        click.echo(text, color=color)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError("standard output", "to be writable", error.strerror) from error


def colour() -> bool | None:
    """What say() takes: no colour if NO_COLOR is set to anything (no-color.org), else only on a terminal."""
    return False if os.environ.get("NO_COLOR") else None


def show(certificate: "Certificate", width: int = 0, *, quiet: bool, verbose: bool) -> None:
    """Print the line of a certificate, and what else a reader needs; of a certified one nothing if quiet."""
    from torch_mirror.reports import text as report

    verdict = certificate.verdict
    if quiet and verdict == "certified":
        return
    line = report.line(certificate, width)
    say(line.removesuffix(verdict) + click.style(verdict, fg=COLOURS[verdict]), color=colour())
    for text in report.details(certificate, rows=verbose):
        say(text, color=colour())


def write_reports(wanted: "dict[str, Path]", results: "Sequence[Certificate | Checked]") -> None:
    """Write each of REPORTS that is wanted, to its path; as JSON certificates alone."""
    from importlib import import_module

    from reference.errors import InputError
    from reference.files import write_whole
    from torch_mirror.reports import environment

    for name, path in wanted.items():
        module = import_module(MAKERS[name])
        if name != "figures":
            write_whole(f"--{name}", path, module.document(results, environment.versions(), environment.threads()))
            continue
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"--{name}", "a folder that can be made", f"{str(path)!r} ({error.strerror})") from error
        for file, contents in module.files(results):
            write_whole(f"--{name}", path / file, contents)


@contextmanager
def errors_without_traceback() -> Iterator[None]:
    """Turn what a user can cause into one line on standard error and an exit status of its own."""
    from reference.errors import TorchMirrorError

    try:
        yield
    except TorchMirrorError as error:
        raise BadInput(str(error)) from error
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
