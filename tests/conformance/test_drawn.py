"""Any loss and optimizer of the strategies, on any network that it fits: correct code is certified."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torch_mirror.doors import claims, strategies
from torch_mirror.doors.ensembles import verify_ensemble
from torch_mirror.doors.verify import verify
from torch_mirror.judge.verdict import Certificate


@pytest.fixture(autouse=True)
def _divergence_is_judged_not_warned_of() -> Iterator[None]:
    with np.errstate(over="ignore", invalid="ignore"):
        yield


def judge_all(claimed: st.SearchStrategy[Any], judge: Callable[[Any], Certificate]) -> Counter[str]:
    """Verdicts by frequency; the first refutation fails. A draw may be vacuous: a dead ReLU, an eps of 0 / 0."""
    verdicts: Counter[str] = Counter()

    @given(claimed)
    @settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
    def each(claim: Any) -> None:
        certificate = judge(claim)
        assert certificate.refutations == ()
        verdicts[certificate.verdict] += 1

    each()
    return verdicts


def test_any_run_is_certified() -> None:
    runs = strategies.experiments(losses=claims.losses(), optimizers=claims.optimizers())
    verdicts = judge_all(runs, verify)
    assert verdicts["certified"] > verdicts["vacuous"] / 3


def test_any_ensemble_is_certified() -> None:
    runs = strategies.ensembles(losses=claims.losses(), optimizers=claims.optimizers(clipped=False), members=(1, 3))
    verdicts = judge_all(runs, verify_ensemble)
    assert verdicts["certified"] > verdicts["vacuous"] / 3
