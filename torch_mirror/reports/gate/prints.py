"""Fingerprints: of every tensor of a run all bits as a short hash, and a few of its numbers.

``marks`` reads a segment of a trace while it is judged, ``prints_of`` makes fingerprints of all segments' marks, and
``timelines_of`` what tells the step at which a side's run changed.

**The hash of a step** is sum_i w[i] b[i] modulo 2^B, where b[i] are the B bits of element i as a whole number and
w[i] are fixed odd weights. Where one element differs it differs for certain: an odd number has an inverse modulo 2^B,
so that w (b - b') is 0 for b = b' alone. Where more differ, weights drawn at random would let it pass with a
probability of 2^(v - B + 1) at most, 2^v being the largest power of 2 that divides all differences (multilinear
hashing: Carter and Wegman, Universal classes of hash functions, J. Comput. Syst. Sci. 18 (1979); Lemire and Kaser,
Strongly universal string hashing is fast, Comput. J. 57 (2014)). It is no defence against malice. It runs at the speed
of memory, which no hash of hashlib does, and the steps' hashes, eight bytes each, go through BLAKE2b.

**A chain** tells since when: a digit of the hash of all steps up to the end of each span. Two chains are equal before
the first step that differs, and behind it a digit agrees by chance once in 64: the first digit that differs is that of
the step, or in one case of 64 a later one, never an earlier one. A tensor's spans are step 0, 1, 2 to 3, 4 to 7 and so
on. A side's, of all its tensors together, are one step each up to 2 FINE, and then FINE to an octave.

**Samples** tell how much of a tensor changed at step 0: the last LOW bits of some elements, of more than LOOKED of one
of each of LOOKED equal parts, at a place that is fixed and looks random. The share of these that differ estimates the
share of all without bias, with a standard error of at most that of independent draws (Cochran, Sampling Techniques,
3rd ed. 1977, section 5.6: one unit per stratum), but for elements that moved by a multiple of 2^LOW ulp, which look
the same. Bits of neighbouring floats of one sign are neighbouring whole numbers, so that the difference is in ulp,
modulo 2^LOW.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.traces.trace import Trace
from torch_mirror.judge.findings import Side
from torch_mirror.reports.gate.digits import DIGITS, digest, number_of, packed, unpacked

WHOLE = 8
"""Digits of a hash of all bits."""

LOOKED, LOW = 64, 4
"""Elements of which the last bits are kept at most, and how many bits of each."""

FINE = 32
"""Spans of a side's chain in each octave of steps: one step each below twice as many."""


class Print(NamedTuple):
    """The fingerprint of one tensor of one side's run."""

    tensor: str
    side: Side
    whole: str   # of all bits of all steps that the trace holds: WHOLE digits
    chain: str   # a digit of that of all steps up to the end of each span
    value: str   # the middle element of the last step, in full: as float.hex has it, or a whole number
    sample: str  # the last bits of elements of step 0, packed; none where step 0 is not held, or has no element


class Timeline(NamedTuple):
    """Since when one side's run is what it is: a chain of all its tensors, in fine spans."""

    side: Side
    chain: str


class Mark(NamedTuple):
    """Of one tensor in one segment."""

    tensor: str
    side: Side
    kind: str      # dtype and shape
    steps: Array   # (n,): -1 is what is there before the first
    hashes: Array  # (n,)
    value: str
    sample: str


def marks(trace: Trace, side: Side) -> list[Mark]:
    """What one segment of a run shows: of its data with the first segment alone."""
    first, n = trace.first, trace.steps
    found = []
    if first == 0:
        found += [_mark(name, side, a[None], np.array([-1])) for name, a in trace.constants.items()]
    for name, a in (*trace.parameters.items(), *trace.states.items()):
        since = 0 if first == 0 else 1  # the first entry is the last one of the segment before
        found.append(_mark(name, side, a[since:], np.arange(first + since - 1, first + n)))
    found += [_mark(name, side, a, np.arange(first, first + n)) for name, a in trace.tensors.items() if n]
    return found


def prints_of(found: Iterable[Mark]) -> tuple[Print, ...]:
    """The fingerprints, in the order of first appearance."""
    groups: dict[tuple[str, Side], list[Mark]] = {}
    for mark in found:
        groups.setdefault(mark[:2], []).append(mark)
    return tuple(_print(some) for some in groups.values())


def timelines_of(found: Iterable[Mark]) -> tuple[Timeline, ...]:
    """The timeline of each side, in the order of first appearance.

    The hash of a step is the sum of its tensors' hashes, each with an odd weight that its name fixes: where one tensor
    alone differs it differs for certain, and segments of any size give the same.
    """
    sides: dict[Side, list[Mark]] = {}
    for mark in found:
        sides.setdefault(mark.side, []).append(mark)
    return tuple(Timeline(side, _timeline(some)) for side, some in sides.items())


