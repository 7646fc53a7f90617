"""Where a cause is asked for."""

from types import SimpleNamespace
from typing import Any

import pytest

from torch_mirror.doors.selftest import mirror


@pytest.mark.parametrize(
    ("found", "causes", "goes_on", "named"),
    [((), True, True, "unnamed"), ((), True, False, "not asked"), ((), False, True, "not asked"),
     ((), False, False, "not asked"), (("a factor 2",), True, True, "named"), (("a factor 2",), False, False, "named")],
)  # fmt: skip
def test_no_cause_is_missed_where_none_is_to_be_told_or_no_gradient_is_another(
    found: tuple[str, ...], named: str, monkeypatch: pytest.MonkeyPatch, *, causes: bool, goes_on: bool
) -> None:
    def nothing(*_: Any, **__: Any) -> None: ...

    for name in ("train", "planted_in", "planting"):
        monkeypatch.setattr(mirror, name, nothing)
    monkeypatch.setattr(mirror, "causes_of_gradients", lambda *_: SimpleNamespace(causes=found))
    monkeypatch.setattr(mirror, "_goes_on", lambda *_: goes_on)
    monkeypatch.setattr(mirror, "graded", lambda own, _: "named" if own else "unnamed")
    none: Any = None
    wrong: Any = SimpleNamespace(causes=causes, steps=1)
    using: Any = nothing
    assert mirror._named(none, wrong, none, using)[0] == named
