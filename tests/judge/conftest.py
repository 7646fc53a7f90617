"""Here rulings are asked for, and not the causes behind them, which are in tests/doors/test_why.py."""

from collections.abc import Iterator

import pytest

from tests.unruled import rulings_alone


@pytest.fixture(autouse=True)
def _rulings_alone() -> Iterator[None]:
    with rulings_alone():
        yield
