"""A hearing: the segments of a run come in one after the other, and what is found of them becomes a certificate.

``hear`` adds a segment to what was found before, which is plain data; ``certificate`` makes the certificate of it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.slots import gradient_of, names, parameter_gradients
from reference.traces.trace import Trace
from reference.traces.training import numbers_a_step, segment_steps
from torch_mirror.judge.checks.born import Born, born
from torch_mirror.judge.checks.branches import judge_branches
from torch_mirror.judge.checks.cancelling import judge_cancelling
from torch_mirror.judge.checks.doubtful import judge_doubts, one_step
from torch_mirror.judge.checks.local import judge_locally
from torch_mirror.judge.checks.own_run import judge_own_run, jumps, suspects
from torch_mirror.judge.checks.same import judge_same
from torch_mirror.judge.checks.start import judge_start
from torch_mirror.judge.checks.trajectory import grown, judge_free_run
from torch_mirror.judge.findings import Findings, Side, merge
from torch_mirror.judge.replay import Givens, Part, judge_givens, parts, together
from torch_mirror.judge.ruling import Evidence, evidence
from torch_mirror.judge.stacking import stacking_flaw
from torch_mirror.judge.verdict import Certificate, cancelling, open_branches, other_forms, still

SMALL = 20_000
"""Numbers that one step computes, up to which radii are propagated end to end at every step."""

SAMPLES = 16
"""Steps of a small network's NumPy trace that are judged in a wider precision. A large network's product
takes a hundred times as long there: one step, and one more for every thousand."""


KEPT = 1_000_000
"""Numbers that one step computes, up to which four steps at least are kept."""


class Plan(NamedTuple):
    """How a run is heard, which its size and its equations decide."""

    small: bool       # radii are propagated end to end at every step
    sample: Array     # the steps of NumPy's run that are judged by themselves
    kept: Array       # the steps of torch's run that are kept, to be looked at for doubts
    size: int         # steps of a segment
    flaw: str | None  # why the steps are evaluated one by one, though they are small enough to be evaluated together
    large: bool = False  # one step alone fills a segment

    @property
    def stacks(self) -> bool:
        """Whether steps are evaluated together."""
        return self.flaw is None and not self.large


class Motion(NamedTuple):
    """Whether anything moved: what a run whose every tensor is 0 would not show."""

    pushed: bool = False                   # some parameter gradient is not 0
    moved: frozenset[str] = frozenset()    # parameters that were not the same all the time; of any member
    many: bool = False                     # whether it is of an ensemble


class Hearing(NamedTuple):
    """What was found so far."""

    findings: Findings = Findings()
    own: Findings = Findings()            # of NumPy's own run beside the sampled steps, the last of which is the run's
    jumps: Mapping[str, float] = {}       # by state of the optimizer, see ``own_run.jumps``; never written to
    motion: Motion = Motion()
    seen: Evidence | None = None          # of the first refutation
    givens: Givens | None = None          # what every step starts from, known from the first segment on
    ends: float | None = None             # distance of the two runs after the last step
    ends_relative: float | None = None    # the same over the norm of NumPy's parameters
    born: Born | None = None              # of the first tensor of NumPy's run that is not finite
    sample: tuple[Trace, ...] = ()        # steps of torch's run, or of the one that is heard alone, to look for doubts

    @property
    def all(self) -> Findings:
        """All of them, in the order of evaluation: a sampled step has every row, in order."""
        return _with_own(self.findings, self.own)


def plan_of(experiment: Experiment) -> Plan:
    """The plan of an experiment's hearing."""
    e = experiment
    small = numbers_a_step(e) <= SMALL
    sample, kept = _spread(e.steps, _few(e, e.steps)), steps_kept(e, e.steps)
    most = segment_steps(e)
    flaw = None if most == 1 else stacking_flaw(e)  # of a large step nothing is stacked
    return Plan(small, sample, kept, min(most, max(e.steps, 1)), flaw, large=most == 1)


def _few(experiment: Experiment, steps: int) -> int:
    """How many steps are looked at more closely than the others."""
    return SAMPLES if numbers_a_step(experiment) <= SMALL else 1 + steps // 1000


