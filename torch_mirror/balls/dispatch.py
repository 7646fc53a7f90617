"""How a NumPy function finds its rule, or says that it has none."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from torch_mirror.balls.assignment import INTO_AN_ARRAY
from torch_mirror.balls.masks import is_ball
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
        raise ValueError(f"numpy.{function.__name__} has a rule")

    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        _added[function] = rule
        return rule

    return register


def drop_rule(function: Callable[..., Any]) -> None:
    """Drop a rule that ``Ball.rule`` registered. Raises KeyError if there is none."""
    del _added[function]


def call_ufunc(self: "Ball", ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """Ball.__array_ufunc__."""
    (out,) = kwargs.pop("out", (None,))
    rule = UFUNCS.get(ufunc) or _added.get(ufunc)
    if method == "reduce" and ufunc in REDUCTIONS and kwargs.keys() <= {"axis", "keepdims"} and len(inputs) == 1:
        return _given_out(REDUCTIONS[ufunc](self.settled(), **{"axis": 0, **kwargs}), out)
    if method != "__call__" or kwargs:
        raise TypeError(_no_rule(ufunc, f" ({method}, {sorted(kwargs)})"))
    if rule is None:
        raise TypeError(_no_rule(ufunc))
    return _given_out(rule(*(self.operand(x) for x in inputs)), out)


def call_function(self: "Ball", function: Any, _types: Any, args: Any, kwargs: Any) -> Any:
    """Ball.__array_function__."""
    if function in _added:
        return _added[function](self, *args, **kwargs)
    rule = FUNCTIONS.get(function)
    if rule is None:
        raise TypeError(_no_rule(function))
    named = {name: v for name, v in kwargs.items() if name != "out"}
    if named and not _takes(rule, frozenset(named)):
        raise TypeError(_no_rule(function, f" with {', '.join(sorted(named.keys() - _names(rule)))}"))
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


def _no_rule(function: Any, how: str = "") -> str:
    name = f"numpy.{function.__name__}"
    return f"no radius is known for {name}{how}" + ("" if how else f"; @Ball.rule({name}) registers a rule")


@cache
def _names(rule: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(rule).parameters)


def _takes(rule: Callable[..., Any], names: frozenset[str]) -> bool:
    return names <= _names(rule) or "named" in _names(rule)
