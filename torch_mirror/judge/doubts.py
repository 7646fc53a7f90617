"""Doubt: what speaks against a tensor although each of its elements is within its radius.

The radius of a long sum is that of its worst order and its worst roundings, gamma_K, which real errors never come near:
a row left out of a batch of 10,000, inputs rounded to bf16 or 1 + 1e-6 times everything is inside it in float32. So
a tensor is looked at once more, under an assumption: **roundings are independent of each other, and as often up as
down**. What only that speaks against is a doubt, with its probability, and never a refutation.

Let x be what the equation gives on the trace's own operands, in a wider precision, and s = seen - x the error, which is
known then. Each element has a *drift* q, what the rules of everything but sums allow in the worst case (these roundings
may be the same all over a tensor: a constant's, a table's), and a *deviation* d of the sums in it: u sqrt((K + 1) / 3)
times the largest partial sum (balls/rules/sums.py). Then three things are improbable; n is the number of elements that
differ, as equal ones (of units that start alike) are one, up to a sign and a power of two.

    element   |s| > 3 q + l d of some element. Its probability is 2 n exp(-l^2 / 2) at most.
    size      the sum of ((|s| - 3 q)+ / d)^2 exceeds n + 2 sqrt(n t) + 2 t. Its probability is exp(-t) at most.
    factor    with weights w, the sum of y = w |x| (s sign(x) - b), b = max(q, SAME u |x|), exceeds l times the root of
              the sum of y^2, or l times that of (w x d)^2. Its probability is exp(-l^2 / 2) at most, for each sign.

The first two are about sums alone: 3 q is what the check itself lets pass of everything else, 2 q between the trace and
a reference that may be q from x. The second is the tail of a sum of squares of independent sub-Gaussian variables. The
third asks whether seen = alpha x, with alpha - 1 beyond b / |x|. Its first bound needs no deviation: if errors beyond b
are as often up as down, the sum over the root of the sum of squares is sub-Gaussian whatever their sizes are. Hence it
sees alpha - 1 = 1e-6 where d is much larger. b is there as a right program may round a constant elsewhere (2 / N).

**Errors in common.** Most of a drift is no error that all elements have: of many roundings a COMMON-th part at most is
taken to be, b = max(q / COMMON, SAME u |x|), and where that is above 3 SAME u |x| an element has no part in it. Others
may be common to a row or a column, as those of a mean are. So what s / x exceeds b / |x| by, and be it LARGE u,
is summed up over each row, and over each column, and the sums s_1 ... s_G must be one-sided: for normal errors of one
size the share c^2 = (sum)^2 / (G sum of squares) has P(c or more) <= (1 - c^2)^((G - 1) / 2), a cap's in a sphere.

**Another form** of a right gradient (checks/forms.py) may round more, by a *form* allowance f. It is added to q for
element and size. Where its own roundings are part of f, and not those of its operands alone, the factor is sought among
errors in common only, and b has a share of f, too. Elements of which rounding leaves too little, f above
|x| / RESOLVED, have no part in it: there 1 - a^2 is 0 for a at 1, which is one-sided.

**Where the assumption fails.** It is not believed but tried: the reference's own equation, evaluated in the run's
precision on the same operands, has errors of its own. Numbers that repeat (a column of 0.1 beside constant gradients)
make each rounding that of the one before, and there that evaluation strays as far. So the limits are raised to TWICE
what it shows, and b by FOUR times the factor that it has, where it has one by the same measure (KNOWN).

Sources: Hsu, Kakade and Zhang, A tail inequality for quadratic forms of subgaussian random vectors, Electron. Commun.
Probab. 17 (2012). Efron, Student's t-test under symmetry conditions, J. Amer. Statist. Assoc. 64 (1969), and de la
Pena, A general class of exponential inequalities for martingales and ratios, Ann. Probab. 27 (1999): sums over the root
of their squares, of symmetric variables.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from torch_mirror.judge.findings import Doubt, Sign

PROBABILITY = 1e-6
"""Of a doubt anywhere in a run of right code, if roundings are as assumed: shared out among the rows and the signs."""

LEAST = 1e-300
"""What is less probable is told as this."""

PASSES = 3.0
"""Drifts from the exact value that the check lets pass."""

SAME = 4
"""Units roundoff that a right program's constants may differ by, all over a tensor."""

