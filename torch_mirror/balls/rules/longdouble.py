"""scipy.special's functions in longdouble, which SciPy has not: for centres that are in a wider precision than float64.

expit is its definition. erf is its Maclaurin series up to 1, of which 26 terms leave 1e-28, and from there on
1 - erfc, by the continued fraction of erfc: 300 steps leave exp(-2 x sqrt(600)), below 1e-21, and errors of it
count by erfc < 0.16. Measured against Arb: 2 units roundoff of longdouble, of the 8 that a centre may be off.
Source: NIST Digital Library of Mathematical Functions, 7.6.1 and 7.9.1.
"""

from math import factorial
from typing import Any

import numpy as np

from reference.arrays import Array

TERMS, STEPS = 26, 300
TWO_BY_ROOT_OF_PI = np.longdouble("1.12837916709551257389615890312154517")
SERIES = [np.longdouble((-1) ** n) / np.longdouble(factorial(n) * (2 * n + 1)) for n in range(TERMS)]


def expit(x: Array) -> Any:
    with np.errstate(over="ignore"):  # 1 / (1 + inf) is 0
        return 1 / (1 + np.exp(-x))


def erf(x: Array) -> Any:
    """The series where |x| <= 1, and the fraction elsewhere; x longdouble, any shape."""
    size = np.abs(x)
    near, far = np.minimum(size, 1), np.maximum(size, 1)
    total = np.zeros_like(near)
    for c in reversed(SERIES):
        total = c + near * near * total
    fraction = far
    for n in range(STEPS, 0, -1):
        fraction = far + n / (2 * fraction)
    with np.errstate(under="ignore", invalid="ignore", over="ignore"):  # far from 0 erfc is below the least number
        rest = np.exp(-far * far) / fraction * (TWO_BY_ROOT_OF_PI / 2)
    return np.copysign(np.where(size <= 1, TWO_BY_ROOT_OF_PI * near * total, 1 - np.where(size > 100, 0, rest)), x)


IN_LONGDOUBLE = {"erf": erf, "expit": expit}
