"""A comparison as JUnit XML, which servers of continuous integration show: one test case for each run.

XML 1.0 has no place for most control characters (section 2.2, Char), not even escaped: ``visible`` spells them.
"""

from xml.sax.saxutils import escape, quoteattr

from torch_mirror.reports.gate.compare import Comparison, Outcome
from torch_mirror.reports.gate.words import explained, summary
from torch_mirror.visible import visible


def document(comparison: Comparison) -> str:
    """The XML text. Where nothing was judged there is one case, which fails: none would look like success."""
    outcomes = comparison.outcomes or (Outcome(summary(comparison), "", "none", 0),)
    failures = sum(not _passed(o, comparison) for o in outcomes)
    cases = [line for o in outcomes for line in _case(o, comparison)]
    counts = f'name="torch-mirror gate" tests="{len(outcomes)}" failures="{failures}" errors="0"'
    environment = [
        f"    <property name={_attribute(name)} value={_attribute(f'{then} -> {now}')}/>"
        for name, then, now in comparison.environment
    ]
    properties = ["  <properties>", *environment, "  </properties>"] if environment else []
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<testsuite {counts}>", *properties, *cases, "</testsuite>"]
    return "\n".join(lines) + "\n"


def _passed(o: Outcome, comparison: Comparison) -> bool:
    return o.passed and bool(comparison.outcomes)


def _case(o: Outcome, comparison: Comparison) -> list[str]:
    said = "\n".join(map(_text, explained(o)))
    head = f"  <testcase classname=\"torch-mirror.gate\" name={_attribute(f'{o.name} {o.dtype}'.strip())}"
    if not _passed(o, comparison):
        message = next((c.words for c in o.changes if c.fails), o.name)
        failure = f"    <failure message={_attribute(message)}>{said}</failure>"
        return [f"{head}>", failure, "  </testcase>"]
    if said:
        return [f"{head}>", f"    <system-out>{said}</system-out>", "  </testcase>"]
    return [f"{head}/>"]


def _attribute(text: str) -> str:
    return quoteattr(visible(text))


def _text(text: str) -> str:
    return escape(visible(text))
