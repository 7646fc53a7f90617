"""What was found of gradients written by hand, as JSON for programs. Pure functions: nothing is written or opened.

``check.schema.json`` beside this file describes it (JSON Schema, draft 2020-12), and a list of such verdicts, as the
command writes it; ``schema`` is the number of the form.
Rows, faults and lines are objects with the names that told.py gives their parts. JSON has no infinity and no NaN: such
a number is the string "inf", "-inf" or "nan", which ``float`` reads back.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from torch_mirror.tape.told import Fault, Row

SCHEMA = 1


def as_json(
    subject: str, what: str, verdict: str, loss: float | None, seconds: float, rows: Sequence[Row],
    faults: Sequence[Fault], notes: Sequence[str],
) -> str:  # fmt: skip
    """The JSON text; ends with a newline."""
    told = tuple({**fault._asdict(), "lacking": bool(fault.lacking)} for fault in faults)
    whole = {
        "schema": SCHEMA, "subject": subject, "what": what, "verdict": verdict, "loss": loss, "seconds": seconds,
        "rows": tuple(rows), "faults": told, "notes": tuple(notes),
    }  # fmt: skip
    return json.dumps(_plain(whole), indent=2, allow_nan=False) + "\n"


def _plain(x: Any) -> Any:
    """Named tuples as objects, other tuples as arrays, numbers as JSON can hold them."""
    if hasattr(x, "_asdict"):
        x = x._asdict()
    if isinstance(x, dict):
        return {key: _plain(value) for key, value in x.items()}
    if isinstance(x, tuple):
        return [_plain(value) for value in x]
    if isinstance(x, (float, np.floating)):
        return float(x) if math.isfinite(x) else str(float(x))
    return int(x) if isinstance(x, np.integer) else x
