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
from torch_mirror.doors.console import DTYPES
from torch_mirror.doors.objects import each, entry, is_file_alone, running, without_object
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
    from, as it was before the file was read. dtype: that which was asked for; of the user's own None where they have
    theirs.
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
    """The names once each, all of our experiments where there is none.

    Raises UnknownNameError for none of ours, and InputError for a file without an object.
    """
    known = experiments.names()
    for name in names:
        if is_file_alone(name):
            raise without_object(name)
        if ":" not in name and name not in known:
            raise UnknownNameError("experiment", name, known)
    return list(dict.fromkeys(names or known))


def runs_of(names: Iterable[str], dtypes: Sequence[str] | None = None, seed: int = 0) -> list[Run]:
    """The runs of each NAME of ours and of each FILE:OBJECT, one in each of these precisions.

    dtypes: None: ours in each there is, and the user's own in theirs. seed: of ours.
    Raises InputError for an object that is no run, for a certificate of another precision, and for a seed with the
    user's own, whose file draws.
    """
    names = tuple(names)
    drawn = [name for name in names if ":" in name]
    if seed and drawn:
        raise InputError("--seed", f"no seed with {drawn[0]}, whose file draws by itself", seed)
    here = str(Path.cwd())
    return [
        run
        for name in names
        for run in (
            _own(name, here, dtypes or (None,))
            if ":" in name
            else [_ours(Source(name, name, here, dtype, seed)) for dtype in dtypes or DTYPES]
        )
    ]


def again(source: Source) -> Run:
    """The run, from a file that is read anew. Raises InputError where it is no longer there, or is no run."""
    if ":" not in source.text:
        return _ours(source)
    return _of_object(entry(source.text, source.entry), source)


def in_precision(e: Experiment, dtype: str | None) -> Experiment:
    """The experiment in this precision; None: in its own."""
    return e if dtype is None or str(e.dtype) == dtype else replace(experiments.rounded(e, dtype), seed=e.seed)


def curves_of(e: Experiment) -> dict[str, Any]:
    """What verify and certify are asked besides, where curves are wanted."""
    return {"series": True, "held_out": experiments.held_out(e)}


def judged(
    run: Run,
    steps: int | None = None,
    *,
    strict: bool = False,
    curves: bool = False,
    threads: int = 1,
    bar: Bar = silent,
    observe: Observe | None = None,
) -> Certificate:
    """The verdict on a run, in so many steps (None: the experiment's own).

    curves: whether the certificate keeps the curves of the run, for a report that shows them.
    threads, observe: as ``verify`` has them; of a run that is handed in as its certificate there are no segments.
    Raises InputError for what the user's own code raises, saying where.
    """
    made = run.make()
    if isinstance(made, Certificate):
        return replace(made, strict=made.strict or strict)
    e = made.experiment if steps is None else replace(made.experiment, steps=steps)
    with bar(e.steps, run.label) as advance, running(run.label):
        more = curves_of(e) if curves else {}
        more |= {"strict": strict, "observe": observe, "threads": threads, **made.options}
        return torch_mirror.verify(e, progress=advance, **more)


def _ours(source: Source) -> Run:
    name, _, _, dtype, seed = source

    def make() -> Sides:
        return Sides(experiments.load(name, dtype=dtype or "float64", seed=seed), None)

    return Run(name, f"{name} {dtype}", make, source)


def _own(name: str, folder: str, dtypes: Sequence[str | None]) -> list[Run]:
    return [_of_object(found, Source(name, text, folder, dtype)) for text, found in each(name) for dtype in dtypes]


def _of_object(found: object, source: Source) -> Run:
    text, dtype = source.entry, source.dtype
    if isinstance(found, Certificate):
        if dtype not in (None, found.dtype):
            raise InputError("--dtype", f"{found.dtype}, in which {text} has been judged", dtype)
        return Run(found.experiment, text, lambda: found)
    expected = "a reference.Experiment, a tuple (experiment, using), what verify returned, or a dict of these"
    e, using = sides(text, found, expected)
    e = in_precision(e, dtype)
    if e.name == Experiment.name:  # nobody has named it
        e = replace(e, name=text)
    label = e.name if dtype is None else f"{e.name} {dtype}"
    return Run(e.name, label, lambda: Sides(e, using), source)
