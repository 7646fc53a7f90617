"""Train both frameworks freely from the same bits, and ask the judge: what every front door calls."""

import time
from collections.abc import Callable

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import names
from reference.claim.tree import named
from reference.traces import training as reference_training
from reference.traces.trace import Trace
from reference.traces.training import numbers_a_step, segment_steps
from torch_mirror.doors.certify import Motion, certificate, notes, watch
from torch_mirror.judge.checks.local import judge_locally
from torch_mirror.judge.checks.start import judge_start
from torch_mirror.judge.checks.trajectory import judge_free_run
from torch_mirror.judge.findings import Findings, merge
from torch_mirror.judge.replay import entries, judge_givens, parts, remembering
from torch_mirror.judge.ruling import Evidence, evidence, ruling
from torch_mirror.judge.stacking import stacking_flaw
from torch_mirror.judge.verdict import Certificate
from torch_mirror.training import loop as torch_training
from torch_mirror.training.memory import keep_freed_memory
from torch_mirror.training.session import Session, gradients_on, session, session_by, unmapped
from torch_mirror.training.threads import one_thread

SMALL = 20_000
"""Numbers that one step computes, up to which radii are propagated end to end at every step."""

SAMPLES = 16
"""Steps of a small network's NumPy trace that are judged in a wider precision. A large network's product
takes a hundred times as long there: one step, and one more for every thousand."""


def verify(
    experiment: Experiment,
    progress: Callable[[int], None] | None = None,
    using: Callable[[Experiment], Session] = session,
) -> Certificate:
    """Certify torch's training run, and NumPy's, against the reference's equations.

    progress: called with the number of further steps finished.
    using: makes the torch module, loss and optimizer; the experiment's mirror by default.
    Raises InputError when a torch module does not offer what the equations name.
    """
    e = experiment
    started = time.perf_counter()
    findings, motion = Findings(), Motion()
    ends: float | None = None
    relative: float | None = None
    seen: Evidence | None = None
    keep_freed_memory()
    with one_thread(), gradients_on(), np.errstate(all="ignore"):  # overflow is counted, not warned of
        flaw = stacking_flaw(e)
        small = numbers_a_step(e) <= SMALL
        sample = _sample(e.steps, SAMPLES if small else 1 + e.steps // 1000)
        size = segment_steps(e)
        one = session_by(using, e)
        runs = zip(
            torch_training.segments(e, size=size, using=one),
            reference_training.segments(e, None if small else _record(e, sample), size),
            strict=True,
        )
        for torch, numpy in runs:
            found = [findings]
            if torch.first == 0:
                found += [judge_start(e, torch, "torch"), judge_start(e, numpy, "numpy")]
                of_features, givens = judge_givens(e, torch, "torch")
                found.append(of_features)
            if not torch.steps:
                findings = merge(found)
                seen = evidence(findings, torch, numpy)
                continue
            above = findings.worst.ratio if findings.worst else 0
            found += _judge_sample(e, numpy, sample, above, stacks=flaw is None)
            for part in parts(e, torch, givens, stacks=flaw is None):
                after = {name: a[1:][entries(part.steps, numpy)] for name, a in numpy.parameters.items()}
                with remembering(part):
                    found.append(judge_locally(e, part, "torch", above))
                    of_free_run, distances = judge_free_run(e, part, after, None if small else sample)
                found.append(of_free_run)
                if part.steps[-1] == torch.first + torch.steps - 1:
                    ends = float(distances.distance[-1])
            findings = merge(found)
            seen = seen or evidence(findings, torch, numpy)
            motion = watch(e, motion, torch)
            if torch.first + torch.steps == e.steps and ends is not None:
                relative = ends / (_norm(numpy) or 1.0)
            if progress:
                progress(torch.steps)
    return certificate(
        e, e.steps, findings, motion, ruling=ruling(e, seen),
        end_distance=ends, end_distance_relative=relative, notes=(*notes(flaw), *unmapped(one, named(e.parameters))),
        seconds=time.perf_counter() - started,
    )  # fmt: skip


def _record(e: Experiment, sample: Array) -> Callable[[range], list[str] | None]:
    """Of NumPy's run of a large network: its parameters, and every tensor where a sampled step is."""
    parameters = names(e.slots, "parameter", "state")
    return lambda steps: None if any(int(t) in steps for t in sample) else parameters


def _judge_sample(e: Experiment, numpy: Trace, sample: Array, above: float, *, stacks: bool) -> list[Findings]:
    """NumPy's own trace, at the sampled steps, in a precision wider than its own where there is one."""
    wider = np.dtype(np.float64 if e.dtype == np.float32 else np.longdouble)
    found = []
    for i in (sample[(sample >= numpy.first) & (sample < numpy.first + numpy.steps)] - numpy.first).tolist():
        part = numpy.at(slice(i, i + 1)).astype(wider)
        of_features, givens = judge_givens(e, part, "numpy")
        found.append(of_features)
        for one in parts(e, part, givens, stacks=stacks):
            with remembering(one):
                found.append(judge_locally(e, one, "numpy", above))
    return found


def _sample(steps: int, count: int) -> Array:
    """``count`` steps, evenly spread from the first to the last; of one, the last."""
    return np.unique(np.linspace(steps - 1, 0, count).astype(int)) if steps else np.empty(0, int)


def _norm(trace: Trace) -> float:
    """The Euclidean norm of the parameters at the end."""
    return float(np.sqrt(sum(float(np.square(a[-1], dtype=np.float64).sum()) for a in trace.parameters.values())))
