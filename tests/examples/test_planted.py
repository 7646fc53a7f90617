"""Each example with one mistake, as people make them: found, told by its line, and named.

The adapters are the functions ``loss`` at the end of each example: eight lines at most.
"""

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

import reference
from tests.doors.of_the_field import NETWORKS, claim
from tests.doors.planting import line_of, planted
from tests.examples import adam, batch_norm, notebook, state_dict, transformer, updates_itself
from torch_mirror import Checked, check, check_forward, check_step


class Mistake(NamedTuple):
    example: str
    right: str
    wrong: str
    tensor: str
    cause: str  # part of it


MISTAKES = [
    Mistake("dicts", '2 * REG * p["W1"]', 'REG * p["W1"]', "dW1", "a factor 1/2"),
    Mistake("pairs", "1 - activations[i] ** 2", "1 - activations[i]", "gradients[1][0]", "the square left out"),
    Mistake("columns", "np.dot(dZ1, X.T) / m", "np.dot(dZ1, X.T)", "dW1", "N the batch"),
    Mistake("layer_objects", "grad, 0.125 * grad", "grad, 0.25 * grad", "gradients[0]", "a factor 2"),
    Mistake("per_sample", "delta) * sp", "delta)", "dw[0]", "left out"),
    Mistake("two_layer_class", "np.sum(dscores, axis=0)", "np.mean(dscores, axis=0)", "db2", "mean for sum"),
    Mistake("char_rnn_globals", "(1 - hs[t] * hs[t]) * dh", "(1 - hs[t]) * dh", "dWxh", "the square left out"),
    Mistake("convolution", "dz1 = da1 * (z1 > 0)", "dz1 = da1 * (z1 < 0)", "dK1", "mask"),
    Mistake("lstm", "dg * (1 - g**2)", "dg * (1 - g)", "dW", "the square left out"),
    Mistake("batch_norm", "- dz_hat.mean(axis=0) - z_hat", "- z_hat", "dW", "term d(sum(z)) left out"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.example)
def test_a_mistake_is_found_located_and_named(mistake: Mistake) -> None:
    module = planted(NETWORKS[mistake.example][0], mistake.right, mistake.wrong)
    found_located_and_named(module, claim(mistake.example, module)[1:], mistake)


def data_of(example: str) -> tuple[ModuleType, tuple[Any, ...]]:
    """An example that no other test has, and what its loss takes."""
    draws = np.random.default_rng(0)
    if example == "notebook":
        return notebook, (notebook.init(draws), draws.standard_normal((6, 4)), draws.standard_normal((6, 2)))
    return updates_itself, (updates_itself.init(draws), draws.standard_normal((6, 4)), draws.standard_normal((6, 3)))


OTHERS = [
    Mistake("notebook", "* a * (1 - a)", "* (1 - a)", "dW1", "factor a left out of a * (1 - a)"),
    Mistake("updates_itself", "*= 1 - self.a1**2", "*= 1 - self.z1**2", "dW1", "1 - z1^2 for (1 - a1^2)"),
]


@pytest.mark.parametrize("mistake", OTHERS, ids=lambda m: m.example)
def test_a_mistake_is_found_located_and_named_in_code_that_keeps_to_its_names(mistake: Mistake) -> None:
    module, data = data_of(mistake.example)
    assert check(module.loss, *data).certified
    found_located_and_named(planted(module, mistake.right, mistake.wrong), data, mistake)


def found_located_and_named(module: ModuleType, data: tuple[Any, ...], mistake: Mistake) -> None:
    result = check(module.loss, *data)
    assert result.verdict == "refuted"
    fault = result.faults[0]
    assert mistake.tensor in fault.gradients, str(result)
    assert line_of(module, mistake.wrong) in {line.number for line in fault.wrong}, str(result)
    assert mistake.cause in str(result), str(result)


NO_ADAPTER = {"dicts", "pairs", "lstm", "convolution"}
"""Examples whose loss is the network itself: check takes it as it is."""


def test_every_example_has_a_mistake_and_eight_lines_at_most() -> None:
    assert {m.example for m in MISTAKES} == {*NETWORKS}
    adapters = [module.loss for name, (module, _) in NETWORKS.items() if name not in NO_ADAPTER]
    adapters += [notebook.loss, updates_itself.loss, updates_itself.update, adam.made, state_dict.parameters]
    assert [f.__module__ for f in adapters if len(inspect.getsource(f).splitlines()) > 8] == []


def test_every_example_is_tested_here_and_has_its_row_in_the_docs() -> None:
    folder = Path(__file__).parent
    names = {path.stem for path in folder.glob("*.py") if not path.stem.startswith(("__", "test_"))}
    assert names == {*NETWORKS, *(m.example for m in OTHERS), "adam", "state_dict", "transformer"}
    page = (folder.parents[1] / "docs" / "network.md").read_text(encoding="utf-8")
    assert {row.split("|")[3].strip() for row in page.splitlines() if row.startswith("| ")} >= names


# --- other modes and doors ----------------------------------------------------------------------------


def of_evaluation(module: Any) -> Checked:
    draws = np.random.default_rng(0)
    data = draws.standard_normal((6, 3)), draws.standard_normal(6)
    return check(module.evaluation_loss, batch_norm.init(draws), *data)


def test_batch_norm_in_evaluation() -> None:
    assert of_evaluation(batch_norm).certified
    biased = planted(batch_norm, "        if self.training:\n            dz = ", "        if True:\n            dz = ")
    result = of_evaluation(biased)  # the gradient of training, in a mode in which the statistics are constants
    (fault,) = result.faults
    assert fault.gradients == ("dW",)
    assert line_of(biased, "            dz = (dz_hat") in {line.number for line in fault.wrong}
    (cause,) = result.causes
    assert cause.startswith("the terms of a mean and a variance over axis 0, which are given here, too many in d(z) ")


def module_and_weights() -> tuple[nn.Module, dict[str, Any]]:
    """A block as torch has it, and its weights as they come out of a file of weights."""
    torch.manual_seed(0)
    module = nn.TransformerEncoderLayer(8, 2, 16, norm_first=True, batch_first=True).eval()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape) / 2)
    weights = {name: a.numpy() for name, a in module.state_dict().items()}
    return module, {mine: theirs(weights, name) for mine, name in transformer.NAMES.items()}


