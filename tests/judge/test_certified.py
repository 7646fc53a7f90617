"""Correct code is certified: gradients, free runs, NumPy's own trace, whatever network, dtype, data and loss."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import reference
import torch_mirror
from reference.claim.experiment import Experiment
from reference.optimizers.sgd import SGD
from tests.conformance.traces import assert_equal
from torch_mirror.doors import strategies
from torch_mirror.doors.certify import certify
from torch_mirror.doors.verify import verify
from torch_mirror.judge.verdict import Certificate

each_network = pytest.mark.parametrize("network", strategies.EXACT)


@pytest.fixture(autouse=True)
def _divergence_is_judged_not_warned_of() -> Iterator[None]:
    with np.errstate(over="ignore", invalid="ignore"):
        yield


def judge_all(experiments: st.SearchStrategy[Experiment], judge: Callable[[Experiment], Certificate]) -> Counter[str]:
    """Verdicts by frequency; the first refutation fails.

    A draw may honestly be vacuous: a dead ReLU, all errors 0, overflow. Whoever calls this says how many may be:
    one in five is, as a rule, but hypothesis makes more of what it has drawn, and 12 of 25 have been seen.
    """
    verdicts: Counter[str] = Counter()

    @given(experiments)
    def each(experiment: Experiment) -> None:
        certificate = judge(experiment)
        assert certificate.refutations == ()
        verdicts[certificate.verdict] += 1

    each()
    return verdicts


@each_network
def test_free_runs_are_certified(network: str) -> None:
    """Of one step, too: torch's weights are NumPy's, so what is judged end to end is the one against the other."""
    runs = strategies.experiments(networks=strategies.NETWORKS[network], steps=st.integers(1, 12))
    verdicts = judge_all(runs, verify)
    assert verdicts["certified"] > verdicts["vacuous"] / 3


@each_network
def test_numpys_own_trace_is_certified(network: str) -> None:
    runs = strategies.experiments(networks=strategies.NETWORKS[network])
    verdicts = judge_all(runs, lambda experiment: certify(experiment, reference.train(experiment), "numpy"))
    assert verdicts["certified"] > verdicts["vacuous"] / 3


@each_network
@given(data=st.data())
def test_where_nothing_rounds_all_bits_are_equal(network: str, data: st.DataObject) -> None:
    experiment = data.draw(strategies.exact_experiments(names=[network]))
    numpy, torch = reference.train(experiment), torch_mirror.train(experiment)
    assert_equal(numpy, torch)
    certificate = verify(experiment)
    assert certificate.verdict == ("vacuous" if certificate.idle else "certified")
    assert certificate.worst is None  # not even within a radius: there is none
    assert certificate.end_distance == 0


@each_network
@given(data=st.data())
def test_overflow_is_vacuous(network: str, data: st.DataObject) -> None:
    # a mini-batch might see none but the targets that are 0
    two_steps = strategies.experiments(networks=strategies.NETWORKS[network], steps=st.just(2), batches=st.none())
    experiment = data.draw(two_steps)
    assume(experiment.t.any())
    # finite numbers, the squares of which are not
    huge = replace(experiment, t=experiment.t * (np.finfo(experiment.dtype).max / 16), optimizer=SGD(1.0))
    certificate = verify(huge)
    assert certificate.refutations == ()
    assert certificate.vacuous
    assert certificate.verdict == "vacuous"
