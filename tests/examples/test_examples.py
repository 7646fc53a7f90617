"""The examples run on arrays and on balls, and torch's loss and gradients lie within their radii."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from reference.arrays import Array
from tests.examples import columns, dicts, layer_objects, pairs
from tests.reference.networks.mirrored import ratio
from torch_mirror import Ball

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def leaves(tree: Any) -> Iterator[Any]:
    """The arrays of dicts, lists and tuples, in their order."""
    if isinstance(tree, (dict, list, tuple)):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves(branch)
    else:
        yield tree


def mapped(f: Callable[[Any], Any], tree: Any) -> Any:
    """The same tree with f of each array."""
    if isinstance(tree, dict):
        return {name: mapped(f, branch) for name, branch in tree.items()}
    return type(tree)(mapped(f, branch) for branch in tree) if isinstance(tree, (list, tuple)) else f(tree)


def mapped_like(tree: Any, other: Any) -> Any:
    """The other tree with the keys of its dicts in this one's order."""
    return {name: other[name] for name in tree} if isinstance(tree, dict) else other


def of_dicts(p: dict[str, Tensor], x: Tensor, t: Tensor) -> Tensor:
    scores = functional.relu(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    return functional.cross_entropy(scores, t) + dicts.REG * ((p["W1"] ** 2).sum() + (p["W2"] ** 2).sum())


def of_pairs(p: list[tuple[Tensor, Tensor]], x: Tensor, t: Tensor) -> Tensor:
    for W, b in p[:-1]:
        x = torch.tanh(x @ W + b)
    W, b = p[-1]
    return ((x @ W + b - t) ** 2).sum() / (2 * len(t))


def of_columns(p: dict[str, Tensor], x: Tensor, t: Tensor) -> Tensor:
    probabilities = torch.sigmoid(p["W2"] @ torch.tanh(p["W1"] @ x + p["b1"]) + p["b2"])
    return functional.binary_cross_entropy(probabilities, t, reduction="sum") / t.shape[1]


def of_layer_objects(p: list[Tensor], x: Tensor, t: Tensor) -> Tensor:
    return functional.mse_loss(functional.leaky_relu(x @ p[0] + p[1], 0.125) @ p[2] + p[3], t)


def rows(draws: np.random.Generator) -> tuple[Array, Array]:
    return draws.standard_normal((6, 4)), draws.standard_normal((6, 2))


EXAMPLES: dict[str, tuple[Any, Callable[..., Tensor], Callable[[np.random.Generator], tuple[Array, Array]]]] = {
    "dicts": (dicts, of_dicts, lambda draws: (draws.standard_normal((6, 4)), draws.integers(0, 3, 6))),
    "pairs": (pairs, of_pairs, rows),
    "columns": (
        columns, of_columns, lambda draws: (draws.standard_normal((4, 6)), draws.integers(0, 2, (1, 6)).astype(float)),
    ),
    "layer_objects": (layer_objects, of_layer_objects, rows),
}  # fmt: skip


def in_dtype(a: Array, dtype: str) -> Array:
    return a.astype(dtype) if a.dtype.kind == "f" else a


def as_ball(a: Array) -> Any:
    return Ball(a) if a.dtype.kind == "f" else a


@each_dtype
@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("seed", range(3))
def test_torch_is_within_the_radii_and_twice_as_much_is_not(name: str, dtype: str, seed: int) -> None:
    module, in_torch, data = EXAMPLES[name]
    draws = np.random.default_rng(seed)
    p = mapped(lambda a: in_dtype(a, dtype), module.init(draws))
    x, t = (in_dtype(a, dtype) for a in data(draws))

    tensors = mapped(lambda a: torch.tensor(a, requires_grad=True), p)
    value = in_torch(tensors, torch.tensor(x), torch.tensor(t))
    value.backward()  # type: ignore[no-untyped-call]  # untyped in torch
    with np.errstate(all="ignore"):
        loss, gradients = module.loss(mapped(as_ball, p), as_ball(x), as_ball(t))
    assert ratio(value.detach().numpy(), loss) <= 1
    for tensor, gradient in zip(leaves(tensors), leaves(mapped_like(tensors, gradients)), strict=True):
        seen = tensor.grad.numpy()
        assert ratio(seen, gradient) <= 1
        assert ratio(2 * seen, gradient) > 1

    floats, own = module.loss(p, x, t)
    assert np.ndim(floats) == 0
    assert [a.dtype for a in leaves(own)] == [np.dtype(dtype)] * len(list(leaves(own)))