TWICE = 2.0
"""The reference's own errors, times which another right evaluation's may be."""

FOUR = 4.0
"""The reference's own factor, times which another right evaluation's may be."""

KNOWN = 3.0
"""Deviations from which the reference's own factor is one."""

COMMON = 8.0
"""The roundings of which one may be common to all elements of a tensor: of a form's sixteen there are two."""

LARGE = 64.0
"""Units roundoff, relative, from which an error counts as no larger where errors in common are sought."""

RESOLVED = 16.0
"""Times the allowance of another form that an element must be, to have part in a factor."""


class Sample(NamedTuple):
    """One tensor at the sampled steps: arrays of one axis, all in the wider precision."""

    seen: Array
    exact: Array           # x
    drift: Array           # q
    deviation: Array       # d
    form: Array            # f; 0 where the reference's own form holds
    common: Array          # of q and f what all elements may share
    own: Array             # the reference's own evaluation in the run's precision
    rows: Sequence[Array]  # labels that an element shares with what may have errors in common: its row, its column
    u: float               # of the run's precision
    whole: bool = True     # whether all of x's operands are the trace's own, so that errors are independent

    def at(self, where: Array) -> "Sample":
        """Some of its elements."""
        seen, exact, drift, deviation, form, common, own = (a[where] for a in self[:7])
        rows = [labels[where] for labels in self.rows]
        return Sample(seen, exact, drift, deviation, form, common, own, rows, self.u, self.whole)


def doubt_of(sample: Sample, rows: int, below: float = PROBABILITY) -> Doubt | None:
    """What speaks against a tensor, one of so many that are looked at; the factor first, which says the most.

    below: the probability of what is told.
    """
    finite = np.isfinite(sample.seen) & np.isfinite(sample.exact) & np.isfinite(sample.drift + sample.deviation)
    some = sample.at(finite & ((sample.seen != sample.exact) | (sample.drift + sample.deviation > 0)))
    if not some.seen.size:
        return None
    tests, distinct = 3 * rows, _distinct(some)
    with np.errstate(all="ignore"):
        element = _doubt("element", *_element(some, len(distinct.first)), tests, below)
        if not some.whole:
            return element
        factor = _doubt("factor", *_factor(some, distinct), tests, below)
        size = _doubt("size", *_size(some, distinct), tests, below)
    return factor or element or size


def _doubt(sign: Sign, figure: float, log_probability: float, tests: int, below: float) -> Doubt | None:
    """The doubt, if what was seen is improbable enough in so many tests; no probability is told below LEAST."""
    log_probability += math.log(tests)
    if not log_probability < math.log(below):
        return None
    return Doubt(sign, figure, math.exp(max(log_probability, math.log(LEAST))))


class _Distinct(NamedTuple):
    """Elements that are equal in value and error are one, up to a sign and a power of two, which round nothing."""

    first: Array   # of each kind, the place of one
    labels: Array  # of each element, its kind


def _distinct(s: Sample) -> _Distinct:
    x, exponent = np.frexp(np.abs(s.exact))
    v = np.ldexp(np.abs(s.seen), -exponent)
    order = np.lexsort((v, x))
    new = np.concatenate([[True], (np.diff(x[order]) != 0) | (np.diff(v[order]) != 0)])
    labels = np.empty(order.size, np.intp)
    labels[order] = np.cumsum(new) - 1
    return _Distinct(order[new], labels)


def _element(s: Sample, n: int) -> tuple[float, float]:
    """The largest error beyond its drift in deviations, and the logarithm of its probability."""
    figure = float(_deviations(s, s.seen).max())
    counted = figure / max(1.0, TWICE * float(_deviations(s, s.own).max()) / _limit(n))
    return figure, math.log(2 * n) - counted**2 / 2


