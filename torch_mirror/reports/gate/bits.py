"""What is known of a tensor whose bits have changed, from two fingerprints and nothing else, in words."""

import math
import struct
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import NamedTuple, TypeAlias

from torch_mirror.reports.gate.prints import FINE, LOOKED, LOW, Print, Timeline, sample_apart, steps_of

Steps: TypeAlias = tuple[int, int]
"""The first and the last of the steps of which one is meant."""

MOST = 1 - 0.05 ** (1 / LOOKED)
"""A share of which none is seen among LOOKED once in twenty: (1 - MOST)^LOOKED = 0.05."""


class Changed(NamedTuple):
    """A tensor whose bits have changed. since: at one of these steps at first; None where nobody knows."""

    since: Steps | None
    tensor: str
    side: str
    words: str


def changed_bits(
    then: Iterable[Print], now: Iterable[Print], dtype: str, begun: Mapping[str, Steps] | None = None
) -> list[Changed]:
    """Of the tensors that both have, those whose bits differ. dtype: of the run, whose ulp are told.

    begun: when the run of a side changed at first; none of its tensors can have changed before.
    """
    before = {p[:2]: p for p in then}
    pairs = [(before[p[:2]], p) for p in now if p[:2] in before]
    return [_changed(a, b, dtype, (begun or {}).get(b.side)) for a, b in pairs if a != b]


def begun(then: Iterable[Timeline], now: Iterable[Timeline]) -> dict[str, Steps]:
    """When each side's run changed at first: the step itself below 2 FINE, one of FINE parts of an octave above."""
    before = dict(then)
    pairs = [(t, first_span(before[t.side], t.chain)) for t in now if t.side in before]
    return {t.side: steps_of(span, FINE) for t, span in pairs if span is not None}


def first_span(then: str, now: str) -> int | None:
    """The first span whose digit differs; None where none does."""
    return next((k for k, (a, b) in enumerate(zip_longest(then, now)) if a != b), None)


def _changed(then: Print, now: Print, dtype: str, begun: Steps | None) -> Changed:
    apart = sample_apart(then.sample, now.sample)
    since = _since(then, now, begun, seen=any(apart))
    told = [_when(since)]
    if since == (0, 0):
        told[0] += f": {_share(apart)}" if apart else ""
    if then.value != now.value:
        apart_now = _apart(then.value, now.value, dtype)
        told.append(f"at the end its middle element is {now.value}, was {then.value}{apart_now}")
    return Changed(since, now.tensor, now.side, "; ".join(told))


def _since(then: Print, now: Print, begun: Steps | None, *, seen: bool) -> Steps | None:
    """seen: whether elements of step 0 differ. Not before ``begun``, which knows the step more closely."""
    span = 0 if seen else first_span(then.chain, now.chain)
    if span is None:
        return None
    first, last = steps_of(span)
    return (first, last) if begun is None or last < begun[0] else (max(first, begun[0]), last)


def _when(since: Steps | None) -> str:
    if since is None:
        return "bits changed, nobody knows at which step"
    first, last = since
    at = f"from step {first} on" if first == last else f"first at one of the steps {first} to {last}"
    return f"bits changed {at}"


def _share(apart: list[int]) -> str:
    """How many elements differ, and by how much. Of LOOKED the rest is not known: a share is told, be they all."""
    n, k = len(apart), sum(d > 0 for d in apart)
    by = f", by at most {max(apart)} ulp (modulo {1 << LOW})" if k else ""
    if n < LOOKED:
        return f"{k} of its {n} elements{by}" if n > 1 else f"its one element{by}"
    if not k:
        return f"most likely less than {100 * MOST:.0f} % of its elements (none of {n} looked at)"
    error = math.sqrt(k * (n - k) / n) / n
    known = f"standard error {100 * error:.0f} %" if k < n else "all"
    return f"about {100 * k / n:.0f} % of its elements ({k} of {n} looked at, {known}){by}"


def _apart(then: str, now: str, dtype: str) -> str:
    """How far two numbers in hexadecimal are apart, in ulp."""
    if "x" not in then or "x" not in now:
        return ""
    return f" ({abs(_ordered(float.fromhex(then), dtype) - _ordered(float.fromhex(now), dtype))} ulp away)"


def _ordered(value: float, dtype: str) -> int:
    """A whole number for each float of the dtype, in their order and without gaps; both zeros are 0."""
    whole, real, least = ("<i", "<f", -(1 << 31)) if dtype == "float32" else ("<q", "<d", -(1 << 63))
    (bits,) = struct.unpack(whole, struct.pack(real, value))
    return int(bits if bits >= 0 else least - bits)
