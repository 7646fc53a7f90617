"""From findings to a certificate; and the judge's front door for a trace that somebody else made."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from reference.claim.experiment import Experiment
from reference.claim.slots import STEP, Slot, names, parameter_gradients
from reference.errors import InputError, UnknownNameError
from reference.traces.trace import Trace
from reference.traces.training import segment_steps
from torch_mirror.judge.checks.local import judge_locally
from torch_mirror.judge.checks.start import judge_start
from torch_mirror.judge.findings import Findings, Side, merge
from torch_mirror.judge.replay import judge_givens, parts, remembering
from torch_mirror.judge.ruling import evidence, ruling
from torch_mirror.judge.stacking import stacking_flaw
from torch_mirror.judge.verdict import Certificate, still


class Motion(NamedTuple):
    """Whether anything moved: what a run whose every tensor is 0 would not show."""

    pushed: bool = False                        # some parameter gradient is not 0
    losses: tuple[float, float] = (np.inf, -np.inf)  # smallest and largest loss


def watch(experiment: Experiment, motion: Motion, trace: Trace) -> Motion:
    """The motion so far, with a segment's."""
    gradients = [trace.tensors[name] for name in parameter_gradients(experiment.slots) if name in trace.tensors]
    loss = trace.tensors.get("loss", np.empty(0))
    low, high = motion.losses
    if loss.size:
        low, high = min(low, float(np.min(loss))), max(high, float(np.max(loss)))
    if not gradients:  # a trace without them shows it by its parameters
        gradients = [a[1:] - a[:-1] for a in trace.parameters.values()]
    return Motion(motion.pushed or any(bool(g.any()) for g in gradients), (low, high))


def idle(steps: int, motion: Motion) -> tuple[str, ...]:
    """Why nothing could have failed, in words; empty if something could."""
    if not steps:
        return ("no step was taken",)
    words = []
    if not motion.pushed:
        words.append("every parameter gradient is zero at every step")
    if steps > 1 and motion.losses[0] == motion.losses[1]:
        words.append("the loss never moved")
    return tuple(words)


def certificate(experiment: Experiment, steps: int, findings: Findings, motion: Motion, **more: Any) -> Certificate:
    """The certificate of so many steps of a run; its rows stand in the order in which a step evaluates them."""
    e = experiment
    more["notes"] = (*more.get("notes", ()), *still(findings, parameter_gradients(e.slots)))
    return Certificate(e.name, str(e.dtype), e.seed, steps, findings.rows, idle(steps, motion), **more)


def notes(flaw: str | None) -> tuple[str, ...]:
    """What a reader of the certificate should know of how it was made."""
    if flaw is None:
        return ()
    return (f"judged one step at a time, which is slow ({flaw}; write x @ W.mT, b[..., None, :], sum(axis=-2))",)


def certify(experiment: Experiment, trace: Trace, side: Side = "torch") -> Certificate:
    """Judge every tensor of every step of a trace against the experiment's equations.

    The trace may come from any program. Tensors that it does not hold are judged through those that
    follow from them, with radii that propagate; the start of a run is judged where the trace begins there.
    Raises InputError for a tensor of another shape, dtype or number of steps, and for an unknown name.
    """
    started = time.perf_counter()
    _check_trace(experiment, trace)
    flaw = stacking_flaw(experiment)
    found, givens = judge_givens(experiment, trace, side)
    start = [judge_start(experiment, trace, side)] if trace.first == 0 else []
    findings, motion = merge([*start, found]), Motion()
    for segment in _pieces(trace, segment_steps(experiment)):
        for part in parts(experiment, segment, givens, stacks=flaw is None):
            with remembering(part):
                findings = merge([findings, judge_locally(experiment, part, side)])
        motion = watch(experiment, motion, segment)
    ruled = ruling(experiment, evidence(findings, trace, trace))
    seconds = time.perf_counter() - started
    return certificate(experiment, trace.steps, findings, motion, ruling=ruled, notes=notes(flaw), seconds=seconds)


def _pieces(trace: Trace, size: int) -> Iterator[Trace]:
    for first in range(0, trace.steps, size):  # none where there is no step
        yield trace.at(slice(first, first + size))


def _check_trace(experiment: Experiment, trace: Trace) -> None:
    """Raise InputError unless the trace holds what it says, and only what the experiment has."""
    e = experiment
    start, states = names(e.slots, "parameter"), names(e.slots, "state")
    data = names(e.slots, "data")
    for what, group, known in (
        ("constants", trace.constants, [*data, *names(e.slots, "constant")]),
        ("parameters", trace.parameters, start),
        ("states", trace.states, states),
        ("tensors", trace.tensors, names(e.slots, *STEP)),
    ):
        for name in group:
            if name not in known:
                raise UnknownNameError(f"tensor among the {what} of the trace:", name, known)
            came: object = getattr(group[name], "dtype", type(group[name]).__name__)
            wanted = e.slots[name].dtype
            if came != wanted and not (isinstance(came, np.dtype) and _as_good(came, e.slots[name], e.dtype)):
                raise InputError(f"tensor {name} of the trace", f"an array of {wanted}", came)
    for name in [*data, *start, *states]:
        if name not in trace:
            raise InputError("trace", f"to hold {name}", f"only {', '.join(trace)}")
    for group, rows in (({**trace.parameters, **trace.states}, trace.steps + 1), (trace.tensors, trace.steps)):
        for name, array in group.items():
            if array.shape[:1] != (rows,):
                raise InputError(f"tensor {name} of the trace", f"{rows} rows for {trace.steps} steps", array.shape[:1])


def _as_good(came: np.dtype[Any], slot: Slot, of_run: np.dtype[Any]) -> bool:
    """Whether an array of that dtype holds the same numbers: whole ones, or what is computed of them as torch has it.

    Torch's products take no bools, so that a mirror makes floats of the rows of an identity.
    """
    if slot.dtype.kind not in "iub":
        return False
    return came.kind in "iub" or (slot.role == "constant" and came == of_run)
