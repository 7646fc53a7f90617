"""What stands at the end of a run of pytest: totals, and the two tensors that came closest to saying nothing."""

import json
from collections.abc import Sequence

from torch_mirror.pytest_plugin.records import Record

SCHEMA = 1
"""The form of the JSON."""


def lines(records: Sequence[tuple[str, Record]]) -> list[str]:
    """How many claims and elements, where there are doubts, the worst error by its radius, the coarsest resolution."""
    verdicts = [record["verdict"] for _, record in records]
    words = ("certified", "refuted", "undecided", "doubted")
    counts = ", ".join(f"{verdicts.count(word)} {word}" for word in words if word in verdicts)
    elements = sum(record["elements"] for _, record in records)
    said = [f"{_number(len(records), 'claim')}: {counts}; {_number(elements, 'element')} judged"]
    doubtful = [test for test, record in records if record["doubts"]]
    if doubtful:
        said.append(f"doubts (--torch-mirror-strict makes them fail): {', '.join(dict.fromkeys(doubtful))}")
    right = [(test, record) for test, record in records if record["verdict"] == "certified"]
    if not right:
        return said
    test, worst = max(right, key=lambda pair: pair[1]["worst"])
    if worst["worst_at"]:
        said.append(f"worst of the certified: {worst['worst']:.3g} of its radius, {worst['worst_at']} in {test}")
    test, coarsest = max(right, key=lambda pair: pair[1]["resolution"] or 0)
    if coarsest["resolution"] is not None:
        seen = f"a change of {coarsest['resolution']:.2g} of a whole tensor would have been seen"
        said.append(f"coarsest resolution: {seen}, {coarsest['resolution_at']} in {test}")
    return said


def document(records: Sequence[tuple[str, Record]]) -> str:
    """All of them as strict JSON. It has no infinity: such a number is written as the string "inf"."""
    judged = [{"test": test, **{name: _plain(value) for name, value in record.items()}} for test, record in records]
    return json.dumps({"schema": SCHEMA, "judged": judged}, indent=2, allow_nan=False) + "\n"


def _plain(value: object) -> object:
    finite = not isinstance(value, float) or abs(value) < float("inf")
    return value if finite else str(value)


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
