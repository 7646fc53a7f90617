"""Networks as people write them, with data: what check is tested on."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from tests.examples import (
    batch_norm,
    char_rnn_globals,
    columns,
    convolution,
    dicts,
    layer_objects,
    lstm,
    pairs,
    per_sample,
    two_layer_class,
)

NETWORKS: dict[str, tuple[ModuleType, Callable[[np.random.Generator], tuple[Any, ...]]]] = {
    "dicts": (dicts, lambda draw: (draw.standard_normal((6, 4)), draw.integers(0, 3, 6))),
    "pairs": (pairs, lambda draw: (draw.standard_normal((6, 4)), draw.standard_normal((6, 2)))),
    "columns": (
        columns, lambda draw: (draw.standard_normal((4, 6)), draw.integers(0, 2, (1, 6)).astype(float)),
    ),
    "layer_objects": (layer_objects, lambda draw: (draw.standard_normal((6, 4)), draw.standard_normal((6, 2)))),
    "per_sample": (per_sample, lambda draw: (draw.standard_normal((4, 4, 1)), draw.standard_normal((4, 3, 1)))),
    "two_layer_class": (two_layer_class, lambda draw: (draw.standard_normal((7, 4)), draw.integers(0, 3, 7))),
    "char_rnn_globals": (char_rnn_globals, lambda draw: ([0, 1, 3, 2], [1, 3, 2, 1], draw.standard_normal((5, 1)))),
    "lstm": (lstm, lambda draw: (draw.standard_normal((2, 5, 3)), draw.standard_normal(5))),
    "batch_norm": (batch_norm, lambda draw: (draw.standard_normal((6, 3)), draw.standard_normal(6))),
    "convolution": (convolution, lambda draw: (draw.standard_normal((3, 1, 4, 4)), draw.standard_normal((3, 2)))),
}  # fmt: skip


def claim(name: str, module: ModuleType | None = None) -> tuple[Any, ...]:
    """What check takes: the loss of the network, or of a changed copy of its module, parameters and data."""
    original, data = NETWORKS[name]
    draws = np.random.default_rng(0)
    module = module or original
    return (module.loss, module.init(draws), *data(draws))


def in_dtype(tree: Any, dtype: str) -> Any:
    """The same numbers in another dtype; whole numbers stay."""
    if isinstance(tree, np.ndarray):
        return tree.astype(dtype) if tree.dtype.kind == "f" else tree
    if isinstance(tree, dict):
        return {name: in_dtype(a, dtype) for name, a in tree.items()}
    return type(tree)(in_dtype(a, dtype) for a in tree) if isinstance(tree, (list, tuple)) else tree
