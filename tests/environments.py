"""The gate in other environments of one machine, as a table in Markdown.

    python -m tests.environments                    # other kernels, and two threads
    python -m tests.environments PYTHON [PYTHON ...]  # these interpreters instead: .venv-lowest/bin/python, say

Each environment judges the first twenty steps of every experiment in both precisions: with the processor's best kernels
switched off, with two threads, or by another interpreter, which has its own NumPy and torch. It is held against this
interpreter as it is, and that against it. Another interpreter needs what pyproject.toml requires with the extras `cli`
and `documents`; it runs the code of this folder.
"""

import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

from torch_mirror.reports.gate.baseline import read
from torch_mirror.reports.gate.bits import changed_bits
from torch_mirror.reports.gate.claim import Baseline
from torch_mirror.reports.gate.compare import compare, growth

ROOT = Path(__file__).parents[1]
ONE, TWO = (dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), n) for n in "12")
FIRST = "as it is"
NO_AVX2 = {"OPENBLAS_CORETYPE": "Prescott", "ATEN_CPU_CAPABILITY": "default"}
ENVIRONMENTS = {
    FIRST: ONE,
    "as it is, two threads": TWO,
    "OPENBLAS_CORETYPE=Haswell": ONE | {"OPENBLAS_CORETYPE": "Haswell"},
    "OPENBLAS_CORETYPE=Nehalem": ONE | {"OPENBLAS_CORETYPE": "Nehalem"},
    "OPENBLAS_CORETYPE=Prescott": ONE | {"OPENBLAS_CORETYPE": "Prescott"},
    "ATEN_CPU_CAPABILITY=default": ONE | {"ATEN_CPU_CAPABILITY": "default"},
    "Prescott and default": ONE | NO_AVX2,
    "Prescott and default, two threads": TWO | NO_AVX2,
    "the same, MKL_CBWR=COMPATIBLE": ONE | NO_AVX2 | {"MKL_CBWR": "COMPATIBLE"},
}


def judged(environment: dict[str, str], folder: Path, python: str = sys.executable) -> Baseline:
    """What the gate keeps of it. Raises CalledProcessError where a run is not certified: then none is kept."""
    path = folder / "baseline.txt"
    path.unlink(missing_ok=True)
    command = [python, "-m", "torch_mirror", "gate", "--baseline", str(path), "--update", "--steps", "20"]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
    return read(path.read_text())


def named(b: Baseline) -> str:
    """The releases that an interpreter has."""
    return ", ".join(f"{what} {b.environment[what.lower()]}" for what in ("Python", "NumPy", "torch"))


def row(name: str, first: Baseline, now: Baseline) -> str:
    """A line of the table."""
    before = {c.key: c for c in first.claims}
    changed = sum(len(changed_bits(before[c.key].prints, c.prints, c.dtype)) for c in now.claims)
    prints = sum(len(c.prints) for c in now.claims)
    doubts = sum(f.doubt is not None for c in now.claims for f in c.figures)
    grown = [growth(*pair) for c in now.claims for pair in permutations((before[c.key], c))]
    resolution, headroom = map(max, zip(*grown, strict=True))
    failed = sum(not o.passed for a, b in permutations((first, now)) for o in compare(a, b).outcomes)
    figures = f"{resolution:.3g} | {headroom:.3g} | {doubts} | {failed}"
    return f"| {name} | {len(now.claims)} | {changed} of {prints} | {figures} |"


def main(pythons: list[str]) -> None:
    """Print the table."""
    head = ["environment", "certified", "tensors of other bits", "resolution", "headroom", "doubts", "fail"]
    kernels = [(name, e, sys.executable) for name, e in ENVIRONMENTS.items() if name != FIRST]
    others = [("", ENVIRONMENTS[FIRST], python) for python in pythons] or kernels
    with TemporaryDirectory() as folder:
        first = judged(ENVIRONMENTS[FIRST], Path(folder))
        found = [(name, judged(e, Path(folder), python)) for name, e, python in others]
    rows = [row(name or named(now), first, now) for name, now in [(FIRST, first), *found]]
    print("\n".join([f"| {' | '.join(head)} |", "|---|---:|---:|---:|---:|---:|---:|", *rows]))  # noqa: T201 - a script


if __name__ == "__main__":
    main(sys.argv[1:])
