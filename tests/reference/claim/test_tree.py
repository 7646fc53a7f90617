"""The names of a parameter tree's arrays."""

from typing import Any, NamedTuple

import numpy as np

from reference.claim.tree import named, zip_with


class Parameters(NamedTuple):
    W: Any
    b: Any


def test_the_arrays_of_a_field_are_counted_from_1_and_none_stands_for_a_layer_without() -> None:
    assert list(named(Parameters([np.ones(1), np.ones(2)], [None, np.ones(2)]))) == ["W1", "W2", "b2"]


def test_what_is_no_array_in_a_field_is_a_tree_of_its_own() -> None:
    assert list(named(Parameters([{"V": np.ones(1)}, {"V": np.ones(2)}], None))) == ["W.0.V", "W.1.V"]


def test_of_an_object_a_scalar_of_numpy_s_is_a_leaf_and_a_plain_float_is_a_setting() -> None:
    class Net:
        def __init__(self) -> None:
            self.w, self.c, self.rate = np.ones(2), np.float64(0.3), 0.1

    assert list(named(Net())) == ["w", "c"]


def test_a_list_of_arrays_in_a_field_is_made_anew_with_its_holes_and_a_list_of_trees_tree_by_tree() -> None:
    def doubled(name: str, a: Any, b: Any) -> Any:
        return name, (a + b).tolist()

    flat = Parameters([np.ones(1), np.ones(2)], (None, np.ones(2)))
    made = zip_with(doubled, flat, flat)
    assert made.W == [("W1", [2.0]), ("W2", [2.0, 2.0])]
    assert made.b == (None, ("b2", [2.0, 2.0]))
    nested = Parameters([{"V": np.ones(1)}, None], None)
    assert zip_with(doubled, nested, nested).W[0] == {"V": ("W.0.V", [2.0])}
