"""The formulas of a run in float32, judged in float64 by a twin of its module (design, section 4: two questions)."""

from typing import NamedTuple

import numpy as np

from reference.claim.experiment import Experiment
from reference.errors import TorchMirrorError
from reference.traces.trace import Trace
from torch_mirror.judge.checks.formula import in_float64, judge_formula
from torch_mirror.judge.findings import Findings, merge
from torch_mirror.judge.ruling import Evidence, evidence_of
from torch_mirror.training.session import Session
from torch_mirror.training.twin import NoTwinError, twin_step


class Formulas(NamedTuple):
    """What was found; of a refutation the evidence, and the experiment in float64 that it is about; notes."""

    findings: Findings = Findings()
    seen: Evidence | None = None
    experiment: Experiment | None = None
    notes: tuple[str, ...] = ()


def formulas_of(e: Experiment, using: Session, run: Trace) -> Formulas:
    """The formulas at a step of a run in float32, which is that trace alone.

    What is found is told of that step. Where there is no telling, a note says why, and nothing else follows.
    """
    try:
        e64 = in_float64(e, run)
        twin = twin_step(using, e64, run.first)
        formula = judge_formula(e, run, e64, twin)
        if formula.findings.first is not None and not formula.because:
            twin_step(using, e64, run.first, watched=True)
    except (NoTwinError, TorchMirrorError) as error:
        return Formulas(notes=(_untold(str(error)),))
    if formula.because:
        return Formulas(notes=(_untold(formula.because),))
    first = formula.findings.first
    return Formulas(formula.findings, None if first is None else evidence_of(first, twin), e64)


def with_formulas(findings: Findings, formulas: Formulas) -> Findings:
    """All that was found, the formulas last."""
    return merge([findings, formulas.findings])


def applies(e: Experiment, findings: Findings) -> bool:
    """Whether there is something to look for: in float32, where nothing is refuted already."""
    return bool(e.dtype == np.float32 and e.steps and findings.first is None)


def _untold(because: str) -> str:
    return f"the formulas were judged in float32 only, as a twin in float64 tells nothing: {because}"
