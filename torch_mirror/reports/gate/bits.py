"""What is known of a tensor whose bits have changed, from two fingerprints and nothing else, in words."""

import struct
from collections.abc import Iterable
from itertools import zip_longest
from typing import NamedTuple

from torch_mirror.reports.gate.prints import SPAN, TAIL, Print, steps_of, tails_apart


class Changed(NamedTuple):
    """A tensor whose bits have changed. span: the first in which they have, see prints.py."""

    span: int
    tensor: str
    side: str
    words: str


def changed_bits(then: Iterable[Print], now: Iterable[Print], dtype: str) -> list[Changed]:
    """Of the tensors that both have, those whose bits differ. dtype: of the run, whose ulp are told."""
    before = {p[:2]: p for p in then}
    pairs = [(before[p[:2]], p) for p in now if p[:2] in before]
    return [Changed(first_span(a, b), a.tensor, a.side, words(a, b, dtype)) for a, b in pairs if a != b]


def first_span(then: Print, now: Print) -> int:
    """The first span whose hash differs; behind the last one where only the hash of all does.

    Two spans agree by chance in one case of 4096.
    """
    pairs = list(zip_longest(_spans(then), _spans(now)))
    return next((k for k, (a, b) in enumerate(pairs) if a != b), len(pairs))


def words(then: Print, now: Print, dtype: str) -> str:
    """What is known: since when, how many of the elements that are kept differ and by how much, and one of them."""
    told = [_since(first_span(then, now), len(_spans(now)))]
    apart = list(tails_apart(then.tails, now.tails))
    some = [ulp for ulp in apart if ulp]
    kept = f"of {len(apart)} element{'s' if len(apart) > 1 else ''} kept of step 0"
    if some:
        differ = "1 differs" if len(some) == 1 else f"{len(some)} differ"
        told.append(f"{kept} {differ}, by at most {max(some)} ulp (modulo {1 << 6 * TAIL})")
    elif apart and first_span(then, now) == 0:
        told.append(f"{kept} none differs")
    if then.value != now.value:
        apart_now = _apart(then.value, now.value, dtype)
        told.append(f"at the end its middle element is {now.value}, was {then.value}{apart_now}")
    return "; ".join(told)


def _since(span: int, spans: int) -> str:
    if span >= spans:
        return "bits changed, nobody knows at which step"
    first, last = steps_of(span)
    return "bits changed from step 0 on" if span == 0 else f"bits changed first at one of the steps {first} to {last}"


def _spans(p: Print) -> list[str]:
    return [p.spans[i : i + SPAN] for i in range(0, len(p.spans), SPAN)]


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
