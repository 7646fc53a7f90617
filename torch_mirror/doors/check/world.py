"""What a function of the user's can reach: the modules that it is written in, and all that it may write to.

A network is often an object beside the function, or names of its module:

    def mine(p, x, y):
        net.params = p                    # after this the user's object holds what we handed in
        return net.loss(x, y)

``untouched`` puts everything back as it was: entries of dicts and lists, attributes, names of the module, the elements
of arrays, the state of random generators. So each of our runs starts from the same state, draws the same numbers, and
leaves nothing of ours behind, even where it ends in an error.

What is reached is what the code names: the functions, classes and objects behind the names in its byte code, what
is inside of these, and so on. Modules of Python and of the known libraries are not entered.
"""

import functools
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

LIBRARIES = frozenset({
    "numpy", "scipy", "torch", "torch_mirror", "matplotlib", "pandas", "sklearn", "tqdm", "pytest", "_pytest", "pluggy",
    "hypothesis", "IPython", "ipykernel", "jax", "tensorflow", "flint", "mpmath", *sys.stdlib_module_names,
})  # fmt: skip
"""Whose modules are nobody's network."""

COPIED = 1 << 28
"""Bytes of arrays that are copied; further ones are read-only while the user's code runs."""

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
    generators: tuple[Any, ...]               # NumPy's and Python's
    named: tuple[tuple[Namespace, str], ...]  # arrays that are names of a module


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
    if isinstance(x, dict):
        found["dicts"].append(x)
        return [*x.values(), *_attributes(x, found)]
    if isinstance(x, (list, deque)):
        found["sequences"].append(x)
        return [*x, *_attributes(x, found)]
    if isinstance(x, set):
        found["sets"].append(x)
        return list(x)
    if isinstance(x, (tuple, frozenset)):
        return list(x)
    return [type(x), *_attributes(x, found)] if is_theirs(type(x).__module__) else []


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
        inside += _content(cell)
    if is_theirs(space.get("__name__", "")):
        _note_namespace(space, found)
        inside += _named(space, names, found)
    return inside


def _content(cell: CellType) -> list[Any]:
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
        elif isinstance(value, np.ndarray):
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


# --- as it was ----------------------------------------------------------------------------------------------


@contextmanager
def untouched(world: World) -> Iterator[None]:
    """Whatever is done within the block to what the world holds, it is as it was afterwards."""
    with ExitStack() as stack:
        for restore in _restorers(world):
            stack.callback(restore)
        yield


def _restorers(world: World) -> Iterator[Callable[[], None]]:
    for entries in (*world.dicts, *world.namespaces):
        yield functools.partial(_restore_dict, entries, dict(entries))
    for x, name in world.slots:
        yield functools.partial(_restore_slot, x, name, *([getattr(x, name)] if hasattr(x, name) else []))
    for sequence in world.sequences:
        yield functools.partial(_restore_sequence, sequence, list(sequence))
    for members in world.sets:
        yield functools.partial(_restore_set, members, set(members))
    for kind in world.classes:
        yield functools.partial(_restore_class, kind, dict(vars(kind)))
    for cell in world.cells:
        yield functools.partial(_restore_cell, cell, _content(cell))
    for generator in (*world.generators, np.random.mtrand._rand, random._inst):  # noqa: SLF001 - what np.random.rand and random.random draw from
        yield _of_generator(generator)
    left = COPIED
    for array in world.arrays:
        if array.flags.writeable:
            left -= array.nbytes
            yield functools.partial(_restore_array, array, array.copy()) if left >= 0 else _locked(array)


def _restore_dict(entries: dict[Any, Any], saved: dict[Any, Any]) -> None:
    for key in entries.keys() - saved.keys():
        del entries[key]
    for key, value in saved.items():
        if key not in entries or entries[key] is not value:
            entries[key] = value


def _restore_slot(x: Any, name: str, *saved: Any) -> None:
    if saved:
        object.__setattr__(x, name, saved[0])
    elif hasattr(x, name):
        object.__delattr__(x, name)


def _restore_sequence(sequence: Any, saved: list[Any]) -> None:
    if len(sequence) != len(saved) or any(a is not b for a, b in zip(sequence, saved, strict=True)):
        sequence.clear()
        sequence.extend(saved)


def _restore_set(members: set[Any], saved: set[Any]) -> None:
    members.clear()
    members |= saved


def _restore_class(kind: type, saved: dict[str, Any]) -> None:
    for name in vars(kind).keys() - saved.keys():
        delattr(kind, name)
    for name, value in saved.items():
        if vars(kind).get(name) is not value and not name.startswith("__"):
            setattr(kind, name, value)


def _restore_cell(cell: CellType, saved: list[Any]) -> None:
    if saved:
        cell.cell_contents = saved[0]
    elif _content(cell):
        del cell.cell_contents


def _restore_array(array: Any, saved: Any) -> None:
    if array.tobytes() != saved.tobytes():
        array[...] = saved


def _locked(array: Any) -> Callable[[], None]:
    array.flags.writeable = False
    return functools.partial(setattr, array.flags, "writeable", True)


def _of_generator(g: Any) -> Callable[[], None]:
    if isinstance(g, np.random.Generator):
        return functools.partial(setattr, g.bit_generator, "state", g.bit_generator.state)
    if isinstance(g, np.random.RandomState):
        return functools.partial(g.set_state, g.get_state(legacy=False))
    return functools.partial(g.setstate, g.getstate())


# --- arrays of another kind -----------------------------------------------------------------------------------


def replace_floats(world: World, make: Callable[[Any], Any]) -> None:
    """Put make(a) in the place of every float array, within ``untouched``; one for each array, wherever it stands.

    An array in a tuple stays, as nothing can be put there.
    """
    made = {id(a): make(a) for a in world.arrays if a.dtype.kind == "f"}

    def other(a: Any) -> Any:
        return made.get(id(a), a)

    for entries in world.dicts:
        for key, value in entries.items():
            entries[key] = other(value)
    for space, name in world.named:
        space[name] = other(space[name])
    for x, name in world.slots:
        if hasattr(x, name):
            object.__setattr__(x, name, other(getattr(x, name)))
    for sequence in world.sequences:
        members = [other(value) for value in sequence]
        sequence.clear()
        sequence.extend(members)
    for cell in world.cells:
        for value in _content(cell):
            cell.cell_contents = other(value)
