"""Which check is run in which precision."""

from collections.abc import Collection, Iterable
from typing import Literal

import pytest

DTypeName = Literal["float64", "float32"]
DTYPES: tuple[DTypeName, ...] = ("float64", "float32")


def cases(checks: Iterable[str], in_float64: Collection[str] = ()) -> pytest.MarkDecorator:
    """Both precisions for each check; float64 alone for those of which the other would show nothing more.

    float32 is left to make thorough: every network, loss and optimizer is judged in it elsewhere, by other tests.
    """
    rows = [(check, dtype) for check in checks for dtype in (DTYPES[:1] if check in in_float64 else DTYPES)]
    return pytest.mark.parametrize(
        ("check", "dtype"),
        [
            pytest.param(check, dtype, id=f"{check}, {dtype}", marks=[pytest.mark.thorough] * (dtype == "float32"))
            for check, dtype in rows
        ],
    )
