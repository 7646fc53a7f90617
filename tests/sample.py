"""What make test takes of a catalogue whose every row takes long, and whose rest is left to make thorough."""

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import settings

THOROUGH = settings().max_examples >= 25
"""Whether more is drawn: by make thorough, and at night (tests/conftest.py)."""

T = TypeVar("T")


def some(rows: Sequence[T]) -> Sequence[T]:
    """Every other one; all of them where more is drawn."""
    return rows if THOROUGH else rows[::2]
