"""The floating-point format under test, as the standard model of rounding sees it.

fl(a op b) = (a op b)(1 + delta) + eta,   |delta| <= u,   |eta| <= tiny

u is the unit roundoff of round-to-nearest; eta is not zero only when the result underflows, where a
flushed subnormal loses less than ``tiny``, the smallest normal number.
Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), sections 2.1, 2.2 and 3.1.
"""

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np


class Format(NamedTuple):
    """A format: unit roundoff, smallest normal, largest finite number, bits of precision."""

    dtype: np.dtype[Any]
    u: float
    tiny: float
    huge: float
    precision: int
    grid: int  # exponent of the smallest normal number
    complements: bool = False  # whether a Python number c may stand for 1 - c', as 0.001 does for 1 - 0.999
    spread: float | None = None  # how many standard deviations of a sum its radius is, where it is not the worst case
    inside: float | None = None  # unit roundoff within a sum, where it is less than u, to which its result is rounded
    as_taken: bool = False  # whether what the radii leave open in a comparison goes as it goes on the centres

    def gamma(self, k: int) -> float:
        """gamma_k = k u / (1 - k u), which bounds k roundings in a row; infinite where k u >= 1."""
        return k * self.u / (1 - k * self.u) if k * self.u < 1 else float("inf")

    def within(self, k: int) -> float:
        """gamma_k of what is inside a sum; u's own, unless that is told apart."""
        return self.gamma(k) if self.inside is None else self._replace(u=self.inside).gamma(k)

    def deviation(self, k: int) -> float:
        """u sqrt((k + 1) / 3): times the largest partial sum, a standard deviation of a sum of k (rules/sums.py)."""
        return self.u * math.sqrt((k + 1) / 3)


@cache
def format_of(dtype: np.dtype[Any]) -> Format:
    """The format of float32, float64 or longdouble arrays.

    Bounds are Python numbers, so that a longdouble is taken to have float64's range: what is below is lost, and what is
    above overflows, in the bounds before it does in truth.
    """
    info, double = np.finfo(dtype), np.finfo(np.float64)
    tiny, huge = (float(info.tiny), float(info.max)) if info.bits <= double.bits else (double.tiny, double.max)
    # minexp and nmant are what numpy.finfo calls them; the precision counts the implicit bit.
    grid = max(info.minexp, double.minexp)
    return Format(np.dtype(dtype), float(info.eps) / 2, float(tiny), float(huge), info.nmant + 1, grid)
