"""What a function of the user's can reach: the modules that it is written in, and all that it may write to.

A network is often an object beside the function, or names of its module:

    def mine(p, x, y):
        net.params = p                    # after this the user's object holds what we handed in
        return net.loss(x, y)

What is done with it says untouched.py.

What is reached is what the code names: the functions, classes and objects behind the names in its byte code, what
is inside of these, and so on. Modules of Python and of the known libraries are not entered.
"""

import functools
import random
import sys
from collections import UserDict, UserList, deque
from collections.abc import Iterator
from types import CellType, CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

LIBRARIES = frozenset({
    "numpy", "scipy", "torch", "torch_mirror", "matplotlib", "pandas", "sklearn", "tqdm", "pytest", "_pytest", "pluggy",
    "hypothesis", "IPython", "ipykernel", "jax", "tensorflow", "flint", "mpmath", *sys.stdlib_module_names,
})  # fmt: skip
"""Whose modules are nobody's network."""

Namespace = dict[str, Any]


class World(NamedTuple):
    """What was reached, each object once."""

    namespaces: tuple[Namespace, ...]         # the names of the user's modules
    dicts: tuple[dict[Any, Any], ...]         # of the user's, and the attributes of objects
    slots: tuple[tuple[Any, str], ...]        # attributes of objects that have __slots__, by name
    sequences: tuple[Any, ...]                # lists and deques
    sets: tuple[set[Any], ...]
    classes: tuple[type, ...]
    cells: tuple[CellType, ...]               # variables of an enclosing function
    arrays: tuple[Any, ...]
    generators: tuple[Any, ...]               # NumPy's and Python's, of random numbers
    iterators: tuple[Any, ...]                # what ``next`` takes from
    named: tuple[tuple[Namespace, str], ...]  # arrays and iterators that are names of a module


def world_of(*roots: Any) -> World:
    """What the functions, and other objects, reach."""
    found: dict[str, list[Any]] = {field: [] for field in World._fields}
    seen: dict[int, Any] = {}  # what is held here keeps its id
    todo = list(roots)
    while todo:
        x = todo.pop()
        if id(x) not in seen and not isinstance(x, _ATOMS):
            seen[id(x)] = x
            todo += _inside(x, found)
    return World(*(tuple(found[field]) for field in World._fields))


_ATOMS = (type(None), bool, int, float, complex, str, bytes, np.generic, CodeType)


def _inside(x: Any, found: dict[str, list[Any]]) -> list[Any]:
    """What is behind an object, which is noted where it belongs."""
    if isinstance(x, FunctionType):
        return _of_function(x, found)
    if isinstance(x, type):
        return _of_class(x, found)
    for kind, parts in _PARTS.items():
        if isinstance(x, kind):
            return [getattr(x, part) for part in parts]
    if isinstance(x, (np.ndarray, np.random.Generator, np.random.RandomState, random.Random)):
        found["arrays" if isinstance(x, np.ndarray) else "generators"].append(x)
        return []
    return _of_container(x, found)


_PARTS: dict[type, tuple[str, ...]] = {
    MethodType: ("__func__", "__self__"),
    functools.partial: ("func", "args", "keywords"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    property: ("fget", "fset"),
    ModuleType: (),
}
"""Where a function is behind what is called."""


def _of_container(x: Any, found: dict[str, list[Any]]) -> list[Any]:
    """What it holds; of a class of the user's, be it a kind of dict, that class and the attributes as well."""
    inside: list[Any] = []
    if isinstance(x, (dict, list, deque, set)):
        found["dicts" if isinstance(x, dict) else "sets" if isinstance(x, set) else "sequences"].append(x)
        inside = list(x.values() if isinstance(x, dict) else x)
    elif isinstance(x, (tuple, frozenset)):
        inside = list(x)
    elif isinstance(x, Iterator):
        found["iterators"].append(x)
    if is_theirs(type(x).__module__):
        return [*inside, type(x), *_attributes(x, found)]
    return [*inside, *_attributes(x, found)] if isinstance(x, (SimpleNamespace, UserDict, UserList)) else inside


def _attributes(x: Any, found: dict[str, list[Any]]) -> list[Any]:
    names = [name for kind in type(x).__mro__ for name in _slots(kind)]
    found["slots"] += [(x, name) for name in names]
    inside = [getattr(x, name) for name in names if hasattr(x, name)]
    own = getattr(x, "__dict__", None)
    if isinstance(own, dict):
        found["dicts"].append(own)
        inside += own.values()
    return inside


def _slots(kind: type) -> tuple[str, ...]:
    names = vars(kind).get("__slots__", ()) if is_theirs(kind.__module__) else ()
    return tuple(n for n in ([names] if isinstance(names, str) else names) if n not in ("__dict__", "__weakref__"))


def _of_function(f: FunctionType, found: dict[str, list[Any]]) -> list[Any]:
    names, space = _names(f.__code__), f.__globals__
    inside: list[Any] = [*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values(), getattr(f, "__wrapped__", None)]
    for cell in f.__closure__ or ():
        found["cells"].append(cell)
        inside += content(cell)
    if is_theirs(space.get("__name__", "")):
        _note_namespace(space, found)
        inside += _named(space, names, found)
    return inside


def content(cell: CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # a variable that has no value yet
        return []


def _named(space: Namespace, names: frozenset[str], found: dict[str, list[Any]]) -> list[Any]:
    """What the names stand for in a module; and in the modules among that."""
    inside = []
    for name in names & space.keys():
        value = space[name]
        if isinstance(value, ModuleType):
            within = vars(value)
            if is_theirs(value.__name__) and not any(within is known for known in found["namespaces"]):
                _note_namespace(within, found)
                inside += _named(within, names, found)
        elif isinstance(value, (np.ndarray, Iterator)):
            found["named"].append((space, name))
        inside.append(value)
    return inside


def _note_namespace(space: Namespace, found: dict[str, list[Any]]) -> None:
    if not any(space is known for known in found["namespaces"]):
        found["namespaces"].append(space)


def _of_class(kind: type, found: dict[str, list[Any]]) -> list[Any]:
    if not is_theirs(kind.__module__):
        return []
    found["classes"].append(kind)
    return [*vars(kind).values(), *kind.__bases__]


@functools.cache
def _names(code: CodeType) -> frozenset[str]:
    """All names in the code, and in what is defined inside of it."""
    inner = (_names(c) for c in code.co_consts if isinstance(c, CodeType))
    return frozenset(code.co_names).union(*inner)


def is_theirs(module: str | None) -> bool:
    """Whether a module of that name is the user's."""
    return bool(module) and str(module).split(".")[0] not in LIBRARIES
