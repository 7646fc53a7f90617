"""A certificate as JSON for programs, and back. Pure functions: nothing is written or opened here.

A report is one object: ``schema``, the number of its form; ``versions`` and ``threads`` of what computed it; and
``runs``, one for each certificate. ``schema.json`` beside this file describes it (JSON Schema, draft 2020-12).
A newer form may say what this reader does not know, and is refused.

JSON has no infinity and no NaN, and ratios, seen values and distances may be either. Such a number is
written as the string "inf", "-inf" or "nan", which ``float`` reads back.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from reference.errors import InputError
from torch_mirror.judge.findings import Check, Doubt, Finding, Row, Side, Sign
from torch_mirror.judge.verdict import Certificate, Ruling, Words

SCHEMA = 1
"""The form of the reports that are written, and the newest that is read."""


def document(certificates: Iterable[Certificate], versions: Mapping[str, str], threads: Mapping[str, int]) -> str:
    """The JSON text of a whole report; ends with a newline."""
    runs = [as_json(c) for c in certificates]
    whole = {"schema": SCHEMA, "versions": dict(versions), "threads": dict(threads), "runs": runs}
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def read(text: str) -> list[Certificate]:
    """The certificates of a report that ``document`` wrote.

    Raises InputError, naming the place, where the text is no such report, is of a newer schema, or contradicts
    itself: totals, worst, refutations and verdict are read from the rows and must be those that are written.
    """
    try:
        whole = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError("report", "strict JSON", str(error)) from error
    whole = _object("report", whole)
    schema = _value("report", whole, "schema", _integer)
    if not 1 <= schema <= SCHEMA:
        way_out = "a newer torch-mirror reads it" if schema > SCHEMA else "there is none"
        raise InputError("report.schema", f"at most {SCHEMA}, from 1 on", f"{schema}: {way_out}")
    certificates: list[Certificate] = _value("report", whole, "runs", _list(_certificate))
    return certificates


# --- writing --------------------------------------------------------------------------------------


def as_json(c: Certificate) -> dict[str, Any]:
    """The certificate as values that strict JSON can hold."""
    return {
        "experiment": c.experiment,
        "dtype": c.dtype,
        "seed": c.seed,
        "steps": int(c.steps),
        "strict": bool(c.strict),
        **_derived(c),
        "end_distance": number(c.end_distance),
        "end_distance_relative": number(c.end_distance_relative),
        "seconds": number(c.seconds),
        "ruling": None if c.ruling is None else _ruling_as_json(c.ruling),
        "why": list(c.why),
        "idle": list(c.idle),
        "notes": list(c.notes),
        "rows": [_row_as_json(row) for row in c.rows],
    }


def number(value: float | None) -> float | str | None:
    """A float that JSON can hold, or its name where JSON cannot."""
    if value is None:
        return None
    value = float(value)  # NumPy's float32 is no Python float
    return value if math.isfinite(value) else str(value)


def _derived(c: Certificate) -> dict[str, Any]:
    """What follows from the rows, and is written for readers that do not want to know how."""
    return {
        "verdict": c.verdict,
        "tensors": int(c.tensors),
        "judged": int(c.judged),
        "vacuous": int(c.vacuous),
        "undecided": list(c.undecided),
        "doubts": [row.tensor for row in c.doubts],
        "worst": _finding_as_json(c.worst),
        "refutations": [_finding_as_json(f) for f in c.refutations],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "tensor": row.tensor,
        "check": row.check,
        "side": row.side,
        "comparisons": int(row.comparisons),
        "judged": int(row.judged),
        "vacuous": int(row.vacuous),
        "infinite": int(row.infinite),
        "worst": _finding_as_json(row.worst),
        "under": number(row.under),
        "first": _finding_as_json(row.first),
        "resolution": number(row.resolution),
        "zero": bool(row.zero),
        "forms": int(row.forms),
        "beyond": number(row.beyond),
        "sought": int(row.sought),
        "doubt": None if row.doubt is None else _doubt_as_json(row.doubt),
        "unbounded": _finding_as_json(row.unbounded),
        "cancels": bool(row.cancels),
        "open_at": row.open_at,
    }


def _doubt_as_json(d: Doubt) -> dict[str, Any]:
    return {"sign": d.sign, "figure": number(d.figure), "probability": number(d.probability)}


def _finding_as_json(f: Finding | None) -> dict[str, Any] | None:
    if f is None:
        return None
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


def _ruling_as_json(r: Ruling) -> dict[str, Any]:
    numbers = {name: number(getattr(r, name)) for name in ("derivative", "reference", "mirror", "left", "right")}
    head = {"verdict": r.verdict, "tensor": r.tensor, "step": int(r.step), "index": [int(i) for i in r.index]}
    return head | numbers | {"note": r.note}


# --- reading: each takes the place of a value, for the message, and the value ---------------------

_Reader = Callable[[str, Any], Any]


def _certificate(place: str, value: Any) -> Certificate:
    fields: dict[str, _Reader] = {
        "experiment": _text, "dtype": _text, "seed": _optional(_integer), "steps": _integer, "strict": _truth,
        "rows": _tuple(_row), "why": _tuple(_text), "idle": _tuple(_text),
        "end_distance": _optional(_float), "end_distance_relative": _optional(_float), "seconds": _float,
        "notes": _tuple(_text), "ruling": _optional(_ruling),
    }  # fmt: skip
    value = _object(place, value)
    c = Certificate(**_fields(place, value, fields))
    for name, follows in _derived(c).items():
        written = _value(place, value, name, lambda _, x: x)
        if json.dumps(written, sort_keys=True) != json.dumps(follows, sort_keys=True):
            raise InputError(f"{place}.{name}", f"what follows from its rows, {_short(follows)}", _short(written))
    return c


def _row(place: str, value: Any) -> Row:
    fields: dict[str, _Reader] = {
        "tensor": _text, "check": _one_of(Check), "side": _one_of(Side),
        "comparisons": _integer, "judged": _integer, "vacuous": _integer, "infinite": _integer,
        "worst": _optional(_finding), "under": _float, "first": _optional(_finding),
        "resolution": _optional(_float), "zero": _truth, "forms": _integer, "beyond": _float,
        "sought": _integer, "doubt": _optional(_doubt), "unbounded": _optional(_finding),
        "cancels": _truth, "open_at": _optional(_text),
    }  # fmt: skip
    return Row(**_fields(place, UNTOLD | _object(place, value), fields))


UNTOLD = {"cancels": False, "open_at": None}
"""What reports that were written before these were told mean by nothing."""


def _doubt(place: str, value: Any) -> Doubt:
    fields: dict[str, _Reader] = {"sign": _one_of(Sign), "figure": _float, "probability": _float}
    return Doubt(**_fields(place, value, fields))


def _finding(place: str, value: Any) -> Finding:
    fields: dict[str, _Reader] = {
        "ratio": _float, "step": _integer, "tensor": _text, "side": _one_of(Side), "check": _one_of(Check),
        "index": _tuple(_integer), "seen": _float, "expected": _float, "radius": _float, "ulp": _float,
        "outside": _integer, "size": _integer, "member": _optional(_integer),
    }  # fmt: skip
    return Finding(**_fields(place, value, fields))


def _ruling(place: str, value: Any) -> Ruling:
    numbers = ("derivative", "reference", "mirror", "left", "right")
    fields: dict[str, _Reader] = {
        "verdict": _one_of(Words), "tensor": _text, "step": _integer, "index": _tuple(_integer),
        **dict.fromkeys(numbers, _optional(_float)), "note": _text,
    }  # fmt: skip
    return Ruling(**_fields(place, value, fields))


def _fields(place: str, value: Any, fields: Mapping[str, _Reader]) -> dict[str, Any]:
    value = _object(place, value)
    return {name: _value(place, value, name, reader) for name, reader in fields.items()}


def _value(place: str, value: Mapping[str, Any], name: str, reader: _Reader) -> Any:
    if name not in value:
        raise InputError(place, f"to hold {name!r}", f"only {', '.join(value) or 'nothing'}")
    return reader(f"{place}.{name}", value[name])


def _object(place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(place, "an object", _short(value))
    return value


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(place, "a string", _short(value))
    return value


def _integer(place: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(place, "an integer", _short(value))
    return value


def _truth(place: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(place, "true or false", _short(value))
    return value


def _float(place: str, value: Any) -> float:
    if value in ("inf", "-inf", "nan") or isinstance(value, float):
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53:  # as others write 1.0
        return float(value)
    raise InputError(place, "a number, or 'inf', '-inf' or 'nan'", _short(value))


def _one_of(words: Any) -> _Reader:
    def reader(place: str, value: Any) -> Any:
        if value not in get_args(words):
            raise InputError(place, f"one of {', '.join(get_args(words))}", _short(value))
        return value

    return reader


def _optional(reader: _Reader) -> _Reader:
    return lambda place, value: None if value is None else reader(place, value)


def _list(reader: _Reader) -> _Reader:
    def read_all(place: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise InputError(place, "a list", _short(value))
        return [reader(f"{place}[{i}]", one) for i, one in enumerate(value)]

    return read_all


def _tuple(reader: _Reader) -> _Reader:
    return lambda place, value: tuple(_list(reader)(place, value))


def _short(value: Any) -> str:
    """A value as a message shows it."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _no_constant(name: str) -> Any:
    raise ValueError(f"the constant {name}, which JSON does not have")
