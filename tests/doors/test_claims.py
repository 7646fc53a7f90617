"""Any loss and optimizer that is drawn is one that torch has, and torch's numbers lie within its radius."""

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import reference.losses
from tests.conformance.losses import Data, balls, data, inside, row_of
from tests.conformance.losses import of_torch as loss_of_torch
from tests.reference.optimizers.trajectories import STEPS, P, judged, of_torch
from torch_mirror.doors import claims
from torch_mirror.losses import criterion_of

SEEDS = st.integers(0, 2**32 - 1)
DTYPES = st.sampled_from(("float32", "float64"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # one rule serves all examples
@given(claims.losses(), DTYPES, st.booleans(), SEEDS, st.tuples(st.integers(1, 9), st.integers(1, 6)))
def test_any_loss_is_torchs(loss: Any, dtype: str, labels: bool, seed: int, shape: tuple[int, ...]) -> None:  # noqa: FBT001 - hypothesis passes it by position
    y, t = data(row_of(loss), seed, dtype, shape, kind=0 if labels else 1)
    assert loss.checked(t, y.shape) == loss
    for seen, ball in zip(loss_of_torch(criterion_of(loss), Data(y, t)), balls(loss, Data(y, t)), strict=True):
        assert inside(seen, ball)


@settings(max_examples=15)  # of 20 steps each
@given(claims.optimizers(P._fields, steps=STEPS), DTYPES, SEEDS)
def test_any_optimizer_is_torchs(optimizer: Any, dtype: str, seed: int) -> None:
    assert optimizer.checked(STEPS) == optimizer
    for step in of_torch(optimizer, dtype, seed):
        assert not judged(optimizer, step).outside


def test_every_loss_and_kind_of_optimizer_is_drawn() -> None:
    drawn: list[str] = []

    @settings(derandomize=True, max_examples=200, phases=[Phase.generate])
    @given(claims.losses(), claims.optimizers(P._fields, steps=2))
    def note(loss: Any, optimizer: Any) -> None:
        drawn.extend((str(loss), str(optimizer)))

    note()
    words = [f"{name}(" for name in (*reference.losses.__all__, "Adam", "RMSprop", "Adagrad", "Groups")]
    for word in (*words, "ClippedByNorm(optimizer=Groups(", "ClippedByValue(", "decoupled=True", "centered=True"):
        assert any(word in text for text in drawn), word
