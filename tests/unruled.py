"""Verdicts alone, for tests that ask what is refuted and where, and nothing of the cause.

Rulings and causes are looked for when the verdict stands, and cannot change it: a ruling evaluates the network once
more, in fractions or by Arb, and a search for causes tries thousands of edits, which takes ten times as long as the
verdict. What they say is asked in tests/judge/test_ruling.py, tests/doors/test_check_causes.py and their neighbours.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from torch_mirror.doors import certify as certifying
from torch_mirror.doors import verify as verifying
from torch_mirror.judge import ruling
from torch_mirror.judge.findings import Finding
from torch_mirror.judge.verdict import Ruling
from torch_mirror.tape import causes


@contextmanager
def unruled() -> Iterator[None]:
    """Within the block a certificate's ruling, where it has one, is that it was not asked for."""

    def none(_experiment: Any, _trace: Any, finding: Finding) -> Ruling:
        return Ruling("no ruling", finding.tensor, finding.step, finding.index, note="not asked for")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ruling, "rule_on", none)
        yield


@contextmanager
def rulings_alone() -> Iterator[None]:
    """Within the block no certificate says why; its ruling stands."""

    def nothing(*_: Any) -> tuple[str, ...]:
        return ()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying, "why", nothing)
        patch.setattr(certifying, "why", nothing)
        yield


@contextmanager
def unexplained(seconds: float = 0.0) -> Iterator[None]:
    """Within the block the time for the causes of a check is up at once, or after so many seconds of the processor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(causes, "BUDGET", seconds)
        yield
