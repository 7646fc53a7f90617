"""The cross-entropy of logits and classes, with its gradient beside it.

log p = y - max y - log sum e^(y - max y)        over the classes, the last axis of y
h     = 1 for the class t, else 0                t integers: labels
        t                                        t floating: a probability a class
h     = (1 - s) h + s / classes                  s: label_smoothing
L     = sum -h log p / N                         N = 1 (sum) or the number of samples (mean)
dy    = p sum(h) / N - h / N                     sum(h) over the classes: 1, where they are probabilities

Unlike the other losses' mean this one divides by the batch, not by batch * classes. Differentiable everywhere.
The order of the operations is torch's, log p less the maximum first; of labels it takes -log p of the class
alone. Torch's ``ignore_index`` and ``weight`` are not offered.
Source: torch.nn.CrossEntropyLoss (documentation; ATen's LossNLL.cpp for the order); Goodfellow, Bengio and
Courville, Deep Learning (2016), section 6.2.2.3; Szegedy et al., Rethinking the Inception Architecture (CVPR
2016), section 7 for the smoothing.
"""

import math
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from reference.losses.reduction import Reduction, check_shape_of_y, checked_reduction, own
from reference.options import number_that


def log_softmax(y: Array) -> Array:
    """log p: the logarithm of the softmax over the last axis. y: (..., classes); returns y's shape."""
    z = y - y.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


class CrossEntropy(NamedTuple):
    """y: logits (..., batch, classes); t: integer labels (..., batch), or probabilities of y's shape."""

    reduction: Reduction = "mean"
    label_smoothing: float = 0.0
    axes: int | None = None

    def value(self, y: Array, t: Array) -> Array:
        """The loss. y: (..., batch, classes); returns (...)."""
        log_p, s = log_softmax(y), self.label_smoothing
        if not _are_labels(t):
            return self._reduced(log_p * self._weights(y, t), y)
        column = t[(*(None,) * (y.ndim - 1 - t.ndim), ..., None)]      # (..., batch, 1)
        of_the_class = self._reduced(np.take_along_axis(log_p, column, axis=-1), y)
        if not s:
            return of_the_class
        return (1 - s) * of_the_class + (s / y.shape[-1]) * self._reduced(log_p, y)

    def gradient(self, y: Array, t: Array) -> Array:
        """dy = dL/dy. y: (..., batch, classes); returns y's shape."""
        p, h = np.exp(log_softmax(y)), self._weights(y, t)
        of_p = p * h.sum(axis=-1, keepdims=True)
        if self.reduction == "sum":
            return of_p - h
        n = self._samples(y)
        return of_p / n - h / n  # each by itself, as torch does

    def validated(self) -> "CrossEntropy":
        """The loss with plain numbers. Raises InputError where an option does not fit."""
        s = number_that("label smoothing", self.label_smoothing, lambda n: 0 <= n <= 1, "a number between 0 and 1")
        return self._replace(reduction=checked_reduction(self.reduction), label_smoothing=s)

    def checked(self, t: Array, y_shape: tuple[int, ...]) -> "CrossEntropy":
        """The same, which raises InputError where t does not fit as well."""
        _check_classes(t, tuple(y_shape))
        return self.validated()

    def _weights(self, y: Array, t: Array) -> Array:
        """h, of each class. Labels give y's shape."""
        s, classes = self.label_smoothing, y.shape[-1]
        h = np.where(t[..., None] == np.arange(classes), np.ones_like(y), np.zeros_like(y)) if _are_labels(t) else t
        return h * (1 - s) + s / classes if s else h

    def _samples(self, y: Array) -> int:
        return math.prod(y.shape[axis] for axis in own(y, self.axes)[:-1])

    def _reduced(self, terms: Array, y: Array) -> Array:
        """-sum / N over the axes of one step. terms: (..., batch, classes), or with one class left; returns (...)."""
        total = -terms.sum(axis=own(y, self.axes))
        return total / self._samples(y) if self.reduction == "mean" else total


def _are_labels(t: Array) -> bool:
    return t.dtype.kind in "iu"


def _check_classes(t: object, y_shape: tuple[int, ...]) -> None:
    if not isinstance(t, np.ndarray) or not _are_labels(t):
        check_shape_of_y(t, y_shape)
        return
    if t.shape != y_shape[:-1]:
        raise InputError("tensor t", f"labels of shape {y_shape[:-1]}, one a sample", f"shape {t.shape}")
    outside = np.argwhere((t < 0) | (t >= y_shape[-1]))
    if len(outside):
        where = tuple(int(i) for i in outside[0])
        raise InputError("tensor t", f"labels from 0 to {y_shape[-1] - 1}", f"{t[where]} at {where}")
