"""The formulas of a run in float32, judged by its twin in float64: what is found, and what is said where nothing is."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from reference.claim.experiment import Experiment
from reference.errors import TorchMirrorError
from reference.traces.trace import Trace
from torch_mirror.doors.why import why
from torch_mirror.judge.checks.formula import Off, alone, finding_of, offs, outside, twin_of, with_doubts_of
from torch_mirror.judge.findings import Findings
from torch_mirror.judge.ruling import evidence_of, ruling
from torch_mirror.training.calls import tensors_in
from torch_mirror.training.in_float64 import NoTwinError, constants, in_float64
from torch_mirror.training.operations import Noted, storage_of
from torch_mirror.training.session import Session


class Formulas(NamedTuple):
    """What was found at one step: by name what was looked at, of that what is outside, and notes."""

    of: Mapping[str, Off] = {}
    outside: Mapping[str, Off] = {}
    notes: tuple[str, ...] = ()


NOWHERE = -1
"""The step of what notes none."""


def noting(e: Experiment, using: Session) -> Noted | None:
    """What notes the operations of the run's last step, where formulas have something to hide in: in float32.

    Not of compiled code, which would run in another way while its operations are noted.
    """
    if e.dtype != np.float32 or not e.steps:
        return None
    others = using.criterion.modules() if isinstance(using.criterion, nn.Module) else (using.criterion,)
    if any(_compiled(part) for part in (*using.module.modules(), *others, using.train_step)):
        noted = Noted(NOWHERE)
        noted.flaw = "it is compiled"
        return noted
    return Noted(e.steps - 1)


def formulas_of(
    e: Experiment, using: Session, noted: Noted | None, run: Trace | None, findings: Findings, *, explain: bool = True
) -> Formulas:
    """The formulas at the step whose operations are noted; run: that step of torch's run, which is the trace alone.

    Of a run that is refuted nothing is sought. Where there is no telling, a note says why, and nothing else follows.
    explain: whether the side and the cause of a doubt are looked for, which takes some seconds.
    """
    if noted is None or run is None or findings.first is not None:
        return Formulas()
    try:
        return _judged(e, using, noted, run, explain=explain)
    except (NoTwinError, TorchMirrorError) as error:
        return _untold(str(error))
    except Exception as error:  # noqa: BLE001 - the verdict stands, whatever comes of looking at formulas
        return _untold(f"looking at them ended in {type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _judged(e: Experiment, using: Session, noted: Noted, run: Trace, *, explain: bool) -> Formulas:
    twin = twin_of(run, in_float64(noted))
    of = offs(e, twin)
    given = {here: t for here, t in noted.given.items() if here not in noted.exact}
    found = outside(of, lambda: (offs(e, twin_of(run, in_float64(noted, by))) for by in constants(noted, given)))
    if not found:
        return Formulas(of)
    held = _held(using)
    strays = {here for here, t in given.items() if here not in noted.created and storage_of(t) not in held}
    if noted.reads:
        return _untold("it reads numbers of float32 from tensors, as .item() does, and may go on with them")
    if strays:
        return _untold("it takes numbers that torch does not see made, from NumPy or a variable outside the module")
    return Formulas(of, found, tuple(_told(e, run, noted, found, explain=explain)))


def with_formulas(findings: Findings, formulas: Formulas) -> Findings:
    """All that was found, with the doubts about formulas."""
    return with_doubts_of(findings, formulas.outside)


def _told(e: Experiment, run: Trace, noted: Noted, found: Mapping[str, Off], *, explain: bool) -> Iterator[str]:
    """Lines about the first of them: its worst element, the side that is wrong, and the cause."""
    name = next(iter(found))
    f = finding_of(name, run.first, found[name])
    yield (
        f"in float64 {name} of step {f.step} is {f.seen:.17g} at {f.index}, and its equation gives {f.expected:.17g}: "
        f"{f.ratio:.3g} times what constants and results that are rounded to float32 once can do"
    )
    if explain:
        e64, seen = alone(e, run), evidence_of(f, twin_of(run, in_float64(noted, rounded=False)))
        ruled = ruling(e64, seen)
        if ruled is not None:
            yield f"on {name} in float64 the arbiter says: {ruled.verdict}"
        yield from why(e64, seen, ruled)


def _untold(because: str) -> Formulas:
    return Formulas(notes=(f"formulas were not judged in float64, because {because}",))


def _compiled(part: Any) -> bool:
    return (
        isinstance(part, (torch.jit.ScriptModule, torch.jit.ScriptFunction))
        or hasattr(part, "_orig_mod")
        or hasattr(part, "_torchdynamo_orig_callable")
        or getattr(part, "_compiled_call_impl", None) is not None
    )


def _held(using: Session) -> set[int]:
    """The addresses of the storages that module and criterion hold: parameters, buffers, attributes, a closure's."""
    criterion = using.criterion
    modules = [*using.module.modules(), *(criterion.modules() if isinstance(criterion, nn.Module) else ())]
    reached = [vars(m) for m in modules]
    if isinstance(criterion, functools.partial):
        reached.append({"args": criterion.args, **criterion.keywords})
        criterion = criterion.func
    cells = getattr(criterion, "__closure__", None) or ()
    values = [c.cell_contents for c in cells]
    others = [m for v in values if isinstance(v, nn.Module) for m in v.modules()]
    held = tensors_in([*reached, values, *(vars(m) for m in others)])
    return {storage_of(t) for t in held if t.layout is torch.strided}
