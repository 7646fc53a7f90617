"""Data and starts that a trace has by hash, held against the experiment.

A hash says that two arrays differ, and not where, so nothing is refuted by it: a trace of other data, or from another
start, is one of another experiment, and its other tensors would be judged by operands that they did not have. Whoever
wants to know which element differs puts the array itself into the file.
"""

from dataclasses import replace

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from reference.errors import InputError, UnknownNameError
from reference.traces.schema import checked_hash, sha256
from reference.traces.trace import Trace


def completed(experiment: Experiment, trace: Trace) -> Trace:
    """The trace with the experiment's data in the place of their hashes.

    Raises InputError for a hash that is not the experiment's, or that contradicts an array of the trace itself, and
    UnknownNameError for one of neither data nor parameters nor the optimizer's state.
    """
    e, data = experiment, {}
    known = {**e.named_data, **_start(e)}
    for name, told in trace.hashes.items():
        if name not in known:
            raise UnknownNameError("hash of the trace: of", name, known)
        digits, own = checked_hash(f"{name} of the trace", told), _own(e, trace, name)
        if own is not None and sha256(own) != digits:
            expected = f"SHA-256 of what the trace itself holds, {sha256(own)}"
            raise InputError(f"hash of {name} of the trace", expected, digits)
        if own is None and sha256(known[name]) != digits:
            raise _other(name, known[name], digits)
        if name in e.named_data and own is None:
            data[name] = e.named_data[name]
    return replace(trace, constants={**trace.constants, **data}) if data else trace


def compared(experiment: Experiment, trace: Trace) -> tuple[list[str], list[str], list[str]]:
    """What was known by its hash alone: names of the data, of the start; and of the start what was not known at all.

    Of a trace from step 0 on the start is in the trace. What data it does not hold it has by hash: that was checked.
    """
    e = experiment
    data = [name for name in e.named_data if name not in trace.constants]
    start = list(_start(e)) if trace.first else []
    return data, [n for n in start if n in trace.hashes], [n for n in start if n not in trace.hashes]


def _start(e: Experiment) -> dict[str, Array]:
    """The parameters and the optimizer's state before the first step of the run."""
    return {**named(e.parameters), **named(e.optimizer.init(e.parameters))}


def _own(e: Experiment, trace: Trace, name: str) -> Array | None:
    """What the trace itself holds of the hashed array."""
    if name in e.named_data:
        return trace.constants.get(name)
    rows = {**trace.parameters, **trace.states}.get(name)
    return rows[0] if rows is not None and trace.first == 0 and len(rows) else None


def _other(name: str, a: Array, digits: str) -> InputError:
    """The error for a hash that is not that of the experiment's array."""
    expected = f"the experiment's, shape {a.shape} of {a.dtype}, SHA-256 {sha256(a)}"
    came = f"{digits}: the run had another {name} (in the file itself, not as a hash, it shows which elements differ)"
    return InputError(f"{name} of the trace", expected, came)
