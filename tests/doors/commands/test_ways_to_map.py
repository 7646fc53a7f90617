"""The way out where a name of a run's file is another one than ours."""

import pytest

from reference.errors import UnknownNameError
from torch_mirror.doors.commands.traces import _ways_to_map
from torch_mirror.doors.console import BadInput


@pytest.mark.parametrize(("known", "way"), [(["W1", "b1"], "--map W1=kernel"), ([], "--map OURS=kernel")])
def test_a_name_that_is_unknown_may_be_mapped_to_one_of_ours_if_there_is_one(known: list[str], way: str) -> None:
    with pytest.raises(BadInput, match=f"{way} says that it is "), _ways_to_map():
        raise UnknownNameError("tensor of the trace:", "kernel", known)


def test_of_another_name_nothing_is_said() -> None:
    with pytest.raises(UnknownNameError), _ways_to_map():
        raise UnknownNameError("experiment", "kernel", [])
