"""Foreign names: which array of another program's trace is which of the reference's, and how it lies there.

    {"W1": "layer1.kernel.T"}   the reference's W1 is the transpose of the array called layer1.kernel

A name that two groups have (a parameter and its gradient, say) is told with its group: tensors/layer1.kernel.T. Nothing
follows from a name: the gradient of a transposed parameter is told to be transposed, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from reference.arrays import Array
from reference.errors import InputError, UnknownNameError
from reference.layouts import AXES, LAYOUTS

KINDS = ("constants", "parameters", "states", "tensors")
"""The groups of a trace, each a mapping from names to arrays."""

Groups = Mapping[str, Mapping[str, Array]]


class Place(NamedTuple):
    """Where an array is in another program's trace."""

    kind: str
    name: str
    layout: str  # of LAYOUTS; "" as it is


def mapped(what: str, groups: Groups, names: Mapping[str, str]) -> dict[str, dict[str, Array]]:
    """The groups with the reference's names; an array that no name tells of keeps its own. No numbers are copied.

    names: the reference's name to the other program's, with one of LAYOUTS behind it where it lies otherwise.
    Raises UnknownNameError for a name that no array has; InputError, which begins with ``what``, for one that two
    arrays have, for a layout that an array of so many axes cannot have, and where two would have the same name.
    """
    places = {ours: _place(what, groups, ours, told) for ours, told in names.items()}
    taken = {(place.kind, place.name) for place in places.values()}
    left = {kind: {n: a for n, a in group.items() if (kind, n) not in taken} for kind, group in groups.items()}
    for ours, place in places.items():
        if any(ours in group for group in left.values()):
            raise InputError(f"name {ours} in {what}", "one that no other array has", f"{names[ours]} beside {ours}")
        left[place.kind][ours] = _view(what, ours, place, groups[place.kind][place.name])
    return left


def _place(what: str, groups: Groups, ours: object, told: object) -> Place:
    """Where the array is. A name as it stands goes before one with a layout behind it."""
    if not isinstance(ours, str) or not isinstance(told, str):
        raise InputError(f"names in {what}", "texts, such as {'W1': 'layer1.kernel.T'}", f"{{{ours!r}: {told!r}}}")
    for layout in ("", *(suffix for suffix in LAYOUTS if told.endswith(suffix))):
        found = [Place(kind, name, layout) for kind, name in _called(groups, told.removesuffix(layout))]
        if len(found) > 1:
            ways = " or ".join(f"{place.kind}/{told}" for place in found)
            raise InputError(f"{ours} in {what}", f"one array ({ways})", f"{told}, which several groups have")
        if found:
            return found[0]
    raise UnknownNameError(f"array for {ours} in {what}:", told, _known(groups))


def _called(groups: Groups, told: str) -> Iterator[tuple[str, str]]:
    """The arrays of that name, with or without their group before it."""
    return ((kind, n) for kind, group in groups.items() for n in group if told in (n, f"{kind}/{n}"))


def _known(groups: Groups) -> Sequence[str]:
    return [name for group in groups.values() for name in group]


def _view(what: str, ours: str, place: Place, a: Array) -> Array:
    """The array as the reference has it, with the axis of steps in front as it was."""
    if not place.layout:
        return a
    layout = LAYOUTS[place.layout]
    if a.ndim - (place.kind != "constants") != layout.axes:
        shape = a.shape if place.kind == "constants" else a.shape[1:]
        came = f"{place.name}{place.layout} for one of shape {shape}"
        raise InputError(f"{ours} in {what}", f"no {place.layout} where there {AXES[layout.axes]}", came)
    view: Array = layout.view(a)
    return view
