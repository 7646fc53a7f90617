"""torch-mirror record and torch-mirror certify: a run is written to a file, and a run from a file is judged."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from torch_mirror.doors.console import (
    DTYPES,
    REPORTS,
    BadInput,
    bar,
    check_paths,
    errors_without_traceback,
    names_and_files,
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
    from reference.traces.trace import Trace
    from torch_mirror.doors.runs import Sides

_steps = click.option("--steps", type=click.IntRange(min=0), help="Steps of training.  [default: the experiment's own]")
_seed = click.option("--seed", type=click.IntRange(min=0), help="Seed of what is random in an experiment of ours.")


@click.command()
@click.argument("network", metavar="NAME|FILE:OBJECT", shell_complete=names_and_files)
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), required=True, metavar="PATH", help="A file.")
@click.option("--side", type=click.Choice(["numpy", "torch"]), default="numpy", show_default=True, help="Who trains.")
@click.option("--dtype", type=click.Choice(DTYPES), help="Precision.  [default: the experiment's own]")
@_steps
@_seed
def record(
    network: str,
    path: Path,
    side: Literal["numpy", "torch"],
    dtype: str | None,
    steps: int | None,
    seed: int | None,
) -> None:
    """Train, and write every tensor of every step to a file.

    NAME is an experiment, FILE:OBJECT one of your own, as for verify. The file is a trace, which torch-mirror certify
    and reference.Trace.load read. It is written whole or not at all. Exit status 2 for bad usage or input.
    """
    settle_threads()
    with errors_without_traceback():
        written_to = check_paths({"output": path}, [network])["output"]
        from torch_mirror.doors.commands.wanted import Wanted, run_of

        raise_as_usual()
        run = run_of(network, Wanted(dtype, steps, seed))
        trace = _trained(run, side, network)
        trace.save(written_to)
        e = run.experiment
        say(f"{path}: {e.name or network}, {e.dtype}, {side}, {trace.steps} steps of {len(trace)} tensors")


def _trained(run: "Sides", side: Literal["numpy", "torch"], label: str) -> "Trace":
    from reference.traces import training
    from reference.traces.trace import gather
    from torch_mirror.doors.objects import running

    e = run.experiment
    with bar(e.steps, label) as advance, running(label):
        if side == "numpy":
            return gather(e.steps, _told(training.segments(e), advance))
        from torch_mirror.training import loop
        from torch_mirror.training.convolutions import term_by_term
        from torch_mirror.training.session import gradients_on, session, session_by
        from torch_mirror.training.threads import one_thread

        with one_thread(), term_by_term(), gradients_on():  # as verify trains
            return gather(e.steps, _told(loop.segments(e, using=session_by(run.using or session, e)), advance))


def _told(segments: "Iterable[Trace]", advance: Callable[[int], None]) -> "Iterator[Trace]":
    for segment in segments:
        yield segment
        advance(segment.steps)


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--reference", required=True, metavar="NAME|FILE:OBJECT", shell_complete=names_and_files,
              help="The experiment that says what the run should have done.")  # fmt: skip
@click.option("--map", "names", multiple=True, metavar="OURS=THEIRS",
              help="What the run calls a tensor of the reference; .T where it has the transpose. May be repeated.")
@click.option("--side", type=click.Choice(["torch", "numpy"]), default="torch", show_default=True,
              help="Who made it: what a report calls the side.")  # fmt: skip
@click.option("--dtype", type=click.Choice(DTYPES), help="Precision.  [default: the run's own]")
@_steps
@_seed
@report_options
@click.option("--strict", is_flag=True, help="Fail where there is a doubt, too: what roundings hardly explain.")
@watch_option
@quiet_option
@click.option("-v", "--verbose", is_flag=True, help="Print what each check found of each tensor.")
@click.pass_context
def certify(
    context: click.Context,
    /,
    path: Path,
    reference: str,
    names: tuple[str, ...],
    side: Literal["torch", "numpy"],
    dtype: str | None,
    steps: int | None,
    seed: int | None,
    *,
    strict: bool,
    watch: bool,
    quiet: bool,
    verbose: bool,
    **paths: Path | None,
) -> None:
    """Judge a run from a file, whoever made it.

    RUN is a trace, as torch-mirror record writes it: tensors by name, stacked over steps. Every tensor that it holds is
    judged against the equations of the experiment. Data and start must be the experiment's, to the last bit. A run of
    another program may have other names: --map W1=layer1.kernel.T --map dW1=grads.layer1.kernel.T says which. Exit
    status 0 if it is certified, 1 if it is refuted or vacuous or, with --strict, doubted, 2 for bad usage or input.
    """
    settle_threads()
    with errors_without_traceback():
        wanted = check_paths({name: paths[f"{name}_path"] for name in REPORTS}, [path, reference])
        if watch:
            from torch_mirror.doors.watching import watched

            raise_as_usual()
            watched(context, [reference], [path.absolute()])
        from reference.traces.trace import Trace
        from torch_mirror import certify as judge
        from torch_mirror.doors.commands.wanted import Wanted, name_map, run_of
        from torch_mirror.doors.objects import running
        from torch_mirror.doors.runs import curves_of
        from torch_mirror.reports import text as _  # noqa: F401 - before long work, not after it

        raise_as_usual()
        told = name_map(names)
        trace = Trace.load(path)
        trace = trace.mapped(told) if told else trace
        run = run_of(reference, Wanted(dtype or _dtype_of(trace), steps, seed))
        more = curves_of(run.experiment) if wants_curves(wanted) else {}
        with running(reference), _ways_to_map():
            certificate = judge(run.experiment, trace, side, strict=strict, **more)
        show(certificate, quiet=quiet, verbose=verbose)
        write_reports(wanted, [certificate])
    context.exit(0 if certificate.verdict == "certified" else 1)


@contextmanager
def _ways_to_map() -> Iterator[None]:
    """Say of a name in the run that the reference does not know how it is told to be another one."""
    from reference.errors import UnknownNameError

    try:
        yield
    except UnknownNameError as error:
        if "of the trace" not in error.kind:
            raise
        ours = error.known[0] if error.known else "OURS"
        way = f"--map {ours}={error.name} says that it is {ours}, {error.name}.T where it is the transpose"
        raise BadInput(f"{error}; {way}") from error


def _dtype_of(trace: "Trace") -> str | None:
    """The one precision of a run's parameters; None where they have several, or another one."""
    found = {str(a.dtype) for a in trace.parameters.values()}
    return next(iter(found)) if len(found) == 1 and found <= set(DTYPES) else None
