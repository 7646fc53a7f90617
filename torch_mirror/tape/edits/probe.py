"""Which fits are one cause in other words: those that agree at another point, too.

``(1 - momentum) left out`` and ``a factor 1 / (1 - momentum)`` are the same formula. The equation is evaluated once
more, with all variables and data moved at random; edits whose outputs meet there are one class. The user's code is not
needed. What a number is called is told apart by other numbers of that name: N and the hidden units, equal here, are
moved apart.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.tape.edits.case import Case, meets
from torch_mirror.tape.edits.constants import Constant, table
from torch_mirror.tape.edits.edit import Edit, evaluated
from torch_mirror.tape.edits.operations import OPERATIONS
from torch_mirror.tape.edits.search import EXPECTED, Fit, bound


class Probe(NamedTuple):
    """Another point. constants: sizes as they are; apart: with every name's number moved by itself."""

    values: tuple[Any, ...]
    constants: Mapping[str, Constant]
    apart: Mapping[str, Constant]


def probe_of(case: Case, named: Mapping[str, float]) -> Probe:
    """named: what the constants are made of. A leaf of no axes of such a name moves together with it.

    So does a number that stands in the user's code: a size that is equal to it here is another one there.
    """
    leaves = {n.label for i, n in enumerate(case.eq.nodes) if n.kind == "leaf" and case.arrays[i].ndim == 0}
    written = {name: _moved_number(name, literal.value) for name, literal in case.literals.items()}
    numbers = {i: written[name] for name, literal in case.literals.items() for i in literal.nodes}
    moved = {name: (_moved_number(name, c) if name in leaves else c) for name, c in named.items()}
    apart = {name: _moved_number(name, c) for name, c in named.items()}
    values: list[Any] = []
    with np.errstate(all="ignore"):
        for i, node in enumerate(case.eq.nodes):
            if node.operands:
                values.append(OPERATIONS[node.operation](*(values[k] for k in node.operands), **node.options))
            elif i in numbers:
                values.append(Ball(np.asarray(numbers[i])))
            elif node.label in leaves:
                values.append(Ball(np.asarray(moved.get(node.label, _moved_number(node.label, float(case.arrays[i]))))))
            else:
                values.append(_moved(case.eq.values[i], i, leaf=node.kind == "leaf"))
    return Probe(tuple(values), table(moved, written), table(apart, written))


def _moved_number(name: str, c: float) -> float:
    """Between 0 and 1 it stays there."""
    share = zlib.crc32(name.encode(errors="surrogatepass")) % 997 / 997
    return c ** (1.2 + 0.4 * share) if 0 < c < 1 else c * (1.1 + 0.7 * share)


def _moved(value: Any, seed: int, *, leaf: bool) -> Any:
    """A leaf, or data with fractions; whole numbers, such as one-hot targets, stay, and so do plain numbers."""
    a = np.asarray(value.value)
    if a.dtype == bool or a.ndim == 0 or not (leaf or (a != np.round(a)).any()):
        return value
    r = np.random.default_rng(seed)
    b = a * r.uniform(0.6, 1.7, a.shape) + 0.2 * np.abs(a).mean() * r.standard_normal(a.shape)
    return Ball(np.where(a.min(initial=0.0) >= 0, np.abs(b), b).astype(a.dtype))


def classes(case: Case, probe: Probe, fits: Sequence[Fit]) -> list[list[Fit]]:
    """The fits that agree at the probe, in groups: the cheapest of each first, of equal ones the last in the pass."""
    groups: list[tuple[list[Fit], Mapping[str, Any] | None, Mapping[str, Any] | None]] = []
    for fit in sorted(fits, key=lambda f: (f.edit.cost, -f.edit.node)):
        here, apart = (_outputs(case, probe, fit, constants) for constants in (probe.constants, probe.apart))
        for members, other_here, other_apart in groups:
            both_named = bool(fit.edit.name and members[0].edit.name)
            if _agree(apart, other_apart) if both_named else _agree(here, other_here):
                members.append(fit)
                break
        else:
            groups.append(([fit], here, apart))
    return [members for members, _, _ in groups]


def _outputs(case: Case, probe: Probe, fit: Fit, constants: Mapping[str, Constant]) -> Mapping[str, Any] | None:
    edit = with_constants(fit.edit, constants)
    names = [name for name in case.eq.outputs if name in case.seen]
    try:
        with np.errstate(all="ignore"):
            return evaluated(case.eq, case.shape, probe.values, (*case.found, edit), names, {})
    except EXPECTED:
        return None


def with_constants(edit: Edit, constants: Mapping[str, Constant]) -> Edit:
    """The edit with its named constant as it is at another point."""
    if edit.template is None or edit.name not in constants:
        return edit
    return bound(edit.template, edit.name, constants[edit.name])


def holds(edit: Edit, explains: frozenset[str], point: Case) -> bool | None:
    """Whether the edit explains these outputs at another point, where the user's code has been run, too.

    Sizes may differ there. None for an edit that has no meaning at those sizes, such as a unit that is not there.
    """
    edit = with_constants(edit, point.constants)
    names = [name for name in point.eq.outputs if name in point.seen]
    new: dict[int, Any] = {}
    try:
        with np.errstate(all="ignore"):
            outputs = evaluated(point.eq, point.shape, point.balls, (edit,), names, new, point.found)
    except EXPECTED:
        return None
    kept = (name in explains or name not in point.wrong for name in names)
    return all(meets(point.seen[name], outputs[name]) for name, must in zip(names, kept, strict=True) if must)


def _agree(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> bool:
    if a is None or b is None:
        return False
    return all(a[name] is b[name] or meets(a[name].settled(), b[name]) for name in a)
