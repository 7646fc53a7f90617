"""Planted faults are refuted, at the tensor and the step where they are made; the same run without is certified.

A fault is looked for on every draw that it applies to: one on which it changes its tensor, at its step, at
all (a missing 1/N changes no sum, a transposed weight must be square and not symmetric, a mask needs a
negative pre-activation). All of these draws must be refuted, not a share of them.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import reference
from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.traces.trace import Trace
from tests.judge.faults import KINK, REAL, STRUCTURAL, Fault, sow
from tests.unruled import unruled
from torch_mirror.doors import strategies
from torch_mirror.doors.certify import certify
from torch_mirror.doors.strategies import DTypeName
from torch_mirror.doors.verify import verify
from torch_mirror.judge.findings import Side
from torch_mirror.judge.verdict import Certificate

# A fault applies to some draws only, which may take a search. Each draw is trained five times: an eighth as many do.
SEARCHED = settings(
    max_examples=settings().max_examples // 8 + 1,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def _divergence_is_judged_not_warned_of() -> Iterator[None]:
    with np.errstate(over="ignore", invalid="ignore"):
        yield


def cases(*faults: Fault) -> list[object]:
    """One a fault and dtype."""
    return [
        pytest.param(fault, dtype, id=f"all of {fault.name}, {fault.network}.{fault.tensor}, {dtype}")
        for fault in faults
        for dtype in fault.dtypes
    ]


def real_experiments(fault: Fault, dtype: DTypeName) -> st.SearchStrategy[Experiment]:
    """Experiments in which every number has all its bits in use, and the fault's step is not the last."""
    return strategies.experiments(
        networks=strategies.NETWORKS[fault.network],
        dtypes=[dtype],
        kinds=["normal"],
        optimizers=strategies.plain_sgds(),
        batches=st.none(),
        scheduled=st.just(False),
        steps=st.just(fault.step + 2),
    )


def at_step(fault: Fault, trace: Trace) -> Array | None:
    """The fault's tensor where it is wrong first; a parameter's step is the one that made it."""
    if fault.tensor in trace.parameters:
        return trace.parameters[fault.tensor][fault.step + 1]
    return trace.tensors[fault.tensor][fault.step] if fault.tensor in trace.tensors else None


def assert_located(certificate: Certificate, fault: Fault, side: Side) -> None:
    assert certificate.verdict == "refuted"
    first = certificate.first
    assert first is not None
    assert (first.tensor, first.step, first.side, first.check) == (fault.tensor, fault.step, side, "local")


def check(fault: Fault, experiment: Experiment) -> None:
    right = reference.train(experiment)
    wrong = reference.train(experiment, plant=sow(fault, experiment))
    before, after = at_step(fault, right), at_step(fault, wrong)
    assume(before is not None and after is not None and not np.array_equal(before, after))
    with unruled():
        assert_located(certify(experiment, wrong, "numpy"), fault, "numpy")
        assert_located(verify(experiment, using=fault.using), fault, "torch")
    honest = verify(experiment)
    assert honest.verdict == ("vacuous" if honest.idle else "certified")


@pytest.mark.parametrize(("fault", "dtype"), cases(*STRUCTURAL, *KINK))
@given(data=st.data())
@SEARCHED
def test_faults_on_exact_data_are_located(fault: Fault, dtype: DTypeName, data: st.DataObject) -> None:
    plain = strategies.plain_sgds(rates=strategies.EXACT_RATES)
    check(fault, data.draw(strategies.exact_experiments(names=[fault.network], dtypes=[dtype], optimizers=plain)))


@pytest.mark.parametrize(("fault", "dtype"), cases(*STRUCTURAL, *REAL))
@given(data=st.data())
@SEARCHED
def test_faults_on_real_data_are_located(fault: Fault, dtype: DTypeName, data: st.DataObject) -> None:
    check(fault, data.draw(real_experiments(fault, dtype)))
