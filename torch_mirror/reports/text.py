"""A certificate as text for people and as JSON for programs. Pure functions: nothing is printed here.

JSON has no infinity and no NaN, and ratios, seen values and distances may be either. Such a number is
written as the string "inf", "-inf" or "nan", which ``float`` reads back.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch_mirror.judge.verdict import Certificate, Finding, Ruling

_DIGITS = {"float32": 9, "float64": 17}
"""Significant decimal digits that tell any two numbers of a dtype apart."""


def line(c: Certificate, width: int = 0) -> str:
    """What was judged, the worst of it and the verdict, on one line; names are padded to ``width``."""
    none = "no error at all" if c.judged else "nothing judged"
    worst = none if c.worst is None else f"worst {_share(c.worst.ratio)} of its radius ({_where(c.worst)})"
    distance = "unknown" if c.end_distance is None else f"{c.end_distance:.2g}"
    return (
        f"{c.experiment:<{width}}  {c.dtype}  {c.steps:5d} steps  {c.tensors:6d} tensors  {c.judged:9d} elements  "
        f"{worst:<48}  free runs end {distance} apart  {c.verdict}"
    )


def details(c: Certificate) -> list[str]:
    """What else a reader of a run that is not certified needs: indented lines, none for a certified run."""
    lines = []
    if c.first is not None:
        digits = _DIGITS.get(c.dtype, 17)
        lines += _first(c.first, digits)
        lines += [] if c.ruling is None else _ruled(c.ruling, digits)
        others = [f"{_where(f)}, {_times(f)}" for f in c.refutations if f is not c.first]
        if others:
            lines += ["also refuted:", *(f"  {other}" for other in others)]
    if c.verdict != "certified":
        if c.vacuous:
            lines.append(f"vacuous: the radius of {_count(c.vacuous, 'element')} is infinite")
        lines += [f"vacuous: {reason}" for reason in c.idle]
        if not (c.judged or c.vacuous or c.idle):
            lines.append("vacuous: no element was judged")
    return [f"    {text}" for text in [*lines, *c.notes]]


def as_json(c: Certificate) -> dict[str, Any]:
    """The certificate as values that strict JSON can hold."""
    return {
        "experiment": c.experiment,
        "dtype": c.dtype,
        "seed": c.seed,
        "steps": int(c.steps),
        "tensors": int(c.tensors),
        "judged": int(c.judged),
        "vacuous": int(c.vacuous),
        "worst": None if c.worst is None else _finding(c.worst),
        "end_distance": number(c.end_distance),
        "end_distance_relative": number(c.end_distance_relative),
        "verdict": c.verdict,
        "seconds": number(c.seconds),
        "refutations": [_finding(f) for f in c.refutations],
        "ruling": None if c.ruling is None else _ruling(c.ruling),
        "idle": list(c.idle),
        "notes": list(c.notes),
    }


def document(certificates: Iterable[Certificate], versions: Mapping[str, str], threads: Mapping[str, int]) -> str:
    """The JSON text of a whole report; ends with a newline."""
    whole = {"versions": dict(versions), "threads": dict(threads), "runs": [as_json(c) for c in certificates]}
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def number(value: float | None) -> float | str | None:
    """A float that JSON can hold, or its name where JSON cannot."""
    if value is None:
        return None
    value = float(value)  # NumPy's float32 is no Python float
    return value if math.isfinite(value) else str(value)


def _finding(f: Finding) -> dict[str, Any]:
    return {
        "ratio": number(f.ratio),
        "step": int(f.step),
        "tensor": f.tensor,
        "side": f.side,
        "check": f.check,
        "index": [int(i) for i in f.index],
        "seen": number(f.seen),
        "expected": number(f.expected),
        "radius": number(f.radius),
        "ulp": number(f.ulp),
        "outside": int(f.outside),
        "size": int(f.size),
        "member": None if f.member is None else int(f.member),
    }


def _ruling(r: Ruling) -> dict[str, Any]:
    numbers = {name: number(getattr(r, name)) for name in ("derivative", "reference", "mirror", "left", "right")}
    head = {"verdict": r.verdict, "tensor": r.tensor, "step": int(r.step), "index": [int(i) for i in r.index]}
    return head | numbers | {"note": r.note}


def _first(f: Finding, digits: int) -> list[str]:
    element = f"element {tuple(int(i) for i in f.index)}" if f.index else "its value"
    return [
        f"first wrong: {_where(f)}, {f.check} check; {f.outside} of {_count(f.size, 'element')} outside",
        f"  {element}: seen {f.seen:.{digits}g}, expected {f.expected:.{digits}g}",
        f"  error: {f.ulp:.3g} ulp, {_times(f)}",
    ]


def _ruled(r: Ruling, digits: int) -> list[str]:
    """The arbiter's verdict, and below it what it rests on."""
    numbers = [
        f"{what} {value:.{digits}g}"
        for what, value in (
            ("derivative", r.derivative),
            ("from the left", r.left),
            ("from the right", r.right),
            ("reference", r.reference),
            ("mirror", r.mirror),
        )
        if value is not None
    ]
    at = f"at {tuple(int(i) for i in r.index)}: " if r.index else ""
    lines = [f"  arbiter: {r.verdict}", *([f"    {at}{', '.join(numbers)}"] if numbers else [])]
    return [*lines, *([f"    {r.note}"] if r.note else [])]


def _share(ratio: float) -> str:
    """Three digits, and never 1 for what is below it."""
    return f"{math.floor(ratio * 1000) / 1000:.3g}" if 0.9 < ratio < 1 else f"{ratio:.3g}"


def _where(f: Finding) -> str:
    member = "" if f.member is None else f", member {f.member}"
    return f"{f.tensor}, step {f.step}{member}, {f.side}"


def _times(f: Finding) -> str:
    return "where the radius is 0 and only equality will do" if f.radius == 0 else f"{f.ratio:.3g} times its radius"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
