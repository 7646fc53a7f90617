"""An experiment of a command line, by name or from a file of the user's, as record and certify take it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from reference import experiments
from reference.errors import InputError
from torch_mirror.doors.objects import load
from torch_mirror.doors.runs import Sides, in_precision, sides


class Wanted(NamedTuple):
    """What options ask of an experiment; None is what it has itself."""

    dtype: str | None
    steps: int | None
    seed: int | None


def run_of(text: str, wanted: Wanted) -> Sides:
    """The experiment of that name, or the user's own. Raises InputError, or UnknownNameError, for anything else.

    A seed is one of our experiments' by name: in a file of the user's the file draws.
    """
    if ":" in text:
        if wanted.seed is not None:
            raise InputError("--seed", f"no seed with {text}, whose file draws by itself", wanted.seed)
        expected = "a reference.Experiment, a tuple (experiment, using), or a function that returns one"
        e, using = sides(text, load(text), expected)
    else:
        e, using = experiments.load(text, seed=wanted.seed or 0), None
    e = in_precision(e, wanted.dtype)
    return Sides(e if wanted.steps is None else replace(e, steps=wanted.steps), using)


def name_map(texts: Iterable[str]) -> dict[str, str]:
    """The names that --map gives: {"W1": "layer1.kernel.T"} for ``W1=layer1.kernel.T``, as Trace.mapped takes them.

    Raises InputError for a text of another form, and for a name that is given twice.
    """
    names: dict[str, str] = {}
    for text in texts:
        ours, _, theirs = text.partition("=")
        if not ours or not theirs:
            raise InputError("--map", "OURS=THEIRS, such as W1=layer1.kernel.T", repr(text))
        if ours in names:
            raise InputError("--map", f"one name for {ours}", f"{names[ours]} and {theirs}")
        names[ours] = theirs
    return names
