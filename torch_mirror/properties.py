"""A hypothesis property that tells its counterexample in few and round numbers.

    @minimised
    @given(strategies.experiments())
    def test_mine(experiment): ...

Hypothesis shrinks the shapes and options, and then the numbers, which come from a seed, are minimised
(torch_mirror.minimise). What comes out is attached to the exception as a note, as Python to paste.

Needs hypothesis, which is not among this package's own requirements.
"""

import functools
import inspect
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reference.ensemble import Ensemble
from reference.errors import InputError
from reference.experiment import Experiment
from torch_mirror.minimise import numbers, smallest
from torch_mirror.source import source_of

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
    """The last call of a property that failed, and how."""

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    kind: type[BaseException]
    place: tuple[str, int | None]  # file and line where it was raised: what hypothesis tells failures apart by, too


def minimised(property: F) -> F:
    """Decorate a property that ``@given`` has made: an exception leaves it with a note of the smallest example.

    The note tells the first of its arguments that is an Experiment or an Ensemble, with numbers as simple as
    they may be for the property to fail in the same way. Minimising it takes a thousand calls at most, some tens
    as a rule; a property that draws from ``st.data()`` cannot be called again, and its example stays as it is.
    Raises InputError for a function that @given has not made.
    """
    handle = getattr(property, "hypothesis", None)
    if handle is None:
        raise InputError("property to minimise", "a test that @given has made", repr(property))
    inner = handle.inner_test
    last: list[Failure] = []

    @functools.wraps(inner)
    def recorded(*arguments: Any, **keywords: Any) -> Any:
        try:
            return inner(*arguments, **keywords)
        except Exception as error:
            last[:] = [_failure(error, arguments, keywords)]
            raise

    handle.inner_test = recorded

    @functools.wraps(property)
    def run(*arguments: Any, **keywords: Any) -> Any:
        last.clear()
        try:
            return property(*arguments, **keywords)
        except Exception as error:
            if last:
                _tell(error, inner, last[0])
            raise

    return run  # type: ignore[return-value]  # it has the property's signature


def _tell(error: Exception, inner: Callable[..., Any], failure: Failure) -> None:
    """Add the note, if there is an experiment to tell."""
    names = list(inspect.signature(inner).parameters)
    given_values = {**dict(zip(names, failure.arguments, strict=False)), **failure.keywords}
    name = next((n for n, value in given_values.items() if isinstance(value, (Experiment, Ensemble))), None)
    if name is None:
        return
    calls = 0

    def fails(candidate: Any) -> bool:
        nonlocal calls
        calls += 1
        return _fails_alike(inner, {**given_values, name: candidate}, failure)

    example = smallest(given_values[name], fails)
    arrays = numbers(example).values()
    count = sum(np.count_nonzero(a) for a in arrays)
    error.add_note(
        f"the same failure with the simplest numbers ({count} of {sum(a.size for a in arrays)} are not 0; "
        f"{calls} calls):\n\n{source_of(example, name)}\n"
    )


def _fails_alike(inner: Callable[..., Any], values: dict[str, Any], failure: Failure) -> bool:
    """Whether the property fails on these values as it did before."""

    @ONCE
    @given(st.just(values))
    def once(values: dict[str, Any]) -> None:
        inner(**values)

    try:
        once()
    except Exception as error:  # noqa: BLE001 - whatever the property raises
        return _failure(error, (), {})[2:] == failure[2:]
    return False


def _failure(error: Exception, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Failure:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return Failure(arguments, keywords, type(error), (last.filename, last.lineno))
