"""torch-mirror verify: whole training runs."""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click

from torch_mirror.doors.console import (
    DTYPES,
    REPORTS,
    bar,
    check_paths,
    errors_without_traceback,
    report_options,
    say,
    settle_threads,
)
from torch_mirror.interrupt import raise_as_usual

if TYPE_CHECKING:
    from reference.claim.experiment import Experiment
    from torch_mirror.judge.verdict import Certificate

COLOURS = {"certified": "green", "refuted": "red", "vacuous": "yellow", "doubted": "yellow"}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE:OBJECT]...")
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

    Each experiment (default: all of ours) is trained by NumPy and by PyTorch from the same weights, and every tensor of
    every step is judged against its equation. FILE:OBJECT is one of your own, in its own precision: an Experiment, or a
    tuple of one and of the function that makes its torch side. One line each; exit status 0 if all are certified, 1 if
    one is refuted or vacuous or, with --strict, doubted, 2 for bad usage or input.
    """
    settle_threads()
    with errors_without_traceback():
        from reference import experiments
        from reference.errors import UnknownNameError

        known = experiments.names()
        for name in names:
            if ":" not in name and name not in known:
                raise UnknownNameError("experiment", name, known)
        wanted = check_paths({name: paths[f"{name}_path"] for name in REPORTS})
        chosen = list(dict.fromkeys(names or known))  # a name given twice is one run
        dtypes = DTYPES if dtype == "both" else (dtype,)
        import torch_mirror.doors.verify  # noqa: F401 - now, while Ctrl-C ends the process without an exception

        raise_as_usual()
        runs = [run for name in chosen for run in _runs(name, dtypes, seed)]
        certificates = _judged(runs, steps, strict=strict, verbose=verbose)
        for name, path in wanted.items():
            _write(name, path, certificates)
    context.exit(0 if all(c.verdict == "certified" for c in certificates) else 1)


class Run(NamedTuple):
    """One run: what it is called, and how its experiment and its torch side are made."""

    name: str
    label: str
    make: "Callable[[], tuple[Experiment, dict[str, Any]]]"


def _runs(name: str, dtypes: Sequence[str], seed: int) -> list[Run]:
    """One of our experiments in each precision, or one of the user's in its own. Raises InputError for what is none."""
    from reference import experiments
    from reference.claim.experiment import Experiment
    from reference.errors import InputError

    if ":" not in name:
        def ours(dtype: str) -> "Callable[[], tuple[Experiment, dict[str, Any]]]":
            return lambda: (experiments.load(name, dtype=dtype, seed=seed), {})

        return [Run(name, f"{name} {dtype}", ours(dtype)) for dtype in dtypes]
    from torch_mirror.doors.objects import load

    found = load(name)
    e, using = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(e, Experiment) or not (using is None or callable(using)):
        expected = "a reference.Experiment, a tuple (experiment, using), or a function that returns one"
        raise InputError(name, expected, type(found).__name__)
    return [Run(e.name, e.name, lambda: (e, {} if using is None else {"using": using}))]


def _judged(runs: list[Run], steps: int | None, *, strict: bool, verbose: bool) -> "list[Certificate]":
    """Verify each, and print its line as soon as it is known."""
    from dataclasses import replace

    from torch_mirror import verify as judge
    from torch_mirror.doors.objects import running
    from torch_mirror.reports import text as report

    width = max(len(run.name) for run in runs)
    colour = False if os.environ.get("NO_COLOR") else None  # None: only on a terminal
    certificates = []
    for run in runs:
        experiment, using = run.make()
        if steps is not None:
            experiment = replace(experiment, steps=steps)
        with bar(experiment.steps, run.label) as advance, running(run.label):
            certificate = judge(experiment, progress=advance, strict=strict, **using)
        text = report.line(certificate, width)
        verdict = certificate.verdict
        say(text.removesuffix(verdict) + click.style(verdict, fg=COLOURS[verdict]), color=colour)
        for text in report.details(certificate, rows=verbose):
            say(text, color=colour)
        certificates.append(certificate)
    return certificates


def _write(name: str, path: Path, certificates: "list[Certificate]") -> None:
    from reference.files import write_whole
    from torch_mirror.reports import environment

    report = import_module(f"torch_mirror.reports.{name}")
    text = report.document(certificates, environment.versions(), environment.threads())
    write_whole(f"--{name}", path, text)
