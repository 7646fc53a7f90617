"""The mirrors correspond to the reference: files, classes, parameters, shapes, named values and numbers."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import reference.networks
import torch_mirror.networks
from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.objective import Network, features
from reference.claim.slots import STEP
from reference.claim.slots import names as names_of
from reference.errors import InputError
from reference.losses import SquaredError
from reference.networks.attention import Attention
from reference.networks.char_rnn import CharRNN
from reference.networks.conv import Conv
from reference.networks.linear_regression import LinearRegression
from reference.networks.mlp import MLP
from reference.networks.two_layer_linear import TwoLayerLinear
from reference.networks.two_layer_relu import TwoLayerReLU
from reference.optimizers.sgd import SGD
from tests.conformance.networks import NETWORKS, Row
from tests.conformance.test_networks import names_biject_with_the_state_dict
from torch_mirror.by_name import class_of
from torch_mirror.doors.strategies import of_own_type
from torch_mirror.networks import HOME, mirror_of
from torch_mirror.networks import NETWORKS as TABLE
from torch_mirror.training.places import load

HIDDEN: tuple[Literal["identity", "relu", "sigmoid", "tanh"], ...] = ("identity", "relu", "sigmoid", "tanh")
OUTPUTS: tuple[Literal["identity", "sigmoid"], ...] = ("identity", "sigmoid")

ROWS: list[Row] = [
    *NETWORKS.values(),
    *(Row(TwoLayerLinear(3, 3, 3, bias)) for bias in (False, True)),
    Row(TwoLayerReLU(3, 3, 3)),
    Row(Conv(1)),
    Row(CharRNN(3, 3)),
    Row(Attention(3, 3, 3, 3)),
    *(
        Row(MLP(widths, activation, output, bias))
        for widths in ((4, 2), (3, 3, 2), (2, 5, 3, 1), (3, 3, 3, 3, 3))
        for activation in HIDDEN
        for output in OUTPUTS
        for bias in (False, True)
    ),
]

EACH_ROW = pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(row.network))


def widths() -> st.SearchStrategy[tuple[int, ...]]:
    """Two to five layers of one to six units."""
    return st.lists(st.integers(1, 6), min_size=2, max_size=5).map(tuple)


def perceptrons() -> st.SearchStrategy[MLP]:
    """MLPs of any widths, depth and options."""
    return st.builds(MLP, widths(), st.sampled_from(HIDDEN), st.sampled_from(OUTPUTS), st.booleans())


def whole_numbers(row: Row, seed: int) -> tuple[dict[str, Array], Array]:
    """Parameters by name, and five inputs, from small whole numbers: sums of them are exact in any order."""
    draws = np.random.default_rng(seed)
    values = {name: draws.integers(-4, 5, shape).astype(float) for name, shape in row.network.shapes().items()}
    x = row.x(row.network, draws, 5)
    return values, np.round(2 * x) if x.dtype.kind == "f" else x


def reference_forward(network: Any, values: dict[str, Array], x: Array) -> dict[str, Array]:
    """The named values of the reference's forward pass, in order."""
    sown: dict[str, Array] = {}

    def sow(name: str, value: Array, /) -> Array:
        sown[name] = value
        return value

    network.forward(of_own_type(network, values), features(network, x, sow), sow)
    return sown


def mirror_forward(network: Any, values: dict[str, Array], x: Array, names: dict[str, str]) -> dict[str, Array]:
    """The named values of the mirror's forward pass, in order."""
    sown: dict[str, Array] = {}

    def sow(name: str, value: torch.Tensor, /) -> torch.Tensor:
        sown[name] = value.detach().numpy()
        return value

    module = mirror_of(network).Module(network, torch.float64)
    load(module, names, values)
    inputs = torch.tensor(x)
    own = getattr(module, "features", None)
    module(inputs if own is None else own(inputs, sow), sow)
    return sown


