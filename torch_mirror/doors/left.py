"""The gradients that backward() leaves, noted as it ends: whether a step takes them as they are shows by them.

Several backward() calls before a step add up, and the last of them leaves the sum. Hooks of DistributedDataParallel,
which takes the mean over processes, have done their work when backward() ends; so have hooks of the user's own on a
parameter, which may clip: they show in no number, so that a parameter with such hooks is asked for.

Source: torch.Tensor.register_post_accumulate_grad_hook (PyTorch documentation, 2.13). What is queued behind a backward
pass is called in the order in which it was queued, and behind all of that what it has queued itself
(torch/csrc/autograd/engine.cpp, exec_post_processing).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from reference.arrays import Array, same
from torch_mirror.training.recording import HALF, dense

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle


class Left:
    """The gradient of each parameter as the last backward() since the last step has left it."""

    def __init__(self) -> None:
        self._of: dict[Tensor, Array] = {}
        self._handles: dict[Tensor, RemovableHandle] = {}

    def look(self, weights: Iterable[Tensor]) -> None:
        """Note the gradients of these from now on; of one that is looked at already nothing changes."""
        for weight in weights:
            if weight.requires_grad and weight not in self._handles:
                handle = weight.register_post_accumulate_grad_hook(self._reached)  # type: ignore[no-untyped-call]  # untyped in torch
                self._handles[weight] = handle

    def _reached(self, weight: Tensor) -> None:
        def note() -> None:
            self._of[weight] = gradient_of_weight(weight)

        queue = torch.autograd.Variable._execution_engine.queue_callback  # noqa: SLF001 - torch has no public word for the end of backward(); its own FSDP uses this
        queue(lambda: queue(note))  # behind all that is queued by now, such as DistributedDataParallel's mean

    def is_taken(self, weight: Tensor) -> bool:
        """Whether a step that begins now takes the gradient as backward() left it, bit for bit.

        Not where hooks of others on the parameter may have changed it before backward() ended. A gradient that no
        backward() reached is 0.
        """
        if weight._backward_hooks or len(weight._post_accumulate_grad_hooks or ()) > 1:  # noqa: SLF001 - torch has no other word for the hooks there are; one is ours
            return False
        taken, left = gradient_of_weight(weight), self._of.get(weight)
        return same(taken, np.zeros_like(taken) if left is None else left)

    def forget(self) -> None:
        """A step was taken: what comes now is the next one's."""
        self._of.clear()

    def remove(self) -> None:
        """Remove the hooks."""
        for handle in self._handles.values():
            handle.remove()


def gradient_of_weight(weight: Tensor) -> Array:
    """A copy, in torch's layout; 0 where torch has None, as the loss does not depend on the parameter."""
    return copy_of(torch.zeros_like(weight) if weight.grad is None else weight.grad)


def copy_of(value: Tensor) -> Array:
    """In memory of its own, in float32 where it is of half precision: NumPy has no bfloat16."""
    own = dense(value)
    copied: Array = (own.float() if own.dtype in HALF else own).numpy().copy()
    return copied
