"""The edits that only an optimizer's step allows: of its settings, its corrections, and of the order of its steps."""

from collections.abc import Iterator

from torch_mirror.tape.edits.case import Case
from torch_mirror.tape.edits.edit import Edit


def of_update(case: Case) -> Iterator[Edit]:
    """Of the whole equation; none for a gradient."""
    yield from ()
