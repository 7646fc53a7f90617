"""Holes in the bound: how one is planted, and what it takes to say that an attack finds it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import pytest

from tests.attack.adversary import F32, F64, FORMATS
from tests.attack.draws import Draw, Plan, numbered
from tests.attack.operation import Operation
from tests.attack.operations import OPERATIONS
from tests.attack.strategies import FEW
from tests.attack.strike import Tally, strike, struck
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number
from torch_mirror.balls.table import Row

SOON = 100_000
"""Elements within which the attack in bulk must find a hole. Half are found within 6,000, the last after 50,000."""


class Hole(NamedTuple):
    """What is put in the place of an attribute, or of the rule in an entry of a table, from what stands there."""

    where: Any
    name: Any
    put: Callable[[Any], Any]


@contextmanager
def planted(*holes: Hole) -> Iterator[None]:
    """With the holes in the bound."""
    with pytest.MonkeyPatch.context() as patch:
        for hole in holes:
            if isinstance(hole.where, dict):
                patch.setitem(hole.where, hole.name, holed(hole.where[hole.name], hole.put))
            else:
                patch.setattr(hole.where, hole.name, hole.put(getattr(hole.where, hole.name)))
        yield


def holed(entry: Any, put: Callable[[Any], Any]) -> Any:
    """An entry of a table with the hole in it: in its rule, if it is a row."""
    return entry._replace(radius=put(entry.radius)) if isinstance(entry, Row) else put(entry)


# --- found in bulk: nothing is made for any hole --------------------------------------------------------------


def found_after(operation: str, formats: Sequence[Format]) -> tuple[int, list[tuple[Format, int]]]:
    """How many elements it took to find a violation, and the draws made; SOON or more if none was found."""
    elements, draws, number = 0, [], 0
    while elements < SOON:
        for fmt in formats:
            draws.append((fmt, number))
            tally = in_bulk(operation, fmt, number)
            elements += tally.elements
            if tally.violations:
                return elements, draws
        number += 1
    return elements, draws


def in_bulk(operation: str, fmt: Format, number: int) -> Tally:
    return strike(OPERATIONS[operation], fmt, numbered(operation, fmt, 0, number))


def found_in_bulk(operation: str, *holes: Hole, formats: Sequence[Format] = (F32, F64)) -> None:
    """The holes are found, and the same draws find nothing without them."""
    with planted(*holes):
        elements, draws = found_after(operation, formats)
    assert elements < SOON
    assert not any(violations(operation, fmt, number) for fmt, number in draws)


@cache
def violations(operation: str, fmt: Format, number: int) -> int:
    """Of a draw without a hole, which many holes share."""
    return in_bulk(operation, fmt, number).violations


# --- found by an attack that is made for it -------------------------------------------------------------------


def found(attack: Callable[[], Iterable[float]], *holes: Hole) -> None:
    """The attack, some error / radius, finds the holes, and as far as it went finds nothing without them."""
    with planted(*holes):
        ratios = list(until_one_is_outside(attack()))
    assert ratios[-1] > 1
    assert all(ratio <= 1 for ratio in islice(attack(), len(ratios)))


def until_one_is_outside(ratios: Iterable[float]) -> Iterator[float]:
    for ratio in ratios:
        yield ratio
        if ratio > 1:
            return


def of_numbers(operation: Operation, draw: Draw) -> Callable[[], Iterable[float]]:
    """The attack with operands that are at hand."""
    return lambda: [struck(operation, draw).worst]


def of_ordinary(operation: Operation, *, moved: bool = True) -> Callable[[], Iterable[float]]:
    """The attack with a few dozen draws of ordinary numbers."""
    return lambda: of_each(operation, moved=moved)


def of_each(operation: Operation, *, moved: bool = True) -> Iterator[float]:
    """The largest error / radius of each of a few dozen draws, made as they are asked for."""
    for kind in ("normal", "cancelling"):
        for seed in range(20):
            plan = Plan((seed,), moved, wider=False, kinds=(kind,) * 4, environment="", numbers=FEW)
            for fmt in FORMATS:
                yield strike(operation, fmt, plan).worst


# --- holes of one kind ----------------------------------------------------------------------------------------


def always(value: Any) -> Callable[[Any], Any]:
    """In the place of whatever stands there."""
    return lambda _: value


def as_exact(b: Any) -> Any:
    """A number without its radius; a Python number or a mask as it is."""
    if not isinstance(b, Number):
        return b
    clean = Number(b.value, 0, b.format)
    clean.number = b.number
    return clean
