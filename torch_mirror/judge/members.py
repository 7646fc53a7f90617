"""An ensemble's run, judged end to end: every member, every step, in as few calls as stay in the cache.

From torch's own parameters (and momentum buffers) before each step, one reference step on balls is taken,
steps and members stacked along two axes in front, with nothing known of torch's intermediate values: the
radii propagate through the network, and torch's loss, gradients, next buffers and next parameters must
lie within them. Torch itself has run free, from the ensemble's start.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.ensemble import Ensemble
from reference.claim.objective import features
from reference.claim.rehearsal import tensor_shapes
from reference.claim.step import step
from reference.claim.tree import named, rebuild
from reference.traces.trace import Trace
from torch_mirror.balls.ball import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Check, Finding, Findings, merge
from torch_mirror.judge.replay import rates

CACHED = 1 << 17
"""Numbers that the largest tensor of one call has at most: some of its kind then fit a cache."""


class Block(NamedTuple):
    """Steps and members that one call of the equations evaluates: all steps with a buffer before them or none."""

    steps: list[int]
    members: slice


def judge_members(ensemble: Ensemble, run: Trace, check: Check) -> Findings:
    """Judge torch's run of an ensemble; a finding names the member.

    run: parameters and buffers (steps + 1, K, ...), and ``loss`` (steps, K) and the parameters' gradients
    (steps, K, ...) among the tensors; a run of fewer members is of the first of them.
    """
    e = ensemble
    members = len(run.constants["x"])
    found = [_start(e, run)]
    worst = 0.0
    with np.errstate(all="ignore"):
        x = features(e.network, Ball(e.x[:members], 0, format_of(e.dtype)))  # type: ignore[arg-type]  # a duck array
        t = Ball(e.t[:members], 0, format_of(e.dtype))
        for block in _blocks(e, members):
            findings = _judge_block(e, run, x, t, block, check, worst)
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


def _judge_block(e: Ensemble, run: Trace, x: Any, t: Any, block: Block, check: Check, above: float) -> Findings:
    balls: dict[str, Any] = {}

    def collect(name: str, equation: Any) -> Any:
        balls[name] = equation
        return equation

    fmt = format_of(e.dtype)
    here = (_index(block.steps), block.members)
    p = {name: Ball(a[:-1][here], 0, fmt) for name, a in run.parameters.items()}
    v = {name[1:]: Ball(a[:-1][here], 0, fmt) for name, a in run.buffers.items()}
    x, t = x[block.members], t[block.members]
    if e.batches is not None:
        rows = np.stack([np.arange(x.shape[1])[e.batches.rows(s, x.shape[1])] for s in block.steps])
        x, t = (_per_step(ball, rows) for ball in (x, t))
    lr = rates(e.sgd, block.steps, t)
    buffers = rebuild(e.parameters, v) if v and block.steps[0] > 0 else None
    step(e.network, rebuild(e.parameters, p), x, t, e.loss, e.sgd._replace(lr=lr), buffers, collect)
    balls["loss"] = e.loss.value(balls["y"], t)
    seen = {name: run.tensors[name] for name in ("loss", *(f"d{name}" for name in run.parameters))}
    seen |= {name: a[1:] for name, a in {**run.buffers, **run.parameters}.items()}
    members = run.constants["x"].shape[0]
    codes = (np.array(block.steps)[:, None] * members + np.arange(members)[block.members]).ravel()
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
    members = len(run.constants["x"])
    given = {"x": e.x, "t": e.t, **named(e.parameters)}
    seen = {name: run.parameters[name][0] if name in run.parameters else run.constants[name] for name in given}
    return merge(
        compare(seen[name], Ball(value[:members]), Where(name, "torch", "start", range(members)), roomy=True)
        for name, value in given.items()
    )


def _blocks(e: Ensemble, members: int) -> Iterator[Block]:
    """Every step of every member, in the order of the steps where that is possible."""
    together: dict[tuple[int, bool], list[int]] = {}
    for s in range(e.steps):
        together.setdefault((e.first.batch_length(s), bool(e.sgd.momentum) and s == 0), []).append(s)
    largest = max(int(np.prod(shape)) for shape in tensor_shapes(e.first).values())
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
