"""What the tests of the commands share."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture
def same_environment() -> Iterator[None]:
    """The command may set variables for its own process; here that is the test's."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
