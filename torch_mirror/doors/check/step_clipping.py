"""What people do in the place of clipping the gradients by the norm of all of them together, or by value.

    for dw in gradients:
        dw *= min(1, largest / norm(dw))    # the norm of one tensor: nn.utils.clip_grad_norm_ takes that of all

Each is an optimizer of its own, which runs from the beginning and is the cause if it makes all the user's steps
(step_whole.py). Source: torch.nn.utils.clip_grad_norm_ and clip_grad_value_ (documentation).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from reference.claim.tree import Tree, named, zip_with
from reference.optimizers.clipping import ADDED, ClippedByNorm, ClippedByValue

Clip = Callable[[Tree], Tree]
"""Gradients to those that the optimizer is given."""


def clippings(optimizer: ClippedByNorm | ClippedByValue) -> Iterator[tuple[str, Clip]]:
    """In words, and as a function, what may have been done instead."""
    largest = optimizer.largest
    yield "the gradients not clipped", lambda g: g
    if isinstance(optimizer, ClippedByNorm):
        each = "clipped tensor by tensor, each by its own norm, not by that of all gradients together"
        yield each, lambda g: zip_with(lambda _, dw: dw * _share(largest, [dw], ADDED), g)
        without = f"{each}, and without the {ADDED:g} added to it"
        yield without, lambda g: zip_with(lambda _, dw: dw * _share(largest, [dw], 0.0), g)
        yield (
            "divided by the norm where it is smaller than the largest one as well",
            lambda g: _times(g, lambda dws: largest / (_norm(dws) + ADDED)),
        )
        yield (
            f"the {ADDED:g} that is added to the norm left out",
            lambda g: _times(g, lambda dws: _share(largest, dws, 0.0)),
        )
        yield (
            "the root left out of the norm",
            lambda g: _times(g, lambda dws: np.minimum(largest / (_norm(dws) ** 2 + ADDED), 1)),
        )
        yield "clipped by value, not by norm", lambda g: zip_with(lambda _, dw: np.clip(dw, -largest, largest), g)
    else:
        yield "clipped by norm, not by value", lambda g: _times(g, lambda dws: _share(largest, dws, ADDED))
        yield "clipped from above alone", lambda g: zip_with(lambda _, dw: np.minimum(dw, largest), g)


def _times(g: Tree, share: Callable[[list[Any]], Any]) -> Tree:
    c = share(list(named(g).values()))
    return zip_with(lambda _, dw: dw * c, g)


def _share(largest: float, dws: list[Any], added: float) -> Any:
    return np.minimum(largest / (_norm(dws) + added), 1)


def _norm(dws: list[Any]) -> Any:
    """Of all of them together."""
    return np.sqrt(sum((dw * dw).sum() for dw in dws))
