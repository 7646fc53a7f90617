"""Losses, one file each: the value, and its gradient by the network's output beside it.

A loss is a NamedTuple with

    value(y, t)       (...)      one number a step
    gradient(y, t)    y's shape  dL/dy
    checked(t, shape)            the loss with plain numbers; an InputError where an option or t does not fit

y is what the network gives. Where steps are stacked, further axes stand in front of its own; ``axes`` says
how many of the last ones are its own, and None that all are. t may lack the axes in front, being shared by all steps.
A new file is known by its row in ``torch_mirror.losses``; the names below are those of a short import.
"""

from reference.losses.absolute_error import AbsoluteError
from reference.losses.binary_cross_entropy import BinaryCrossEntropy
from reference.losses.binary_cross_entropy_with_logits import BinaryCrossEntropyWithLogits
from reference.losses.cross_entropy import CrossEntropy
from reference.losses.huber import Huber
from reference.losses.smooth_l1 import SmoothL1
from reference.losses.squared_error import SquaredError

__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "BinaryCrossEntropyWithLogits",
    "CrossEntropy",
    "Huber",
    "SmoothL1",
    "SquaredError",
]