def steps_kept(experiment: Experiment, steps: int) -> Array:
    """The steps, of so many, that are kept: what is doubtful at few is looked at in all of them."""
    few, numbers = _few(experiment, steps), numbers_a_step(experiment)
    return _spread(steps, max(few, 4) if numbers <= KEPT else few)


def hear(experiment: Experiment, plan: Plan, so_far: Hearing, torch: Trace, numpy: Trace) -> Hearing:
    """With a segment of torch's run and the same steps of NumPy's, both as they ran."""
    e = experiment
    above = so_far.findings.worst.ratio if so_far.findings.worst else 0
    found, givens, ends = [so_far.findings], so_far.givens, so_far.ends
    if givens is None:
        of_features, givens = judge_givens(e, torch, "torch")
        found += [judge_start(e, torch, "torch"), judge_start(e, numpy, "numpy"), of_features]
    found += _judge_sample(e, plan, numpy, above)
    grew: list[int] = []
    for part in parts(e, torch, givens, stacks=plan.stacks):
        locally = judge_locally(e, part, "torch", above)
        closely = not all(row.first is None and row.decides for row in locally.rows)
        of_free_run, distances = judge_free_run(e, part, numpy, None if plan.small else plan.sample, closely=closely)
        found += [locally, of_free_run]
        grew += grown(part, distances)
        if part.steps[-1] == torch.first + torch.steps - 1:
            ends = float(distances.distance[-1])
    jumped, largest = jumps(torch, numpy, so_far.jumps)
    steps = sorted({*suspects(numpy, grew), *jumped})
    own = merge([so_far.own, judge_own_run(e, numpy, steps, above, stacks=plan.stacks)])
    findings = merge(found)
    both = _with_own(findings, own)
    last = torch.first + torch.steps == e.steps
    return Hearing(
        findings=findings,
        own=own,
        jumps=largest,
        motion=watch(e, so_far.motion, torch),
        seen=so_far.seen or evidence(both, torch, numpy),
        givens=givens,
        ends=ends,
        ends_relative=ends / (_norm(numpy) or 1.0) if last and ends is not None else None,  # none without a step
        born=so_far.born or _born(e, torch, numpy, both),
        sample=(*so_far.sample, *_kept(torch, plan.kept, alone=not last)),
    )


def _with_own(findings: Findings, own: Findings) -> Findings:
    """All findings in one, of which those on NumPy's own run are mostly none."""
    return merge([findings, own]) if own.rows else findings


def _born(e: Experiment, torch: Trace, numpy: Trace, found: Findings) -> Born | None:
    """Looked for where a radius of these steps is infinite, and nothing is refuted."""
    unbounded = found.unbounded
    if unbounded is None or found.first is not None or not torch.steps:
        return None
    return born(e, torch, numpy, max(unbounded.step, torch.first))


def _kept(trace: Trace, sample: Array, *, alone: bool) -> list[Trace]:
    """The sampled steps among those of a trace. alone: in memory of their own, as the trace's is written to again."""
    here = [t - trace.first for t in sample.tolist() if trace.first <= t < trace.first + trace.steps]
    return [one_step(trace, trace.first + i) if alone else trace.at(slice(i, i + 1)) for i in here]


def with_doubts(experiment: Experiment, heard: Hearing, steps: int, side: Side, *, stacks: bool) -> Findings:
    """All that was found, with open branches and doubts at a sample of so many steps. side: of the run they are of.

    Of NumPy's run beside torch's there are none: it is what the reference's own code makes.
    """
    few = _few(experiment, steps)
    found = judge_branches(experiment, heard.sample, heard.all, stacks=stacks)
    found = judge_cancelling(experiment, heard.sample, found)
    return judge_doubts(experiment, heard.sample, few, side, found, stacks=stacks)


def hear_alone(
    experiment: Experiment, so_far: Hearing, trace: Trace, side: Side, sample: Array, *, stacks: bool
) -> Hearing:
    """With a segment of a trace that is judged by its own equations alone; sample: the steps to look at for doubts."""
    e, found, givens = experiment, [so_far.findings], so_far.givens
    if givens is None:
        of_features, givens = judge_givens(e, trace, side)
        found += [judge_start(e, trace, side), of_features]
    for part in parts(e, trace, givens, stacks=stacks):
        found = [merge([*found, judge_locally(e, part, side)])]
    findings = merge(found)
    seen = so_far.seen or evidence(findings, trace, trace)
    sampled = (*so_far.sample, *_kept(trace, sample, alone=True))
    return Hearing(findings, motion=watch(e, so_far.motion, trace), seen=seen, givens=givens, sample=sampled)


