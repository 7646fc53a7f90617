"""What has no rule, and the way out: by the name that NumPy, SciPy or Python spells.

A function is here because its result depends on more than its numbers (memory, chance), because it takes a ball
apart in a way that leaves the radius behind (float, math.exp), because no simple bound is known (inv, svd), or
because its library asks an array for its numbers without asking the array first (np.array of a list,
scipy.special.softmax).
"""

from typing import Any

import numpy as np

from torch_mirror.balls import callers
from torch_mirror.balls.number import INTO_AN_ARRAY

_NO_CHANCE = "draw random numbers before the forward pass, of plain shapes, and hand them in as data"
_NO_FACTORS = "compute it outside of the network, or give it a bound of its own: @Ball.rule(numpy.linalg.{})"

WAYS_OUT: dict[str, str] = {
    "numpy.array": f"x.copy() copies a ball, np.stack([x, y]) makes one of several; {INTO_AN_ARRAY}",
    "numpy.asarray": f"a ball is an array already; np.asarray(x, like=x) makes one of a list; {INTO_AN_ARRAY}",
    "numpy.asanyarray": "a ball is an array already",
    "numpy.ascontiguousarray": "memory order is not part of a ball; leave it out",
    "numpy.asfortranarray": "memory order is not part of a ball; leave it out",
    "numpy.require": "memory order is not part of a ball; leave it out",
    "numpy.lib.stride_tricks.as_strided":
        "it reads memory, and np.lib.stride_tricks.sliding_window_view(x, window) gives the same windows without",
    "numpy.r_": "np.concatenate([x, y]) does the same",
    "numpy.c_": "np.column_stack([x, y]) does the same",
    "numpy.vectorize": "call the function on the whole array: each operation of a ball is elementwise already",
    "numpy.frompyfunc": "call the function on the whole array: each operation of a ball is elementwise already",
    "numpy.fromiter": "np.stack(list) makes one ball of several",
    "numpy.interp": "np.where(x < a, ..., ...) of the lines between the points does the same",
    "numpy.unique": "which elements are equal is open for numbers with radii; take it of the data, before",
    "numpy.searchsorted": "(x[..., None] > edges).sum(axis=-1) counts the edges below, with masks",
    "numpy.digitize": "(x[..., None] > edges).sum(axis=-1) counts the edges below, with masks",
    "numpy.histogram": "take it of the data, before",
    "numpy.bincount": "np.add.at(np.zeros(n, like=x), index, x) adds weights up",
    "numpy.quantile": "np.sort(x) and an index of it",
    "numpy.percentile": "np.sort(x) and an index of it",
    "numpy.partition": "np.sort(x) is partitioned everywhere",
    "numpy.argpartition": "np.argsort(x) is partitioned everywhere",
    "numpy.put": "x.reshape(-1)[index] = y does the same",
    "numpy.place": "x[mask] = y does the same",
    "numpy.putmask": "np.copyto(x, y, where=mask) does the same",
    "numpy.choose": "np.select or np.take_along_axis do the same",
    "numpy.compress": "x[mask] does the same",
    "numpy.extract": "x[mask] does the same",
    "numpy.nansum": "np.where(np.isnan(x), 0, x).sum() does the same",
    "numpy.arctan2": "np.arctan(y / x) where x > 0",
    "numpy.fmod": "x % y is the one that has a rule",
    "numpy.modf": "np.trunc(x) and x - np.trunc(x)",
    "numpy.frexp": "it takes a number's bits apart, which two evaluations do not share",
    "numpy.nextafter": "it takes a number's bits apart, which two evaluations do not share",
    "numpy.spacing": "it takes a number's bits apart, which two evaluations do not share",
    "numpy.sinc": "np.sin(np.pi * x) / (np.pi * x)",
    "numpy.testing.assert_allclose": "assert np.allclose(x, y) asks the same of balls",
    "numpy.testing.assert_array_almost_equal": "assert np.allclose(x, y) asks the same of balls",
    "numpy.testing.assert_almost_equal": "assert np.allclose(x, y) asks the same of balls",
    "numpy.testing.assert_array_equal": "assert np.array_equal(x, y) asks the same of balls",
    "numpy.testing.assert_equal": "assert np.array_equal(x, y) asks the same of balls",
    "numpy.linalg.inv": _NO_FACTORS.format("inv"),
    "numpy.linalg.solve": _NO_FACTORS.format("solve"),
    "numpy.linalg.det": _NO_FACTORS.format("det"),
    "numpy.linalg.svd": _NO_FACTORS.format("svd"),
    "numpy.linalg.qr": _NO_FACTORS.format("qr"),
    "numpy.linalg.cholesky": _NO_FACTORS.format("cholesky"),
    "numpy.linalg.matrix_power": "x @ x, as often as is needed",
    "scipy.special.softmax": "e = np.exp(x - x.max(axis=-1, keepdims=True)); e / e.sum(axis=-1, keepdims=True)",
    "scipy.special.log_softmax":
        "z = x - x.max(axis=-1, keepdims=True); z - np.log(np.exp(z).sum(axis=-1, keepdims=True))",
    "scipy.special.logsumexp":
        "m = x.max(axis=-1, keepdims=True); m + np.log(np.exp(x - m).sum(axis=-1, keepdims=True))",
    "scipy.special.erfc": "1 - scipy.special.erf(x), whose radius is that of a difference",
    "scipy.special.log_expit": "-np.logaddexp(0, -x)",
    "scipy.special.logit": "np.log(x / (1 - x))",
    "scipy.special.xlogy": "np.where(x == 0, 0, x * np.log(y))",
    "scipy.special.ndtr": "(1 + scipy.special.erf(x / np.sqrt(2))) / 2",
    "math.pow": "x ** y works on balls",
    "int": "np.trunc(x) is a ball; x.astype(int) is a whole number where the radius leaves none open",
}
"""Names, and what to write instead."""


