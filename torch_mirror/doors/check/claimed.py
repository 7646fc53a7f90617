"""What the user brings: a loss, its gradients by hand, parameters and data; and how a gradient finds its parameter."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.tree import Tree, named, zip_with
from reference.errors import InputError


class Claim(NamedTuple):
    """A function (p, *data) -> (loss, gradients), with the numbers that it is looked at with."""

    run: Callable[..., tuple[Any, Any]]
    roots: tuple[Any, ...]      # the user's functions, and what else they reach
    parameters: Tree
    data: tuple[Any, ...]
    names: tuple[str, ...]      # of the parameters' leaves
    called: tuple[str, ...]     # what the function calls the data
    root: str = "p"             # and the parameters, if they are one array or a list


def claim_of(
    function: Any, parameters: Any, data: tuple[Any, ...], *, loss: Any = None, gradients: Any = None
) -> Claim:
    """The claim of one function that returns (loss, gradients), or of two functions of the same arguments.

    Raises InputError for what is neither, and for parameters without an array of floats.
    """
    if function is not None:
        if loss is not None or gradients is not None:
            raise InputError("check", "one function (p, *data) -> (loss, gradients), or loss= and gradients=", "both")
        run = _one(function)
    else:
        run = _two(loss, gradients)
    leaves = {name: _checked_leaf(name, a) for name, a in named(parameters).items()}
    if not leaves:
        raise InputError("parameters", "an array, or a tree of arrays", f"{type(parameters).__name__} without one")
    for what, f in (("function", function), ("loss", loss), ("gradients", gradients)):
        if f is not None:
            _check_takes(what, f, parameters, data)
    roots = (function, loss, gradients, parameters, data)
    called = _arguments(function or loss)
    unnamed = hasattr(parameters, "shape") or all(name[0].isdigit() for name in leaves)
    root = called[0] if called and unnamed else ALONE
    return Claim(run, roots, parameters, data, tuple(leaves), called[1:], root)


def _check_takes(what: str, function: Any, parameters: Tree, data: tuple[Any, ...]) -> None:
    """Raise InputError for a function that takes another number of data."""
    try:
        signature = inspect.signature(function, follow_wrapped=False)  # what is called, not what it calls in turn
    except (TypeError, ValueError):  # no signature is known
        return
    try:
        signature.bind(parameters, *data)
    except TypeError as error:
        name = name_of(function, "")
        raise InputError(what, f"to take the parameters and {len(data)} data", f"{name}{signature}: {error}") from error


def name_of(function: Any, otherwise: str) -> str:
    """The name of the function; of functools.partial that of the one that it calls."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", otherwise)


def _arguments(function: Any) -> tuple[str, ...]:
    """The names of the arguments, the parameters' first."""
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


def _one(function: Any) -> Callable[..., tuple[Any, Any]]:
    if not callable(function):
        raise InputError("function", "a function (p, *data) -> (loss, gradients)", repr(function))

    def run(p: Tree, *data: Any) -> tuple[Any, Any]:
        result = function(p, *data)
        if not isinstance(result, tuple) or len(result) != 2:
            came = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
            raise InputError("the function", "to return (loss, gradients)", came)
        if isinstance(result[0], Mapping):
            came = f"({type(result[0]).__name__}, {type(result[1]).__name__}): turn the two round"
            raise InputError("the function", "to return (loss, gradients)", came)
        return result

    return run


def _two(loss: Any, gradients: Any) -> Callable[..., tuple[Any, Any]]:
    for what, f in (("loss", loss), ("gradients", gradients)):
        if not callable(f):
            raise InputError(what, "a function (p, *data), or one function of both by position", repr(f))
    return lambda p, *data: (loss(p, *data), gradients(p, *data))


def _checked_leaf(name: str, a: Any) -> Any:
    """Raises InputError for what has no derivative."""
    array = np.asarray(a)
    if array.dtype.kind != "f":
        raise InputError(f"parameter {name}", "an array of floats", f"one of {array.dtype}")
    return a


