"""What a user's function may return, what parameters are called, and which sizes a factor may be."""

from typing import Any

import numpy as np
import pytest

from reference.errors import InputError
from torch_mirror.doors.check.claimed import claim_of, sizes_of, spoken

W = np.ones((3, 2))


@pytest.mark.parametrize(
    ("result", "came"),
    [((1.0, W, W), "3 values"), ((1.0,), "1 values"), ([1.0, W], "list"), (1.0, "float"), ({"W": W}, "dict"),
     (({"W": W}, 1.0), r"\(dict, float\): turn the two round")],
)  # fmt: skip
def test_a_function_returns_a_loss_and_gradients_and_nothing_else(result: Any, came: str) -> None:
    run = claim_of(lambda _: result, W, ()).run
    with pytest.raises(InputError, match=rf"the function: expected to return \(loss, gradients\), got {came}"):
        run(W)


@pytest.mark.parametrize(
    ("name", "called"),
    [("p", "w"), ("0.1", "w[0][1]"), ("W1", "W1"), ("layers.0.W", "layers[0].W"), ("layers.W", "layers.W")],
)
def test_a_parameter_is_called_as_code_has_it(name: str, called: str) -> None:
    assert spoken(name, "w") == called


def sizes(*data: Any, p: Any = W) -> dict[str, float]:
    def mine(p: Any, x: Any, t: Any = None, rate: Any = None) -> Any:  # noqa: ARG001 - their names are asked for
        return 0.0, p

    return sizes_of(claim_of(mine, p, data))


def test_the_batch_is_the_one_length_that_all_arrays_among_the_data_have() -> None:
    x, t = np.ones((7, 2)), np.ones((7, 4))
    assert sizes(x, t) == {"N": 7, "x.shape[1]": 2, "t.shape[1]": 4, "p.shape[0]": 3, "p.shape[1]": 2}
    assert "N" not in sizes(x)                                # one array has no length of its own
    assert "N" not in sizes(x, np.ones((7, 2)))               # two lengths are shared
    assert "N" not in sizes(x, np.ones((5, 4)))               # none is
    assert sizes(np.ones((7, 1)), t) == {"N": 7, "t.shape[1]": 4, "p.shape[0]": 3, "p.shape[1]": 2}


def test_a_plain_float_is_a_size_unless_it_needs_no_name() -> None:
    x, t = np.ones((7, 2)), np.ones((7, 4))
    assert sizes(x, t, 0.3)["rate"] == 0.3
    assert sizes(x, t, np.float32(-3.0))["rate"] == -3.0
    assert all("rate" not in sizes(x, t, c) for c in (0.5, -1.0, 2.0, 3))
