"""Stand-ins for ``np``, ``math`` and ``float`` in the user's modules, while their code runs on balls.

NumPy asks an array which function it has of its own, but ``np.zeros(3)`` has no array to ask, and ``float(loss)`` and
``math.exp(z)`` take numbers apart. In the stand-ins these give balls:

    np.zeros, ones, empty, full, eye, array of floats    an array of floats that balls can be assigned to
    np.array, asarray, ascontiguousarray of balls        a ball
    np.sum, mean, max and so on of a list of balls       that of the array of them
    np.ndarray in isinstance(x, np.ndarray)              true of balls as well
    np.float32, np.float16                               the precision that the check computes in
    math.exp and so on, float                            of a ball: the ball of the same function

All else is NumPy's. The names of the user's modules are put back by ``world.untouched``.
"""

import math
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import numpy as np

from torch_mirror.balls.bools import Bools
from torch_mirror.balls.cell import Ball
from torch_mirror.doors.check.world import Namespace

Make = Callable[[Any], Any]
"""An ordinary float array as what the check computes with."""


def stand_in(namespaces: Iterable[Namespace], make: Make, dtype: Any) -> None:
    """Put the stand-ins in the place of ``np`` and kin in these namespaces, within ``world.untouched``.

    dtype: of the arrays that ``make`` is given; a narrower one that the code asks for becomes this.
    """
    numpy, maths = _numpy(make, np.dtype(dtype)), _math()
    instead = {id(np): numpy, id(math): maths}
    for real, ours in ((np, numpy), (math, maths)):
        instead |= {id(vars(real)[name]): f for name, f in vars(ours).items() if vars(real).get(name, f) is not f}
    for space in namespaces:
        for name, value in list(space.items()):
            if id(value) in instead:
                space[name] = instead[id(value)]
        space.setdefault("float", Float)


def first_ball(x: Any) -> Any:
    """A ball in x, or in a list of lists of it; None if there is none."""
    if isinstance(x, Ball):
        return x
    if isinstance(x, Bools):
        return x.number()
    if isinstance(x, (list, tuple)):
        return next((ball for ball in map(first_ball, x) if ball is not None), None)
    return None


def _numpy(make: Make, dtype: np.dtype[Any]) -> ModuleType:
    """NumPy with other functions that make arrays."""
    module = ModuleType("numpy", np.__doc__)
    vars(module).update(vars(np))

    def made(a: Any) -> Any:
        """An array that NumPy has made."""
        is_float = isinstance(a, np.ndarray) and a.dtype.kind == "f"
        return make(a.astype(np.promote_types(a.dtype, dtype))) if is_float else a

    array = _array(made)
    for name in ("zeros", "ones", "empty", "eye", "identity"):
        setattr(module, name, _creating(getattr(np, name), made))
    for name in ("zeros_like", "ones_like", "empty_like"):
        setattr(module, name, _like(getattr(np, name), made, dtype))
    for name in ("asarray", "asanyarray", "ascontiguousarray", "asfortranarray"):
        setattr(module, name, _asarray(array))
    for name in ("sum", "mean", "prod", "max", "min", "amax", "amin", "std", "var"):
        setattr(module, name, _of_a_list(getattr(np, name), array))
    for name in ("float16", "float32", "half", "single"):
        setattr(module, name, dtype.type)
    vars(module).update(array=array, full=_full(made), ndarray=NDArray)
    return module


def _creating(function: Callable[..., Any], made: Make) -> Callable[..., Any]:
    return lambda *args, **named: made(function(*args, **named))


def _full(made: Make) -> Callable[..., Any]:
    def full(shape: Any, fill_value: Any, dtype: Any = None, **named: Any) -> Any:
        ball = first_ball(fill_value)
        return made(np.full(shape, fill_value, dtype, **named)) if ball is None else np.full(shape, ball, like=ball)

    return full


