"""Mini-batches: which samples each training step sees.

An epoch goes through all samples once, in batches of one size, of which the last may be smaller; then
comes the next. Shuffled, every epoch has an order of its own, which depends on the seed and the epoch
alone: the batch of any step is known without those before it.

Source: torch.utils.data.DataLoader (documentation of ``batch_size``, ``shuffle``; ``drop_last`` is False).
"""

from typing import NamedTuple

import numpy as np

from reference.arrays import Array


class Batches(NamedTuple):
    """Batches of ``size`` samples; shuffled in every epoch anew if there is a ``seed``."""

    size: int
    seed: int | None = None

    def rows(self, step: int, samples: int) -> slice | Array:
        """The rows of x and t that a step sees: a slice, or (batch,) indices."""
        epoch, batch = divmod(step, -(-samples // self.size))
        here = slice(batch * self.size, min((batch + 1) * self.size, samples))
        if self.seed is None:
            return here
        return np.random.default_rng((self.seed, epoch)).permutation(samples)[here]

    def length(self, step: int, samples: int) -> int:
        """How many samples a step sees."""
        batch = step % -(-samples // self.size)
        return min(self.size, samples - batch * self.size)
