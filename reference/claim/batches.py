"""Mini-batches: which samples each training step sees.

An epoch goes through all samples once, in batches of one size, of which the last may be smaller; then
comes the next. Shuffled, every epoch has an order of its own, which depends on the seed and the epoch
alone: the batch of any step is known without those before it.

Source: torch.utils.data.DataLoader (documentation of ``batch_size``, ``shuffle``; ``drop_last`` is False).
"""

from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.options import whole


class Batches(NamedTuple):
    """Batches of ``size`` samples; shuffled in every epoch anew if there is a ``seed``."""

    size: int
    seed: int | None = None

    def rows(self, step: int, samples: int) -> slice | Array:
        """The rows of x and t that a step sees: a slice, or (batch,) indices."""
        size = int(self.size)  # as in a Batches that no Experiment has checked: numpy.int8(100) + 100 is less than 0
        epoch, batch = divmod(step, -(-samples // size))
        here = slice(batch * size, min((batch + 1) * size, samples))
        if self.seed is None:
            return here
        return np.random.default_rng((self.seed, epoch)).permutation(samples)[here]

    def length(self, step: int, samples: int) -> int:
        """How many samples a step sees."""
        size = int(self.size)
        batch = step % -(-samples // size)
        return min(size, samples - batch * size)

    def checked(self) -> "Batches":
        """With plain numbers. Raises InputError for a size below 1, and a seed that is not a whole number."""
        size = whole("batch size", self.size, 1)
        return Batches(size, None if self.seed is None else whole("seed of the batches", self.seed))
