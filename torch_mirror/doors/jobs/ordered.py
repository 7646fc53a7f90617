"""The certificates of many runs in the order of the runs, whoever judges them and whichever is finished first."""

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from torch_mirror.doors.jobs.clusters import Cluster
from torch_mirror.doors.jobs.tasks import Task, Who, answers, elsewhere, in_order
from torch_mirror.doors.jobs.unit import Answer, Unit, read_again, work
from torch_mirror.doors.runs import Bar, Run, Source, again, judged, silent
from torch_mirror.judge.verdict import Certificate


class How(NamedTuple):
    """How runs are judged: in how many steps (None: their own); with --strict; in how many processes, or by a cluster.

    curves: whether certificates keep the curves of their runs. cluster: who judges, if not processes. kept: the
    folder of verdicts that are taken over, and are kept. threads: of each process, as ``verify`` has them.
    """

    steps: int | None = None
    strict: bool = False
    curves: bool = False
    jobs: int = 1
    cluster: Cluster | None = None
    kept: Path | None = None
    threads: int = 1

    @property
    def who(self) -> Who:
        """Who judges."""
        return Who(self.jobs, self.cluster)


def certificates(
    runs: Sequence[Run], how: How, bar: Bar = silent, bar_of_runs: Bar = silent
) -> Generator[Certificate, None, None]:
    """The verdicts in the order of the runs. On Ctrl-C what is judged already comes first, then KeyboardInterrupt.

    bar: shows the steps of one run, bar_of_runs how many are judged where several are at once. Close it: the processes
    that judge are ended then. Raises InputError as ``runs.judged`` does, in its turn.
    """
    yield from in_order(_answers(runs, how, bar, bar_of_runs))


def certified(
    source: Source, steps: int | None, bar: Bar, *, strict: bool, curves: bool, threads: int = 1
) -> Certificate:
    """The verdict on a run whose file is read again."""
    with read_again():
        run = again(source)
    return judged(run, steps, strict=strict, curves=curves, threads=threads, bar=bar)


def _task(run: Run, how: How) -> Task:
    here = partial(_here, run, how)
    if run.source is None:
        return Task(here)
    do = partial(certified, run.source, how.steps, strict=how.strict, curves=how.curves, threads=how.threads)
    return Task(here, Unit(run.label, do, run.source.folder))


def _here(run: Run, how: How, bar: Bar) -> Certificate:
    return judged(run, how.steps, strict=how.strict, curves=how.curves, threads=how.threads, bar=bar)


def _answers(
    runs: Sequence[Run], how: How, bar: Bar, bar_of_runs: Bar
) -> Generator[tuple[int, Answer], None, None]:
    """What comes of the runs with their places, in any order."""
    if how.kept is None:
        yield from answers([_task(run, how) for run in runs], how.who, bar, bar_of_runs)
        return
    from torch_mirror.doors.jobs.resumed import resumed  # noqa: PLC0415 - costs time that few need

    for place, run in enumerate(runs):
        if run.source is None:
            yield place, Answer(judged(run, strict=how.strict))

    def judge(some: Mapping[int, Unit]) -> Generator[tuple[int, Answer], None, None]:
        if how.who.here(len(some)):
            return ((place, work(unit, bar)) for place, unit in some.items())
        return elsewhere(some, how.who, bar_of_runs)

    given = {place: run for place, run in enumerate(runs) if run.source is not None}
    yield from resumed(how.kept, given, how.steps, judge, strict=how.strict, curves=how.curves, threads=how.threads)