def no_rule(function: Any, how: str = "") -> str:
    """The message for a function, a ufunc's method, or ways to call it, without a rule."""
    name = callers.name_of(function)
    start = f"no radius is known for {name}{how}"
    if name in WAYS_OUT:
        return f"{start}; {WAYS_OUT[name]}"
    if isinstance(getattr(function, "__self__", None), np.ufunc) and not how:
        return f"{start}; {_METHODS[function.__name__]}; @Ball.rule({name}) registers a rule"
    return f"{start}; without that it has a rule" if how else f"{start}; @Ball.rule({name}) registers a rule"


_ONE_BY_ONE = "the function itself, one element after the other, does the same"
_METHODS = {
    "reduce": _ONE_BY_ONE, "accumulate": _ONE_BY_ONE, "reduceat": "the function of each part does the same",
    "outer": "f(x[:, None], y) does the same",
    "at": "only for add, subtract, multiply, maximum, minimum; where no index occurs twice, "
          "x[index] = f(x[index], y) is the same",
}  # fmt: skip
"""The ways out of a ufunc's method."""


def no_array() -> TypeError:
    """A library asks a ball for an array of ordinary numbers."""
    name = callers.called()
    short = name.replace("np.", "numpy.", 1) if name.startswith("np.") else name
    if short.startswith("numpy.random.") or ".random." in short:
        way = _NO_CHANCE
    else:
        way = WAYS_OUT.get(short, f"a ball has numpy's own functions and operators; {INTO_AN_ARRAY}")
    who = f"{short} takes ordinary arrays, and " if short else ""
    return callers.located(TypeError(f"{who}a ball is no ordinary array, which has no radii; {way}"))


def unless_by_rows(order: Any, what: str) -> None:
    """Raises TypeError for an order other than "C": how an array lies in memory is no part of a ball."""
    if order != "C":
        way = "x.T.ravel() takes the elements by columns, x.T.reshape(n, m).T puts them there"
        raise TypeError(f"no radius is known for {what} with order={order!r}; {way}")


def no_number(what: str = "float") -> TypeError:
    """Python, or math, asks a ball for a number: float(x), math.exp(x), "%.3f" % x."""
    name = callers.called() or what
    short = name.removeprefix("math.")
    way = WAYS_OUT.get(name) or (
        f"np.{_AS_NUMPY.get(short, short)}(x) works on balls" if name.startswith("math.") else
        f'the ball itself works as a number, x.item() is one of no axes, f"{{x:.3f}}" prints it; {INTO_AN_ARRAY}'
    )  # fmt: skip
    told = f"{name} takes ordinary numbers, and a ball is no number, which has no radius; {way}"
    return callers.located(TypeError(told))


_AS_NUMPY = {"pow": "power", "fabs": "abs", "atan": "arctan", "asin": "arcsin", "acos": "arccos", "asinh": "arcsinh",
             "acosh": "arccosh", "atanh": "arctanh"}  # fmt: skip
"""Functions of math that NumPy spells in another way."""


class NoAttributeError(AttributeError, TypeError):
    """An array has this attribute, and a ball has not: a TypeError by its message, an AttributeError to hasattr."""


def no_attribute(name: str) -> NoAttributeError:
    way = WAYS_OUT.get(f"numpy.{name}", "numpy's functions work on balls where they have a rule")
    where = callers.line()
    called = f" (called at {where})" if where else ""
    return NoAttributeError(f"no radius is known for the method {name} of an array; {way}{called}")