def theirs(weights: dict[str, Any], name: str) -> Any:
    return weights[name[:-2]].T if name.endswith(".T") else weights[name]


@pytest.mark.parametrize(
    ("right", "wrong", "cause"),
    [
        ("", "", ""),
        ("np.sqrt(d // HEADS)", "np.sqrt(d)", "a factor"),  # inside of softmax
        (
            "transpose(0, 2, 1, 3).reshape(N, T, d)", "reshape(N, T, d)",
            "axes 1 and 2 swapped before the shape is (2, 3, 8), in mixed",
        ),
        ("axis=-1, keepdims=True) + 1e-5", "axis=-1, keepdims=True) + 1e-6", "1e-05 for the constant 1e-06 in"),
        (
            "centred = x - x.mean(axis=-1, keepdims=True)", "centred = x - x.mean(axis=1, keepdims=True)",
            "the mean over axis 2, not 1, in sum(x) / 3, each time",
        ),
        ('+ mixed @ p["out_W"] + p["out_b"]', '+ mixed @ p["out_W"]', "out_b added to x"),
    ],
)  # fmt: skip
def test_a_transformer_s_block_by_the_weights_of_a_module(right: str, wrong: str, cause: str) -> None:
    port = planted(transformer, right, wrong) if right else transformer
    module, p = module_and_weights()
    x = np.random.default_rng(0).standard_normal((2, 3, 8)).astype(np.float32)
    result = check_forward(port.block, module, p, transformer.NAMES, x)
    assert result.verdict == ("refuted" if right else "certified"), str(result)
    assert len(result.causes) == bool(cause), str(result)
    assert all(told.startswith("the module has ") and cause in told for told in result.causes), str(result)
    if right:
        assert re.search(rf"they part at .*:{line_of(port, wrong)}\b", result.causes[0]), str(result)


