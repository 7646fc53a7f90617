"""What every command does with its lines, files and errors.

Whatever computes is imported when it is needed, so that ``--help`` is immediate and the number of threads can be
settled before NumPy and torch load.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from torch_mirror.interrupt import INTERRUPTED
from torch_mirror.training.threads import VARIABLES
from torch_mirror.visible import inert, visible

if TYPE_CHECKING:
    from torch_mirror.doors.check.result import Checked
    from torch_mirror.judge.verdict import Certificate
    from torch_mirror.reports.gate.compare import Comparison

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


dtype_option = click.option(
    "--dtype", type=click.Choice([*DTYPES, "both"]), help="Precision.  [default: both; of your own that which it has]"
)
"""Of runs of ours and of the user's: ``dtypes_of`` has what it stands for."""


def dtypes_of(asked: str | None) -> Sequence[str] | None:
    """The precisions that ``dtype_option`` asks for; None where it is not given."""
    if asked is None:
        return None
    return DTYPES if asked == "both" else (asked,)


jobs_option = click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that judge."
)
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


def path_options(reports: Mapping[str, str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """An option for each report, by what it does, which takes the path of its file."""

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        for name, what in reversed([*reports.items()]):
            path, metavar = click.Path(path_type=Path), "DIR" if name == "figures" else "PATH"
            command = click.option(f"--{name}", f"{name}_path", type=path, metavar=metavar, help=what)(command)
        return command

    return with_options


report_options = path_options(REPORTS)
"""An option for each of REPORTS."""


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
    file, unless it is one (sources). They come back as absolute paths: the user's code may go to another folder. Raises
    InputError for such a path, and for one that could not be written; ImportError where the extra is missing that a
    report needs.
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
    return {name: path.absolute() for name, path in wanted.items()}


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

    with tqdm(total=steps, desc=visible(label), unit=unit, leave=False, disable=None, dynamic_ncols=True) as shown:
        # disable=None: silent unless standard error is a terminal

        def advance(steps: int) -> None:
            shown.update(steps)

        yield advance


def at_rest() -> AbstractContextManager[None]:
    """Within it lines can be printed: a bar that shows is taken away, and shown again behind them."""
    from tqdm import tqdm

    return tqdm.external_write_mode()


def say(text: str, coloured: str = "", verdict: str = "") -> None:
    """Print a line, or several; coloured: its end, in the colour of the verdict. Raises InputError where it cannot be.

    What does not show as itself is escaped (visible.py): no terminal or server obeys any of it. No colour if NO_COLOR
    is set to anything (no-color.org), else only on a terminal.
    """
    fg = COLOURS.get(verdict)
    shown = "\n".join(harmless(line) for line in text.split("\n"))
    _echo(shown + click.style(harmless(coloured) if not text else visible(coloured), fg=fg) if coloured else shown)


def command_to_github(line: str) -> None:
    """Print a line that GitHub's runner is to obey: what made it has escaped the rest. Raises InputError as ``say``."""
    _echo(f"::{harmless(line.removeprefix('::'))}")


def harmless(line: str) -> str:
    """A line that nothing obeys that reads it."""
    return inert(visible(line))


def _echo(text: str) -> None:
    """Print it. Raises InputError where it cannot be written, BrokenPipeError where nobody reads any more."""
    from reference.errors import InputError

    try:
        click.echo(text, color=False if os.environ.get("NO_COLOR") else None)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError("standard output", "to be writable", error.strerror) from error


def show(certificate: "Certificate", width: int = 0, *, quiet: bool, verbose: bool) -> None:
    """Print the line of a certificate, and what else a reader needs; of a certified one nothing if quiet."""
    from torch_mirror.reports import text as report

    verdict = certificate.verdict
    if quiet and verdict == "certified":
        return
    line = report.line(certificate, width)
    say(line.removesuffix(verdict), verdict, verdict)
    for text in report.details(certificate, rows=verbose):
        say(text)


def write_reports(
    wanted: "dict[str, Path]", results: "Sequence[Certificate | Checked]", since: "Comparison | None" = None
) -> None:
    """Write each of REPORTS that is wanted, to its path; as JSON certificates alone.

    since: what has changed since a baseline, for the page.
    """
    from importlib import import_module

    from reference.errors import InputError
    from reference.files import write_whole
    from torch_mirror.reports import environment

    for name, path in wanted.items():
        module = import_module(MAKERS[name])
        if name != "figures":
            more = {} if since is None else {"since": since}
            text = module.document(results, environment.versions(), environment.threads(), **more)
            write_whole(f"--{name}", path, text)
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
        raise BadInput("\n".join(map(harmless, str(error).split("\n")))) from error
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
