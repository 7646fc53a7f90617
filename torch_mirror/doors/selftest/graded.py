"""Whether a cause that was named is the right one: it is, if the same words are true at other numbers, too.

What only happens to be equal at one point has another name at another. A number before its name, ``6 (here N)``, and
the proof behind it are no part of the words.
"""

import re
from collections.abc import Callable, Collection

from torch_mirror.doors.selftest.told import Named

NAMELESS = re.compile(r", and a factor .* \(a number without a name\)")
"""An edit with a free number beside it fits by its number; that is no name of a cause."""


def words(causes: Collection[str]) -> set[str]:
    """The causes without their proofs, and without the numbers that they give names to."""
    bare = (cause.split(" (proof")[0] for cause in causes if not NAMELESS.search(cause))
    return {re.sub(r"[-+\d./e ]+ \(here (.*?)(, N the batch)?\) ", r" \1 ", cause) for cause in bare}


def _edits(causes: Collection[str]) -> set[str]:
    """The words without what the derivative is by: those by z and by z + b are one, and either may be told."""
    return {re.sub(r"d\(.*\)", "d(.)", cause) for cause in words(causes)}


def graded(here: Collection[str], elsewhere: Callable[[], Collection[str]]) -> Named:
    """The grade of the causes here; those elsewhere are asked for only where there are some.

    Where nothing is named elsewhere, as the time was up, it is neither borne out nor contradicted: not named.
    """
    one = _edits(here)
    other = _edits(elsewhere()) if one else set[str]()
    if not one or not other:
        return "not named"
    if not one & other:
        return "wrong"
    return "named" if len(words(here)) == 1 else "tie"


def in_short(causes: Collection[str]) -> str:
    """The causes for a line of a table."""
    return " | ".join(cause.split(" (proof")[0] for cause in causes)