def _timeline(some: list[Mark]) -> str:
    total = np.zeros(1 + max(int(m.steps[-1]) for m in some if len(m.steps)) + 1, "<u8")  # the first: before step 0
    for m in some:
        name = f"{m.tensor} {m.kind}".encode(errors="surrogatepass")
        total[m.steps + 1] += m.hashes * np.uint64(number_of(digest(name, WHOLE)) | 1)
    return _chain(np.arange(-1, len(total) - 1), total, FINE)


def span_of(steps: Array, fine: int = 1) -> Array:
    """The number of each step's span, ``fine`` to an octave: its own for steps below 2 fine; what is before 0 is 0."""
    t = np.maximum(steps, 0)
    octave = np.maximum(np.frexp(np.maximum(t, 1).astype(np.float64))[1] - fine.bit_length(), 0)  # above the first
    return fine * octave + (t >> octave)


def steps_of(span: int, fine: int = 1) -> tuple[int, int]:
    """The first and the last step of a span."""
    octave = max(span // fine - 1, 0)
    first = span - fine * octave
    return first << octave, ((first + 1) << octave) - 1


def hashes_of(a: Array) -> Array:
    """The hash of each entry along the first axis: (n, ...) to (n,), whole numbers without a sign."""
    bits = _bits(a)
    n = bits.shape[1]
    weights = _weights(1 << max(n - 1, 0).bit_length(), bits.dtype.str)[:n]
    return (bits @ weights).astype("<u8")


def _mark(name: str, side: Side, a: Array, steps: Array) -> Mark:
    sample = "" if steps[0] > 0 else _sample(a[min(int(np.searchsorted(steps, 0)), len(a) - 1)])
    kind = f"{a.dtype.name} {a.shape[1:]}"
    return Mark(name, side, kind, steps, hashes_of(a), _value(a[-1]), sample)


def _print(some: list[Mark]) -> Print:
    steps, hashes = (np.concatenate(parts) for parts in zip(*((m.steps, m.hashes) for m in some), strict=True))
    whole = digest(some[0].kind.encode() + hashes.tobytes(), WHOLE)
    return Print(*some[0][:2], whole, _chain(steps, hashes), some[-1].value, some[0].sample)


def _chain(steps: Array, hashes: Array, fine: int = 1) -> str:
    """A digit for each span from the first to the last, of all that was held up to its end; steps are ascending."""
    spans, so_far, text = span_of(steps, fine), hashlib.blake2b(digest_size=8), []
    ends = np.searchsorted(spans, np.arange(int(spans[-1]) + 1), side="right")
    for begin, end in pairwise([0, *ends.tolist()]):
        so_far.update(hashes[begin:end].tobytes())
        text.append(DIGITS[so_far.digest()[0] & 63])
    return "".join(text)


def _bits(a: Array) -> Array:
    """The bits of each element as a whole number: (n, ...) to (n, elements)."""
    flat = np.ascontiguousarray(a).reshape(len(a), -1)
    if flat.dtype.itemsize in {4, 8}:
        return flat.view(f"u{flat.dtype.itemsize}")
    return flat.view(f"u{flat.dtype.itemsize}").astype(np.uint64)


@lru_cache(maxsize=8)
def _weights(n: int, dtype: str) -> Array:
    """The first n weights: (n,), odd, and the same whatever NumPy's generators draw.

    They are the numbers of splitmix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014).
    """
    z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) | np.uint64(1)).astype(dtype, copy=False)


def _value(a: Array) -> str:
    if not a.size:
        return "none"
    middle = a.reshape(-1)[a.size // 2]
    return re.sub(r"\.?0*p", "p", float(middle).hex()) if a.dtype.kind == "f" else str(int(middle))


def _sample(a: Array) -> str:
    return packed(_bits(a.reshape(1, -1)[:, _places(a.size)])[0].tolist(), LOW) if a.size else ""


@lru_cache(maxsize=64)
def _places(n: int) -> Array:
    """Which of n elements are looked at: (LOOKED,), one in each of equal parts; all where they are no more."""
    if n <= LOOKED:
        return np.arange(n)
    edges = np.arange(LOOKED + 1) * n // LOOKED
    drawn = _weights(LOOKED, "<u8") >> np.uint64(11)
    return edges[:-1] + (drawn % np.diff(edges).astype(np.uint64)).astype(np.int64)


def sample_apart(then: str, now: str) -> list[int]:
    """Of each element that was looked at, by how many ulp it differs, modulo 2^LOW: the nearest to 0."""
    turn = 1 << LOW
    apart = [(b - a) % turn for a, b in zip(unpacked(then, LOW), unpacked(now, LOW), strict=False)]
    return [min(d, turn - d) for d in apart]
