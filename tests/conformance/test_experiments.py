"""The set-ups by name, a few steps of each: certified in both precisions, and refuted with a fault."""

from dataclasses import replace

import pytest

from reference import experiments
from reference.claim.slots import names, parameter_gradients
from reference.claim.tree import named
from tests.conformance import planted
from tests.conformance.cases import DTYPES, DTypeName
from tests.unruled import unruled
from torch_mirror.doors.verify import verify

BESIDE_THE_DOCUMENTS = ["digits-softmax", "conv-digits", "char-rnn", "attention"]
STEPS = 3


@pytest.mark.parametrize("dtype", [DTYPES[0], pytest.param(DTYPES[1], marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", experiments.names())
def test_an_experiment_is_certified(name: str, dtype: DTypeName) -> None:
    e = replace(experiments.load(name, dtype), steps=STEPS)
    judged = verify(e)
    assert (judged.verdict, judged.refutations) == ("certified", ())
    local = {r.tensor for r in judged.rows if (r.check, r.side) == ("local", "torch") and r.comparisons == STEPS}
    assert {"loss", *parameter_gradients(e.slots), *names(e.slots, "parameter", "state")} <= local


@pytest.mark.parametrize("name", BESIDE_THE_DOCUMENTS)
def test_a_factor_in_its_last_gradient_is_refuted(name: str) -> None:
    """The one that the backward pass comes to last: of the first weights."""
    e = experiments.load(name)
    e = replace(e, x=e.x[:64], t=e.t[:64], steps=2)
    last = names(e.slots, "gradient")[-1]
    of = e.slots[last].of
    assert of in named(e.parameters)
    with unruled():
        first = verify(e, using=planted.hooked(str(of), step=1)).first
    assert first is not None
    assert (first.tensor, first.step, first.side, first.check) == (last, 1, "torch", "local")
