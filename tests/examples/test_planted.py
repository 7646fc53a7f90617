"""Each example with one mistake, as people make them: found, told by its line, and named.

The adapters are the functions ``loss`` at the end of each example: eight lines at most.
"""

import inspect
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from tests.doors.of_the_field import NETWORKS, claim
from tests.doors.planting import line_of, planted
from tests.examples import batch_norm, transformer
from torch_mirror import Checked, check, check_forward


class Mistake(NamedTuple):
    example: str
    right: str
    wrong: str
    tensor: str
    cause: str  # part of it


MISTAKES = [
    Mistake("dicts", '2 * REG * p["W1"]', 'REG * p["W1"]', "dW1", "a factor 1/2"),
    Mistake("pairs", "1 - activations[i] ** 2", "1 - activations[i]", "dp[1][0]", "the square left out"),
    Mistake("columns", "np.dot(dZ1, X.T) / m", "np.dot(dZ1, X.T)", "dW1", "N the batch"),
    Mistake("layer_objects", "grad, 0.125 * grad", "grad, 0.25 * grad", "dp[0]", "a factor 2"),
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
    result = check(*claim(mistake.example, module))
    assert result.verdict == "refuted"
    fault = result.faults[0]
    assert mistake.tensor in fault.gradients, str(result)
    assert line_of(module, mistake.wrong) in {line.number for line in fault.wrong}, str(result)
    assert mistake.cause in str(result), str(result)


def test_every_example_has_a_mistake_and_eight_lines_at_most() -> None:
    assert {m.example for m in MISTAKES} == {*NETWORKS}
    for module, _ in NETWORKS.values():
        body = inspect.getsource(module.loss).splitlines()
        is_adapter = module.__name__.rpartition(".")[2] not in {"dicts", "pairs", "lstm", "convolution"}  # one function
        assert len(body) <= 8 or not is_adapter, module.__name__


# --- other modes and doors ----------------------------------------------------------------------------


def of_evaluation(module: Any) -> Checked:
    draws = np.random.default_rng(0)
    data = draws.standard_normal((6, 3)), draws.standard_normal(6)
    return check(module.evaluation_loss, batch_norm.init(draws), *data)


def test_batch_norm_in_evaluation() -> None:
    assert of_evaluation(batch_norm).certified
    biased = planted(batch_norm, "        if self.training:\n            dz = ", "        if True:\n            dz = ")
    result = of_evaluation(biased)  # the gradient of training, in a mode in which the statistics are constants
    assert [row.name for row in result.rows if row.word == "WRONG"] == ["dW"]


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
    ("right", "wrong"),
    [
        ("", ""),
        ("np.sqrt(d // HEADS)", "np.sqrt(d)"),
        ("transpose(0, 2, 1, 3).reshape(N, T, d)", "reshape(N, T, d)"),
        ("mean(axis=-1, keepdims=True) + 1e-5", "mean(axis=-1, keepdims=True) + 1e-6"),
        ("centred = x - x.mean(axis=-1, keepdims=True)", "centred = x - x.mean(axis=1, keepdims=True)"),
    ],
)
def test_a_transformer_s_block_by_the_weights_of_a_module(right: str, wrong: str) -> None:
    port = planted(transformer, right, wrong) if right else transformer
    module, p = module_and_weights()
    x = np.random.default_rng(0).standard_normal((2, 3, 8)).astype(np.float32)
    result = check_forward(port.block, module, p, transformer.NAMES, x)
    assert result.verdict == ("refuted" if right else "certified"), str(result)