def _limit(n: int) -> float:
    """The deviations that n elements have at most, but for a probability of PROBABILITY."""
    return math.sqrt(2 * math.log(2 * n / PROBABILITY))


def _deviations(s: Sample, seen: Array) -> Array:
    """Of each element its error beyond drift and form, in deviations; 0 of one that is no sum."""
    beyond = np.maximum(np.abs(seen - s.exact) - PASSES * s.drift - s.form, 0)
    ratio: Array = np.divide(beyond, s.deviation, out=np.zeros_like(beyond), where=s.deviation > 0)
    return ratio


def _size(s: Sample, distinct: _Distinct) -> tuple[float, float]:
    """The root mean square of what ``_element`` looks at, and the logarithm of its probability."""
    sums = distinct.first[s.deviation[distinct.first] > 0]
    n = len(sums)
    if not n:
        return 0.0, 0.0
    one = s.at(sums)
    mean = float(np.mean(_deviations(one, one.seen) ** 2))
    allowed = max(1.0, TWICE**2 * float(np.mean(_deviations(one, one.own) ** 2)))
    excess = n * (mean / allowed - 1)  # = 2 sqrt(n t) + 2 t
    root = (math.sqrt(n + 2 * excess) - math.sqrt(n)) / 2 if excess > 0 else 0.0
    return math.sqrt(mean), -(root**2)


def _factor(s: Sample, distinct: _Distinct) -> tuple[float, float]:
    """seen / x, fitted, and the logarithm of the probability that it comes of roundings."""
    in_part = (s.form <= np.abs(s.exact) / RESOLVED) & (s.common <= 3 * SAME * s.u * np.abs(s.exact)) & (s.exact != 0)
    if not in_part.any():
        return 1.0, 0.0
    s, kinds = s.at(in_part), distinct.labels[in_part]
    size = np.abs(s.exact)
    w = 1 / (s.deviation + s.drift + s.form + s.u * size) ** 2
    w /= w.max()
    error, own = (np.sign(s.exact) * (a - s.exact) for a in (s.seen, s.own))
    along, norm = float(np.sum(w * size * error)), float(np.sum(w * size**2))
    sign = 1.0 if along >= 0 else -1.0
    spread = float(np.sum(_summed(kinds, w * size * s.deviation) ** 2))

    def least(y: Array) -> float:
        """The least variance of the sum of y: as its parts are, or as their deviations say."""
        squares = float(np.sum(_summed(kinds, y) ** 2))
        return squares if s.form.any() or not spread else min(squares, spread)

    mine = w * size * own
    same = s.u * SAME * size + FOUR * size * _known(float(mine.sum()), least(mine)) / norm

    apart = w * size * (sign * error - np.maximum(same, s.drift))
    common = np.clip((sign * error - np.maximum(same, s.common)) / size, -LARGE * s.u, LARGE * s.u)
    log_probability = math.log(2) + max(_one_sided(_summed(labels, common)) for labels in (kinds, *s.rows))
    if float(apart.sum()) > 0 and not (s.form.any() and s.common.any()):
        log_probability = min(log_probability, math.log(4) - float(apart.sum()) ** 2 / (2 * least(apart)))
    return 1 + along / norm, log_probability + math.log(2)


def _summed(labels: Array, y: Array) -> Array:
    """The sums of y over what shares a label; float64 will do for what is squared next."""
    numbered = np.unique(labels, return_inverse=True)[1]
    return np.bincount(numbered, y.astype(float))


def _known(total: float, variance: float) -> float:
    """The size of a sum that is known to be none of roundings by KNOWN deviations; else 0."""
    return abs(total) if total**2 > KNOWN**2 * variance else 0.0


def _one_sided(sums: Array) -> float:
    """The logarithm of the probability that sums of normal errors, of one size, are as one-sided as these."""
    sums = sums[sums != 0]
    g = len(sums)
    if not g:  # errors of both signs, all of the largest size that is counted
        return 0.0
    share = float(sums.sum()) ** 2 / (g * float(np.sum(sums**2)))
    return 0.5 * (g - 1) * math.log(max(1 - share, 1e-30)) if sums.sum() > 0 else 0.0
