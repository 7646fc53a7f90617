"""The methods and keywords of ufuncs: reduce, accumulate, outer, at, and where= of a call.

    f.reduce      the rule of the reduction, along axis 0 by default
    f.accumulate  add and multiply are cumsum and cumprod; maximum and minimum go one after the other
    f.outer       f of every pair
    f.at          scatter.py
    f(x, where=m) np.where(m, f(x), out); without out, what is not computed has an infinite radius

dtype= of a call is that of its operands, cast (widening.py).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from torch_mirror.balls.rules import choices, composed, creation, refused, sums, widening

if TYPE_CHECKING:
    from torch_mirror.balls.ball import Ball

ACCUMULATED: "dict[np.ufunc, Callable[..., Any]]" = {
    np.add: lambda x, axis=0: sums.cumsum(x, x, axis),
    np.multiply: lambda x, axis=0: composed.cumprod(x, x, axis),
    np.maximum: composed.accumulate(choices.maximum),
    np.minimum: composed.accumulate(choices.minimum),
}


def called(
    rule: Callable[..., Any], ufunc: np.ufunc, operands: "list[Ball]", out: Any, keywords: dict[str, Any]
) -> Any:
    """ufunc(*operands, where=..., dtype=...). Raises TypeError for other keywords."""
    if left := keywords.keys() - {"where", "dtype", "casting", "order", "subok"}:
        raise TypeError(refused.no_rule(ufunc, f" with {', '.join(sorted(left))}"))
    if keywords.get("dtype") is not None:
        operands = [widening.cast(x, keywords["dtype"]) for x in operands]
    where = keywords.get("where", True)
    if where is True:
        return rule(*operands)
    with np.errstate(all="ignore"):  # NumPy does not compute the others, and so does not warn of them
        result = rule(*operands)
    if isinstance(result, tuple) or not hasattr(result, "settled"):
        raise TypeError(refused.no_rule(ufunc, " with where"))
    rest = creation.empty(result, result.shape) if out is None else out
    return choices.where(result, where, result, rest)


def method(
    ufunc: np.ufunc, name: str, rule: "Callable[..., Any] | None", inputs: "tuple[Any, ...]", keywords: dict[str, Any]
) -> Any:
    """accumulate and outer of balls. Raises TypeError for any other method."""
    keywords = {k: v for k, v in keywords.items() if v is not None}
    if name == "outer" and rule and len(inputs) == 2 and not keywords:
        return composed.outer(rule, *inputs)
    if name == "accumulate" and ufunc in ACCUMULATED and keywords.keys() <= {"axis"}:
        return ACCUMULATED[ufunc](inputs[0], **keywords)
    raise TypeError(refused.no_method(ufunc, name))
