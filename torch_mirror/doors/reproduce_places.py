"""Where a leaf is in a tree, as the Python that leads to it: for a script."""

from typing import Any

from reference.claim.tree import named
from reference.errors import InputError


def spellings(name: str) -> tuple[str, ...]:
    """What a gradient may be called, by the name of its parameter."""
    *above, last = name.split(".")
    return name, f"d{name}", ".".join([*above, f"d{last}"])


def place_of(tree: Any, names: tuple[str, ...]) -> str:
    """The Python that leads to a leaf, by what the tree's leaves are called."""
    leaves = named(tree)
    wanted = next((leaves[name] for name in names if name in leaves), None)
    found = None if wanted is None else _way(tree, wanted)
    if found is None:
        raise InputError(f"gradient {names[0]}", "in a dict, list, tuple or object", type(tree).__name__)
    return found


def _way(tree: Any, leaf: Any) -> str | None:
    if tree is leaf:
        return ""
    if isinstance(tree, dict):
        steps = [(f"[{key!r}]", value) for key, value in tree.items()]
    elif isinstance(tree, (list, tuple)) and not hasattr(tree, "_fields"):
        steps = [(f"[{i}]", value) for i, value in enumerate(tree)]
    elif isinstance(tree, tuple):
        steps = [(f".{field}", getattr(tree, field)) for field in getattr(tree, "_fields", ())]
    else:
        steps = [(f".{key}", value) for key, value in getattr(tree, "__dict__", {}).items()]
    for step, value in steps:
        further = _way(value, leaf)
        if further is not None:
            return step + further
    return None
