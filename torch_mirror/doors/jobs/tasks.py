"""Many pieces of work, and what is found in their order, whoever does them and whichever is finished first."""

import io
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, redirect_stderr, redirect_stdout
from functools import partial
from typing import Any, NamedTuple

from torch_mirror.doors.jobs.clusters import Cluster, by_cluster
from torch_mirror.doors.jobs.unit import Answer, Died, Unit
from torch_mirror.doors.runs import Bar, silent


class Task(NamedTuple):
    """One piece of work. here: does it in this process. unit: tells another one; None where only this one can."""

    here: Callable[[Bar], Any]
    unit: Unit | None = None


class Who(NamedTuple):
    """Who does the work: so many processes, or a cluster."""

    jobs: int = 1
    cluster: Cluster | None = None

    def here(self, units: int) -> bool:
        """Whether this process does so many by itself."""
        return self.cluster is None and (self.jobs == 1 or units < 2)


def results(
    tasks: Iterable[Task], who: Who, bar: Bar = silent, bar_of_all: Bar = silent
) -> Generator[Any, None, None]:
    """What is found, in the order of the tasks. On Ctrl-C what is found already comes first, then KeyboardInterrupt.

    bar: shows the steps of one, bar_of_all how many are done where several are at once. Close it: the processes that
    work are ended then. An error comes in the turn of its task, also one that is raised by ``tasks`` itself.
    """
    yield from in_order(answers(tasks, who, bar, bar_of_all))


def answers(
    tasks: Iterable[Task], who: Who, bar: Bar, bar_of_all: Bar
) -> Generator[tuple[int, Answer], None, None]:
    """What comes of the tasks with their places, in any order."""
    if who.here(2):  # each is done before the next one is looked up
        yield from ((place, Answer(task.here(bar))) for place, task in enumerate(tasks))
        return
    every = [*_looked_up(tasks)]
    units = {place: one.task.unit for place, one in enumerate(every) if one.task.unit is not None}
    alone = who.here(len(units))
    for place, one in enumerate(every):
        if alone or place not in units:
            yield place, one.said(_answer_of(one.task, bar if alone else silent))
    if not alone:
        with closing(elsewhere(units, who, bar_of_all)) as found:
            for place, answer in found:
                yield place, every[place].said(answer)


def _answer_of(task: Task, bar: Bar) -> Answer:
    try:
        return Answer(task.here(bar))
    except Exception as error:  # noqa: BLE001 - it is raised in its turn
        return Answer(error=error)


class _LookedUp(NamedTuple):
    """A task, and what the user's file printed as it was read for it."""

    task: Task
    output: str
    errors: str

    def said(self, answer: Answer) -> Answer:
        return answer._replace(output=self.output + answer.output, errors=self.errors + answer.errors)


def _looked_up(tasks: Iterable[Task]) -> Iterator[_LookedUp]:
    """The tasks; where the next one cannot be had, one that raises the error in its turn."""
    coming = iter(tasks)
    while True:
        out, err = io.StringIO(), io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err):
                task = next(coming)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - it is raised again
            yield _LookedUp(Task(partial(_raise, error)), out.getvalue(), err.getvalue())
            return
        yield _LookedUp(task, out.getvalue(), err.getvalue())


def _raise(error: Exception, _: Bar) -> Any:
    raise error


def elsewhere(units: Mapping[int, Unit], who: Who, bar: Bar) -> Generator[tuple[int, Answer], None, None]:
    """By other processes, in the order in which they finish."""
    if not units:
        return
    places, sent = [*units], [*units.values()]
    if who.cluster is None:
        from torch_mirror.doors.jobs.workers import by_processes  # noqa: PLC0415 - joblib is an extra

        working = by_processes(sent, min(who.jobs, len(sent)))
    else:
        working = by_cluster(sent, who.cluster)
    with bar(len(sent), "judged") as advance, closing(working) as found:
        for place, answer in found:
            if advance is not None:
                advance(1)
            yield places[place], answer


def in_order(found: Generator[tuple[int, Answer], None, None]) -> Generator[Any, None, None]:
    """What is found, in order, up to an error. One whose process died stops none of the others: it is raised last."""
    waiting: dict[int, Answer] = {}
    done, died = 0, list[Died]()
    with closing(found) as coming:
        try:
            for place, answer in coming:
                waiting[place] = answer
                while done in waiting:
                    one = waiting.pop(done)
                    done += 1
                    if isinstance(one.error, Died):
                        died.append(one.error)
                    elif one.error is not None and died:
                        raise died[0]
                    else:
                        yield _told(one)
        except KeyboardInterrupt:
            for place in sorted(waiting):
                if waiting[place].error is None:
                    yield _told(waiting[place])
            raise
    if died:
        raise died[0]


def _told(answer: Answer) -> Any:
    """What was found, once what the user's code printed is printed. Raises the error in its place."""
    sys.stdout.write(answer.output)
    sys.stderr.write(answer.errors)
    if answer.error is not None:
        raise answer.error
    return answer.found