def correspond(row: Row, names: dict[str, str], seed: int) -> bool:
    """True if both forward passes sow the same names, in the same order, with the same numbers.

    Up to the first sigmoid or tanh every number is a whole one, and equal to the last bit.
    """
    (values, x), network = whole_numbers(row, seed), row.network
    ours, torch_s = reference_forward(network, values, x), mirror_forward(network, values, x, names)
    if list(ours) != list(torch_s):
        return False
    for name, value in ours.items():
        if not np.array_equal(value, np.round(value)):
            return value.shape == torch_s[name].shape
        if not np.array_equal(value, torch_s[name]):
            return False
    return True


def classes(file: Path) -> set[str]:
    """Names of the classes that a file defines."""
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef)}


def files(package: Any) -> dict[str, Path]:
    return {file.name: file for file in Path(package.__path__[0]).glob("*.py") if file.stem != "__init__"}


@pytest.mark.parametrize("file", TABLE)
def test_the_classes_are_the_same(file: str) -> None:
    kind = class_of(HOME, file).__name__
    assert classes(files(torch_mirror.networks)[f"{file}.py"]) == {kind}
    assert classes(files(reference.networks)[f"{file}.py"]) == {kind, "Parameters", "Cache"}


@EACH_ROW
def test_the_named_values_correspond(row: Row) -> None:
    assert correspond(row, mirror_of(row.network).parameters(row.network), seed=1)


@given(perceptrons(), st.integers(0, 2**32))
@example(MLP((1, 1)), 0)
def test_perceptrons_of_any_shape_correspond(network: MLP, seed: int) -> None:
    assert correspond(Row(network), mirror_of(network).parameters(network), seed)
    names_biject_with_the_state_dict(Row(network), "float64")


@EACH_ROW
def test_what_a_step_sows_is_in_one_order(row: Row) -> None:
    """The reference's own list: forward names as the mirror has them, then the loss, then gradients."""
    network = row.network
    values, x = whole_numbers(row, 2)
    t = np.zeros((len(x), network.outputs))
    slots = Experiment(network, of_own_type(network, values), x, t, SquaredError(), SGD(0.5), 1).slots
    once, each = names_of(slots, "constant"), names_of(slots, *STEP)
    sown = list(mirror_forward(network, values, x, mirror_of(network).parameters(network)))
    assert [*once, *each[: each.index("loss")]] == sown
    assert all(slots[name].role == "gradient" for name in each[each.index("loss") + 1 :])


@pytest.mark.parametrize("network", [TwoLayerReLU(3, 3, 3), TwoLayerLinear(3, 3, 3), MLP((3, 3, 3))], ids=repr)
def test_swapped_layers_are_seen(network: Any) -> None:
    """The comparison can fail: layers of one shape, under each other's names."""
    names = mirror_of(network).parameters(network)
    swapped = names | {"W1": names["W2"], "W2": names["W1"]}
    assert not correspond(Row(network), swapped, seed=1)


def test_a_transposed_square_weight_is_seen() -> None:
    """The comparison can fail: a square weight, (in, out) instead of (out, in)."""
    network = LinearRegression(3, 3)
    values, x = whole_numbers(Row(network), 1)
    names = mirror_of(network).parameters(network)
    turned = values | {"W": np.ascontiguousarray(values["W"].T)}
    ours, torch_s = reference_forward(network, values, x), mirror_forward(network, turned, x, names)
    assert not np.array_equal(ours["y"], torch_s["y"])


def test_a_subclass_has_the_mirror_of_its_base() -> None:
    class Variant(TwoLayerReLU):
        pass

    assert mirror_of(Variant(4, 3, 2)).Module is mirror_of(TwoLayerReLU(4, 3, 2)).Module


def test_a_network_without_a_mirror_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"network: expected one that has a torch mirror \(Cubic, .*, got object"):
        mirror_of(cast("Network", object()))


def test_a_mirror_leaves_torch_s_random_generator_alone() -> None:
    before = torch.random.get_rng_state()
    for row in ROWS:
        mirror_of(row.network).Module(row.network, torch.float32)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("code", "loads"), [("import torch_mirror.networks", False), ("import torch_mirror.networks.mlp", True)]
)
def test_the_table_of_mirrors_does_not_load_torch(code: str, *, loads: bool) -> None:
    """Where there is none, the second case fails, which shows that the test can."""
    script = f"import sys; sys.modules['torch'] = None; {code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, "import of torch halted" in done.stderr) == (int(loads), loads)
