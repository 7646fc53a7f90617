"""The catalogue of faults: what is named is what was planted, at one point; and nothing is named wrongly.

Each fault is planted at one of three seeds here. Measured over all three, and both sizes: tests/tape/edits/measured.py.
"""

import functools
from collections.abc import Sequence

import pytest

from tests.sample import some
from tests.tape.edits.grading import Graded, graded_at, of_network, of_update, table
from tests.tape.edits.networks import (
    EDGE_FAULTS,
    OUTSIDE,
    SIGMOID,
    SIGMOID_FAULTS,
    SOFTMAX,
    SOFTMAX_FAULTS,
    TANH,
    TANH_FAULTS,
)  # fmt: skip
from tests.tape.edits.optimizers import HERE
from tests.tape.edits.planted import Fault, Sizes

NETWORKS = {"softmax": (SOFTMAX, SOFTMAX_FAULTS), "sigmoid": (SIGMOID, SIGMOID_FAULTS), "tanh": (TANH, TANH_FAULTS)}
APART = Sizes(7, 4, 5, 3)
EQUAL = Sizes(5, 4, 5, 5)


def grades(rows: Sequence[Graded], *names: str) -> int:
    return sum(row.grade in names for row in rows)


@functools.cache
def runs(source: str, faults: tuple[Fault, ...], sizes: Sizes, *, dyadic: bool = False) -> tuple[Graded, ...]:
    """Each fault at one of three seeds; the tests share them."""
    rows = (of_network(source, fault, sizes, i % 3, dyadic=dyadic) for i, fault in enumerate(faults))
    return tuple(row for row in rows if row is not None)


def test_the_catalogue_has_at_least_sixty_faults_of_each_kind() -> None:
    assert sum(len(faults) for _, faults in NETWORKS.values()) >= 60
    assert sum(len(written.faults) for written in HERE.values()) >= 60


@pytest.mark.parametrize("name", NETWORKS)
def test_planted_causes_of_wrong_gradients_are_named(name: str) -> None:
    rows = runs(*NETWORKS[name], APART)
    assert not grades(rows, "wrong"), table(rows)
    assert grades(rows, "unique", "simplest") >= 0.95 * len(rows), table(rows)


def test_a_mask_with_the_edge_is_told_from_one_without() -> None:
    rows = runs(SOFTMAX, EDGE_FAULTS, APART, dyadic=True)
    assert grades(rows, "unique") == len(EDGE_FAULTS), table(rows)


@pytest.mark.parametrize("name", HERE)
def test_planted_causes_of_wrong_updates_are_named(name: str) -> None:
    found = (of_update(name, fault, 24, i % 3) for i, fault in enumerate(HERE[name].faults))
    rows = [row for row in found if row is not None]
    assert not grades(rows, "wrong"), table(rows)
    assert grades(rows, "unique", "simplest") >= 0.95 * len(rows), table(rows)


def test_where_sizes_are_equal_nothing_is_named_wrongly_and_ties_are_told() -> None:
    rows = runs(SOFTMAX, SOFTMAX_FAULTS[::3], EQUAL)
    assert not grades(rows, "wrong"), table(rows)
    assert grades(rows, "tie") > 0, table(rows)
    assert grades(rows, "unique", "simplest", "tie") == len(rows), table(rows)


def test_another_point_of_other_sizes_tells_ties_apart() -> None:
    ties = [f for f in SOFTMAX_FAULTS if f.name in ("1/N left out", "1/N twice", "decay / N", "db2 the mean")]
    assert all(graded_at(SOFTMAX, fault, EQUAL, 0, elsewhere=None) == "tie" for fault in ties)
    assert all(graded_at(SOFTMAX, fault, EQUAL, 0, elsewhere=APART) == "one" for fault in ties)


def test_what_no_edit_of_the_menu_is_has_no_wrong_name() -> None:
    rows = runs(SOFTMAX, tuple(some(OUTSIDE)), APART)
    assert not grades(rows, "wrong"), table(rows)
    assert grades(rows, "unnamed") >= len(some(OUTSIDE)) - 2, table(rows)


def test_the_line_that_is_told_is_the_planted_one_or_the_next_that_uses_it() -> None:
    rows = [row for row in runs(SOFTMAX, SOFTMAX_FAULTS, APART) if row.grade != "unnamed" and row.line]
    assert len(rows) > 30
    assert all(0 <= (row.line or 0) - row.planted <= 2 for row in rows), table(rows)
    assert sum(row.line == row.planted for row in rows) >= 0.8 * len(rows)
