"""Do the tests have teeth? ``make mutants`` plants a sample of small faults, one at a time, and counts the unnoticed.

    python -m tests.mutants [--sample 200] [--seed 8] [--again] [--explained] [FILE ...]

A *mutant* is the project with one line changed (`tests.mutants_edits`). It is *killed* where a test fails or hangs,
else it *survives*: then a test is missing, or the change alters no result, and `mutants.toml` says why (the file, the
line before and after, the reason). The sample are the mutants whose digest with the seed is smallest, so that it
stays what it was where the code does. Exit status 1: fewer than 95 % of those without a reason are killed, or a
reason's line is gone. ``--again`` goes on where the last run ended, with those that it did not kill; ``--explained``
runs those with a reason, too, and says which of them are killed.

All is done in a copy, `.mutants/tree`. Its tests run once under coverage.py, which tells who runs each line (minutes;
later only what changed, see `tests.mutants_lines`). A mutant meets the tests that run its line, those in the
file that mirrors its own first, then the others of their files, up to BUDGET seconds, until one fails. So a survivor is
what that many tests do not notice.

Why not a tool: cosmic-ray, and mutatest, which ended with Python 3.8, run one command for every mutant, here the whole
suite; mutmut 3 calls each function by way of another, which the tape would see: it looks at frames and lines.
"""

import argparse
import hashlib
import json
import sys
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.mutants_edits import Mutant, compiles, mutants
from tests.mutants_lines import BROKEN, Lines, copied, measured, run, say

ROOT = Path(__file__).parents[1]
ROOMS = ("torch_mirror/balls", "torch_mirror/tape", "torch_mirror/judge", "torch_mirror/doors", "reference")
EXPLAINED = Path(__file__).with_suffix(".toml")
BUDGET = 40.0  # seconds of the processor that a mutant's tests took when their lines were measured
PATIENCE = 400.0  # seconds of the clock, on a busy machine
ENOUGH = 0.95


class Reason(NamedTuple):
    """Why a mutant that survives changes nothing."""

    file: str
    before: str
    after: str
    reason: str

    def holds_for(self, m: Mutant) -> bool:
        return (self.file, self.before, self.after) == (m.file, m.before, m.after)


def draw(root: Path, seed: int) -> list[Mutant]:
    """All mutants of ROOMS, in the order in which a sample takes them."""
    paths = [path for room in ROOMS for path in sorted((root / room).rglob("*.py"))]
    found = [m for path in paths for m in mutants(str(path.relative_to(root)), path.read_text())]
    return sorted(found, key=lambda m: hashlib.sha256(f"{seed}:{_key(m)}".encode()).digest())


def _key(m: Mutant) -> str:
    return ":".join([m.file, m.before, m.after, str(m.again)])


def explained() -> list[Reason]:
    """The reasons of mutants.toml."""
    return [Reason(**row) for row in tomllib.loads(EXPLAINED.read_text()).get("explained", [])]


def stale(reasons: Iterable[Reason], root: Path) -> list[Reason]:
    """The reasons whose line, or whose change of it, is no longer there."""
    source = {r.file: (root / r.file).read_text() if (root / r.file).exists() else "" for r in reasons}
    return [r for r in reasons if not any(r.holds_for(m) for m in mutants(r.file, source[r.file]))]


def killer(m: Mutant | None, lines: Lines, tree: Path) -> str:
    """The first test that fails for the mutant in the tree, "" for none. None instead of a mutant changes nothing."""
    chosen = lines.tests(tree, m, BUDGET) if m else list(lines.seconds)[:20]
    if not chosen:
        return ""
    (tree.parent / "chosen").write_text("\n".join(chosen))
    path = tree / (m.file if m else "README.md")
    source = path.read_text()
    try:
        path.write_text(m.planted(source) if m else source)
        files = dict.fromkeys(test.split("::", maxsplit=1)[0] for test in chosen)
        options = ["-x", "-q", "--tb=no", *files]
        status, said = run(tree, options, {"MUTANTS_CHOSEN": str(tree.parent / "chosen")}, PATIENCE)
    finally:
        path.write_text(source)
    if status == BROKEN:
        sys.exit(f"pytest: expected to run in {tree}, got {said.strip().splitlines()[-1]}")
    if status in {0, 5}:  # all passed, or none was run
        return ""
    failed = [line.split(maxsplit=1)[1] for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return failed[0].split(" - ")[0] if failed else f"pytest ends with {status}"


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--again", action="store_true", help="go on with those that the last run did not kill")
    parser.add_argument("--explained", action="store_true", help="run those with a reason, too")
    parser.add_argument("files", nargs="*", metavar="FILE", help="only mutants of these files")
    asked = parser.parse_args()

    kept = ROOT / ".mutants"
    tree, notes = kept / "tree", kept / "killed.json"
    kept.mkdir(exist_ok=True)
    copied(ROOT, tree)
    lines = measured(tree, kept)
    if said := killer(None, lines, tree):
        sys.exit(f"the tests of the unchanged project: expected them to pass, got {said}: mend that first")

    reasons = explained()
    sample = [m for m in draw(tree, asked.seed) if not asked.files or m.file in asked.files]
    sample = _first(sample, asked.sample, tree)
    killed: dict[str, str] = json.loads(notes.read_text()) if asked.again and notes.exists() else {}
    survivors: list[Mutant] = []
    for i, m in enumerate(sample, 1):
        has_reason = any(r.holds_for(m) for r in reasons)
        if _key(m) in killed or (has_reason and not asked.explained):
            continue
        start = time.monotonic()
        said = killer(m, lines, tree)
        if said:
            killed[_key(m)] = said
            notes.write_text(json.dumps(killed))
        elif not has_reason:
            survivors.append(m)
        told = f"killed by {said}" if said else "explained" if has_reason else "SURVIVES"
        say(f"{i}/{len(sample)} {time.monotonic() - start:.0f} s {_said(m)}\n    {told}")
    return _told(sample, survivors, killed, reasons)


def _first(drawn: Iterable[Mutant], count: int, tree: Path) -> list[Mutant]:
    """As many as are wanted of those that are Python."""
    found: list[Mutant] = []
    for m in drawn:
        if len(found) == count:
            break
        if compiles(m, (tree / m.file).read_text()):
            found.append(m)
    return found


def _said(m: Mutant) -> str:
    return f"{m.file}:{m.line}\n    - {m.before}\n    + {m.after}"


def _told(sample: list[Mutant], survivors: list[Mutant], killed: dict[str, str], reasons: list[Reason]) -> int:
    """The table at the end, and the exit status."""
    for m in survivors:
        say(f"survives: {_said(m)}")
    for m in sample:
        if _key(m) in killed and any(r.holds_for(m) for r in reasons):
            say(f"has a reason in {EXPLAINED.name} and is killed, by {killed[_key(m)]}: {_said(m)}")
    gone = stale(reasons, ROOT)
    for r in gone:
        say(f"{EXPLAINED.name}: expected a line of {r.file} that the reason is about, got none: {r.before!r}")
    judged = [m for m in sample if not any(r.holds_for(m) for r in reasons)]
    dead = len(judged) - len(survivors)
    say(f"{dead} of {len(judged)} killed; {len(sample) - len(judged)} change no result, for stated reasons")
    return int(dead < ENOUGH * len(judged) or bool(gone))


if __name__ == "__main__":
    sys.exit(main())
