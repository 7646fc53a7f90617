"""Threads, hypothesis profiles, and how often garbage is looked for; nothing else is shared by way of this file.

Profiles: ``default`` (other examples every time), ``ci`` (as many, the same every time; chosen where CI is set),
``thorough`` (make thorough) and ``night``. HYPOTHESIS_PROFILE or ``--hypothesis-profile`` chooses another.
"""

import gc
import os
import sys

from torch_mirror.training.threads import VARIABLES

if not any(variable in os.environ for variable in VARIABLES):
    os.environ |= dict.fromkeys(VARIABLES, "1")  # before NumPy and torch load, hence above the other imports

import pytest
from hypothesis import HealthCheck, settings

if "tests.without_torch" not in sys.modules:
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))

from torch_mirror.judge import referee
from torch_mirror.tape import causes, recomputed

causes.BUDGET = recomputed.SECONDS = 10.0  # of the processor: what is found must not depend on how fast that is
referee.SECONDS = 100.0  # of the clock, nor on what else it does

# No deadline and no complaint about slowness: machines differ, and speed is measured in tests/benchmarks.
settings.register_profile(
    "default",
    settings.get_profile("default"),
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, database=None, print_blob=True)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=25)
settings.register_profile("night", settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))


def pytest_configure(config: pytest.Config) -> None:
    """Look for garbage less often, but where speed is measured.

    Torch and thousands of tests are a million objects that never go: to look through them again and again takes a
    seventh of all the time. They are not frozen, as the product looks for functions among them (selftest/source.py).
    """
    if not config.getoption("benchmark_enable"):
        gc.set_threshold(200_000, 20, 20)
