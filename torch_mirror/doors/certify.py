"""The judge's front door for a trace that somebody else made."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reference.claim.experiment import Experiment, checked_experiment
from reference.claim.slots import STEP, Slot, names
from reference.errors import InputError, UnknownNameError
from reference.traces.hashes import compared, completed
from reference.traces.mapping import KINDS
from reference.traces.trace import Trace
from reference.traces.training import segment_steps
from torch_mirror.doors.drawn import held_of, own_run, with_pictures
from torch_mirror.doors.why import shown, why
from torch_mirror.judge.findings import Side
from torch_mirror.judge.hearing import Hearing, certificate, hear_alone, notes, steps_kept, with_doubts
from torch_mirror.judge.ruling import ruling
from torch_mirror.judge.series import Series, piece_of, view_of
from torch_mirror.judge.stacking import stacking_flaw
from torch_mirror.judge.verdict import Certificate


def certify(
    experiment: Experiment,
    trace: Trace,
    side: Side = "torch",
    *,
    strict: bool = False,
    explain: bool = True,
    series: bool = False,
    held_out: tuple[Any, Any] | None = None,
) -> Certificate:
    """Judge every tensor of every step of a trace against the experiment's equations.

    The trace may come from any program. Tensors that it does not hold are judged through those that
    follow from them, with radii that propagate. It may be of some of the run's steps, from ``first`` on; then the
    certificate's notes say of which. Its data must be the experiment's to the last bit, and so must the start of
    parameters and state where the trace begins at step 0; where it does not, the notes say that none was judged. Data
    and the start of a later part may be there as a hash (``Trace.hashes``).
    strict: whether a doubt (``certificate.doubts``), sought at a sample of the steps, is enough to fail. explain:
    whether the line and the cause of a refutation are looked for, which takes some seconds. series, held_out: as for
    ``verify``; beside the trace is then the reference's own run, where the trace begins at step 0.
    Raises InputError for a tensor of another shape, dtype or number of steps, for steps that the run does not have, for
    a hash that is not the experiment's (see ``reference.traces.hashes`` for why that refutes nothing), and
    UnknownNameError for a tensor that it does not have.
    """
    e, started = checked_experiment(experiment), time.perf_counter()
    if not isinstance(trace, Trace):
        raise InputError("trace", "a reference.Trace", type(trace).__name__)
    if side not in ("torch", "numpy"):
        raise InputError("side", "'torch' or 'numpy'", repr(side))
    _check_place(e, trace)
    _check_trace(e, trace)
    whole = completed(e, trace)
    flaw, heard = stacking_flaw(e), Hearing()
    sample = trace.first + steps_kept(e, trace.steps)
    view = view_of(trace.first, trace.steps, (side, "reference"), stacks=flaw is None, held=held_of(held_out))
    pieces: list[Series] = []
    for segment, own in zip(_pieces(whole, segment_steps(e)), own_run(e, trace, wanted=series), strict=False):
        heard = hear_alone(e, heard, segment, side, sample, stacks=flaw is None)
        if series and heard.givens is not None:
            own = None if own is None else own.at(slice(0, segment.steps))  # noqa: PLW2901 - the run may go on
            pieces.append(piece_of(e, view, heard.givens, segment, own))
    findings = with_doubts(e, heard, trace.steps, side, stacks=flaw is None)
    ruled = ruling(e, heard.seen)
    return certificate(
        e, trace.steps, findings, heard.motion, ruling=ruled, why=why(e, heard.seen, ruled) if explain else (),
        notes=(*notes(flaw), *_left_out(e, trace)), seconds=time.perf_counter() - started, strict=strict,
        series=with_pictures(pieces, None, lambda: shown(e, heard.seen, ruled)),
    )  # fmt: skip


def _pieces(trace: Trace, size: int) -> Iterator[Trace]:
    for first in range(0, max(trace.steps, 1), size):  # without a step, there is still a start
        yield trace.at(slice(first, first + size))


def _left_out(e: Experiment, trace: Trace) -> list[str]:
    """What a reader must know of a trace that is not of the whole run, or has hashes in the place of arrays."""
    words = []
    if 0 < trace.steps < e.steps:
        which = f"step {trace.first}" if trace.steps == 1 else f"{trace.first} to {trace.first + trace.steps - 1}"
        words.append(f"the trace holds {trace.steps} of the run's {e.steps} steps ({which}): no others were judged")
    data, hashed, unknown = compared(e, trace)
    if data:
        words.append(f"the trace has {', '.join(data)} by hash alone, the experiment's")
    if unknown:
        beside = f" (the hash of {', '.join(hashed)} is the experiment's)" if hashed else ""
        words.append(f"the start was not judged{beside}: the trace begins at step {trace.first}")
    elif hashed:
        words.append(f"the trace begins at step {trace.first}, and has the start by hash alone, the experiment's")
    return words


def _check_place(e: Experiment, trace: Trace) -> None:
    """Raise InputError unless the trace is of steps that the run has, and has its parts by name."""
    for what in ("steps", "first"):
        number: object = getattr(trace, what)
        if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or number < 0:
            raise InputError(f"{what} of the trace", "a whole number, 0 or more", repr(number))
    if int(trace.first) + int(trace.steps) > e.steps:
        came = f"{trace.steps} from step {trace.first} on"
        raise InputError("steps of the trace", f"some of the run's {e.steps}, the first of which is 0", came)
    for what, of in (*((kind, "arrays") for kind in KINDS), ("hashes", "texts")):
        group: object = getattr(trace, what)
        if not isinstance(group, Mapping):
            raise InputError(f"{what} of the trace", f"a mapping from names to {of}", type(group).__name__)


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
            _check_numbers(e, name, group[name])
    for name in [*(name for name in data if name not in trace.hashes), *start, *states]:
        if name not in trace:
            raise InputError("trace", f"to hold {name}", f"only {', '.join(trace)}")
    for group, rows in (({**trace.parameters, **trace.states}, trace.steps + 1), (trace.tensors, trace.steps)):
        for name, array in group.items():
            if array.shape[:1] != (rows,):
                raise InputError(f"tensor {name} of the trace", f"{rows} rows for {trace.steps} steps", array.shape[:1])


def _check_numbers(e: Experiment, name: str, a: object) -> None:
    """Raise InputError for what is no array of the tensor's dtype, or of one that is as good."""
    plain = isinstance(a, np.ndarray) and not isinstance(a, np.ma.MaskedArray)
    came: object = a.dtype if plain else type(a).__name__  # type: ignore[attr-defined]  # an array, as just seen
    wanted = e.slots[name].dtype
    if came != wanted and not (isinstance(came, np.dtype) and _as_good(came, e.slots[name], e.dtype)):
        raise InputError(f"tensor {name} of the trace", f"an array of {wanted}", came)


def _as_good(came: np.dtype[Any], slot: Slot, of_run: np.dtype[Any]) -> bool:
    """Whether an array of that dtype holds the same numbers: whole ones, or what is computed of them as torch has it.

    Torch's products take no bools, so that a mirror makes floats of the rows of an identity.
    """
    if slot.dtype.kind not in "iub":
        return False
    return came.kind in "iub" or (slot.role == "constant" and came == of_run)
