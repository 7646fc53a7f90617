"""A selftest as text and as JSON: a line for each planted fault, and the sums. Pure functions: nothing is printed."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from torch_mirror.visible import visible

VERSION = 1
"""Of the JSON: fields may be added to it; what is there keeps its meaning."""


class Trial(Protocol):
    """A planted fault, as torch_mirror/doors/selftest/told.py has it."""

    @property
    def part(self) -> str: ...
    @property
    def fault(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def of(self) -> str: ...
    @property
    def changes(self) -> bool: ...
    @property
    def refuted(self) -> bool: ...
    @property
    def located(self) -> bool: ...
    @property
    def right_side(self) -> bool: ...
    @property
    def sided(self) -> bool: ...
    @property
    def named(self) -> str: ...
    @property
    def where(self) -> str: ...
    @property
    def said(self) -> str: ...
    @property
    def cause(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def found(self) -> bool: ...
    def _asdict(self) -> dict[str, object]: ...


class SelfTest(Protocol):
    """The trials of a network."""

    @property
    def subject(self) -> str: ...
    @property
    def honest(self) -> dict[str, str]: ...
    @property
    def trials(self) -> Sequence[Trial]: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def passed(self) -> bool: ...


WIDE = 160
"""Characters of a line."""


def line(t: Trial) -> str:
    """One fault: whether it was found, what it is and where, and what was told of it."""
    what = f"{t.side:5} {t.dtype:7} {t.of:8} {t.fault}"
    if not t.changes:
        why = t.said or "changes nothing here"
        return visible(f"  --      {what}: {why}" if t.of else f"  --      {t.fault}: has no place here")
    if t.found:
        word = "ok"
    else:
        aside = t.right_side or not t.sided
        missing = (("MISSED", t.refuted), ("WHERE?", t.located), ("SIDE?", aside), ("NAME?", False))
        word = next(word for word, fine in missing if not fine)
    told = t.cause or {"not asked": "", "not named": "no cause is named"}.get(t.named, t.named)
    told = "; ".join(part for part in (t.where, _side(t.said), told) if part)
    text = f"  {word:7} {what}: {told} ({t.seconds:.1f} s)"
    text = visible(text)
    return text if len(text) <= WIDE else f"{text[: WIDE - 4]} ..."


def _side(said: str) -> str:
    return {"the reference's backward does not belong to its own forward": "the reference is wrong"}.get(said, said)


def lines(s: SelfTest) -> list[str]:
    """Of one network: every fault, then the sums."""
    return [s.subject, *(line(t) for t in s.trials), *summary([s])]


def summary(tests: Iterable[SelfTest]) -> list[str]:
    """The sums over some networks, and the verdict on them."""
    found = []
    for s in tests:
        counted = [t for t in s.trials if t.changes]
        honest = ", ".join(f"{verdict} in {dtype}" for dtype, verdict in s.honest.items())
        found.append(f"{s.subject}: without a fault {honest}; {'; '.join(_sums(counted))}; {s.seconds:.0f} s")
        found += [f"  {note}" for note in s.notes]
        every = "every fault that was planted was found"
        found.append(f"{s.subject}: {every if s.passed else 'not every fault was found'}")
    return [visible(text) for text in found]


def _sums(counted: Sequence[Trial]) -> Iterator[str]:
    n, sided = len(counted), [t for t in counted if t.sided]
    yield f"{n} faults change a number"
    for word, count, of in (
        ("refuted", sum(t.refuted for t in counted), n),
        ("located", sum(t.located for t in counted), n),
        ("with the side right", sum(t.right_side for t in sided), len(sided)),
    ):
        fewer = "" if of == n else f" (of {of} where it can be told)"
        yield f"{'all' if count == of else count} {word}{fewer}"
    for part, what in (("tensor", "tensors"), ("update", "updates"), ("line", "lines")):
        asked = [t for t in counted if t.part == part and t.named != "not asked"]
        names = sum(t.named in ("named", "tie") for t in asked)
        if asked:
            yield f"of wrong {what} {names} of {len(asked)} causes named"
    wrong = sum(t.named == "wrong" for t in counted)
    yield f"{wrong or 'none'} named wrongly"


def as_json(tests: Iterable[SelfTest]) -> str:
    """All of it as strict JSON."""
    networks = [
        {
            "network": s.subject, "passed": s.passed, "without_a_fault": s.honest, "notes": list(s.notes),
            "seconds": round(s.seconds, 3),
            "faults": [{**t._asdict(), "found": t.found, "seconds": round(t.seconds, 4)} for t in s.trials],
        }
        for s in tests
    ]  # fmt: skip
    return json.dumps({"version": VERSION, "networks": networks}, indent=1, allow_nan=False) + "\n"
