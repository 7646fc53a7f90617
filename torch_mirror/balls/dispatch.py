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

from torch_mirror.balls.table import TABLE, Row

_added: dict[Any, Row] = {}
_scoped: ContextVar[Mapping[Any, Row]] = ContextVar("rules of the blocks that are entered", default={})  # noqa: B039 - never written to


def row(function: Any, named: Mapping[str, Any]) -> Row:
    """The row of a NumPy function, called with arguments of these names.

    Raises TypeError if it has none, or none for an argument of one of the names.
    """
    found = _found(function)
    if found is None:
        raise TypeError(f"no radius is known for {name(function)}; @Ball.rule({name(function)}) registers a rule")
    if named and not _takes(found.radius, frozenset(named)):
        others = ", ".join(sorted(named.keys() - _names(found.radius)))
        raise TypeError(f"no radius is known for {name(function)} with {others}")
    return found


def rule(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the rule of a NumPy function that has none.

    It is called as rule(like, *arguments, **named), for ufuncs, methods of theirs (np.hypot.reduce) and all other
    functions alike. ``like`` and the balls among the arguments come as numbers, whose value and radii do not change:
    ``like.operand(x)`` is any argument as such a number, x.value its centre, x.e(take) the radius and x.A(take)
    a bound on the magnitude of the elements that ``take`` selects. It returns ``like.derived(value, radius)``,
    where ``radius(take)`` is the radius of the elements asked for; None for ``radius`` says that all are exact.
    Raises ValueError if the function has a rule.
    """
    _free(function)

    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        _added[function] = Row(rule)
        return rule

    return register


def drop_rule(function: Callable[..., Any]) -> None:
    """Drop a rule that ``Ball.rule`` registered. Raises KeyError if there is none."""
    del _added[function]


@contextmanager
def rules(by_function: Mapping[Any, Callable[..., Any]]) -> Iterator[None]:
    """Within the block NumPy's functions have these rules as well, which ``Ball.rule`` describes.

    Raises ValueError if one of the functions has a rule.
    """
    for function in by_function:
        _free(function)
    token = _scoped.set({**_scoped.get(), **{function: Row(rule) for function, rule in by_function.items()}})
    try:
        yield
    finally:
        _scoped.reset(token)


def name(function: Any) -> str:
    """As it is written: numpy.sin, numpy.add.reduce, numpy.linalg.norm."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"{name(owner)}.{function.__name__}"
    module = "numpy" if isinstance(function, np.ufunc) else function.__module__
    return f"{module}.{function.__name__}"


def _found(function: Any) -> Row | None:
    return TABLE.get(function) or _scoped.get().get(function) or _added.get(function)


def _free(function: Any) -> None:
    if _found(function) is not None:
        raise ValueError(f"{name(function)} has a rule")


@cache
def _names(rule: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(rule).parameters)


@cache
def _takes_any(rule: Callable[..., Any]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(rule).parameters.values())


def _takes(rule: Callable[..., Any], names: frozenset[str]) -> bool:
    return names <= _names(rule) or _takes_any(rule)