def _judge_sample(e: Experiment, plan: Plan, numpy: Trace, above: float) -> list[Findings]:
    """NumPy's own trace, at the sampled steps, in a precision wider than its own where there is one."""
    wider = np.dtype(np.float64 if e.dtype == np.float32 else np.longdouble)
    here = plan.sample[(plan.sample >= numpy.first) & (plan.sample < numpy.first + numpy.steps)]
    alike: dict[int, list[Part]] = {}  # by how many samples they see, and without stacking each by itself
    found: list[Findings] = []
    for t in here.tolist():
        one = numpy.at(slice(t - numpy.first, t - numpy.first + 1))
        same = judge_same(e, one) if plan.large else None
        if same is not None:
            found.append(same)
            continue
        one = one.astype(wider)
        if not alike:
            of_features, givens = judge_givens(e, one, "numpy")
        found.append(of_features)  # the same beside every step, as they were computed once
        (part,) = parts(e, one, givens, stacks=plan.stacks)
        alike.setdefault(e.batch_length(t) if plan.stacks else -t, []).append(part)
    return found + [judge_locally(e, together(some), "numpy", above, every=plan.small) for some in alike.values()]


def _spread(steps: int, count: int) -> Array:
    """``count`` steps, evenly spread from the first to the last; of one, the last."""
    return np.unique(np.linspace(steps - 1, 0, count).astype(int)) if steps else np.empty(0, int)


def _norm(trace: Trace) -> float:
    """The Euclidean norm of the parameters at the end."""
    return float(np.sqrt(sum(float(np.square(a[-1], dtype=np.float64).sum()) for a in trace.parameters.values())))


# --- the certificate ----------------------------------------------------------------------------------


def watch(experiment: Experiment, motion: Motion, trace: Trace, *, many: bool = False) -> Motion:
    """The motion so far, with a segment's; of an ensemble any member's; many: it is one."""
    gradients = [trace.tensors[name] for name in parameter_gradients(experiment.slots) if name in trace.tensors]
    if not gradients:  # a trace without them shows it by its parameters
        gradients = [a[1:] - a[:-1] for a in trace.parameters.values()]
    moved = {name for name, a in trace.parameters.items() if name not in motion.moved and _moves(a)}
    return Motion(motion.pushed or any(bool(g.any()) for g in gradients), motion.moved | moved, many)


def _moves(a: Array) -> bool:
    """Whether some of its entries differ; the first and the last tell as a rule."""
    return not (np.array_equal(a[0], a[-1]) and (a == a[:1]).all())


def idle(steps: int, motion: Motion) -> tuple[str, ...]:
    """Why nothing could have failed, in words; empty if something could."""
    if not steps:
        return ("no step was taken",)
    if not motion.pushed:
        return (f"every parameter gradient{' of every member' if motion.many else ''} is zero at every step",)
    return ()


def certificate(experiment: Experiment, steps: int, findings: Findings, motion: Motion, **more: Any) -> Certificate:
    """The certificate of so many steps of a run; its rows stand in the order in which a step evaluates them.

    experiment: of an ensemble any member's. more: further fields of the certificate.
    """
    e = experiment
    gradients = {name: gradient_of(e.slots, name) for name in names(e.slots, "parameter")}
    held = {name: str(gradient) for name, gradient in gradients.items()}
    unseen = still(findings, held, motion.moved if steps else held)
    said = *open_branches(findings), *cancelling(findings), *other_forms(findings), *unseen
    more["notes"] = (*more.get("notes", ()), *said)
    return Certificate(e.name, str(e.dtype), e.seed, steps, findings.rows, idle(steps, motion), **more)


def notes(flaw: str | None) -> tuple[str, ...]:
    """What a reader of the certificate should know of how it was made."""
    if flaw is None:
        return ()
    return (f"judged one step at a time, which is slow ({flaw}; write x @ W.mT, b[..., None, :], sum(axis=-2))",)
