"""The factor of a value: by the place that it is to stand for, or by what it is the derivative by."""

from types import SimpleNamespace
from typing import Any

import pytest

from torch_mirror.tape import addends


@pytest.mark.parametrize(
    ("by_place", "by_match", "factor"), [(2.0, 3.0, 2.0), (2.0, None, 2.0), (None, 3.0, 3.0), (None, None, None)]
)
def test_the_place_s_own_factor_goes_first(
    by_place: float | None, by_match: float | None, factor: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    match = None if by_match is None else SimpleNamespace(factor=by_match)
    monkeypatch.setattr(addends, "_factor", lambda *_: by_place)
    monkeypatch.setattr(addends, "match_of", lambda *_: match)
    view: Any = None
    assert addends._factor_of(view, 1, 2) == factor
