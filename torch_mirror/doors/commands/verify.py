"""torch-mirror verify: whole training runs."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import click

from torch_mirror.doors.console import (
    DTYPES,
    REPORTS,
    bar,
    check_paths,
    curves_of,
    errors_without_traceback,
    names_and_files,
    quiet_option,
    report_options,
    settle_threads,
    show,
    watch_option,
    write_reports,
)
from torch_mirror.interrupt import raise_as_usual

if TYPE_CHECKING:
    from reference.claim.experiment import Experiment
    from torch_mirror.judge.verdict import Certificate

    Made: TypeAlias = Certificate | tuple[Experiment, dict[str, Any]]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE:OBJECT]...", shell_complete=names_and_files)
@click.option("--dtype", type=click.Choice([*DTYPES, "both"]), default="both", show_default=True, help="Precision.")
@click.option("--steps", type=click.IntRange(min=0), help="Steps of training.  [default: the experiment's own]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of what is random.")
@report_options
@click.option("--strict", is_flag=True, help="Fail where there is a doubt, too: what roundings hardly explain.")
@watch_option
@quiet_option
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
    watch: bool,
    quiet: bool,
    verbose: bool,
    **paths: Path | None,
) -> None:
    """Certify every tensor of every training step.

    Each experiment (default: all of ours) is trained by NumPy and by PyTorch from the same weights, and every tensor of
    every step is judged against its equation. FILE:OBJECT is one of your own, in its own precision: an Experiment, a
    tuple of one and of the function that makes its torch side, the Certificate that verify returned, or a dict of
    these; package.module:OBJECT will do as well. One line each; exit status 0 if all are certified, 1 if one is refuted
    or vacuous or, with --strict, doubted, 2 for bad usage or input.
    """
    settle_threads()
    with errors_without_traceback():
        from reference import experiments
        from reference.errors import UnknownNameError

        known = experiments.names()
        for name in names:
            if ":" not in name and name not in known:
                raise UnknownNameError("experiment", name, known)
        wanted = check_paths({name: paths[f"{name}_path"] for name in REPORTS}, names)
        if watch:
            from torch_mirror.doors.watching import watched

            raise_as_usual()
            watched(context, names)
        chosen = list(dict.fromkeys(names or known))  # a name given twice is one run
        dtypes = DTYPES if dtype == "both" else (dtype,)
        import torch_mirror.doors.verify  # noqa: F401 - now, while Ctrl-C ends the process without an exception

        raise_as_usual()
        from torch_mirror.reports import text as _  # noqa: F401 - before long work, not after it

        runs = [run for name in chosen for run in _runs(name, dtypes, seed)]
        width = max(len(run.name) for run in runs)
        certificates = []
        for certificate in _judged(runs, steps, wanted, strict=strict):
            show(certificate, width, quiet=quiet, verbose=verbose)
            certificates.append(certificate)
        write_reports(wanted, certificates)
    context.exit(0 if all(c.verdict == "certified" for c in certificates) else 1)


class Run(NamedTuple):
    """One run: what it is called, and how its experiment and its torch side are made, or what was found of it."""

    name: str
    label: str
    make: "Callable[[], Made]"


def _runs(name: str, dtypes: Sequence[str], seed: int) -> list[Run]:
    """One of our experiments in each precision, or the user's own in theirs. Raises InputError for what is none."""
    from reference import experiments

    if ":" not in name:
        def ours(dtype: str) -> "Callable[[], Made]":
            return lambda: (experiments.load(name, dtype=dtype, seed=seed), {})

        return [Run(name, f"{name} {dtype}", ours(dtype)) for dtype in dtypes]
    from torch_mirror.doors.objects import each

    return [_own(text, found) for text, found in each(name)]


def _own(text: str, found: object) -> Run:
    from dataclasses import replace

    from reference.claim.experiment import Experiment
    from reference.errors import InputError
    from torch_mirror.judge.verdict import Certificate

    if isinstance(found, Certificate):
        return Run(found.experiment, text, lambda: found)
    e, using = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(e, Experiment) or not (using is None or callable(using)):
        expected = "a reference.Experiment, a tuple (experiment, using), what verify returned, or a dict of these"
        raise InputError(text, expected, type(found).__name__)
    if e.name == Experiment.name:  # nobody has named it
        e = replace(e, name=text)
    return Run(e.name, e.name, lambda: (e, {} if using is None else {"using": using}))


def _judged(runs: list[Run], steps: int | None, wanted: dict[str, Path], *, strict: bool) -> "Iterator[Certificate]":
    """The verdict on each, as soon as it is known."""
    from dataclasses import replace

    from torch_mirror import verify as judge
    from torch_mirror.doors.objects import running

    for run in runs:
        made = run.make()
        if not isinstance(made, tuple):
            yield replace(made, strict=made.strict or strict)
            continue
        experiment, using = made
        if steps is not None:
            experiment = replace(experiment, steps=steps)
        using = {**using, **curves_of(wanted, experiment)}
        with bar(experiment.steps, run.label) as advance, running(run.label):
            certificate = judge(experiment, progress=advance, strict=strict, **using)
        yield certificate
