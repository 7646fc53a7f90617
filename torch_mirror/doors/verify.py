"""Train both frameworks freely from the same bits, and ask the judge: what every front door calls."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from reference.claim.experiment import Experiment, checked_experiment
from reference.claim.slots import names
from reference.errors import InputError
from reference.traces import training as reference_training
from reference.traces.trace import Trace
from torch_mirror.doors.behind import in_turn, keeps_nothing, one_behind
from torch_mirror.doors.drawn import held_of, with_pictures
from torch_mirror.doors.formulas import formulas_of, noting, with_formulas
from torch_mirror.doors.reproduce import reproduce
from torch_mirror.doors.why import shown, why
from torch_mirror.judge.checks.born import Born
from torch_mirror.judge.findings import Findings, merge
from torch_mirror.judge.hearing import Hearing, Plan, certificate, hear, notes, plan_of, with_doubts
from torch_mirror.judge.ruling import ruling
from torch_mirror.judge.series import piece_of, view_of
from torch_mirror.judge.verdict import Certificate, Ruling
from torch_mirror.training import loop as torch_training
from torch_mirror.training.convolutions import term_by_term
from torch_mirror.training.memory import keep_freed_memory
from torch_mirror.training.operations import Noted
from torch_mirror.training.remarks import of_the_run, random_state, remarks
from torch_mirror.training.session import Session, gradients_on, session, session_by
from torch_mirror.training.threads import one_thread

THREADS = (1, 2)
"""In so many threads a run is trained and judged."""


def verify(
    experiment: Experiment,
    progress: Callable[[int], None] | None = None,
    using: Callable[[Experiment], Session] = session,
    *,
    strict: bool = False,
    explain: bool = True,
    formulas: bool = True,
    series: bool = False,
    held_out: tuple[Any, Any] | None = None,
    observe: Callable[[Trace, Trace], object] | None = None,
    threads: int = 1,
) -> Certificate:
    """Certify torch's training run, and NumPy's, against the reference's equations.

    progress: called with the number of further steps finished.
    using: makes the torch module, loss and optimizer; the experiment's mirror by default.
    strict: whether a doubt (``certificate.doubts``), sought at a sample of the steps, is enough to fail: the verdict is
    then "doubted". explain: whether the line and the cause of a refutation are looked for, which takes some seconds.
    formulas: whether, of a run in float32, the operations of torch's last step are noted while they run, and done once
    more in float64. It shows mistakes that float32's rounding hides, as a doubt; the user's code is not called again.
    series: whether the certificate has the curves that a report shows (``certificate.series``). held_out: a pair (x, t)
    that nobody trains on, whose R^2, or of classes the accuracy, is then among them.
    observe: called with each segment of torch's run and of NumPy's once it is judged; the next one overwrites them.
    threads: 2: a second thread judges while this one trains on. The certificate is the same; on two idle cores a large
    network is through sooner (behind.py says why a small one is not), and it takes twice a segment's memory. A network,
    loss or optimizer of your own is judged in turn, as it may keep something between its calls, unless it has ``pure``,
    which is True where it keeps nothing.
    Raises InputError when a torch module does not offer what the equations name.
    """
    e, started = checked_experiment(experiment), time.perf_counter()
    if progress is not None and not callable(progress):
        raise InputError("progress", "a function of the further steps that are done", repr(progress))
    if threads not in THREADS:
        raise InputError("threads", "1, or 2: one that trains and one that judges", repr(threads))
    keep_freed_memory()
    with one_thread(), term_by_term(), gradients_on(), np.errstate(all="ignore"):  # overflow is counted
        plan, heard = plan_of(e), Hearing()
        one = session_by(using, e)
        words, seed, told = remarks(e, one), random_state(), set[str]()
        view, pieces = view_of(0, e.steps, ("torch", "numpy"), stacks=plan.stacks, held=held_of(held_out)), []

        def judge(segment: tuple[Trace, Trace]) -> None:
            nonlocal heard
            heard = hear(e, plan, heard, *segment)
            if series and heard.givens is not None:
                pieces.append(piece_of(e, view, heard.givens, *segment))

        noted = noting(e, one) if formulas else None
        behind = threads == 2 and all(map(keeps_nothing, (e.network, e.loss, e.penalty, e.optimizer)))
        runs = _free_runs(e, plan, one, noted, rooms=2 if behind else 1)
        with closing(one_behind(runs, judge) if behind else in_turn(runs, judge)) as judged:
            for torch, numpy in judged:
                told |= {*torch}
                if observe:
                    observe(torch, numpy)
                if progress and torch.steps:
                    progress(torch.steps)
        words += of_the_run(e, one, told, drew=random_state() != seed)
        end = _end(e, plan, one, heard, noted, explain=explain)
    return certificate(
        e, e.steps, end.findings, heard.motion, ruling=end.ruling,
        why=why(e, heard.seen, end.ruling) if explain else (),
        end_distance=heard.ends, end_distance_relative=heard.ends_relative,
        notes=(*notes(plan.flaw), *words, *end.notes),
        seconds=time.perf_counter() - started, strict=strict,
        series=with_pictures(
            pieces, (lambda: reproduce(e, using=using)) if end.findings.first else None,
            lambda: shown(e, heard.seen, end.ruling),
        ),
    )  # fmt: skip


class End(NamedTuple):
    """What a whole run comes to."""

    findings: Findings
    ruling: Ruling | None
    notes: tuple[str, ...]


def _end(e: Experiment, plan: Plan, using: Session, heard: Hearing, noted: Noted | None, *, explain: bool) -> End:
    """What was heard, the doubts, what was not finite, and the formulas of a step that was noted, with a ruling."""
    born = heard.born or Born()
    findings = merge([with_doubts(e, heard, e.steps, "torch", stacks=plan.stacks), born.findings])
    twin = formulas_of(e, using, noted, heard.sample[-1] if heard.sample else None, findings, explain=explain)
    ruled = ruling(e, heard.seen) if born.ruling is None else born.ruling
    return End(with_formulas(findings, twin), ruled, (*twin.notes, *((born.note,) if born.note else ())))


def _free_runs(
    e: Experiment, plan: Plan, using: Session, noted: Noted | None, rooms: int
) -> Iterator[tuple[Trace, Trace]]:
    """The segments of torch's run and of NumPy's, each of which runs free; memory for so many of them."""
    of_torch = torch_training.segments(e, size=plan.size, using=using, rooms=rooms, noted=noted)
    of_numpy = reference_training.segments(e, None if plan.small else _record(e, plan), plan.size, rooms=rooms)
    return zip(of_torch, of_numpy, strict=True)


def _record(e: Experiment, plan: Plan) -> Callable[[range], list[str] | None]:
    """Of NumPy's run of a large network: its parameters, and every tensor where a sampled step is."""
    parameters = names(e.slots, "parameter", "state")
    return lambda steps: None if any(int(t) in steps for t in plan.sample) else parameters
