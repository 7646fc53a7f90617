"""The command ``torch-mirror``: options in, lines out, exit status.

Exit status 0: every run is certified. 1: a run is refuted or vacuous. 2: bad usage or input.
130: interrupted. Whatever computes is imported when it is needed, so that ``--help`` is immediate
and the number of threads can be settled before NumPy and torch load.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from torch_mirror import __version__
from torch_mirror.training.threads import VARIABLES

if TYPE_CHECKING:
    from reference.claim.experiment import Experiment
    from torch_mirror.judge.verdict import Certificate

DTYPES = ("float64", "float32")
COLOURS = {"certified": "green", "refuted": "red", "vacuous": "yellow"}
INTERRUPTED = 130
"""What a shell reports for a command that Ctrl-C ended; 1 would say that something was refuted."""


class BadInput(click.ClickException):
    """One message on standard error and exit status 2, which click keeps for bad usage."""

    exit_code = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Hold a PyTorch mirror up to networks written by hand in NumPy."""


@cli.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--dtype", type=click.Choice([*DTYPES, "both"]), default="both", show_default=True, help="Precision.")
@click.option("--steps", type=click.IntRange(min=0), help="Steps of training.  [default: the experiment's own]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of what is random.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="PATH", help="Write a report in JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Print what each check found of each tensor.")
@click.pass_context
def verify(
    context: click.Context,
    names: tuple[str, ...],
    dtype: Literal["float64", "float32", "both"],
    steps: int | None,
    seed: int,
    json_path: Path | None,
    *,
    verbose: bool,
) -> None:
    """Certify every tensor of every training step.

    Each experiment (default: all) is trained by NumPy and by PyTorch from the same weights, and every
    tensor of every step is judged against its equation. One line each; exit status 0 if all are
    certified, 1 if one is refuted or vacuous, 2 for bad usage or input.
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
        if json_path is not None:
            from reference.files import check_writable

            check_writable("--json", json_path)
        chosen = list(dict.fromkeys(names or known))  # a name given twice is one run
        dtypes = DTYPES if dtype == "both" else (dtype,)
        certificates = _run(chosen, dtypes, steps, seed, verbose=verbose)
        if json_path is not None:
            _write(json_path, certificates)
    context.exit(0 if all(c.verdict == "certified" for c in certificates) else 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit."""
    cli.main(args=arguments, prog_name="torch-mirror")


def _run(
    names: list[str], dtypes: Sequence[str], steps: int | None, seed: int, *, verbose: bool
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
            certificate = _verify(experiment, f"{name} {dtype}")
            text = report.line(certificate, width)
            verdict = certificate.verdict
            click.echo(text.removesuffix(verdict) + click.style(verdict, fg=COLOURS[verdict]), color=colour)
            for text in report.details(certificate, rows=verbose):
                click.echo(text, color=colour)
            certificates.append(certificate)
    return certificates


def _verify(experiment: "Experiment", label: str) -> "Certificate":
    """Verify one experiment, under a bar."""
    from torch_mirror import verify as run

    with bar(experiment.steps, label) as advance:
        return run(experiment, progress=advance)


@contextmanager
def bar(steps: int, label: str) -> Iterator[Callable[[int], None]]:
    """A function to call with the steps done; on a terminal they show in a bar that disappears in the end."""
    from tqdm import tqdm

    with tqdm(total=steps, desc=label, unit="step", leave=False, disable=None, dynamic_ncols=True) as shown:
        # disable=None: silent unless standard error is a terminal

        def advance(steps: int) -> None:
            shown.update(steps)

        yield advance


def _write(path: Path, certificates: "list[Certificate]") -> None:
    from reference.files import write_whole
    from torch_mirror.reports import environment
    from torch_mirror.reports import json as report

    text = report.document(certificates, environment.versions(), environment.threads())
    write_whole("--json", path, text)


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
    except BrokenPipeError:
        raise  # click ends quietly when nobody reads on
    except OSError as error:
        if error.filename is not None:
            raise
        raise BadInput(f"standard output: expected to be writable, got {error.strerror}") from error
