"""Ensembles: one shape verifies many networks at once, on the real module under torch.vmap.

    ensemble = Ensemble(TwoLayerReLU(5, 4, 2), starts, x, t, SquaredError("mean"), SGD(0.1), steps=20)
    certificate = verify_ensemble(ensemble)
    certificate.first.member

Batched kernels are others than those of a module called by itself, so the first member is trained once more
without vmap and judged as well.
"""

import time
from collections.abc import Callable

from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.errors import InputError
from reference.traces.trace import Trace
from torch_mirror.judge.checks.members import judge_members, member_of
from torch_mirror.judge.findings import Finding, merge
from torch_mirror.judge.hearing import Motion, certificate, watch
from torch_mirror.judge.ruling import evidence_of, ruling
from torch_mirror.judge.stacking import stacking_flaw
from torch_mirror.judge.verdict import Certificate, Ruling
from torch_mirror.training.convolutions import term_by_term
from torch_mirror.training.memory import keep_freed_memory
from torch_mirror.training.remarks import remarks
from torch_mirror.training.session import Session, gradients_on, session, session_by
from torch_mirror.training.threads import one_thread
from torch_mirror.training.vmap import alone, train


def verify_ensemble(ensemble: Ensemble, using: Callable[[Experiment], Session] = session) -> Certificate:
    """Certify torch's free run of every member, each step end to end from torch's own parameters before it.

    Judged are loss, parameter gradients, states of the optimizer and parameters of every step and member, and once
    more of member 0 trained by itself (check "unbatched"). A finding's ``member`` says whose it is.
    using: makes the torch module, loss and optimizer of one member; the optimizer that steps on the stacked
    parameters is another of its class with its defaults. The certificate is vacuous where no member could have
    failed. Raises InputError when the equations do not leave leading axes alone, or when the torch module does
    not offer what they name or cannot be batched.
    """
    started = time.perf_counter()
    e = ensemble
    if not isinstance(e, Ensemble):
        raise InputError("ensemble", "a reference.Ensemble", type(e).__name__)
    keep_freed_memory()
    with one_thread(), term_by_term(), gradients_on():
        flaw = stacking_flaw(e.first, lead=2)
        if flaw is not None:
            raise InputError("network", "equations that stack (x @ W.mT, b[..., None, :], sum(axis=-2))", flaw)
        one = session_by(using, e.first)  # for both: in vmap the module has other parameters than its own
        together, unbatched = train(e, one), alone(e, one)
        found = [judge_members(e, together, "end to end"), judge_members(e, unbatched, "unbatched")]
    findings = merge(found)
    return certificate(
        e.first, e.steps, findings, watch(e.first, Motion(), together, many=True),
        ruling=_ruled(e, findings.first, together, unbatched), notes=remarks(e.first, one),
        seconds=time.perf_counter() - started,
    )  # fmt: skip


def _ruled(e: Ensemble, first: Finding | None, together: Trace, unbatched: Trace) -> Ruling | None:
    """The ruling on the first wrong tensor, from the run of its member, by the member's experiment."""
    if first is None:
        return None
    k = first.member or 0
    run = unbatched if first.check == "unbatched" else together
    return ruling(e.member(k), evidence_of(first, member_of(run, k)))
