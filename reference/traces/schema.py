"""What the arrays of a trace file are called, whatever the format of the file: docs/traces.md shows it as a page.

    __torch_mirror__                          (2,) whole numbers: how many steps, and the number of the first
    constants/ parameters/ states/ tensors/   the arrays of a trace, each under its name
    hashes/x                                  (32,) uint8: SHA-256 of data, or of a start, that stand elsewhere
    names/W1                                  (n,) uint8: text in UTF-8, where the file's own name of W1 is another one

Parameters and states have steps + 1 rows, tensors a row a step, constants have no axis of steps.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from reference.traces.mapping import KINDS, Groups, mapped

PLACE = "__torch_mirror__"
HASHES, NAMES = "hashes", "names"
SHA256 = 32
"""Bytes of a hash."""

LONGEST = 1000
"""Bytes of a name."""


class Contents(NamedTuple):
    """A trace as plain data."""

    steps: int
    first: int
    groups: Groups
    hashes: Mapping[str, str]  # hexadecimal, as sha256sum prints it


def sha256(a: Array) -> str:
    """SHA-256 of an array's numbers, row by row, each with its lowest byte first.

    Floats have the bytes that they have; whole numbers and bools have 8 each (int64), as programs differ in their
    width. Of an array with negative zeros it is another one than of the same array with zeros.
    """
    own = a.dtype.newbyteorder("<") if a.dtype.kind == "f" else np.dtype("<i8")
    return hashlib.sha256(np.ascontiguousarray(a, own).reshape(-1).view(np.uint8).data).hexdigest()


def packed(what: str, contents: Contents) -> dict[str, Array]:
    """The arrays of the file. Raises InputError for a hash that is none."""
    arrays = {f"{kind}/{name}": a for kind, group in contents.groups.items() for name, a in group.items()}
    hashes = {f"{HASHES}/{name}": _bytes_of(f"{name} in {what}", told) for name, told in contents.hashes.items()}
    return {PLACE: np.array([contents.steps, contents.first]), **arrays, **hashes}


def unpacked(what: str, arrays: Mapping[str, Array]) -> Contents:
    """The trace of these arrays, under the reference's names. Raises InputError where they contradict themselves."""
    steps, first = _place(what, arrays.get(PLACE))
    parts: dict[str, dict[str, Array]] = {kind: {} for kind in (*KINDS, HASHES, NAMES)}
    for key, a in arrays.items():
        kind, _, name = key.partition("/")
        if key == PLACE:
            continue
        if kind not in parts or not name:
            raise InputError(what, f"arrays called {', '.join(f'{kind}/...' for kind in parts)}", repr(key))
        parts[kind][name] = a
    for kind, rows in (("parameters", steps + 1), ("states", steps + 1), ("tensors", steps)):
        for name, a in parts[kind].items():
            if a.shape[:1] != (rows,):
                raise InputError(what, f"{rows} entries of {name}", f"shape {a.shape}")
    hashes = {name: _hash(f"{name} in {what}", a) for name, a in parts.pop(HASHES).items()}
    names = {name: _text(f"{name} in {what}", a) for name, a in parts.pop(NAMES).items()}
    return Contents(steps, first, mapped(what, parts, names), hashes)


def checked_hash(what: str, told: object) -> str:
    """The hash as hexadecimal digits, small ones. Raises InputError for what is none."""
    digits = told.lower() if isinstance(told, str) else ""
    if len(digits) != 2 * SHA256 or set(digits) - set("0123456789abcdef"):
        raise InputError(f"hash of {what}", f"SHA-256 in {2 * SHA256} hexadecimal digits", repr(told))
    return digits


def _bytes_of(what: str, told: object) -> Array:
    return np.frombuffer(bytes.fromhex(checked_hash(what, told)), np.uint8)


def _hash(what: str, a: Array) -> str:
    if a.dtype != np.uint8 or a.shape != (SHA256,):
        raise InputError(f"hash of {what}", f"SHA-256 in {SHA256} bytes (uint8)", f"shape {a.shape} of {a.dtype}")
    return a.tobytes().hex()


def _text(what: str, a: Array) -> str:
    if a.dtype != np.uint8 or a.ndim != 1 or a.size > LONGEST:
        expected = f"a text in {LONGEST} bytes (uint8) at most, of one axis"
        raise InputError(f"name of {what}", expected, f"shape {a.shape} of {a.dtype}")
    try:
        return a.tobytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"name of {what}", "a text in UTF-8", f"{a.tobytes()[:40]!r}") from error


def _place(what: str, header: Array | None) -> tuple[int, int]:
    """How many steps, and the number of the first: what a file says of the run. Raises InputError."""
    if header is None:
        raise InputError(what, f"a trace that Trace.save wrote, with {PLACE}", "another file")
    if header.shape != (2,) or header.dtype.kind not in "iu" or (header < 0).any():
        came = str(header.tolist()) if header.size < 9 else f"shape {header.shape}"  # a list of all may be a long one
        raise InputError(what, "steps and first, two whole numbers from 0 on", came)
    steps, first = header.tolist()
    return steps, first
