"""What every run of pytest inside of pytest needs."""

from dataclasses import replace

import numpy as np
import pytest

import torch_mirror
from reference import SGD, experiments


@pytest.fixture(scope="module", autouse=True)
def _all_is_loaded() -> None:
    """pytester takes from ``sys.modules`` what a run of pytest was first to import; torch bears no second time."""
    e = replace(experiments.load("two-layer-linear"), steps=1)
    assert torch_mirror.verify(e).verdict == "certified"
    w = {"w": np.ones((2, 2))}
    assert torch_mirror.check_step(lambda p, g: {"w": p["w"] - 0.5 * g["w"]}, SGD(0.5), w, w, steps=2).certified
    assert torch_mirror.check_layer(lambda x: (x * x, x), lambda dy, x: 2 * x * dy, np.ones(3)).certified
    assert callable(torch_mirror.parametrize)
