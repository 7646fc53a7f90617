"""Which run a command's words mean."""

from typing import Any

import numpy as np
import pytest

from reference import experiments
from reference.claim.tree import named
from reference.errors import InputError
from torch_mirror.doors.commands.wanted import Wanted, name_map, run_of


def start_of(seed: int | None) -> dict[str, Any]:
    """The parameters of an experiment that draws them by the seed."""
    return named(run_of("two-layer-relu", Wanted(None, None, seed)).experiment.parameters)


def test_without_a_seed_it_is_0_and_every_run_is_the_same() -> None:
    for name, a in named(experiments.load("two-layer-relu", seed=0).parameters).items():
        assert np.array_equal(start_of(None)[name], a)
        assert np.array_equal(start_of(0)[name], a)
        assert not np.array_equal(start_of(1)[name], a)


def test_steps_and_precision_are_those_that_are_asked_for() -> None:
    given = experiments.load("two-layer-relu", seed=0)
    plain, asked = (run_of("two-layer-relu", w).experiment for w in (Wanted(None, None, None), Wanted("float32", 7, 0)))
    assert (plain.steps, plain.dtype) == (given.steps, given.dtype)
    assert (asked.steps, asked.dtype) == (7, np.dtype(np.float32))


def test_a_file_of_the_user_s_takes_no_seed_not_even_0() -> None:
    with pytest.raises(InputError, match=r"--seed: expected no seed with mine\.py:e"):
        run_of("mine.py:e", Wanted(None, None, 0))


def test_a_map_has_each_name_once() -> None:
    assert name_map(["W1=layer1.kernel.T", "b1=a=b"]) == {"W1": "layer1.kernel.T", "b1": "a=b"}
    for texts in (["W1"], ["=a"], ["W1="], ["W1=a", "W1=b"]):
        with pytest.raises(InputError, match="--map"):
            name_map(texts)
