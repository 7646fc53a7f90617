"""Planted faults are refuted, at the tensor and the step where they are made; the same run without is certified.

The arbiter lays each at the door of the side that made it, NumPy's run or torch's (test_ruling.py has faults in the
equations themselves).

A fault is looked for on every draw that it applies to: one on which it changes its tensor, at its step, at
all (a missing 1/N changes no sum, a transposed weight must be square and not symmetric, a mask needs a
negative pre-activation). All of these draws must be refuted, not a share of them.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import reference
from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.traces.trace import Trace
from tests.judge.faults import KINK, REAL, STRUCTURAL, Fault, sow
from tests.judge.test_ruling import SEARCHED, ruling
from tests.unruled import unruled
from torch_mirror.doors import strategies
from torch_mirror.doors.certify import certify
from torch_mirror.doors.strategies import DTypeName
from torch_mirror.doors.verify import verify
from torch_mirror.judge.findings import Side
from torch_mirror.judge.verdict import Certificate


@pytest.fixture(autouse=True)
def _divergence_is_judged_not_warned_of() -> Iterator[None]:
    with np.errstate(over="ignore", invalid="ignore"):
        yield


def cases(*faults: Fault, odd: int) -> list[object]:
    """One a fault and dtype. Of two dtypes the one whose turn it is not is left to make thorough.

    odd: 0 or 1, whose turn it is first: what is planted in exact data and in real data takes turns the other way round.
    """
    return [
        pytest.param(
            fault, dtype, id=f"all of {fault.name}, {fault.network}.{fault.tensor}, {dtype}",
            marks=[pytest.mark.thorough] * (len(fault.dtypes) > 1 and (i + j + odd) % 2),
        )
        for i, fault in enumerate(faults)
        for j, dtype in enumerate(fault.dtypes)
    ]  # fmt: skip


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


def verdicts(fault: Fault, *, on_exact_data: bool) -> set[str]:
    """What may be said of a fault in torch; on exact data every wrong element may be at a kink of a ReLU."""
    if fault in KINK:
        return {"no derivative exists there"}
    if fault.tensor in ("y", "z1", "h"):
        return {"forwards differ"}
    at_kinks = on_exact_data and fault.tensor in ("dz1", "db")
    return {"the mirror strays"} | ({"no derivative exists there"} if at_kinks else set())


def assert_ruled_on(certificate: Certificate, fault: Fault, *, on_exact_data: bool) -> None:
    """A fault in torch is torch's, and where there is a derivative the reference has it."""
    r = ruling(certificate)
    assert r.verdict in verdicts(fault, on_exact_data=on_exact_data)
    assert ("float32" in r.note) is (fault.name == "hidden float32 cast")
    if r.derivative is not None:
        assert r.reference is not None
        assert abs(r.reference - r.derivative) <= np.spacing(abs(r.derivative))


def check(fault: Fault, experiment: Experiment, *, on_exact_data: bool) -> None:
    right = reference.train(experiment)
    wrong = reference.train(experiment, plant=sow(fault, experiment))
    before, after = at_step(fault, right), at_step(fault, wrong)
    assume(before is not None and after is not None and not np.array_equal(before, after))
    with unruled() if on_exact_data else nullcontext():
        of_numpy = certify(experiment, wrong, "numpy")
    assert_located(of_numpy, fault, "numpy")
    if not on_exact_data:
        r = ruling(of_numpy)  # of its own trace against its own equations
        assert (r.verdict, r.mirror) == ("the reference strays", None)
    of_torch = verify(experiment, using=fault.using)
    assert_located(of_torch, fault, "torch")
    assert_ruled_on(of_torch, fault, on_exact_data=on_exact_data)
    honest = verify(experiment)
    assert honest.verdict == ("vacuous" if honest.idle else "certified")


@pytest.mark.parametrize(("fault", "dtype"), cases(*STRUCTURAL, *KINK, odd=0))
@given(data=st.data())
@SEARCHED
def test_faults_on_exact_data_are_located(fault: Fault, dtype: DTypeName, data: st.DataObject) -> None:
    plain = strategies.plain_sgds(rates=strategies.EXACT_RATES)
    e = data.draw(strategies.exact_experiments(names=[fault.network], dtypes=[dtype], optimizers=plain))
    check(fault, e, on_exact_data=True)


@pytest.mark.parametrize(("fault", "dtype"), cases(*STRUCTURAL, *REAL, odd=1))
@given(data=st.data())
@SEARCHED
def test_faults_on_real_data_are_located(fault: Fault, dtype: DTypeName, data: st.DataObject) -> None:
    check(fault, data.draw(real_experiments(fault, dtype)), on_exact_data=False)
