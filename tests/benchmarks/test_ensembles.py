"""Networks verified in a second: ensembles against the obvious property test, both inside hypothesis."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from reference.claim.ensemble import Ensemble
from reference.networks.mlp import MLP
from tests.benchmarks import obvious
from tests.benchmarks.conftest import SideBySide
from torch_mirror.doors import strategies
from torch_mirror.doors.ensembles import verify_ensemble

RATE = 0.01
EXAMPLES = 40  # of either


def networks_of(examples: st.SearchStrategy[Any], check: Callable[[Any], int], count: int) -> int:
    """The number of networks that a property test of so many examples verifies."""
    verified = 0

    @seed(0)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(examples)
    def each(example: Any) -> None:
        nonlocal verified
        verified += check(example)

    each()
    return verified


def ensembles(steps: int, members: Sequence[int]) -> st.SearchStrategy[Ensemble]:
    """The same shapes, loss and learning rate as the obvious test's, and the data that ensembles have."""
    return strategies.ensembles(
        members=members,
        networks=st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 4)).map(MLP),
        dtypes=["float64"],
        losses=st.just(obvious.LOSS),
        optimizers=strategies.plain_sgds(rates=[RATE]),
        samples=range(1, 17),
        batches=st.none(),
        scheduled=st.just(False),
        steps=st.just(steps),
    )


def verified(ensemble: Ensemble) -> int:
    assert verify_ensemble(ensemble).refutations == ()
    return ensemble.members


def obvious_gradients(problem: Any) -> int:
    network, p, x, t = problem
    obvious.check_gradients(network, p, x, t)
    return 1


def obvious_trajectory(problem: Any) -> int:
    network, p, x, t = problem
    obvious.check_trajectory(network, p, x, t, RATE, 20)
    return 1


# steps, how many networks at once, the obvious test, asked
CASES = {
    "gradients": (1, (1, 1024, 2048, 4096), obvious_gradients, 1 / 150),
    "trajectory of 20 steps": (20, (1, 1024, 2048), obvious_trajectory, 1 / 40),
}


@pytest.mark.benchmark(group="networks verified")
@pytest.mark.parametrize("case", CASES)
def test_time_a_network(case: str, side_by_side: SideBySide) -> None:
    steps, members, check, asked = CASES[case]
    examples, members = (EXAMPLES, members) if side_by_side.timing else (3, (1, 64))
    side_by_side(
        lambda: networks_of(ensembles(steps, members), verified, examples),
        lambda: networks_of(obvious.problems(), check, examples),
        asked=asked,
        rounds=3,
        each=True,
    )
