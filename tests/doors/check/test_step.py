"""How many steps an update is checked over."""

from typing import Any

import numpy as np
import pytest

from reference import SGD
from reference.errors import InputError
from torch_mirror import check_step


@pytest.mark.parametrize("steps", [0, -1, 2.5, 2.0, "2", None])
def test_steps_are_a_whole_number_from_1_on(steps: Any) -> None:
    with pytest.raises(InputError, match="steps: expected a whole number from 1 on, got "):
        check_step(lambda p, g: p - 0.1 * g, SGD(0.1), np.ones(2), np.ones(2), steps=steps)