def _like(function: Callable[..., Any], made: Make, wide: np.dtype[Any]) -> Callable[..., Any]:
    """zeros_like and kin: of a ball a ball, whatever float dtype is asked for."""

    def like(a: Any, dtype: Any = None, **named: Any) -> Any:
        ball = first_ball(a)
        if ball is None:
            return made(function(a, dtype, **named))
        return function(ball, wide if dtype is not None and np.dtype(dtype).kind == "f" else dtype, **named)

    return like


def _array(made: Make) -> Callable[..., Any]:
    def array(a: Any, dtype: Any = None, *, copy: Any = True, ndmin: int = 0, **named: Any) -> Any:
        ball = first_ball(a)
        if ball is None:
            return made(np.array(a, dtype, copy=copy, ndmin=ndmin, **named))
        result: Any = np.array(_numbers(a), like=ball)
        if result.ndim < ndmin:
            result = result.reshape((1,) * (ndmin - result.ndim) + result.shape)
        return result if dtype is None or np.dtype(dtype).kind == "f" else result.astype(dtype)

    return array


def _asarray(array: Callable[..., Any]) -> Callable[..., Any]:
    """What makes no copy of an array, nor of a ball; of a list it is np.array."""

    def asarray(a: Any, dtype: Any = None, order: Any = None, **named: Any) -> Any:
        if isinstance(a, Ball):
            return a if dtype is None or np.dtype(dtype).kind == "f" else a.astype(dtype)
        return np.asarray(a, dtype, order, **named) if isinstance(a, np.ndarray) else array(a, dtype)

    return asarray


def _of_a_list(function: Any, array: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one array: of a list of balls, as ``np.mean(losses)``, that of the array of them."""

    def of(a: Any, *args: Any, **named: Any) -> Any:
        return function(array(a) if isinstance(a, (list, tuple)) and first_ball(a) is not None else a, *args, **named)

    return of


def _numbers(a: Any) -> Any:
    """Masks in lists as numbers, which np.array of a list stacks."""
    if isinstance(a, Bools):
        return a.number()
    return [_numbers(x) for x in a] if isinstance(a, (list, tuple)) else a


_OF_MATH = (
    "exp", "log", "sqrt", "tanh", "sinh", "cosh", "sin", "cos", "tan", "log1p", "expm1", "log2", "log10", "exp2",
    "floor", "ceil", "trunc", "isnan", "isinf", "isfinite", "hypot",
)  # fmt: skip
_OTHERWISE = {"pow": np.power, "fabs": np.abs, "atan": np.arctan, "asin": np.arcsin, "acos": np.arccos}


def _math() -> ModuleType:
    """Python's math, whose functions of balls are NumPy's."""
    module = ModuleType("math", math.__doc__)
    vars(module).update(vars(math))
    for name in (*_OF_MATH, *_OTHERWISE):
        setattr(module, name, _either(getattr(math, name, None), _OTHERWISE.get(name, getattr(np, name, None))))
    return module


def _either(of_numbers: Any, of_balls: Any) -> Callable[..., Any]:
    return lambda *args: of_numbers(*args) if first_ball(args) is None else of_balls(*args)


class _Kind(type):
    """Of a class that stands for another one in isinstance."""

    def __instancecheck__(cls, x: Any) -> bool:
        return cls.stands_for(x)  # type: ignore[attr-defined]  # each of its classes has that


class Float(metaclass=_Kind):
    """Python's float, that leaves a ball what it is: as a function, as a dtype and in isinstance."""

    dtype = np.dtype(float)
    fromhex = float.fromhex

    def __new__(cls, x: Any = 0.0) -> Any:
        if isinstance(x, Ball):
            return x.reshape(()) if x.size == 1 else float(x)
        return float(x)

    @staticmethod
    def stands_for(x: Any) -> bool:
        return isinstance(x, float) or (isinstance(x, Ball) and x.ndim == 0)


class NDArray(metaclass=_Kind):
    """numpy.ndarray, of which balls are as well."""

    def __new__(cls, *args: Any, **named: Any) -> Any:
        return np.ndarray(*args, **named)

    @staticmethod
    def stands_for(x: Any) -> bool:
        return isinstance(x, (np.ndarray, Ball, Bools))
