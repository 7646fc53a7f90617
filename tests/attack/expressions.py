"""Drawn expressions: random trees of the ball's operations, on operands (cases, 3, 3), with radii that propagate.

A tree is a name of ``NODES`` and its branches, or the index of an operand.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from reference.activations import relu, relu_backward, sigmoid
from reference.affine import affine
from tests.attack.evaluations import ORDERS, fused_update, pairwise_sum, product_in_order, sum_in_order
from tests.attack.in_place import copied, masked, masked_exactly, rectified, with_bias_in_place
from tests.attack.logic import above, both, either, picked
from tests.attack.oracle import choose, largest, least
from tests.attack.sums import prefixes, product_of

Tree: TypeAlias = Any

SIDE = 3
OPERANDS = 4


class Node(NamedTuple):
    """An operation of an expression: on balls and arrays, on tensors, and, where they differ, in other ways."""

    operands: int
    equation: Callable[..., Any]
    torch: Callable[..., Any] | None = None   # the equation, if None
    exact: Callable[..., Any] | None = None   # the same
    other: Callable[..., Any] | None = None   # the same; in another order, fused, or as another program writes it


def crossed(x: Any, y: Any) -> Any:
    """A row and a column written to, through views."""
    x = copied(x)
    row, column = x[:, 0], x.mT[:, 1]
    row *= y[:, 2]
    column -= y[..., 1]
    return x


def _row(b: Any) -> Any:
    return b[..., 0, :]


_backwards = product_in_order(ORDERS["backwards"], fused=True, bias_first=True)
_shuffled = product_in_order(ORDERS["shuffled"], fused=False, bias_first=True)

NODES: dict[str, Node] = {
    "add": Node(2, lambda x, y: x + y),
    "subtract": Node(2, lambda x, y: x - y),
    "multiply": Node(2, lambda x, y: x * y),
    "divide": Node(2, lambda x, y: x / y),
    "third": Node(1, lambda x: x / 3, other=lambda x: x * x.dtype.type(1 / 3)),
    "half": Node(1, lambda x: x / 2, other=lambda x: x * x.dtype.type(0.5)),
    "scale": Node(1, lambda x: 0.3 * x),
    "negative": Node(1, lambda x: -x),
    "abs": Node(1, np.abs, torch.abs, exact=np.abs),
    "square": Node(1, np.square, torch.square),
    "cube": Node(1, lambda x: x**3, exact=lambda x: x * x * x, other=lambda x: x * x * x),
    "exp": Node(1, np.exp, torch.exp),
    "tanh": Node(1, np.tanh, torch.tanh),
    "sigmoid": Node(1, sigmoid, torch.sigmoid, exact=lambda x: 1 / (1 + np.exp(-x))),
    "log": Node(1, lambda x: np.log(1 + np.abs(x)), lambda x: torch.log(1 + torch.abs(x))),
    "root": Node(1, lambda x: np.sqrt(np.abs(x)), lambda x: torch.sqrt(torch.abs(x))),
    "quotient": Node(2, lambda x, y: x / (1 + y * y)),
    "reciprocal": Node(1, np.reciprocal, torch.reciprocal, exact=lambda x: 1 / x),
    "sign": Node(1, np.sign, torch.sign, exact=lambda x: choose(x, -1, 0, 1)),
    "relu": Node(1, relu, torch.relu, exact=lambda x: largest(x, 0)),
    "relu backward": Node(2, lambda g, z: relu_backward(g, z, z), lambda g, z: torch.where(z <= 0, 0, g),
                          exact=lambda g, z: choose(z, 0, 0, g)),
    "mask": Node(2, lambda g, z: g * (z > 0), exact=lambda g, z: choose(z, 0, 0, g)),
    "maximum": Node(2, np.maximum, torch.maximum, exact=largest),
    "minimum": Node(2, np.minimum, torch.minimum, exact=least),
    "clip": Node(1, lambda x: np.clip(x, -0.5, 0.7), lambda x: torch.clamp(x, -0.5, 0.7),
                 exact=lambda x: least(largest(x, -0.5), 0.7)),
    "sum": Node(1, lambda x: x.sum(axis=-1, keepdims=True) + 0 * x, lambda x: x.sum(-1, keepdim=True) + 0 * x,
                other=lambda x: pairwise_sum(x) + 0 * x),
    "mean": Node(1, lambda x: x.mean(axis=-1, keepdims=True) - x, lambda x: x.mean(-1, keepdim=True) - x,
                 exact=lambda x: x.sum(axis=-1, keepdims=True) / SIDE - x,
                 other=lambda x: sum_in_order(ORDERS["backwards"])(x) * x.dtype.type(1 / SIDE) - x),
    "below the largest": Node(1, lambda x: x - np.amax(x, axis=-1, keepdims=True),
                              lambda x: x - torch.amax(x, -1, keepdim=True),
                              exact=lambda x: x - largest.reduce(x, axis=-1, keepdims=True)),
    "above the least": Node(1, lambda x: x - np.amin(x, axis=-1, keepdims=True),
                            lambda x: x - torch.amin(x, -1, keepdim=True),
                            exact=lambda x: x - least.reduce(x, axis=-1, keepdims=True)),
    "transpose": Node(1, lambda x: x.mT, exact=lambda x: np.swapaxes(x, -1, -2)),
    "matmul": Node(2, lambda x, y: x @ y, other=lambda x, y: _shuffled(x, np.swapaxes(y, -1, -2))),
    "affine": Node(3, lambda x, W, b: affine(x, W, _row(b)), lambda x, W, b: torch.baddbmm(b[..., :1, :], x, W.mT),
                   other=lambda x, W, b: _backwards(x, W, _row(b))),
    "einsum": Node(2, lambda x, y: np.einsum("nik,njk->nij", x, y), lambda x, y: torch.einsum("nik,njk->nij", x, y),
                   other=_shuffled),
    "einsum and bias": Node(3, lambda x, W, b: np.einsum("nik,njk->nij", x, W) + b[:, :1],
                            lambda x, W, b: torch.baddbmm(b[:, :1], x, W.mT),
                            other=lambda x, W, b: _backwards(x, W, _row(b))),
    "summed alone": Node(2, lambda x, y: np.einsum("nik,nj->nij", x, _row(y)),
                         lambda x, y: x.sum(-1)[..., None] * y[:, :1],
                         other=lambda x, y: pairwise_sum(x[:, :, None] * y[:, :1, :, None])[..., 0]),
    "cumsum": Node(1, lambda x: np.cumsum(x, axis=-1), lambda x: torch.cumsum(x, -1),
                   other=prefixes(sum_in_order(ORDERS["backwards"]))),
    "prod": Node(1, lambda x: np.prod(x, axis=-1, keepdims=True) - x, lambda x: torch.prod(x, -1, keepdim=True) - x,
                 other=lambda x: product_of(ORDERS["backwards"])(x)[..., None] - x),
    "flipped": Node(1, lambda x: np.flip(np.roll(x, 1, axis=-1), axis=-2), lambda x: x.roll(1, -1).flip(-2)),
    "logic": Node(3, lambda x, y, z: np.where((x > 0) & ~(y > z) | (z <= 0), x, y),
                  lambda x, y, z: torch.where((x > 0) & ~(y > z) | (z <= 0), x, y),
                  exact=lambda x, y, z: picked(either(both(above(x), 1 - above(y, z)), 1 - above(z)), x, y)),
    "relu backward in place": Node(2, rectified, exact=lambda g, z: choose(z, 0, 0, g)),
    "masks in place": Node(3, masked, exact=masked_exactly),
    "bias in place": Node(3, lambda x, W, b: with_bias_in_place(x, W, _row(b)),
                          other=lambda x, W, b: _backwards(x, W, _row(b))),
    "views in place": Node(2, crossed),
    "update": Node(2, lambda w, g: w - 0.1 * g, lambda w, g: torch.sub(w, g, alpha=0.1),
                   other=lambda w, g: fused_update(w, g, 0.1)),
}  # fmt: skip


def drawn(rng: np.random.Generator) -> tuple[Tree]:
    """One expression of depth 2 to 5, on OPERANDS operands."""
    return (_tree(rng, int(rng.integers(2, 6))),)


def _tree(rng: np.random.Generator, depth: int) -> Tree:
    """One branch at least is as deep as is asked for; the others end anywhere."""
    if not depth:
        return int(rng.integers(OPERANDS))
    name = rng.choice(list(NODES)).item()
    count = NODES[name].operands
    depths = rng.integers(0, depth, count)
    depths[rng.integers(count)] = depth - 1
    return name, *(_tree(rng, int(d)) for d in depths)


def described(tree: Tree) -> str:
    """``add(x0, tanh(x1))``."""
    if isinstance(tree, int):
        return f"x{tree}"
    name, *branches = tree
    return f"{name}({', '.join(map(described, branches))})"


def evaluated(way: str) -> Callable[..., Any]:
    """The function of (operands..., tree) that evaluates an expression in one way: a field of Node."""

    def evaluate(*operands_and_tree: Any) -> Any:
        *operands, tree = operands_and_tree

        def of(t: Tree) -> Any:
            if isinstance(t, int):
                return operands[t]
            name, *branches = t
            node = NODES[name]
            return (getattr(node, way) or node.equation)(*map(of, branches))

        return of(tree)

    return evaluate
