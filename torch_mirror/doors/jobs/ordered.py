"""The certificates of many runs in the order of the runs, whoever judges them and whichever is finished first."""

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from torch_mirror.doors.jobs.unit import Answer, Unit, work
from torch_mirror.doors.runs import Bar, Run, judged, silent
from torch_mirror.judge.verdict import Certificate


class How(NamedTuple):
    """How runs are judged: in how many steps (None: their own); with --strict; in how many processes, or by a cluster.

    curves: whether certificates keep the curves of their runs; one that was kept in a folder has none.
    scheduler: the address of a Dask cluster's. kept: the folder of verdicts that are taken over, and are kept.
    threads: of each process, as ``verify`` has them.
    """

    steps: int | None = None
    strict: bool = False
    curves: bool = False
    jobs: int = 1
    scheduler: str | None = None
    kept: Path | None = None
    threads: int = 1


def certificates(
    runs: Sequence[Run], how: How, bar: Bar = silent, bar_of_runs: Bar = silent
) -> Generator[Certificate, None, None]:
    """The verdicts in the order of the runs. On Ctrl-C what is judged already comes first, then KeyboardInterrupt.

    bar: shows the steps of one run, bar_of_runs how many are judged where several are at once. Close it: the processes
    that judge are ended then. Raises InputError as ``runs.judged`` does, in its turn.
    """
    waiting: dict[int, Answer] = {}
    done = 0
    with closing(_answers(runs, how, bar, bar_of_runs)) as answers:
        try:
            for place, answer in answers:
                waiting[place] = answer
                while done in waiting:
                    yield _told(waiting.pop(done))
                    done += 1
        except KeyboardInterrupt:
            for place in sorted(waiting):
                if waiting[place].error is None:
                    yield _told(waiting[place])
            raise


def _answers(
    runs: Sequence[Run], how: How, bar: Bar, bar_of_runs: Bar
) -> Generator[tuple[int, Answer], None, None]:
    """What comes of the runs with their places, in any order."""
    folder = str(Path.cwd())
    units = {
        place: Unit(run.source, folder, how.steps, how.strict, how.curves, how.threads)
        for place, run in enumerate(runs)
        if run.source is not None
    }
    here = how.scheduler is None and (how.jobs == 1 or len(units) < 2)
    if here and how.kept is None:
        for place, run in enumerate(runs):
            found = judged(run, how.steps, strict=how.strict, curves=how.curves, threads=how.threads, bar=bar)
            yield place, Answer(found)
        return
    for place in sorted({*range(len(runs))} - {*units}):
        yield place, Answer(judged(runs[place], strict=how.strict))

    def judge(some: Mapping[int, Unit]) -> Generator[tuple[int, Answer], None, None]:
        return _here(some, bar) if here else _elsewhere(some, how, bar_of_runs)

    if how.kept is None:
        yield from judge(units)
    else:
        from torch_mirror.doors.jobs.resumed import resumed  # noqa: PLC0415 - costs time that few need

        yield from resumed(how.kept, {place: (runs[place], unit) for place, unit in units.items()}, judge)


def _here(units: Mapping[int, Unit], bar: Bar) -> Generator[tuple[int, Answer], None, None]:
    for place, unit in units.items():
        yield place, work(unit, bar)


def _elsewhere(units: Mapping[int, Unit], how: How, bar: Bar) -> Generator[tuple[int, Answer], None, None]:
    """By other processes, in the order in which they finish."""
    from torch_mirror.doors.jobs.workers import by_cluster, by_processes  # noqa: PLC0415 - joblib is an extra

    if not units:
        return
    places, sent = [*units], [*units.values()]
    judging = by_processes(sent, min(how.jobs, len(sent))) if how.scheduler is None else by_cluster(sent, how.scheduler)
    with bar(len(sent), "judged") as advance, closing(judging) as answers:
        for place, answer in answers:
            if advance is not None:
                advance(1)
            yield places[place], answer


def _told(answer: Answer) -> Certificate:
    """The certificate of an answer, once what the user's code printed is printed. Raises the error in its place."""
    sys.stdout.write(answer.output)
    sys.stderr.write(answer.errors)
    if answer.certificate is None:
        raise answer.error or AssertionError("an answer is a certificate or an error")
    return answer.certificate
