"""Trees of arrays: parameters, gradients and an optimizer's state, in the form that somebody keeps them in.

A tree is an array; a dict, list, tuple or NamedTuple of trees; a dataclass or other object with trees among its
attributes; or None, where there is nothing (a bias that a layer does not have). Its arrays are its leaves. Each
has a path as its name:

    {"W1": a}                   W1
    [(W, b), (W, b)]            0.0, 0.1, 1.0, 1.1
    {"layers": [{"W": a}]}      layers.0.W
    a                           p
    Parameters(W=(a, b))        W1, W2: arrays in a field of a NamedTuple are counted from 1, as equations count layers

What else stands in a tree, such as an object's name or its learning rate, is left as it is.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

import numpy as np

from reference.errors import InputError

Tree: TypeAlias = Any
T = TypeVar("T")


def zip_with(f: Callable[..., Any], tree: T, *others: Tree) -> T:
    """A tree like the first, of ``f(name, a, ...)`` for each leaf a and the leaves in its place in the other trees.

    Leaves are visited in their order. Raises InputError where a tree has nothing in such a place, and for a tree that
    holds itself.
    """
    fields: Any = getattr(tree, "_fields", None)
    if fields is not None and all([v is None or v.__class__ is np.ndarray for v in tree]):  # type: ignore[attr-defined]  # noqa: C419 - a list is quicker here; a tuple has items
        rows = zip(fields, tree, *others, strict=True)  # type: ignore[call-overload]  # the same; what most networks have
        return type(tree)(*[None if row[1] is None else f(*row) for row in rows])
    try:
        result: T = _zip(f, "", tree, others)
    except RecursionError:
        raise InputError("a tree", "arrays some hundred levels down at most", "one without an end, or deeper") from None
    return result


def named(tree: Tree) -> dict[str, Any]:
    """The leaves by name, in their order."""
    names: dict[str, Any] = {}

    def note(name: str, value: Any) -> Any:
        if name in names:
            raise InputError(f"tensor {name}", "a name of its own", "a second tensor of that name")
        names[name] = value
        return value

    zip_with(note, tree)
    return names


def same_containers_anew(tree: T) -> T:
    """The same arrays in new containers, so that whatever is put into one of those is in no other tree."""
    return zip_with(lambda _, a: a, tree)


def beside_leaves(tree: Tree) -> dict[str, Any]:
    """What else stands in a tree than arrays, by name: numbers, texts, flags."""
    found: dict[str, Any] = {}

    def look(path: str, a: Any) -> None:
        if isinstance(a, (bool, int, str, bytes)):
            found[path] = a
        elif isinstance(a, Mapping):
            for key, value in a.items():
                look(_below(path, key), value)
        elif isinstance(a, (list, tuple)):
            for i, value in enumerate(a):
                look(_below(path, i), value)

    look("", tree)
    return found


def rebuild(like: T, values: Mapping[str, Any]) -> T:
    """A tree of the form of ``like`` with the value of that name in each place."""
    return zip_with(lambda name, _: values[name], like)


def _zip(f: Callable[..., Any], path: str, a: Any, others: tuple[Any, ...]) -> Any:
    if a is None:
        return None
    if not hasattr(a, "_fields") and _is_leaf(a):
        return f(path or "p", a, *others)
    if hasattr(a, "_fields"):
        prefix = f"{path}." if path else ""
        rows = zip(a._fields, zip(a, *others, strict=True), strict=True)
        return type(a)(*[_zip_field(f, prefix + field, *row) for field, row in rows])
    if isinstance(a, (list, tuple)):
        lists = [_same_length(path, a, other) for other in others]
        return type(a)([_zip(f, _below(path, i), *_split(row)) for i, row in enumerate(zip(a, *lists, strict=True))])
    return _zip_children(f, path, a, others)


def _zip_children(f: Callable[..., Any], path: str, a: Any, others: tuple[Any, ...]) -> Any:
    """A mapping or an object: a copy with other leaves, and copies of lists and the like; an object without, itself."""
    children = dict(_children(a))
    if not children and not isinstance(a, Mapping):
        return a
    result = dict(a) if isinstance(a, Mapping) and not isinstance(a, MutableMapping) else copy.copy(a)
    for key, value in (a if isinstance(a, Mapping) else _attributes(a)).items():
        if key not in children:
            if type(value) in (list, dict, set):  # such as a history that is appended to
                _put(result, key, copy.copy(value))
        elif value is not None:
            rest = tuple(_child(path, other, key) for other in others)
            _put(result, key, _zip(f, _below(path, key), value, rest))
    return result


def _zip_field(f: Callable[..., Any], path: str, a: Any, *others: Any) -> Any:
    """A field of a NamedTuple, whose arrays are counted from 1 where there are several."""
    if a.__class__ is np.ndarray:
        return f(path, a, *others)
    if isinstance(a, (tuple, list)) and not hasattr(a, "_fields") and all(b is None or _is_leaf(b) for b in a):
        lists = [_same_length(path, a, other) for other in others]
        rows = enumerate(zip(a, *lists, strict=True), 1)
        return type(a)([None if row[0] is None else f(f"{path}{l}", *row) for l, row in rows])
    return _zip(f, path, a, others)


def _split(row: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    return row[0], row[1:]


def _below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _is_leaf(a: Any) -> bool:
    """An array, or what stands for one; a number too, so that it is told where an array was expected."""
    return hasattr(a, "shape") or isinstance(a, (float, complex))


def _children(a: Any) -> Iterator[tuple[Any, Any]]:
    """The keys or attributes of a container that lead to a leaf, with what stands there.

    An object's plain float is no leaf, as it may be a learning rate; a scalar of NumPy's, np.float64 too, is one.
    """
    if isinstance(a, Mapping):
        return ((key, value) for key, value in a.items() if value is None or _has_leaves(value))
    attributes = {} if isinstance(a, (type, ModuleType)) else _attributes(a)
    return ((key, value) for key, value in attributes.items() if type(value) is not float and _has_leaves(value))


def _attributes(a: Any) -> dict[str, Any]:
    """The attributes of an object by name, in ``__slots__`` too, where a class has those."""
    found: dict[str, Any] = {}
    for kind in reversed(type(a).__mro__):
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(a, name):
                found[name] = getattr(a, name)
    return found | getattr(a, "__dict__", {})


def _has_leaves(a: Any) -> bool:
    if a is None or isinstance(a, (str, bytes, type, ModuleType)):
        return False
    if _is_leaf(a):
        return True
    if isinstance(a, Mapping):
        return any(_has_leaves(value) for value in a.values())
    if isinstance(a, (list, tuple)):
        return any(_has_leaves(value) for value in a)
    return not callable(a) and any(_has_leaves(value) for _, value in _children(a))


def _child(path: str, a: Any, key: Any) -> Any:
    try:
        return a[key] if isinstance(a, Mapping) else getattr(a, str(key))
    except (KeyError, AttributeError):
        known = ", ".join(map(str, a if isinstance(a, Mapping) else _attributes(a))) or type(a).__name__
        raise InputError(f"tree at {_below(path, key)}", "an array", f"only {known}") from None


def _same_length(path: str, a: Any, other: Any) -> Any:
    if not isinstance(other, (list, tuple)) or len(other) != len(a):
        came = f"{len(other)} of them" if isinstance(other, (list, tuple)) else type(other).__name__
        raise InputError(f"tree at {path or 'its root'}", f"{len(a)} entries", came)
    return other


def _put(container: Any, key: Any, value: Any) -> None:
    if isinstance(container, Mapping):
        container[key] = value  # type: ignore[index]  # a copy of what somebody keeps arrays in, which can be written to
    else:
        object.__setattr__(container, key, value)  # a dataclass may be frozen
