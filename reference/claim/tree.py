"""Parameters as tuples of named arrays, and the three ways to walk over them.

A network's ``Parameters`` is a NamedTuple. A field holds one array, a tuple of arrays (one a layer)
or None (a bias that the network does not have). Gradients wear the same type as their parameters.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

P = TypeVar("P", bound=tuple[Any, ...])


def zip_with(f: Callable[..., Any], p: Any, *others: Any) -> Any:
    """Apply ``f(name, a, b, ...)`` to each parameter of p and its namesakes in the others, in p's order.

    A dict of arrays by name will do as well as a NamedTuple.
    """
    if isinstance(p, dict):
        return {name: None if a is None else f(name, a, *(q[name] for q in others)) for name, a in p.items()}
    rows: list[Any] = []
    for field, a, *b in zip(p._fields, p, *others, strict=True):
        if a is None:
            rows.append(None)
        elif isinstance(a, tuple):
            layers = enumerate(zip(a, *b, strict=True), 1)
            rows.append(tuple([None if c is None else f(f"{field}{l}", c, *d) for l, (c, *d) in layers]))
        else:
            rows.append(f(field, a, *b))
    return type(p)(*rows)


def named(p: Any) -> dict[str, Any]:
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
