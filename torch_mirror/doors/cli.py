"""The command ``torch-mirror``: options in, lines out, exit status (see ``torch_mirror.ending``).

Whatever computes is imported when it is needed, so that ``--help`` is immediate and the number of threads can be
settled before NumPy and torch load.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from torch_mirror import __version__
from torch_mirror.ending import finish, status_of
from torch_mirror.interrupt import INTERRUPTED, raise_as_usual
from torch_mirror.training.threads import VARIABLES

if TYPE_CHECKING:
    from reference.claim.experiment import Experiment
    from torch_mirror.judge.verdict import Certificate

DTYPES = ("float64", "float32")
REPORTS = {"json": "Write a report in JSON."}
"""What a run can be written as: ``--json PATH``, the text that ``document`` of torch_mirror/reports/json.py makes."""

COLOURS = {"certified": "green", "refuted": "red", "vacuous": "yellow", "doubted": "yellow"}
COMPLETION = "_TORCH_MIRROR_COMPLETE"
"""What a shell sets that asks click how a line may go on."""


class BadInput(click.ClickException):
    """One message on standard error and exit status 2, which click keeps for bad usage."""

    exit_code = 2


def report_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each of REPORTS, which takes the path of its file."""
    for name, what in reversed(REPORTS.items()):
        path = click.Path(path_type=Path)
        command = click.option(f"--{name}", f"{name}_path", type=path, metavar="PATH", help=what)(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Hold a PyTorch mirror up to networks written by hand in NumPy."""


@cli.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--dtype", type=click.Choice([*DTYPES, "both"]), default="both", show_default=True, help="Precision.")
@click.option("--steps", type=click.IntRange(min=0), help="Steps of training.  [default: the experiment's own]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of what is random.")
@report_options
@click.option("--strict", is_flag=True, help="Fail where there is a doubt, too: what roundings hardly explain.")
@click.option("-v", "--verbose", is_flag=True, help="Print what each check found of each tensor.")
@click.pass_context
def verify(
    context: click.Context,
    /,
    names: tuple[str, ...],
    dtype: Literal["float64", "float32", "both"],
    steps: int | None,
    seed: int,
    *,
    strict: bool,
    verbose: bool,
    **paths: Path | None,
) -> None:
    """Certify every tensor of every training step.

    Each experiment (default: all) is trained by NumPy and by PyTorch from the same weights, and every
    tensor of every step is judged against its equation. One line each; exit status 0 if all are
    certified, 1 if one is refuted or vacuous or, with --strict, doubted, 2 for bad usage or input.
    """
    if not any(variable in os.environ for variable in VARIABLES):
        os.environ |= dict.fromkeys(VARIABLES, "1")  # of use only before NumPy and torch load
    with errors_without_traceback():
        from reference import experiments
        from reference.errors import UnknownNameError

        known = experiments.names()
        for name in names:
            if name not in known:
                raise UnknownNameError("experiment", name, known)
        wanted = {name: path for name in REPORTS if (path := paths[f"{name}_path"]) is not None}
        for name, path in wanted.items():
            from reference.files import check_writable

            check_writable(f"--{name}", path)
        chosen = list(dict.fromkeys(names or known))  # a name given twice is one run
        dtypes = DTYPES if dtype == "both" else (dtype,)
        import torch_mirror.doors.verify  # noqa: F401 - now, while Ctrl-C ends the process without an exception

        raise_as_usual()
        certificates = _run(chosen, dtypes, steps, seed, strict=strict, verbose=verbose)
        for name, path in wanted.items():
            _write(name, path, certificates)
    context.exit(0 if all(c.verdict == "certified" for c in certificates) else 1)


@cli.command()
@click.argument("networks", nargs=-1, metavar="[NAME|FILE:OBJECT]...")
@click.option("--dtype", type=click.Choice([*DTYPES, "both"]), default="both", show_default=True, help="Precision.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="PATH", help="Write a report in JSON.")
@click.pass_context
def selftest(context: click.Context, /, networks: tuple[str, ...], dtype: str, json_path: Path | None) -> None:
    """Plant faults in a network, and see whether each is found.

    NAME is an experiment (default: mlp-relu). FILE:OBJECT is an object of a Python file: a reference.Experiment, a
    tuple (function, parameters, *data) as torch_mirror.check takes them, or a function that returns one of these. One
    line a fault: a factor, a transposition, a mask, a cast, an optimizer's option, a line of the source. Exit status 0
    if all that change a number are refuted and located, laid at the right side and none is named wrongly; else 1; 2 for
    bad usage or input.
    """
    if not any(variable in os.environ for variable in VARIABLES):
        os.environ |= dict.fromkeys(VARIABLES, "1")  # of use only before NumPy and torch load
    with errors_without_traceback():
        if json_path is not None:
            from reference.files import check_writable

            check_writable("--json", json_path)
        subjects = [_subject(text) for text in networks or ("mlp-relu",)]
        from torch_mirror import selftest as test
        from torch_mirror.reports import selftest as report

        raise_as_usual()
        dtypes = DTYPES if dtype == "both" else (dtype,)
        tests = [test(*subject, dtypes=dtypes, progress=lambda t: say(report.line(t))) for subject in subjects]
        for text in report.summary(tests):
            say(text)
        if json_path is not None:
            from reference.files import write_whole

            write_whole("--json", json_path, report.document(tests))
    context.exit(0 if all(one.passed for one in tests) else 1)


@cli.command()
@click.argument("network", metavar="FILE:OBJECT")
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), metavar="PATH", help="The script's file.")
def reproduce(network: str, path: Path | None) -> None:
    """Make a script of NumPy alone that shows a wrong gradient.

    FILE:OBJECT is an object of a Python file, as for selftest. The script holds the code of the network, the smallest
    sizes and simplest numbers at which the gradient is still wrong, and the derivative; it ends in an AssertionError.
    It is printed, or written to PATH. Exit status 2 where no gradient is wrong.
    """
    with errors_without_traceback():
        subject = _subject(network)
        from torch_mirror import reproduce as of

        raise_as_usual()
        text = of(*subject, path=path)
        if path is None:
            say(text.rstrip())


def _subject(text: str) -> "tuple[object, ...]":
    """What is tested: an experiment by its name, or an object of a file. Raises InputError for anything else."""
    from reference import experiments
    from reference.claim.experiment import Experiment
    from reference.errors import InputError

    if ":" not in text:
        return (experiments.load(text),)
    from torch_mirror.doors.objects import load

    found = load(text)
    if isinstance(found, tuple) and len(found) > 1 and callable(found[0]):
        return found
    if not isinstance(found, Experiment):
        expected = "a reference.Experiment, a tuple (function, parameters, *data), or a function that returns one"
        raise InputError(text, expected, type(found).__name__)
    return (found,)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, and raise SystemExit with its status: for programs that call it and go on."""
    sys.exit(status_of(lambda: run(arguments)))


def run(arguments: Sequence[str] | None = None, command: click.Command = cli, name: str = "torch-mirror") -> int:
    """Run a command, with sys.argv's arguments by default; returns its exit status.

    click's own ``main`` would exit, with status 1 where it meets a closed pipe or Ctrl-C.
    """
    if COMPLETION in os.environ:
        command.main(prog_name=name)
    try:
        with command.make_context(name, list(sys.argv[1:] if arguments is None else arguments)) as context:
            command.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return 0


def _run(
    names: list[str], dtypes: Sequence[str], steps: int | None, seed: int, *, strict: bool, verbose: bool
) -> "list[Certificate]":
    """Verify each experiment in each dtype, and print each line as soon as it is known."""
    from dataclasses import replace

    from reference import experiments
    from torch_mirror.reports import text as report

    width = max(map(len, names))
    colour = False if os.environ.get("NO_COLOR") else None  # None: only on a terminal
    certificates = []
    for name in names:
        for dtype in dtypes:
            experiment = experiments.load(name, dtype=dtype, seed=seed)
            if steps is not None:
                experiment = replace(experiment, steps=steps)
            certificate = _verify(experiment, f"{name} {dtype}", strict=strict)
            text = report.line(certificate, width)
            verdict = certificate.verdict
            say(text.removesuffix(verdict) + click.style(verdict, fg=COLOURS[verdict]), color=colour)
            for text in report.details(certificate, rows=verbose):
                say(text, color=colour)
            certificates.append(certificate)
    return certificates


def _verify(experiment: "Experiment", label: str, *, strict: bool) -> "Certificate":
    """Verify one experiment, under a bar."""
    from torch_mirror import verify

    with bar(experiment.steps, label) as advance:
        return verify(experiment, progress=advance, strict=strict)


@contextmanager
def bar(steps: int, label: str) -> Iterator[Callable[[int], None]]:
    """A function to call with the steps done; on a terminal they show in a bar that disappears in the end."""
    from tqdm import tqdm

    with tqdm(total=steps, desc=label, unit="step", leave=False, disable=None, dynamic_ncols=True) as shown:
        # disable=None: silent unless standard error is a terminal

        def advance(steps: int) -> None:
            shown.update(steps)

        yield advance


def say(text: str, *, color: bool | None = None) -> None:
    """Print a line. Raises InputError where it cannot be written."""
    from reference.errors import InputError

    try:
        click.echo(text, color=color)
    except OSError as error:
        raise InputError("standard output", "to be writable", error.strerror) from error


def _write(name: str, path: Path, certificates: "list[Certificate]") -> None:
    from reference.files import write_whole
    from torch_mirror.reports import environment

    report = import_module(f"torch_mirror.reports.{name}")
    text = report.document(certificates, environment.versions(), environment.threads())
    write_whole(f"--{name}", path, text)


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


if __name__ == "__main__":
    finish(run)
