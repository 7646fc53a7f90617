"""Fingerprints: of every tensor of a run all bits as a short hash, and a few of its numbers in full.

``marks`` reads a segment of a trace while it is judged, ``prints_of`` makes fingerprints of all segments' marks.

**The hash of a step** is sum_i w[i] b[i] modulo 2^B, where b[i] are the B bits of element i as a whole number and
w[i] are fixed odd weights. Where one element differs it differs for certain: an odd number has an inverse modulo 2^B,
so that w (b - b') is 0 for b = b' alone. Where more differ, weights drawn at random would let it pass with a
probability of 2^(v - B + 1) at most, 2^v being the largest power of 2 that divides all differences (multilinear
hashing: Carter and Wegman, Universal classes of hash functions, J. Comput. Syst. Sci. 18 (1979); Lemire and Kaser,
Strongly universal string hashing is fast, Comput. J. 57 (2014)). It is no defence against malice. It runs at the speed
of memory, which no hash of hashlib does, and the steps' hashes, eight bytes each, go through BLAKE2b.

**Spans** tell when a tensor changed: step 0 by itself, then 1 to 3, 4 to 15, 16 to 63 and so on, twelve bits each.
**Tails** tell by how much at first: the last 18 bits of five elements of step 0. Bits of neighbouring floats of one
sign are neighbouring whole numbers, so that the difference of two tails is that of the floats in ulp, modulo 2^18.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.traces.trace import Trace
from torch_mirror.judge.findings import Side

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""Six bits each, as RFC 4648 has them (base64url)."""

WHOLE, SPAN, TAIL = 8, 2, 3
"""Digits of a hash of all bits, of that of a span, and of an element's last bits."""

TAILS = 5
"""Elements of which the last bits are kept."""


class Print(NamedTuple):
    """The fingerprint of one tensor of one side's run."""

    tensor: str
    side: Side
    whole: str  # of all bits of all steps that the trace holds: WHOLE digits
    spans: str  # of those of each span, SPAN digits each; a span of which the trace holds no step is "--"
    value: str  # the middle element of the last step, in full: float.hex, or a whole number
    tails: str  # the last bits of elements of step 0, evenly spread, TAIL digits each; none where step 0 is not held


class Mark(NamedTuple):
    """Of one tensor in one segment."""

    tensor: str
    side: Side
    kind: str      # dtype and shape
    steps: Array   # (n,): -1 is what is there before the first
    hashes: Array  # (n,)
    value: str
    tails: str


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


def span_of(steps: Array) -> Array:
    """The number of each step's span: 0 for step 0 and what is before it, k for 4^(k - 1) to 4^k - 1."""
    later = np.maximum(steps, 1).astype(np.float64)
    return np.where(steps < 1, 0, 1 + (np.frexp(later)[1] - 1) // 2)


def steps_of(span: int) -> tuple[int, int]:
    """The first and the last step of a span."""
    return (4 ** (span - 1), 4**span - 1) if span else (0, 0)


def number_of(digits: str) -> int:
    """What digits of DIGITS stand for."""
    number = 0
    for digit in digits:
        number = number * 64 + DIGITS.index(digit)
    return number


def hashes_of(a: Array) -> Array:
    """The hash of each entry along the first axis: (n, ...) to (n,), whole numbers without a sign."""
    bits = _bits(a)
    n = bits.shape[1]
    weights = _weights(1 << max(n - 1, 0).bit_length(), bits.dtype.str)[:n]
    return (bits @ weights).astype("<u8")


def _mark(name: str, side: Side, a: Array, steps: Array) -> Mark:
    tails = "" if steps[0] > 0 else _tails(a[min(int(np.searchsorted(steps, 0)), len(a) - 1)])
    kind = f"{a.dtype.name} {a.shape[1:]}"
    return Mark(name, side, kind, steps, hashes_of(a), _value(a[-1]), tails)


def _print(some: list[Mark]) -> Print:
    steps, hashes = (np.concatenate(parts) for parts in zip(*((m.steps, m.hashes) for m in some), strict=True))
    spans = span_of(steps)
    whole = _digest(some[0].kind.encode() + hashes.tobytes(), WHOLE)
    of_spans = [hashes[spans == k].tobytes() for k in range(int(spans.max()) + 1)]
    texts = [_digest(one, SPAN) if one else "-" * SPAN for one in of_spans]
    return Print(*some[0][:2], whole, "".join(texts), some[-1].value, some[0].tails)


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


def _digest(data: bytes, digits: int) -> str:
    number = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
    return _digits(number >> (64 - 6 * digits), digits)


def _digits(number: int, digits: int) -> str:
    return "".join(DIGITS[number >> (6 * i) & 63] for i in reversed(range(digits)))


def _value(a: Array) -> str:
    if not a.size:
        return "none"
    middle = a.reshape(-1)[a.size // 2]
    return float(middle).hex() if a.dtype.kind == "f" else str(int(middle))


def _tails(a: Array) -> str:
    n = a.size
    places = sorted({i * n // TAILS for i in range(TAILS)}) if n else []
    last = _bits(a.reshape(1, -1)[:, places])[0] & ((1 << 6 * TAIL) - 1)
    return "".join(_digits(int(bits), TAIL) for bits in last)


def tails_apart(then: str, now: str) -> Iterator[int]:
    """Of each element whose last bits are kept, by how many ulp it differs, modulo 2^18: the nearest to 0."""
    turn = 1 << 6 * TAIL
    for i in range(0, min(len(then), len(now)), TAIL):
        apart = (number_of(now[i : i + TAIL]) - number_of(then[i : i + TAIL])) % turn
        yield min(apart, turn - apart)
