"""Gradient accumulation: a batch too large for one pass goes through in parts, and their gradients add up.

    L  = sum over parts of L_j / k           dy_j = dL_j/dy_j / k          dW = sum over parts of dW_j

k is the number of parts, as equal as they may be (numpy.array_split, torch.tensor_split). With a loss that is a mean
and parts of one size this is the loss of the whole batch; with a sum it is 1 / k of it, as in a loop that divides
each part's loss by k before its backward pass. What a part sows has its number behind the name: ``z1@0``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from reference.arrays import Array, Sow, keep
from reference.claim.objective import Data, Parameters, Supervised, checked_output, matched
from reference.claim.tree import zip_with
from reference.errors import InputError
from reference.options import whole


@dataclass(frozen=True)
class Accumulated:
    """A network and a loss whose step goes through its samples, the first axis of the data, in so many parts."""

    whole: Supervised
    parts: int

    deferred = False

    @property
    def network(self) -> Any:
        """The network of every part."""
        return self.whole.network

    @property
    def loss(self) -> Any:
        """The loss of every part."""
        return self.whole.loss

    def prepare(self, data: Data, sow: Sow = keep) -> Data:
        return self.whole.prepare(data, sow)

    def gradients(self, p: Parameters, data: Data, sow: Sow = keep) -> Parameters:
        total: Any = None
        loss: Any = None
        for j, (x, t) in enumerate(split(data, self.parts)):
            told = behind(f"@{j}", sow)
            y, cache = checked_output(self.network.forward(p, x, told))
            value = self.loss.value(y, t) / self.parts
            dy = told("dy", self.loss.gradient(y, t) / self.parts)
            dp = matched(self.network.backward(p, cache, dy, told), p)
            loss = value if loss is None else loss + value
            total = dp if total is None else zip_with(lambda _, dw, dwj: dw + dwj, total, dp)
        sow("loss", loss)
        return zip_with(lambda name, dw: sow(f"d{name}", dw), total)

    def loss_of(self, y: Array, data: Data) -> Array:
        raise InputError("loss of a step in parts", "to be sown by it", f"y {np.shape(y)} and {len(data)} data")

    def stacked(self, ndim: int, lead: int) -> "Accumulated":
        return replace(self, whole=self.whole.stacked(ndim, lead))


def accumulated(objective: Any, parts: Any) -> Accumulated:
    """The objective in so many parts. Raises InputError for a number of parts or an objective that has none."""
    parts = whole("accumulate", parts, 1)
    if not isinstance(objective, Supervised) or objective.penalty is not None:
        raise InputError("accumulate", "1 for a function, and with a penalty", repr(parts))
    return Accumulated(objective, parts)


def behind(suffix: str, sow: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """A sow, of either side, that puts a suffix behind every name."""
    return lambda name, value: sow(f"{name}{suffix}", value)


def split(data: Data, parts: int) -> list[Data]:
    """The samples, along the first axis of every array, in so many parts that are as equal as they may be."""
    samples = len(next(iter(_leaves(data[0]))))
    ends = [len(rows) for rows in np.array_split(np.arange(samples), parts)]
    starts = np.cumsum([0, *ends]).tolist()
    return [
        tuple(zip_with(lambda _, a, here=slice(i, j): a[here], part) for part in data)
        for i, j in pairwise(starts)
    ]


def _leaves(tree: Any) -> list[Any]:
    leaves: list[Any] = []
    zip_with(lambda _, a: leaves.append(a), tree)
    return leaves
