"""torch-mirror verify: whole training runs."""

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from torch_mirror.doors.console import (
    REPORTS,
    at_rest,
    bar,
    check_paths,
    dtype_option,
    dtypes_of,
    errors_without_traceback,
    jobs_option,
    names_and_files,
    quiet_option,
    report_options,
    settle_threads,
    show,
    wants_curves,
    watch_option,
    write_reports,
)
from torch_mirror.interrupt import raise_as_usual
from torch_mirror.visible import visible

if TYPE_CHECKING:
    from torch_mirror.doors.jobs.clusters import Cluster

CACHE = Path(".torch_mirror_cache")
"""Where --resume keeps verdicts: in the current folder, as pytest and ruff do with theirs."""


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE:OBJECT]...", shell_complete=names_and_files)
@dtype_option
@click.option("--steps", type=click.IntRange(min=0), help="Steps of training.  [default: the experiment's own]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of what is random.")
@report_options
@jobs_option
@click.option(
    "--threads", type=click.IntRange(1, 2), default=1, show_default=True,
    help="2: each process judges in a second thread while it trains; of use on idle cores, and to large networks.",
)  # fmt: skip
@click.option("--backend", type=click.Choice(["processes", "dask", "ray"]), default="processes", help="Who judges.")
@click.option(
    "--scheduler", metavar="ADDRESS",
    help="Of the cluster: tcp://HOST:8786 for --backend dask, HOST:6379 for --backend ray.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Keep each verdict in .torch_mirror_cache, and take over what is there.")
@click.option("--strict", is_flag=True, help="Fail where there is a doubt, too: what roundings hardly explain.")
@watch_option
@quiet_option
@click.option("-v", "--verbose", is_flag=True, help="Print what each check found of each tensor.")
@click.pass_context
def verify(
    context: click.Context,
    /,
    names: tuple[str, ...],
    dtype: Literal["float64", "float32", "both"] | None,
    steps: int | None,
    seed: int,
    jobs: int,
    threads: int,
    backend: Literal["processes", "dask", "ray"],
    scheduler: str | None,
    *,
    resume: bool,
    strict: bool,
    watch: bool,
    quiet: bool,
    verbose: bool,
    **paths: Path | None,
) -> None:
    """Certify every tensor of every training step.

    Each experiment (default: all of ours) is trained by NumPy and by PyTorch from the same weights, and every tensor of
    every step is judged against its equation. FILE:OBJECT is one of your own, rounded where --dtype asks for it: an
    Experiment, a tuple of one and of the function that makes its torch side, the Certificate that verify returned, or a
    dict of these; package.module:OBJECT will do as well. One line each; exit status 0 if all are certified, 1 if one is
    refuted or vacuous or, with --strict, doubted, 2 for bad usage or input.
    """
    settle_threads(one=jobs > 1)
    with errors_without_traceback():
        from torch_mirror.doors.jobs.ordered import How, certificates
        from torch_mirror.doors.runs import chosen, runs_of

        names = tuple(chosen(names))
        wanted = check_paths({name: paths[f"{name}_path"] for name in REPORTS}, names)
        if watch:
            from torch_mirror.doors.watching import watched

            raise_as_usual()
            watched(context, names)
        cluster = cluster_of(backend, scheduler, jobs)
        import torch_mirror.doors.verify  # noqa: F401 - now, while Ctrl-C ends the process without an exception

        raise_as_usual()
        from torch_mirror.reports import text as _  # noqa: F401 - before long work, not after it

        kept = CACHE.absolute() if resume else None
        how = How(steps, strict, wants_curves(wanted), jobs, cluster, kept, threads)
        runs = runs_of(names, dtypes_of(dtype), seed)
        width = max(len(visible(run.name)) for run in runs)
        found = []
        with closing(certificates(runs, how, bar, partial(bar, unit="run"))) as judged:
            try:
                for certificate in judged:
                    with at_rest():
                        show(certificate, width, quiet=quiet, verbose=verbose)
                    found.append(certificate)
            except KeyboardInterrupt:
                click.echo(f"{len(found)} of {len(runs)} runs were judged.", err=True)
                raise
        write_reports(wanted, found)
    context.exit(0 if all(c.verdict == "certified" for c in found) else 1)


def cluster_of(backend: Literal["processes", "dask", "ray"], scheduler: str | None, jobs: int) -> "Cluster | None":
    """The cluster that is to judge, or None. Raises InputError for options of different backends."""
    from reference.errors import InputError

    if backend == "processes":
        if scheduler is not None:
            raise InputError("--scheduler", "--backend dask or ray beside it", "--backend processes")
        return None
    from torch_mirror.doors.jobs.clusters import Cluster

    if scheduler is None:
        whose = "a Dask scheduler" if backend == "dask" else "a Ray head node"
        raise InputError("--scheduler", f"the address of {whose}, for --backend {backend}", "none")
    if jobs != 1:
        raise InputError("-j", f"none with --backend {backend}, whose cluster has its own number of workers", jobs)
    return Cluster(backend, scheduler)