def copies(tree: Tree, make: Callable[[Any], Any] = np.copy) -> Tree:
    """Parameters for a run: the same containers anew, with make(a) for each array or number."""
    return zip_with(lambda _, a: make(np.asarray(a)), tree)


def data_as(data: Any, make: Callable[[Any], Any]) -> Any:
    """Data for a run: make(a) of each array of floats, copies of other arrays, new containers."""
    if isinstance(data, np.ndarray):
        return make(data) if data.dtype.kind == "f" else data.copy()
    if isinstance(data, dict):
        return {key: data_as(value, make) for key, value in data.items()}
    if type(data) in (list, tuple):
        return type(data)(data_as(value, make) for value in data)
    return data


def gradients_of(result: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The gradient of each parameter, None where there is none: by the parameter's name, or with a d before it.

    Raises InputError where none of them has a gradient, and for a gradient of nothing.
    """
    came = _leaves(result)
    found: dict[str, Any] = {}
    for name in names:
        several = dict.fromkeys((name, f"d{name}", _with_d(name)))
        spelled = next((other for other in several if other in came), "")
        listed = (a for other in several if (a := _listed(came, other)) is not None)
        plain = (a for other in several if (a := _plain_number(result, other)) is not None)
        found[name] = came.pop(spelled) if spelled else next(chain(listed, plain), None)
    if came or all(g is None for g in found.values()):
        expected = f"a tree like the parameters, with a gradient of {', '.join(names)} under the same name or with a d"
        raise InputError("gradients", expected, _came(result, came, found))
    return found


def _plain_number(result: Any, name: str) -> float | None:
    """What an object has under the name of a gradient, where that is a plain float: elsewhere it would be no leaf."""
    found = None if isinstance(result, (Mapping, list, tuple)) else getattr(result, name, None)
    return found if type(found) is float else None


def _listed(came: dict[str, Any], name: str) -> Any:
    """A gradient in lists of numbers, or of rows, as an array; the leaves that these are are taken out."""
    alone = name == ALONE and all(part.isdigit() for key in came for part in key.split("."))
    at = {key: key.removeprefix(f"{name}.").split(".") for key in came if alone or key.startswith(f"{name}.")}
    places = {key: tuple(map(int, parts)) for key, parts in at.items() if all(part.isdigit() for part in parts)}
    if not places or len({(len(place), np.shape(came[key])) for key, place in places.items()}) > 1:
        return None
    shape = tuple(1 + max(place) for place in zip(*places.values(), strict=True))
    if math.prod(shape) != len(places):
        return None
    numbers = [came.pop(key) for key in sorted(places, key=places.__getitem__)]
    ball = next((x for x in numbers if hasattr(x, "settled")), None)
    made: Any = np.array(numbers) if ball is None else np.array(numbers, like=ball)
    return made.reshape(shape + made.shape[1:])


ALONE = "p"
"""The name of parameters that are one array (tree.py)."""


def _came(result: Any, left: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """What was returned instead, and the way out."""
    if isinstance(result, (int, float)) or (hasattr(result, "shape") and np.size(result) == 1):
        return f"{type(result).__name__}, one number: return (loss, gradients), in this order"
    if not isinstance(result, (Mapping, list, tuple)) and hasattr(result, "__dict__"):
        kept = ", ".join(f'"{name}": net.d{name}' for name in found if f"d{name}" in left)
        way = f": return its gradients alone, {{{kept}}}" if kept else ""
        return f"an object, {type(result).__name__}, with {', '.join(left) or 'none'} beside them{way}"
    if any(g is not None for g in found.values()):
        return f"{', '.join(left)} as well, which {'is' if len(left) == 1 else 'are'} no parameter: leave it out"
    return ", ".join(left) or type(result).__name__


def shared(parameters: Tree) -> tuple[str, ...]:
    """Pairs of parameters that share memory, W and V: to us they are two."""
    leaves = [(name, a) for name, a in named(parameters).items() if isinstance(a, np.ndarray)]
    return tuple(f"{y} and {x}" for i, (x, a) in enumerate(leaves) for y, b in leaves[:i] if _overlap(a, b))


def _overlap(a: Array, b: Array) -> bool:
    try:
        return a is b or (np.may_share_memory(a, b) and np.shares_memory(a, b, max_work=MOST))  # type: ignore[arg-type]  # NumPy takes any number
    except np.exceptions.TooHardError:
        return False


MOST = 10_000
"""Solutions that may be looked at to tell whether two views overlap."""


def kept_as_parameters(names: tuple[str, ...]) -> tuple[str, ...]:
    """Parameters that are called as the gradient of another one, dW beside W: what an object keeps for that."""
    return tuple(name for name in names if any(name in (f"d{other}", _with_d(other)) for other in names))


def _leaves(result: Any) -> dict[str, Any]:
    """The gradients by name; a whole number, such as a 0 that somebody returns, counts as one."""
    if isinstance(result, Mapping):
        result = {key: float(value) if type(value) is int else value for key, value in result.items()}
    return {name: a for name, a in named(result).items() if a is not None}


def _with_d(name: str) -> str:
    """``layers.0.dW`` for layers.0.W."""
    *above, last = name.split(".")
    return ".".join([*above, f"d{last}"])


def gradient_name(name: str, root: str = ALONE) -> str:
    """What a parameter's gradient is called: ``dW1``, ``layers[0].dW``, ``dW[2]`` for W.2, ``gradients[0][1]`` for 0.1.

    root: what the function calls its parameters, if they are one array: ``dw`` for w
    """
    if name[0].isdigit():
        return _joined(["gradients", *name.split(".")])
    parts = _parts(name, root)
    last = max(i for i, part in enumerate(parts) if not part.isdigit())
    parts[last] = f"d{parts[last]}"
    return _joined(parts)


PLAIN = (0.0, 0.5, 1.0, 2.0)
"""Numbers of the data that need no name: a factor 2 is a factor 2."""


def sizes_of(claim: Claim) -> dict[str, float]:
    """Sizes that a factor may be, by what they are called: the batch, the axes of data and parameters, plain floats.

    The batch, N, is the one length that all arrays among the data have, if there is just one.
    """
    given = dict(zip(claim.called, claim.data, strict=False))
    arrays = {name: a for name, a in given.items() if isinstance(a, np.ndarray) and a.ndim}
    shared = set.intersection(*(set(a.shape) for a in arrays.values())) - {0, 1} if arrays else set()
    batch = shared.pop() if len(shared) == 1 and len(arrays) > 1 else None
    sizes: dict[str, float] = {} if batch is None else {"N": batch}
    for name, a in arrays.items():
        sizes |= {f"{name}.shape[{axis}]": n for axis, n in enumerate(a.shape) if n > 1 and n != batch}
    floats = {name: float(c) for name, c in given.items() if isinstance(c, (float, np.floating))}
    sizes |= {name: c for name, c in floats.items() if abs(c) not in PLAIN}
    for name, leaf in named(claim.parameters).items():
        sizes |= {f"{spoken(name, claim.root)}.shape[{axis}]": n for axis, n in enumerate(np.shape(leaf)) if n > 1}
    return sizes


def spoken(name: str, root: str = ALONE) -> str:
    """A parameter as code has it: ``W1``, ``layers[0].W``, ``p[0][1]`` for 0.1 where p is the root."""
    return _joined(_parts(name, root))


def _parts(name: str, root: str) -> list[str]:
    parts = [root] if name == ALONE else name.split(".")
    return [root, *parts] if parts[0].isdigit() else parts


def _joined(parts: list[str]) -> str:
    return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts).removeprefix(".")
