"""Runs that a command line names: our experiments in each precision, or the user's own in theirs.

A run is made only when it is to be judged. What its name stands for is looked up before.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch_mirror
from reference import experiments
from reference.claim.experiment import Experiment
from reference.errors import InputError, UnknownNameError
from reference.traces.trace import Trace
from torch_mirror.doors.objects import each, entry, running
from torch_mirror.judge.verdict import Certificate

Using: TypeAlias = Callable[[Experiment], Any]
"""What makes the torch side of an experiment: a session."""


Observe: TypeAlias = Callable[[Trace, Trace], object]
"""Is called with each segment of torch's run and of NumPy's."""


Advance: TypeAlias = Callable[[int], None]
"""Is called with the number of further steps done."""
Bar: TypeAlias = Callable[[int, str], AbstractContextManager[Advance | None]]
"""Of so many steps, under a label: what shows how far a run is."""


def silent(_steps: int, _label: str) -> AbstractContextManager[None]:
    """Show nothing."""
    return nullcontext()


class Sides(NamedTuple):
    """An experiment, and what makes its torch side: the experiment's own mirror where it is None."""

    experiment: Experiment
    using: Using | None

    @property
    def options(self) -> dict[str, Any]:
        """What ``verify`` and ``selftest`` take beside the experiment."""
        return {} if self.using is None else {"using": self.using}


class Source(NamedTuple):
    """What a run is made from, in words that another process understands, too: ``again`` makes it from them.

    text: as the command line has it. entry: the same, with the key of a dict behind it. folder: that the text is named
    from, as it was before the file was read. dtype: None of the user's own.
    """

    text: str
    entry: str
    folder: str
    dtype: str | None = None
    seed: int = 0


class Run(NamedTuple):
    """One run: the name of its experiment, what it is called, and how its sides are made, or what was found of it.

    source: None where it has been judged already, and is there as a certificate.
    """

    name: str
    label: str
    make: Callable[[], Sides | Certificate]
    source: Source | None = None


def sides(text: str, found: object, expected: str) -> Sides:
    """An Experiment, or a tuple of one and of what makes its torch side. Raises InputError for anything else."""
    e, using = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(e, Experiment) or not (using is None or callable(using)):
        raise InputError(text, expected, type(found).__name__)
    return Sides(e, using)


def chosen(names: Sequence[str]) -> list[str]:
    """The names once each, all of our experiments where there is none. Raises UnknownNameError for none of ours."""
    known = experiments.names()
    for name in names:
        if ":" not in name and name not in known:
            raise UnknownNameError("experiment", name, known)
    return list(dict.fromkeys(names or known))


def runs_of(names: Iterable[str], dtypes: Sequence[str], seed: int = 0) -> list[Run]:
    """The runs of each NAME of ours, one in each precision, and of each FILE:OBJECT.

    Raises InputError for an object that is no run.
    """
    here = str(Path.cwd())
    return [
        run
        for name in names
        for run in (
            _own(name, here) if ":" in name else [_ours(Source(name, name, here, dtype, seed)) for dtype in dtypes]
        )
    ]


def again(source: Source) -> Run:
    """The run, from a file that is read anew. Raises InputError where it is no longer there, or is no run."""
    return _ours(source) if source.dtype else _of_object(entry(source.text, source.entry), source)


def curves_of(e: Experiment) -> dict[str, Any]:
    """What verify and certify are asked besides, where curves are wanted."""
    return {"series": True, "held_out": experiments.held_out(e)}


def judged(
    run: Run,
    steps: int | None = None,
    *,
    strict: bool = False,
    curves: bool = False,
    bar: Bar = silent,
    observe: Observe | None = None,
) -> Certificate:
    """The verdict on a run, in so many steps (None: the experiment's own).

    curves: whether the certificate keeps the curves of the run, for a report that shows them.
    observe: as ``verify`` has it; of a run that is handed in as its certificate there are no segments.
    Raises InputError for what the user's own code raises, saying where.
    """
    made = run.make()
    if isinstance(made, Certificate):
        return replace(made, strict=made.strict or strict)
    e = made.experiment if steps is None else replace(made.experiment, steps=steps)
    with bar(e.steps, run.label) as advance, running(run.label):
        more = curves_of(e) if curves else {}
        return torch_mirror.verify(e, progress=advance, strict=strict, observe=observe, **made.options, **more)


def _ours(source: Source) -> Run:
    name, _, _, dtype, seed = source

    def make() -> Sides:
        return Sides(experiments.load(name, dtype=dtype or "float64", seed=seed), None)

    return Run(name, f"{name} {dtype}", make, source)


def _own(name: str, folder: str) -> list[Run]:
    return [_of_object(found, Source(name, text, folder)) for text, found in each(name)]


def _of_object(found: object, source: Source) -> Run:
    text = source.entry
    if isinstance(found, Certificate):
        return Run(found.experiment, text, lambda: found)
    expected = "a reference.Experiment, a tuple (experiment, using), what verify returned, or a dict of these"
    e, using = sides(text, found, expected)
    if e.name == Experiment.name:  # nobody has named it
        e = replace(e, name=text)
    return Run(e.name, e.name, lambda: Sides(e, using), source)
