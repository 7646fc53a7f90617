"""Where a NaN or an infinity of NumPy's run is born, and whether it is a fault of NumPy's.

No radius is known of what is not finite: nothing that comes of it can be judged. But the tensor in which it is born is
made of finite numbers alone, and so is torch's. There NumPy's code is evaluated once more, from torch's parameters:

    not finite there, and torch has a number     NumPy's side is wrong if a number is due. A NaN is never due. For an
                                                 infinite value or loss a number is due where the same code gives one in
                                                 longdouble, whose range is 2^16384: what overflows on its way is finite
                                                 then, and a pole, log 0 or 1 / 0, is not. Of a gradient the derivative
                                                 of the reference's own forward has to be finite, by its radius
    not finite in both runs                      not judged, and said: at an infinity of the formula both are right

Torch's number has to be far from overflow (ROOM), as a sum in another order may overflow where one does not.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.traces.trace import Trace
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import recording
from torch_mirror.judge.cases import case_of
from torch_mirror.judge.checks.own_values import in_longdouble, own_values
from torch_mirror.judge.findings import Finding, Findings, refuted_by
from torch_mirror.judge.referee import derivatives_of
from torch_mirror.judge.verdict import Ruling
from torch_mirror.tape.graph import made_of
from torch_mirror.tape.sweep import leaf

ROOM = 2.0**20
"""A number that is this much smaller than the largest is far from overflow."""


class Born(NamedTuple):
    """What follows of the first tensor that is not finite; note: that it is not judged, "" where it is."""

    findings: Findings = Findings()
    ruling: Ruling | None = None
    note: str = ""


def born(e: Experiment, torch: Trace, numpy: Trace, first: int) -> Born | None:
    """The first tensor of NumPy's run, from a step of these traces on, that is not finite; None if there is none.

    first: the step from which on some radius is infinite. Whatever somebody's code raises here, the verdict stands.
    """
    try:
        return _born(e, torch, numpy, first)
    except Exception as error:  # noqa: BLE001 - as said above
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return Born(note=f"looking for where numbers of NumPy's run stop being finite ended in {said}")


def _born(e: Experiment, torch: Trace, numpy: Trace, first: int) -> Born | None:
    with np.errstate(all="ignore"):
        for t in dict.fromkeys((first, _parameters_end(numpy, first))):
            own = own_values(e, {name: a[t - numpy.first] for name, a in numpy.parameters.items()}, t)
            tensor = next((name for name, a in own.items() if not np.isfinite(a).all()), None)
            if tensor is not None:
                return _judged(e, torch.at(slice(t - torch.first, t - torch.first + 1)), own, tensor)
    return None


def _recorded(name: str, a: Array) -> Ball:
    return leaf(Ball(a, 0, format_of(a.dtype)), name)


def _parameters_end(numpy: Trace, first: int) -> int:
    """The step whose update makes a parameter that is not finite; the first where none does."""
    for t in range(first, numpy.first + numpy.steps):
        if not all(np.isfinite(a[t - numpy.first + 1]).all() for a in numpy.parameters.values()):
            return t
    return first


def _judged(e: Experiment, torch: Trace, own: Mapping[str, Array], tensor: str) -> Born | None:
    t, before = torch.first, list(own)[: list(own).index(tensor)]
    told = _line(e, {name: a[0] for name, a in torch.parameters.items()}, t, tensor)
    what = "NaN" if np.isnan(own[tensor]).any() else "an infinity"
    note = f"{what} born in {tensor}, step {t}, numpy{told}"
    if tensor not in torch.tensors:
        return Born(note=f"{note}: not judged, as torch does not tell its {tensor}")
    theirs = torch.tensors[tensor][0]
    if not all(np.isfinite(torch.tensors[name][0]).all() for name in before if name in torch.tensors):
        return Born(note=f"{note}: not judged, as torch's run is not finite before")
    again = own_values(e, {name: a[0] for name, a in torch.parameters.items()}, t)[tensor]
    most = float(np.finfo(theirs.dtype).max) / ROOM
    alone = ~np.isfinite(own[tensor]) & ~np.isfinite(again) & (np.abs(theirs) < most)
    places = [tuple(int(i) for i in at) for at in np.argwhere(alone)]
    if not places:
        return Born(note=f"{note}: not judged, as torch has none either, or a number that is near overflow")
    if e.slots[tensor].role != "gradient":
        wide = own_values(e, {name: a[0] for name, a in torch.parameters.items()}, t, in_longdouble)[tensor]
        places = [at for at in places if np.isnan(own[tensor][at]) or np.isfinite(wide[at])]
        if not places:
            return Born(note=f"{note}: not judged, as its formula is not known to be finite there")
    finding = _finding(own[tensor], theirs, tensor, t, places)
    if e.slots[tensor].role == "gradient" and not _has_derivative(e, torch, finding):
        return Born(note=f"{note}: not judged, as the derivative is not known to be finite there")
    ruling = Ruling(
        "the reference strays", tensor, t, places[0], reference=finding.seen, mirror=finding.expected,
        note=f"{note}; torch has a number there, from the same parameters",
    )  # fmt: skip
    return Born(refuted_by(finding), ruling)


def _finding(own: Array, theirs: Array, tensor: str, t: int, places: list[tuple[int, ...]]) -> Finding:
    at, count = places[0], len(places)
    seen, expected = float(own[at]), float(theirs[at])
    return Finding(np.inf, t, tensor, "numpy", "local", at, seen, expected, np.nan, np.inf, count, own.size)


def _has_derivative(e: Experiment, torch: Trace, f: Finding) -> bool:
    """Whether the derivative of the reference's own forward is finite at the element, by its radius too."""
    try:
        found = derivatives_of(case_of(e, torch, f._replace(side="torch")))
    except Exception:  # noqa: BLE001 - whatever somebody's code raises on balls: then it is not known
        return False
    ends = (np.broadcast_to(a, d.shape)[f.index] for d in found for a in (d.value, d.radius))
    return all(np.isfinite(end) for end in ends)


def _line(e: Experiment, p: Mapping[str, Array], t: int, tensor: str) -> str:
    """`` (log of 0, nn.py:12 np.log(z))``; "" where the code cannot be followed."""
    try:
        with recording():
            root = own_values(e, p, t, _recorded, lambda a: a)[tensor]
        number = root.settled()
    except Exception:  # noqa: BLE001 - whatever somebody's code raises on balls
        return ""
    for x in made_of(number):
        if x.node is not None and not _finite(x) and all(_finite(a) for a in x.node.operands):
            place = x.node.place
            return f" ({_act(x)}{'' if place is None else f', {place} {place.source}'})"
    return ""


def _finite(x: Number | Mask) -> bool:
    return isinstance(x, Mask) or bool(np.isfinite(x.value).all())


def _act(x: Number) -> str:
    """What makes it: ``log of 0``, ``division by 0``, ``overflow of exp``."""
    node: Any = x.node
    at = np.argwhere(~np.isfinite(x.value))[0] if x.value.ndim else ()
    shape = x.value.shape
    taken = [
        float(np.broadcast_to(a.value, shape)[tuple(at)]) for a in node.operands
        if isinstance(a, Number) and a.value.shape in (shape, ())
    ]  # fmt: skip
    if node.operation in ("log", "log2", "log10", "sqrt") and taken:
        return f"{node.operation} of {taken[0]:g}"
    if node.operation == "divide" and len(taken) == 2 and taken[1] == 0:
        return f"{taken[0]:g} divided by 0"
    return f"overflow of {node.operation}" if np.isinf(x.value).any() else node.operation
