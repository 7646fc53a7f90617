"""How long causes are sought: no longer than is asked, in the user's scale and in that of the derivatives."""

from typing import Any

import pytest

from torch_mirror.tape import causes
from torch_mirror.tape.causes import Asked, Mistake, Reasons, reasons


@pytest.mark.parametrize(
    ("share", "found", "took", "given"),
    [
        (2.0, ((), ()), (1.0, 1.0), [(2.0, 4.0), (1.0, 7.0)]), (2.0, ((), ()), (7.0, 3.0), [(2.0, 4.0), (1.0, 1.0)]),
        (2.0, ((), ()), (9.0, 0.0), [(2.0, 4.0), (1.0, 0.0)]), (2.0, (("a factor 2",), ()), (1.0, 1.0), [(2.0, 4.0)]),
        (1.0, ((), ()), (1.0, 1.0), [(1.0, 8.0)]),
    ],
)  # fmt: skip
def test_each_scale_has_its_part_of_what_is_left_and_the_second_is_asked_where_the_first_has_none(
    share: float, found: Any, took: Any, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, float]] = []

    def of(_: Any, mistake: Mistake, asked: Asked) -> Reasons:
        seen.append((mistake.share, asked.seconds))
        return Reasons(found[len(seen) - 1], "", took[len(seen) - 1])

    monkeypatch.setattr(causes, "_reasons", of)
    monkeypatch.setattr(causes, "counted", lambda _: {})
    scene: Any = None
    told = reasons(scene, Mistake(("W",), (), {}, share), Asked({}, str, lambda: "", 8.0))
    assert seen == given
    assert told.seconds == sum(took[: len(given)])
    assert told.causes == found[len(given) - 1]
