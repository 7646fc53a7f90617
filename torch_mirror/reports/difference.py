"""What differs between two reports, in lines. Pure functions: nothing is read or printed here.

Runs belong together by experiment and precision, rows by tensor, check and side; where several have these in common,
by their order. Numbers are the same only if they are equal, and NaN is the same as NaN. Seconds are no difference, nor
is what a report was made with: ``environments`` tells of that.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from torch_mirror.judge.findings import Row
from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports.json import as_json
from torch_mirror.visible import visible

T = TypeVar("T")
Values = Mapping[str, Any]

OF_A_RUN = ("seed", "steps", "strict", "end_distance", "end_distance_relative", "ruling", "idle", "notes", "why")
OF_A_ROW = {
    "worst": "headroom", "resolution": "resolution", "first": "first wrong", "doubt": "doubt", "judged": "judged",
    "vacuous": "vacuous", "infinite": "infinite radii", "unbounded": "first infinite radius", "under": "others under",
    "comparisons": "tensors of steps", "zero": "zero throughout", "forms": "of another form",
    "beyond": "beyond their form", "sought": "looked at for a doubt",
    "cancels": "0 but for rounding", "open_at": "open comparisons",
}  # fmt: skip
"""The numbers of a row in the order in which they matter, and what they are called."""


def differences(old: Iterable[Certificate], new: Iterable[Certificate]) -> list[str]:
    """A line for each run that differs, and below it, indented, what does; none where all is the same.

    In the order of the new report; what the old one alone has comes last.
    """
    lines = []
    for name, before, now in _pairs(old, new, lambda c: f"{c.experiment} {c.dtype}"):
        if before is None or now is None:
            lines.append(f"{name}: {_one_sided(before)}")
            continue
        one, other = as_json(before), as_json(now)
        of_the_run = (words for key in OF_A_RUN for words in _changed(key.replace("_", " "), one[key], other[key]))
        found = [*of_the_run, *_of_its_rows(before, now)]
        if before.verdict != now.verdict:
            lines.append(f"{name}: {before.verdict} -> {now.verdict}")
        elif found:
            lines.append(f"{name}: {now.verdict} in both")
        lines += [f"    {words}" for words in found]
    return [visible(text) for text in lines]


def environments(old: Values, new: Values) -> list[str]:
    """What two reports were made with, where that is not the same: versions, or numbers of threads, by name."""
    names = dict.fromkeys([*new, *old])
    return [visible(words) for name in names for words in _changed(name, old.get(name), new.get(name))]


def _of_its_rows(before: Certificate, now: Certificate) -> Iterator[str]:
    """A line for each row that differs; of an order that does, one for all."""
    pairs = [*_pairs(before.rows, now.rows, _name_of)]
    for name, old, new in pairs:
        if old is None or new is None:
            yield f"{name}: {_one_sided(old)}"
            continue
        one, other = _values(old), _values(new)
        found = [text for key, what in OF_A_ROW.items() for text in _changed(what, one[key], other[key])]
        if found:
            yield f"{name}: {'; '.join(found)}"
    both = {name for name, old, new in pairs if old is not None and new is not None}
    orders = [[name for name in map(_name_of, c.rows) if name in both] for c in (before, now)]
    if orders[0] != orders[1]:
        yield "the rows are in another order"


def _name_of(row: Row) -> str:
    return f"{row.tensor} ({row.check}, {row.side})"


def _values(row: Row) -> Values:
    """A row as the JSON of a certificate holds it."""
    values: Values = as_json(Certificate("", "", None, 0, (row,)))["rows"][0]
    return values


def _pairs(
    old: Iterable[T], new: Iterable[T], name_of: Callable[[T], str]
) -> Iterator[tuple[str, T | None, T | None]]:
    """What belongs together, with its name; None where a side has none."""
    before, now = _numbered(old, name_of), _numbered(new, name_of)
    for key in dict.fromkeys([*now, *before]):
        yield key[0], before.get(key), now.get(key)


def _numbered(items: Iterable[T], name_of: Callable[[T], str]) -> dict[tuple[str, int], T]:
    """Each under its name and how many have had that name before."""
    seen: Counter[str] = Counter()
    numbered = {}
    for item in items:
        name = name_of(item)
        numbered[name, seen[name]] = item
        seen[name] += 1
    return numbered


def _one_sided(before: object) -> str:
    return "not in the first report" if before is None else "not in the second report"


def _changed(what: str, old: Any, new: Any) -> Iterator[str]:
    """What changed, in words, if it did; of a finding its error / radius, or else that its element did."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        changed = [key for key in old if old[key] != new[key]]
        first = next((key for key in ("ratio", "verdict", "sign") if key in changed), None)
        if first is None:
            yield f"{what}: another {', '.join(changed)}"
            return
        old, new = old[first], new[first]
    blinder = what == "resolution" and _as_number(new) > _as_number(old)
    yield f"{what} {_shown(old, new)} -> {_shown(new, old)}{', blinder' if blinder else ''}"


def _as_number(value: Any) -> float:
    """A resolution: of none nothing is told, as where all is infinite."""
    return float("inf") if value is None else float(value)


def _shown(value: Any, beside: Any) -> str:
    """A value, with as many digits as tell it from the other one."""
    if value is None or value == []:
        return "none"
    if isinstance(value, dict):
        return str(value.get("ratio", value.get("verdict", value.get("sign"))))
    if isinstance(value, list):
        return "; ".join(map(str, value))
    if isinstance(value, float):
        short = f"{value:.3g}"
        return repr(value) if isinstance(beside, float) and f"{beside:.3g}" == short else short
    return str(value)
