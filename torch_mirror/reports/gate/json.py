"""A comparison as JSON for programs, and back. ``gate.schema.json`` beside this file describes it.

A figure that JSON cannot hold is written as the string "inf", "-inf" or "nan", as in the report of a run.
"""

import json
from collections.abc import Callable
from typing import Any, get_args

from reference.errors import InputError
from torch_mirror.judge.verdict import Verdict
from torch_mirror.reports.gate.compare import Change, Comparison, Kind, Outcome
from torch_mirror.reports.gate.words import summary
from torch_mirror.reports.json import number

SCHEMA = 1
"""The form that is written, and the newest that is read."""


def document(comparison: Comparison) -> str:
    """The JSON text; ends with a newline."""
    whole = {
        "schema": SCHEMA,
        "passed": comparison.passed,
        "summary": summary(comparison),
        "environment": [dict(zip(("name", "then", "now"), item, strict=True)) for item in comparison.environment],
        "runs": [_run(outcome) for outcome in comparison.outcomes],
    }
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def _run(o: Outcome) -> dict[str, Any]:
    changes = [
        c._asdict() | {"fails": c.fails, "then": number(c.then), "now": number(c.now)} for c in o.changes
    ]  # fmt: skip
    return {**o._asdict(), "judged": int(o.judged), "passed": o.passed, "changes": changes, "why": list(o.why)}


# --- reading: a shape is a dict of the shapes of a value's members, a list of one shape, or a test -------


def read(text: str) -> Comparison:
    """The comparison that ``document`` wrote.

    Raises InputError, naming the place, where the text is none, is of a newer schema, or contradicts itself.
    """
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("report of the gate", "JSON", str(error)) from error
    schema = whole.get("schema") if isinstance(whole, dict) else None
    if not isinstance(schema, int) or schema not in READERS:
        newer = isinstance(schema, int) and schema > SCHEMA
        came = f"{schema!r}: a newer torch-mirror reads it" if newer else repr(schema)
        raise InputError("schema of the report of the gate", f"{SCHEMA}, or an older one from 1 on", came)
    return READERS[schema](whole)


def _read_1(whole: Any) -> Comparison:
    _fit("report", whole, SHAPE)
    comparison = Comparison(
        tuple((item["name"], item["then"], item["now"]) for item in whole["environment"]),
        tuple(_outcome(run) for run in whole["runs"]),
    )
    written = json.dumps(whole, sort_keys=True)
    follows = json.dumps(json.loads(document(comparison)), sort_keys=True)
    if written != follows:
        raise InputError("report of the gate", "what passed and the summary say to follow from its runs", "another")
    return comparison


READERS: dict[int, Callable[[Any], Comparison]] = {1: _read_1}
"""A reader for each form there has been."""


def _outcome(run: dict[str, Any]) -> Outcome:
    changes = tuple(
        Change(c["kind"], c["words"], c["tensor"], c["side"], c["check"], _float(c["then"]), _float(c["now"]))
        for c in run["changes"]
    )
    return Outcome(run["name"], run["dtype"], run["verdict"], run["judged"], changes, tuple(run["why"]))


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds


def _number(value: Any) -> bool:
    return value is None or type(value) in {int, float} or (isinstance(value, str) and value in {"inf", "-inf", "nan"})


SHAPE: Any = {
    "schema": _is(int), "passed": _is(bool), "summary": _is(str),
    "environment": [{"name": _is(str), "then": _is(str), "now": _is(str)}],
    "runs": [{
        "name": _is(str), "dtype": _is(str), "verdict": lambda value: value in {*get_args(Verdict), "none"},
        "judged": _is(int), "passed": _is(bool), "why": [_is(str)],
        "changes": [{
            "kind": lambda value: value in get_args(Kind), "fails": _is(bool), "words": _is(str), "tensor": _is(str),
            "side": _is(str), "check": _is(str), "then": _number, "now": _number,
        }],
    }],
}  # fmt: skip


def _fit(place: str, value: Any, shape: Any) -> None:
    """Raise InputError where a value is not of a shape."""
    if isinstance(shape, dict):
        if not isinstance(value, dict) or set(value) != set(shape):
            came = ", ".join(value) if isinstance(value, dict) else type(value).__name__
            raise InputError(place, f"an object of {', '.join(shape)}", came or "nothing")
        for name, inner in shape.items():
            _fit(f"{place}.{name}", value[name], inner)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise InputError(place, "a list", type(value).__name__)
        for i, one in enumerate(value):
            _fit(f"{place}[{i}]", one, shape[0])
    elif not _hashable(value) or not shape(value):
        raise InputError(place, "what the schema says", repr(value)[:60])


def _hashable(value: Any) -> bool:
    return not isinstance(value, dict | list)
