"""Numbers that a factor may be, by name: what the caller has named, and what is made of that.

    1   2   1/2   -1   0   10
    of a number c:   c, 1 / c, -c, c^2, 1 - c, 1 / (1 - c), c / (c - 1), (c - 1) / c
    and the products of two of the simplest; those with 2 or 1/2 are the simpler ones
    of a number that stands in the user's forward pass (literals.py):   c, 1 / c, -c, -1 / c

A number solved for is known within a tolerance, and has all the names that lie within it: more than one are a tie,
unless one of them is simpler.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

PLAIN = {"1": 1.0, "2": 2.0, "1/2": 0.5, "-1": -1.0}
DECIMAL = {
    "0": 0.0, "-2": -2.0, "-1/2": -0.5, "10": 10.0, "1/10": 0.1, "100": 100.0, "1/100": 0.01, "1000": 1e3,
    "1/1000": 1e-3,
}  # fmt: skip


class Constant(NamedTuple):
    """cost: 1 for the simplest."""

    value: float
    cost: int


NONE: Mapping[str, float] = {}


def table(named: Mapping[str, float], written: Mapping[str, float] = NONE) -> dict[str, Constant]:
    """All of them, from the numbers that have a name: {"N, the batch": 6.0, "lr": 0.1}.

    written: those that stand in the user's code, as they do: {"0.25": 0.25}
    """
    found = {name: Constant(c, 1) for name, c in PLAIN.items()} | {name: Constant(c, 2) for name, c in DECIMAL.items()}
    simple = [("2", 2.0), ("1/2", 0.5)]
    for name, c in named.items():
        for words, value, cost in _of_one(_wrapped(name), float(c)):
            if cost == 1:
                simple.append((words, value))
            if math.isfinite(value):
                found.setdefault(words, Constant(value, cost))
    for (a, x), (b, y) in combinations(simple, 2):
        if f"1/{a}" != b and f"1/{b}" != a and x * y not in (1.0, x, y):
            found.setdefault(f"{a} * {b}", Constant(x * y, 2 if a in PLAIN else 3))
    return _beside(found, written)


def _beside(found: Mapping[str, Constant], written: Mapping[str, float]) -> dict[str, Constant]:
    """With numbers as the code has them, which are then their one name: 0.1 and not 1/10."""
    numbers = {c for value in written.values() for c in (value, 1 / value)}
    kept = {name: constant for name, constant in found.items() if name not in DECIMAL or constant.value not in numbers}
    for name, c in written.items():
        for words, value, cost in _of_one(_wrapped(name), float(c)):
            if math.isfinite(value) and value in (c, -c, 1 / c, -1 / c):
                kept.setdefault(words, Constant(value, cost))
    return kept


def _wrapped(name: str) -> str:
    return name if name.replace("_", "").replace(".", "").replace("[", "").replace("]", "").isalnum() else f"({name})"


def _of_one(name: str, c: float) -> Iterator[tuple[str, float, int]]:
    whole = c == int(c) if math.isfinite(c) else False
    if c in (0.0, 1.0) or not math.isfinite(c):
        return
    yield name, c, 1
    yield f"1/{name}", 1 / c, 1
    yield f"-{name}", -c, 2
    yield f"-1/{name}", -1 / c, 2
    if whole:
        yield f"{name}/({name} - 1)", c / (c - 1), 3
        yield f"({name} - 1)/{name}", (c - 1) / c, 3
    else:
        yield f"{name}^2", c * c, 2
        yield f"(1 - {name})", 1 - c, 2
        yield f"1/(1 - {name})", 1 / (1 - c), 2
        yield f"(1 - {name})/{name}", (1 - c) / c, 3
        yield f"{name}/(1 - {name})", c / (1 - c), 3


def names_of(c: float, tolerance: float, known: Mapping[str, Constant]) -> list[str]:
    """All names of a number within the tolerance, the simplest first."""
    near = [name for name, constant in known.items() if abs(c - constant.value) <= tolerance]
    return sorted(near, key=lambda name: (known[name].cost, name))
