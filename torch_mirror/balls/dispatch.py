"""How a NumPy function finds its rule, or says that it has none."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from torch_mirror.balls import callers, methods
from torch_mirror.balls.assignment import INTO_AN_ARRAY
from torch_mirror.balls.masks import is_ball
from torch_mirror.balls.rules import functions, refused, scatter, widening
from torch_mirror.balls.table import FUNCTIONS, REDUCTIONS, UFUNCS

if TYPE_CHECKING:
    from torch_mirror.balls.ball import Ball

_added: dict[Any, Callable[..., Any]] = {}


def rule(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the rule of a NumPy function that has none.

    The rule of a ufunc takes its operands as balls; any other takes a ball, ``like``, and then the
    arguments of the call: ``like.operand(x)`` is any of them as a ball. It returns
    ``like.derived(value, rule)``, where ``rule(take)`` is the radius of the elements asked for.
    Raises ValueError if the function has a rule.
    """
    if function in UFUNCS or function in FUNCTIONS or function in _added:
        raise ValueError(f"{callers.name_of(function)} has a rule")

    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        _added[function] = rule
        return rule

    return register


def drop_rule(function: Callable[..., Any]) -> None:
    """Drop a rule that ``Ball.rule`` registered. Raises KeyError if there is none."""
    del _added[function]


def call_ufunc(self: "Ball", ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """Ball.__array_ufunc__."""
    try:
        return _ufunc(self, ufunc, method, inputs, kwargs)
    except TypeError as error:
        raise callers.located(error) from error.__cause__


def _ufunc(self: "Ball", ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if method == "at":
        return scatter.at(ufunc, *inputs)
    (out,) = kwargs.pop("out", (None,)) if kwargs and ufunc.nout == 1 else (None,)
    rule = UFUNCS.get(ufunc) or _added.get(ufunc) or functions.of_scipy(ufunc)
    if method == "reduce" and ufunc in REDUCTIONS and len(inputs) == 1:
        return _given_out(REDUCTIONS[ufunc](self, inputs[0], **{"axis": 0, **kwargs}), out)
    if rule is None:
        raise TypeError(refused.no_rule(ufunc) if method == "__call__" else refused.no_method(ufunc, method))
    other = inputs[-1] if inputs[0] is self else inputs[0]
    like = self if getattr(other, "format", self.format) is self.format else widening.widest(self, inputs)
    operands = [like.operand(x) for x in inputs]
    if method != "__call__":
        return _given_out(methods.method(ufunc, method, rule, tuple(operands), kwargs), out)
    if not kwargs:
        return _given_out(rule(*operands), out)
    return _given_out(methods.called(rule, ufunc, operands, out, kwargs), out)


def call_function(self: "Ball", function: Any, _types: Any, args: Any, kwargs: Any) -> Any:
    """Ball.__array_function__."""
    try:
        return _function(self, function, args, kwargs)
    except TypeError as error:
        raise callers.located(error) from error.__cause__


def _function(self: "Ball", function: Any, args: Any, kwargs: Any) -> Any:
    self = widening.widest(self, args)
    if function in _added:
        return _added[function](self, *args, **kwargs)
    rule = FUNCTIONS.get(function)
    if rule is None:
        raise TypeError(refused.no_rule(function))
    if not kwargs and _fits(rule, len(args)):
        return _given_out(rule(self, *args), None)
    named = {name: v for name, v in kwargs.items() if name != "out" and v is not np._NoValue}  # noqa: SLF001 - what NumPy passes for nothing
    if named and not _takes(rule, frozenset(named)):
        raise TypeError(refused.no_rule(function, f" with {', '.join(sorted(named.keys() - _names(rule)))}"))
    if not _fits(rule, len(args)):
        raise TypeError(refused.no_rule(function, f" with {len(args)} arguments that have no names"))
    return _given_out(rule(self, *args, **named), kwargs.get("out"))


def _given_out(result: Any, out: Any) -> Any:
    """The result, written to ``out`` if that is given."""
    if out is not None:
        if not is_ball(out):
            kind = type(out).__name__
            raise TypeError(f"out is no ball, but an ordinary {kind}, which has no radii; {INTO_AN_ARRAY}")
        out[...] = result
        return out
    return result.afresh() if is_ball(result) and result.frozen else result


@cache
def _names(rule: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(rule).parameters)


def _takes(rule: Callable[..., Any], names: frozenset[str]) -> bool:
    return names <= _names(rule) or any(p.kind is p.VAR_KEYWORD for p in inspect.signature(rule).parameters.values())


@cache
def _fits(rule: Callable[..., Any], positional: int) -> bool:
    """Whether it takes so many arguments by position, beside ``like``."""
    kinds = [p.kind for p in inspect.signature(rule).parameters.values()]
    room = sum(k in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for k in kinds)
    return inspect.Parameter.VAR_POSITIONAL in kinds or positional < room
