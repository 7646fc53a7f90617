"""verify against a bare torch loop, of networks of the size that people use: time, and the most memory."""

import subprocess
import sys
from dataclasses import replace

import pytest

from reference import experiments
from tests.benchmarks.conftest import SideBySide
from tests.benchmarks.large import SIZES, bare, classifier, most_memory, without_sow
from torch_mirror import verify
from torch_mirror.training.session import session

FEW = 3
"""Steps of a run when nothing is timed."""

# asked, aim (None: there is none), rounds
VERIFIED = {
    "784-128-64-10": (6, 4.5, 7),
    "784-128-64-10, without sow": (6.7, 5, 7),
    "1000-1024-1024-10": (9, 7, 5),
    "21 million": (15, 10, 3),
    "batch 4096": (8, None, 5),
    "17 layers of 32": (6, None, 5),
}

each_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


@pytest.mark.benchmark(group="verify, large")
@each_dtype
@pytest.mark.parametrize("case", VERIFIED)
def test_verify(case: str, dtype: str, side_by_side: SideBySide) -> None:
    asked, aim, rounds = VERIFIED[case]
    name, _, sows = case.partition(", ")
    e = classifier(SIZES["whole" if side_by_side.timing else "small"][name], dtype)
    using = without_sow if sows else session
    side_by_side(
        lambda: verify(e, using=using, explain=False), lambda: bare(e, using), asked=asked, aim=aim, rounds=rounds
    )
    certificate = verify(replace(e, steps=1), using=using)
    assert certificate.verdict == "certified"
    assert any(row.tensor == "z1" and row.side == "torch" for row in certificate.rows) == (not sows)


@pytest.mark.benchmark(group="verify, large")
@each_dtype
def test_many_steps_of_a_small_one(dtype: str, side_by_side: SideBySide) -> None:
    """Document 001's 3-5-1, for 1e5 steps."""
    e = replace(experiments.load("mlp-relu", dtype), steps=100_000 if side_by_side.timing else FEW)
    side_by_side(lambda: verify(e), lambda: bare(e), asked=1.8, rounds=1, warmup=0)
    assert verify(replace(e, steps=FEW)).verdict == "certified"


# MB above those of the bare loop
MEMORY, MEMORY_AIM = 1536, 1024


@pytest.mark.benchmark(group="memory")
@each_dtype
def test_memory(dtype: str, side_by_side: SideBySide) -> None:
    """The most that a run of 21 million parameters ever has, in MB, above the bare loop's; each in its own process."""

    def most(run: str) -> float:
        if not side_by_side.timing:
            return most_memory("21 million", dtype, run, "small")
        command = [sys.executable, "-m", "tests.benchmarks.large", "21 million", dtype, run, "whole"]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    side_by_side.figure(lambda: most("verify") - most("bare"), "MB", asked=MEMORY, aim=MEMORY_AIM)
