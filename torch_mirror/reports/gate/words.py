"""A comparison in words, for people."""

from collections.abc import Iterator, Mapping

from torch_mirror.reports.gate.compare import Comparison, Kind, Outcome
from torch_mirror.visible import visible

SHOWN = 3
"""Changes of one kind that are told of one run; of the others their number is."""


TAKEN: Mapping[Kind, str] = {
    "vanished": "it was not judged: it is taken out of the baseline",
    "not in the baseline": "it is new",
}
"""What is said of these where the baseline is written anew, so that nothing is left to be done."""


def lines(comparison: Comparison, *, quiet: bool = False, taken: bool = False) -> Iterator[tuple[str, str]]:
    """(verdict, line) each; a line that belongs to another one is indented, without a verdict. quiet: what fails.

    taken: the baseline is written anew with all of it, so that nothing fails.
    """
    if comparison.environment:
        yield "", "the environment has changed: figures are compared by rules for another one, and bits not at all"
        yield from (("", visible(f"    {name}: {then} -> {now}")) for name, then, now in comparison.environment)
    width = max((len(visible(f"{o.name} {o.dtype}")) for o in comparison.outcomes), default=0)
    for outcome in comparison.outcomes:
        if not (quiet and (taken or outcome.passed)):
            yield from _of_run(outcome, width, same=not comparison.environment, taken=taken)
    right = taken or comparison.passed
    yield ("certified" if right else "refuted"), taken_in(comparison) if taken else summary(comparison)


def summary(comparison: Comparison) -> str:
    """The whole of it, on one line."""
    failed = sum(not o.passed for o in comparison.outcomes)
    if not comparison.outcomes:
        return "gate: failed, nothing was judged"
    runs = len(comparison.outcomes)
    if failed:
        return f"gate: failed, {failed} of {runs} runs"
    moved = sum(bool(o.changes) for o in comparison.outcomes)
    nothing = "nothing changed" if not comparison.environment else "nothing became worse"
    return f"gate: passed, {runs} run{'s' if runs > 1 else ''}, {f'{moved} changed' if moved else nothing}"


def taken_in(comparison: Comparison) -> str:
    """The same where the baseline is written anew."""
    moved, runs = sum(bool(o.changes) for o in comparison.outcomes), len(comparison.outcomes)
    return f"gate: {runs} run{'s' if runs > 1 else ''}, {f'{moved} changed' if moved else 'nothing changed'}"


def heading(outcome: Outcome, *, same: bool, taken: bool = False) -> str:
    """What is said of a run before its changes are told. same: in the same environment, where bits are compared."""
    if not outcome.changes:
        return "nothing changed" if same else "nothing became worse"
    if taken:
        return "changed"
    return "changed, and passes" if outcome.passed else "FAILS"


def explained(outcome: Outcome) -> list[str]:
    """As ``told``, with the words on why it is not certified behind the line that says so, as they are indented."""
    said, more = told(outcome), [*outcome.why[1:]]
    if said and outcome.changes[0].kind in ("refuted", "vacuous"):
        return [said[0], *more, *said[1:]]
    return said + more


def told(outcome: Outcome) -> list[str]:
    """The changes of a run in words: what fails first, and of each kind SHOWN at most."""
    kinds: dict[Kind, list[str]] = {}
    for change in sorted(outcome.changes, key=lambda c: not c.fails):
        kinds.setdefault(change.kind, []).append(change.words)
    found = []
    for kind, said in kinds.items():
        found += said[:SHOWN]
        if len(said) > SHOWN:
            found.append(f"and {len(said) - SHOWN} more of this kind ({kind})")
    return found


def _of_run(outcome: Outcome, width: int, *, same: bool, taken: bool) -> Iterator[tuple[str, str]]:
    if taken:
        changes = tuple(change._replace(words=TAKEN.get(change.kind, change.words)) for change in outcome.changes)
        outcome = outcome._replace(changes=changes)
    label = visible(f"{outcome.name} {outcome.dtype}")
    words = f"{label:<{width}}  {outcome.verdict}, {heading(outcome, same=same, taken=taken)}"
    yield "certified" if taken or outcome.passed else "refuted", words
    yield from (("", visible(f"    {line}")) for line in explained(outcome))
