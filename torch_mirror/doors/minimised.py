"""A hypothesis property that tells its counterexample in few and round numbers.

    @minimised
    @given(strategies.experiments())
    def test_mine(experiment): ...

Hypothesis shrinks the shapes and options, and then the numbers, which come from a seed, are minimised
(torch_mirror.doors.shrink). What comes out is attached to the exception as a note, as Python to paste; and where the
network's own gradient is wrong, a script that shows it by itself (torch_mirror.doors.reproduce).

Needs hypothesis, which is not among this package's own requirements.
"""

import functools
import inspect
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reference.arrays import Array
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.claim.tree import named, zip_with
from reference.errors import InputError
from torch_mirror.doors.reproduce import reproduce
from torch_mirror.doors.shrink import numbers, simplest, smallest
from torch_mirror.doors.source import source_of, value_of

F = TypeVar("F", bound=Callable[..., Any])

ONCE = settings(
    max_examples=1,
    phases=[Phase.generate],
    database=None,
    deadline=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
)
"""One call, in which the property may use what hypothesis offers inside a test: ``target``, ``note``, ``assume``."""


class Failure(NamedTuple):
    """How a property failed: what hypothesis tells failures apart by, too."""

    kind: type[BaseException]
    file: str         # where it was raised
    line: int | None


Values: TypeAlias = dict[str, Any]
"""The arguments of a call, by name."""


def minimised(property: F) -> F:
    """Decorate a property that ``@given`` has made: an exception leaves it with a note of the smallest example.

    The note tells the first of its arguments that is an Experiment or an Ensemble; else all that have arrays of floats,
    such as parameters and data for ``check``; with numbers as simple as they may be for the property to fail in the
    same way. Minimising it takes a thousand calls at most, some tens
    as a rule; a property that draws from ``st.data()`` cannot be called again, and its example stays as it is.
    Raises InputError for a function that @given has not made.
    """
    handle = getattr(property, "hypothesis", None)
    if handle is None:
        raise InputError("property to minimise", "a test that @given has made", repr(property))
    inner = handle.inner_test
    names = list(inspect.signature(inner).parameters)
    last: dict[Failure, Values] = {}  # hypothesis calls the smallest example of each failure once more, in the end

    @functools.wraps(inner)
    def recorded(*arguments: Any, **keywords: Any) -> Any:
        try:
            return inner(*arguments, **keywords)
        except Exception as error:
            last[_failure(error)] = dict(zip(names, arguments, strict=False)) | keywords
            raise

    handle.inner_test = recorded

    @functools.wraps(property)
    def run(*arguments: Any, **keywords: Any) -> Any:
        last.clear()
        try:
            return property(*arguments, **keywords)
        except Exception as group:
            for error in group.exceptions if isinstance(group, ExceptionGroup) else [group]:
                failure = _failure(error)
                if failure in last:
                    _tell(error, inner, failure, last[failure])
            raise

    return run  # type: ignore[return-value]  # it has the property's signature


def _tell(error: Exception, inner: Callable[..., Any], failure: Failure, values: Values) -> None:
    """Add the note, if there is an experiment to tell, or arrays."""
    name = next((n for n, value in values.items() if isinstance(value, (Experiment, Ensemble))), None)
    if name is None:
        _tell_trees(error, inner, failure, values)
        return
    calls = 0

    def fails(candidate: Any) -> bool:
        nonlocal calls
        calls += 1
        return _outcome(inner, values | {name: candidate}) == failure

    example: Any = smallest(values[name], fails)
    arrays = numbers(example).values()
    count = sum(np.count_nonzero(a) for a in arrays)
    error.add_note(
        f"the same failure with the simplest numbers ({count} of {sum(a.size for a in arrays)} are not 0; "
        f"{calls} calls):\n\n{source_of(example, name)}\n"
    )
    with suppress(InputError):  # where its own gradients are right, or its code cannot be copied
        error.add_note(f"a script of NumPy alone that shows a wrong gradient:\n\n{reproduce(example)}")


def _tell_trees(error: Exception, inner: Callable[..., Any], failure: Failure, values: Values) -> None:
    """Add the note of parameters and data, as ``check`` takes them: the floats of every argument that has some."""
    trees = {n: tree for n, tree in values.items() if _floats(tree)}
    if not trees:
        return
    calls = 0

    def with_these(arrays: dict[str, Array]) -> Values:
        return values | {n: zip_with(lambda leaf, a, n=n: arrays.get(f"{n} {leaf}", a), t) for n, t in trees.items()}

    def fails(arrays: dict[str, Array]) -> bool:
        nonlocal calls
        calls += 1
        return _outcome(inner, with_these(arrays)) == failure

    arrays = simplest({f"{n} {leaf}": a for n, tree in trees.items() for leaf, a in _floats(tree).items()}, fails)
    made, count = with_these(arrays), sum(np.count_nonzero(a) for a in arrays.values())
    lines = "\n".join(f"{n} = {value_of(made[n])}" for n in trees)
    error.add_note(
        f"the same failure with the simplest numbers ({count} of {sum(a.size for a in arrays.values())} are not 0; "
        f"{calls} calls):\n\nimport numpy as np\n\n{lines}\n"
    )


def _floats(tree: Any) -> dict[str, Array]:
    """The floating-point arrays of dicts, lists and tuples, by name; none of what has others inside."""
    if not isinstance(tree, (dict, list, tuple, np.ndarray)):
        return {}
    try:
        leaves = named(tree)
    except InputError:
        return {}
    return {n: a for n, a in leaves.items() if isinstance(a, np.ndarray) and a.dtype.kind == "f"}


def _outcome(inner: Callable[..., Any], values: Values) -> Failure | None:
    """How the property fails on these values; None if it does not."""

    @ONCE
    @given(st.just(values))
    def once(values: Values) -> None:
        inner(**values)

    try:
        once()
    except Exception as error:  # noqa: BLE001 - whatever the property raises
        return _failure(error)
    return None


def _failure(error: Exception) -> Failure:
    raised = traceback.extract_tb(error.__traceback__)[-1]
    return Failure(type(error), raised.filename, raised.lineno)
