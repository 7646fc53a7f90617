"""An ensemble's run, judged end to end: every member, every step, in as few calls as stay in the cache.

From torch's own parameters and state of the optimizer before each step, one reference step on balls is taken,
steps and members stacked along two axes in front, with nothing known of torch's intermediate values: the
radii propagate through the network, and torch's loss, gradients, next state and next parameters must
lie within them. Torch itself has run free, from the ensemble's start.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.ensemble import Ensemble
from reference.claim.objective import step
from reference.claim.tree import named, rebuild, zip_with
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.checks.start import floats
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Check, Finding, Findings, merge
from torch_mirror.judge.replay import lifted

CACHED = 1 << 17
"""Numbers that the largest tensor of one call has at most: some of its kind then fit a cache."""


class Block(NamedTuple):
    """Steps and members that one call of the equations evaluates."""

    steps: list[int]
    members: slice


def judge_members(ensemble: Ensemble, run: Trace, check: Check) -> Findings:
    """Judge torch's run of an ensemble; a finding names the member.

    run: parameters and states (steps + 1, K, ...), and ``loss`` (steps, K) and the parameters' gradients
    (steps, K, ...) among the tensors; a run of fewer members is of the first of them.
    """
    e = ensemble
    members = _members(run)
    found = [_start(e, run)]
    worst = 0.0
    with np.errstate(all="ignore"):
        fmt = format_of(e.dtype)
        given = {name: lifted(a[:members], fmt) for name, a in e.named_data.items()}
        data = e.first.objective.prepare(e.first.data_of(given))
        for block in _blocks(e, members):
            findings = _judge_block(e, run, data, block, check, worst)
            worst = max(worst, findings.worst.ratio) if findings.worst else worst
            found.append(findings)
    return merge(found).relabelled(lambda finding: _at(finding, members))


def idle(run: Trace) -> tuple[str, ...]:
    """Why no member at all could have failed, in words; empty if one could."""
    if not run.steps:
        return ("no step was taken",)
    words = []
    if not any(run.tensors[f"d{name}"].any() for name in run.parameters):
        words.append("every parameter gradient of every member is zero at every step")
    loss = run.tensors["loss"]
    if run.steps > 1 and (loss[1:] == loss[:-1]).all():
        words.append("the loss of no member ever moved")
    return tuple(words)


def _judge_block(e: Ensemble, run: Trace, data: Any, block: Block, check: Check, above: float) -> Findings:
    balls: dict[str, Any] = {}

    def collect(name: str, equation: Any) -> Any:
        balls[name] = equation
        return equation

    fmt = format_of(e.dtype)
    here = (_index(block.steps), block.members)
    p = {name: Ball(a[:-1][here], 0, fmt) for name, a in run.parameters.items()}
    state = {name: Ball(a[:-1][here], 0, fmt) for name, a in run.states.items()}
    data = tuple(zip_with(lambda _, a: a[block.members], part) for part in data)
    if e.batches is not None:
        rows = np.stack([np.arange(e.first.samples)[e.first.rows(s)] for s in block.steps])
        data = tuple(zip_with(lambda _, a: _per_step(a, rows), part) for part in data)
    objective, t = e.first.stacked(2), np.array(block.steps)[:, None]
    before = e.first.parameters_of(p), rebuild(e.first.optimizer.init(e.first.parameters), state)
    step(objective, before[0], data, e.optimizer, before[1], t, collect)
    if objective.deferred:
        balls["loss"] = objective.loss_of(balls["y"], data)
    seen = {name: run.tensors[name] for name in ("loss", *(f"d{name}" for name in run.parameters))}
    seen |= {name: a[1:] for name, a in {**run.states, **run.parameters}.items()}
    members = _members(run)
    codes = (np.array(block.steps)[:, None] * members + np.arange(members)[block.members]).ravel().tolist()
    found = [Findings()]
    for name, whole in seen.items():
        a = whole[here]
        flat = (len(codes), *a.shape[2:])
        ball = balls[name].reshape(flat)
        findings = compare(a.reshape(flat), ball, Where(name, "torch", check, codes), above=above)
        above = max(above, findings.worst.ratio) if findings.worst else above
        found.append(findings)
    return merge(found)


def _per_step(ball: Any, rows: Array) -> Any:
    """The rows that each step sees: (K, samples, ...) to (steps, K, batch, ...)."""
    return ball[:, rows].swapaxes(0, 1)


def _start(e: Ensemble, run: Trace) -> Findings:
    """The given values, which must be the ensemble's to the last bit."""
    members = _members(run)
    state = named(e.first.optimizer.init(e.parameters))
    given = {**e.named_data, **named(e.parameters), **state}
    handed_on = {**run.parameters, **run.states}
    seen = {name: handed_on[name][0] if name in handed_on else run.constants[name] for name in given}
    where = {name: Where(name, "torch", "start", range(members)) for name in given}
    return merge(
        compare(floats(seen[name]), Ball(floats(value[:members])), where[name], roomy=True)
        for name, value in given.items()
    )


def _members(run: Trace) -> int:
    """How many members a run has: the first so many of the ensemble."""
    return len(next(iter(run.constants.values())))


def _blocks(e: Ensemble, members: int) -> Iterator[Block]:
    """Every step of every member, in the order of the steps where that is possible; of one batch length in a block."""
    together: dict[int, list[int]] = {}
    for s in range(e.steps):
        together.setdefault(e.first.batch_length(s), []).append(s)
    largest = max(int(np.prod(slot.shape)) for slot in e.first.slots.values() if slot.role not in ("data", "constant"))
    at_once = max(1, CACHED // largest)  # networks
    for steps in together.values():
        stride = max(1, at_once // members)
        for i in range(0, len(steps), stride):
            for k in range(0, members, at_once):
                yield Block(steps[i : i + stride], slice(k, min(k + at_once, members)))


def _index(steps: Sequence[int]) -> Any:
    """These steps as an index: a slice, which copies nothing, where they are consecutive."""
    consecutive = steps[-1] - steps[0] + 1 == len(steps)
    return slice(steps[0], steps[-1] + 1) if consecutive else np.array(steps)


def _at(finding: Finding, members: int) -> Finding:
    """The finding with its member and step, of which ``compare`` was given one number."""
    s, k = divmod(finding.step, members)
    return finding._replace(step=s, member=k)
