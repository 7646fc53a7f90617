"""Mini-batches: which samples each training step sees.

An epoch goes through all samples once, in batches of one size, of which the last may be smaller; then
comes the next. Shuffled, every epoch has an order of its own, which depends on the seed and the epoch
alone: the batch of any step is known without those before it. Samples are rows, or columns where the axis is -1.

Source: torch.utils.data.DataLoader (documentation of ``batch_size``, ``shuffle``; ``drop_last`` is False).
"""

from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from reference.options import whole


class Batches(NamedTuple):
    """Batches of ``size`` samples; shuffled in every epoch anew if there is a ``seed``.

    axis: of every array of x and t, along which the samples lie: 0, the first, or -1, the last (features x batch).
    """

    size: int
    seed: int | None = None
    axis: int = 0

    def rows(self, step: int, samples: int) -> slice | Array:
        """The rows of x and t that a step sees: a slice, or (batch,) indices."""
        size = int(self.size)  # as in a Batches that no Experiment has checked: numpy.int8(100) + 100 is less than 0
        epoch, batch = divmod(step, -(-samples // size))
        here = slice(batch * size, min((batch + 1) * size, samples))
        if self.seed is None:
            return here
        return np.random.default_rng((self.seed, epoch)).permutation(samples)[here]

    def of(self, a: Any, rows: Any, members: int = 0) -> Any:
        """The samples at these rows, of an array or a tensor with so many axes in front of its own."""
        return a[..., rows] if self.axis else a[(*(slice(None),) * members, rows)]

    def length(self, step: int, samples: int) -> int:
        """How many samples a step sees."""
        size = int(self.size)
        batch = step % -(-samples // size)
        return min(size, samples - batch * size)

    def checked(self) -> "Batches":
        """With plain numbers. Raises InputError for a size below 1, another axis, a seed that is no whole number."""
        size = whole("batch size", self.size, 1)
        if isinstance(self.axis, bool) or self.axis not in {0, -1}:
            expected = "0, where samples are rows, or -1, where they are columns"
            raise InputError("axis of the batches", expected, repr(self.axis))
        return Batches(size, None if self.seed is None else whole("seed of the batches", self.seed), int(self.axis))
