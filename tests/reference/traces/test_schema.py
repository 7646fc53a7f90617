"""What a hash is of: the numbers, whatever the width of whole ones, the order of bytes, and how the array lies."""

import hashlib
import struct

import numpy as np
import pytest

from reference.traces.schema import sha256


def of(text: str, *numbers: float) -> str:
    return hashlib.sha256(struct.pack(text, *numbers)).hexdigest()


@pytest.mark.parametrize("dtype", ["i1", "i8", "<i4", ">i4", "u2", "u8", "?"])
def test_whole_numbers_have_one_hash_in_any_width(dtype: str) -> None:
    assert sha256(np.array([1, 0, 1]).astype(dtype)) == of("<3q", 1, 0, 1)


@pytest.mark.parametrize("order", "<>")
def test_floats_have_that_of_their_precision(order: str) -> None:
    assert sha256(np.array([0.5, -3.0], f"{order}f4")) == of("<2f", 0.5, -3.0)
    assert sha256(np.array([0.5, -3.0], f"{order}f8")) == of("<2d", 0.5, -3.0)
    assert sha256(np.array(0.5, f"{order}f8")) == of("<d", 0.5)


def test_rows_go_before_columns_however_the_array_lies() -> None:
    a = np.arange(6.0).reshape(2, 3)
    assert sha256(np.asfortranarray(a)) == sha256(a) == of("<6d", *range(6))
    assert sha256(a.T) == of("<6d", 0, 3, 1, 4, 2, 5)
    assert sha256(a[:, ::-2]) == of("<4d", 2, 0, 5, 3)


def test_a_zero_with_a_sign_is_another_number() -> None:
    assert sha256(np.array([-0.0])) != sha256(np.array([0.0]))
