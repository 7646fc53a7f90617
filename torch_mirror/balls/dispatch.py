"""How a NumPy function finds its row in the table, or says that it has none; and the rows that users add.

A rule that users add never replaces a proven one. It is added for the rest of the process (``@Ball.rule(np.foo)``),
or within a block, in the thread or task that runs it (``with Ball.rules({np.foo: rule}):``).
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np

from torch_mirror.balls import adjoints, callers
from torch_mirror.balls.recording import Adjoint, Kind
from torch_mirror.balls.rules import functions, methods, refused
from torch_mirror.balls.table import TABLE, Row, of

_added: dict[Any, Row] = {}
_scoped: ContextVar[Mapping[Any, Row]] = ContextVar("rules of the blocks that are entered", default={})  # noqa: B039 - never written to


def row(function: Any, positional: int, named: Mapping[str, Any]) -> Row:
    """The row of a NumPy function, called with so many arguments and with others of these names.

    Raises TypeError if it has none, or none for an argument of one of the names.
    """
    found = _found(function) or _of_pairs(function)
    if found is None:
        raise TypeError(refused.no_rule(function))
    ufunc = isinstance(function, np.ufunc)  # of which NumPy has counted the operands
    if named and ufunc and not _takes(found.radius, frozenset(named)):
        found = found._replace(radius=methods.with_keywords(found.radius, function))
    if named and not _takes(found.radius, frozenset(named)):
        others = ", ".join(sorted(named.keys() - _names(found.radius)))
        raise TypeError(refused.no_rule(function, f" with {others}"))
    if not ufunc and not _fits(found.radius, positional):
        raise TypeError(refused.no_rule(function, f" with {positional} arguments that have no names"))
    return found


def rule(
    function: Callable[..., Any], adjoint: Adjoint = Kind.UNKNOWN
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the rule of a NumPy function that has none.

    It is called as rule(like, *arguments, **named), for ufuncs, methods of theirs (np.hypot.reduce) and all other
    functions alike. ``like`` and the balls among the arguments come as numbers, whose value and radii do not change:
    ``like.operand(x)`` is any argument as such a number, x.value its centre, x.e(take) the radius and x.A(take)
    a bound on the magnitude of the elements that ``take`` selects. It returns ``like.derived(value, radius)``,
    where ``radius(take)`` is the radius of the elements asked for; None for ``radius`` says that all are exact.
    adjoint: a function (g, y, *operands) of balls for each number among the arguments, which gives the derivative
    of the loss by that number from g, the one by the result y; without it a derivative through the function raises
    by name. A rule that is made of NumPy functions of balls needs none.
    Raises ValueError if the function has a rule.
    """
    _free(function)

    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        _added[function] = Row(rule, adjoint)
        return rule

    return register


def drop_rule(function: Callable[..., Any]) -> None:
    """Drop a rule that ``Ball.rule`` registered. Raises KeyError if there is none."""
    del _added[function]


@contextmanager
def rules(by_function: Mapping[Any, Callable[..., Any] | tuple[Callable[..., Any], Adjoint]]) -> Iterator[None]:
    """Within the block NumPy's functions have these rules as well, or pairs of a rule and its adjoint (``Ball.rule``).

    Raises ValueError if one of the functions has a rule.
    """
    for function in by_function:
        _free(function)
    token = _scoped.set({**_scoped.get(), **{function: _row_of(rule) for function, rule in by_function.items()}})
    try:
        yield
    finally:
        _scoped.reset(token)


def _row_of(given: Any) -> Row:
    return Row(*given) if isinstance(given, tuple) else Row(given, Kind.UNKNOWN)


def _found(function: Any) -> Row | None:
    return TABLE.get(function) or _scoped.get().get(function) or _added.get(function) or _of_scipy(function)


def _of_scipy(function: Any) -> Row | None:
    rule = functions.of_scipy(function) if isinstance(function, np.ufunc) else None
    return Row(of(rule), adjoints.SMOOTH[function.__name__]) if rule else None


def _of_pairs(function: Any) -> Row | None:
    """np.add.outer and kin: whatever has a rule has it of every pair too."""
    ufunc = getattr(function, "__self__", None)
    if not isinstance(ufunc, np.ufunc) or function.__name__ != "outer":
        return None
    of_ufunc = _found(ufunc)
    return of_ufunc and Row(methods.outer(of_ufunc.radius), Kind.COMPOSED)


def _free(function: Any) -> None:
    if _found(function) is not None:
        raise ValueError(f"{callers.name_of(function)} has a rule")


@cache
def _names(rule: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(rule).parameters)


@cache
def _takes_any(rule: Callable[..., Any]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(rule).parameters.values())


def _takes(rule: Callable[..., Any], names: frozenset[str]) -> bool:
    return names <= _names(rule) or _takes_any(rule)


@cache
def _fits(rule: Callable[..., Any], positional: int) -> bool:
    """Whether it takes so many arguments by position, beside ``like``."""
    kinds = [p.kind for p in inspect.signature(rule).parameters.values()]
    room = sum(k in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for k in kinds)
    return inspect.Parameter.VAR_POSITIONAL in kinds or positional < room