# --- updates by hand, and weights of a file --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "cause", "whose"),
    [
        ("", "", "", "reference"),
        ("", "", "", "torch"),
        ("v_hat = v / (1 - self.beta2**self.t)", "v_hat = v", "left out", "reference"),
        ("(np.sqrt(v_hat) + self.eps)", "np.sqrt(v_hat + self.eps)", "eps inside the root", "torch"),
        ("self.beta1 * m + (1 - self.beta1) * g", "self.beta1 * m + g", "factor 1 - beta1 left out of (1 - beta1) * g",
         "reference"),
    ],
)  # fmt: skip
def test_adam_by_hand(right: str, wrong: str, cause: str, whose: str) -> None:
    made = (planted(adam, right, wrong) if right else adam).made
    draws = np.random.default_rng(0)
    p = {"W": draws.standard_normal((3, 2)), "b": draws.standard_normal(2)}
    g = {name: 0.5 + draws.random(a.shape) for name, a in p.items()}
    optimizer = reference.Adam(0.01) if whose == "reference" else torch.optim.Adam([torch.zeros(1)], lr=0.01)
    result = check_step(made(), optimizer, p, g)
    assert result.verdict == ("refuted" if right else "certified"), str(result)
    assert cause in str(result), str(result)


@pytest.mark.parametrize("wrong", ["", "+= (1 - self.momentum) * getattr"])
def test_an_update_in_place(wrong: str) -> None:
    module = planted(updates_itself, "+= getattr", wrong) if wrong else updates_itself
    p = updates_itself.init(np.random.default_rng(0))
    g = {name: np.ones_like(a) for name, a in p.items()}
    result = check_step(module.update, reference.SGD(0.05, momentum=0.9), p, g, start=updates_itself.zeros)
    assert result.verdict == ("refuted" if wrong else "certified"), str(result)
    assert ("the gradient dampened by 1 - momentum" in str(result)) == bool(wrong)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    """A module of torch, and the file of its weights."""
    torch.manual_seed(0)
    module, path = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), tmp_path_factory.mktemp("w") / "net.pt"
    torch.save(module.state_dict(), path)
    return module, path


LABELS = (np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32), np.array([0, 2, 1, 1, 0, 2]))


@pytest.mark.parametrize(
    "mistake",
    [
        Mistake("state_dict", "dy /= len(t)", "dy /= y.size", "dW1", "a factor 1/3"),
        Mistake("state_dict", 'np.where(h > 0, dy @ p["W2"].T, 0)', 'dy @ p["W2"].T', "dW1", "mask"),
    ],
    ids=["the batch", "the mask"],
)
def test_gradients_by_the_weights_of_a_file(mistake: Mistake, saved: tuple[nn.Module, Path]) -> None:
    data = (state_dict.parameters(saved[1]), *LABELS)
    assert check(state_dict.loss, *data).certified
    found_located_and_named(planted(state_dict, mistake.right, mistake.wrong), data, mistake)


def test_a_forward_pass_by_the_weights_of_a_file(saved: tuple[nn.Module, Path]) -> None:
    module, path = saved
    p = state_dict.parameters(path)
    assert check_forward(state_dict.forward, module, p, state_dict.NAMES, LABELS[0]).certified
    wrong = planted(state_dict, 'p["b1"], 0) @ p["W2"] + p["b2"]', 'p["b1"], 0) @ p["W2"]')
    assert check_forward(wrong.forward, module, p, state_dict.NAMES, LABELS[0]).verdict == "refuted"
