"""The verdict on drawn mistakes agrees with central differences: no wrong gradient passes, no right one is refuted.

A central difference of step h = 1e-5 is off by about h^2 = 1e-10 and by u / h = 1e-11 of what these losses are made
of. So what is nearer than 1e-6 is taken for right, and what is further than 1e-4 for wrong; in between nothing is said.
"""

import random

import numpy as np
import pytest

from reference.errors import InputError
from tests.doors.mutants import distance, mutant
from tests.doors.of_the_field import NETWORKS
from tests.sample import THOROUGH
from tests.unruled import unexplained
from torch_mirror import check

DRAWN = 6 if THOROUGH else 4
"""Mistakes of each network; of one that takes a second each half as many in make test."""
SLOW = "per_sample"


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "lstm"])  # whose causes take a second each
def test_the_verdict_agrees_with_central_differences(name: str) -> None:
    module, make = NETWORKS[name]
    draw = random.Random(name)  # noqa: S311 - no secret
    judged, wrong, drawn = 0, 0, DRAWN if THOROUGH or name != SLOW else DRAWN // 2
    while judged < drawn:
        draws = np.random.default_rng(judged)
        p, data = module.init(draws), make(draws)
        try:
            with np.errstate(all="ignore"):
                changed, said = mutant(module, draw)
                far = distance(changed.loss, p, data)
        except Exception:  # noqa: BLE001, S112 - a mistake that does not run is none of ours
            continue
        try:
            with unexplained(0.05):  # of a drawn mistake the search need not end, and it must not raise
                result = check(changed.loss, p, *data)
        except InputError as error:
            assert "does not depend" in str(error) or "one number" in str(error), said  # noqa: PT017 - others are wrong
            continue
        judged += 1
        wrong += far > 1e-4
        assert len(str(result).splitlines()) <= 20
        if not np.isfinite(far) or far > 1e-4:
            assert result.verdict == "refuted", f"{said}: {far}\n{result}"
        elif far < 1e-6:
            assert result.verdict == "certified", f"{said}: {far}\n{result}"
    assert wrong
