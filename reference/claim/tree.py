"""Parameters as tuples of named arrays, and the three ways to walk over them.

A network's ``Parameters`` is a NamedTuple. A field holds one array, a tuple of arrays (one a layer)
or None (a bias that the network does not have). Gradients wear the same type as their parameters.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

P = TypeVar("P", bound=tuple[Any, ...])


def zip_with(f: Callable[..., Any], p: P, q: P | None = None) -> P:
    """Apply ``f(name, a)``, or ``f(name, a, b)`` with q, to each parameter and its namesake, in their order."""
    if q is None:
        return zip_with(lambda name, a, _: f(name, a), p, p)
    fields: tuple[str, ...] = p._fields  # type: ignore[attr-defined]  # every Parameters is a NamedTuple
    rows: list[Any] = []
    for field, a, b in zip(fields, p, q, strict=True):
        if a is None:
            rows.append(None)
        elif isinstance(a, tuple):
            layers = enumerate(zip(a, b, strict=True), 1)
            rows.append(tuple([None if c is None else f(f"{field}{l}", c, d) for l, (c, d) in layers]))
        else:
            rows.append(f(field, a, b))
    return type(p)(*rows)


def named(p: tuple[Any, ...]) -> dict[str, Any]:
    """The parameters by name: ``W1``; a tuple field ``W`` gives ``W1``, ``W2``, ...; None is left out."""
    names: dict[str, Any] = {}

    def note(name: str, value: Any) -> Any:
        names[name] = value
        return value

    zip_with(note, p)
    return names


def rebuild(like: P, values: Mapping[str, Any]) -> P:
    """A tuple of the type of ``like`` with the array of that name in each place."""
    return zip_with(lambda name, _: values[name], like)
