"""Why a run is refuted: the line and the cause of what its ruling lays at one side's door.

The ruling says which side is wrong. If it is the reference's backward pass, ``check`` looks at it where the trace was,
and what it prints of lines and causes stands in the certificate. If it is the mirror, the cause is the smallest edit of
the reference's equation that gives what torch has (mirror_causes.py).

Where the forwards differ, the cause is the smallest edit of the reference's layer that gives what torch has
(forward_causes.py). Of a loss the gradients are asked first, as they are many numbers, and it is one. Where the updates
differ, it is sought as if the mirror strayed, as an edit of the reference's step: either may be the one that is meant.

Like a ruling this is no part of the verdict: whatever is raised while it is sought is told in its place.
"""

from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np

from reference.claim.experiment import Experiment
from reference.claim.slots import gradient_of
from reference.claim.tree import named
from torch_mirror.judge.ruling import Evidence
from torch_mirror.judge.verdict import NOT_ITS_OWN, Ruling

if TYPE_CHECKING:
    from torch_mirror.doors.check.result import Checked
    from torch_mirror.doors.mirror_causes import Told


def why(e: Experiment, seen: Evidence | None, ruling: Ruling | None) -> tuple[str, ...]:
    """Lines; none where nothing is refuted, or no side is found wrong."""
    from torch_mirror.doors.mirror_causes import Told

    if seen is None or ruling is None or seen.finding.check not in {"local", "end to end"}:
        return ()
    try:
        with np.errstate(all="ignore"), redirect_stdout(StringIO()):  # what their code prints is not meant for here
            if ruling.verdict == NOT_ITS_OWN:
                return _of_the_reference(e, seen)
            if ruling.verdict == "forwards differ":
                by_gradients = _of_the_mirror(e, seen) if seen.finding.tensor == "loss" else Told()
                return _lines(by_gradients if by_gradients.causes else _of_the_forward(e, seen))
            strays = ruling.verdict in {"the mirror strays", "updates differ"}
            return _lines(_of_the_mirror(e, seen)) if strays else ()
    except Exception as error:  # noqa: BLE001 - the verdict stands, whatever comes of looking for its cause
        return (f"looking for the cause ended in {type(error).__name__}: {' '.join(str(error).split())}",)


def shown(e: Experiment, seen: Evidence | None, ruling: Ruling | None) -> "Checked | None":
    """What check finds of the reference's backward pass where the ruling lays the fault at it, with the pictures.

    None where it does not: then no line of the user's equations is a suspect. May raise what their code raises.
    """
    from torch_mirror.doors.check.derivative import check
    from torch_mirror.doors.check.pictures import pictured
    from torch_mirror.doors.mirror_causes import function_of, point_at

    if seen is None or ruling is None or ruling.verdict != NOT_ITS_OWN:
        return None
    with redirect_stdout(StringIO()):
        parameters, data = point_at(e, seen.trace, seen.finding.step)
        function = function_of(e)
        return pictured(check(function, parameters, *data), function, parameters, *data)


def _of_the_reference(e: Experiment, seen: Evidence) -> tuple[str, ...]:
    from torch_mirror.doors.check.derivative import check
    from torch_mirror.doors.mirror_causes import function_of, point_at
    from torch_mirror.reports.derivatives import of_fault

    parameters, data = point_at(e, seen.trace, seen.finding.step)
    faults = check(function_of(e), parameters, *data).faults
    return tuple(line for fault in faults for line in _under(fault.gradients[0], of_fault(fault)))


def _under(name: str, lines: list[str]) -> list[str]:
    """The lines, beside the name of the gradient that they are about."""
    return [f"{name if i == 0 else ' ' * len(name)}  {line}" for i, line in enumerate(lines)]


def _lines(told: "Told") -> tuple[str, ...]:
    """The causes, or why there is none."""
    from torch_mirror.reports.derivatives import of_causes

    return (*of_causes(told.causes), *([f"cause: {told.why}"] if told.why else []))


def _of_the_forward(e: Experiment, seen: Evidence) -> "Told":
    from torch_mirror.doors.forward_causes import causes_of_forward

    return causes_of_forward(e, seen.trace, seen.finding)


def _of_the_mirror(e: Experiment, seen: Evidence) -> "Told":
    from torch_mirror.doors.mirror_causes import Told, causes_of_gradients, causes_of_update

    updated = e.slots[seen.finding.tensor].role in {"parameter", "state"}
    missing = [g for name in named(e.parameters) if (g := str(gradient_of(e.slots, name))) not in seen.trace.tensors]
    if missing:
        way_out = "run.gradients() notes it, in a loop under recording"
        return Told(why=f"none is sought, as the trace does not hold {', '.join(missing)} ({way_out})")
    if updated and e.dtype != np.float64:
        return Told(why="none is sought, as one step in float32 is met by too many an edit")
    return (causes_of_update if updated else causes_of_gradients)(e, seen.trace, seen.finding.step)
