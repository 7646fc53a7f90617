"""The user's world as it was: whatever our runs of their code do to it is undone.

``untouched`` puts everything back: entries of dicts and lists, attributes, names of the module, the elements of
arrays, the state of random generators. So each of our runs starts from the same state, draws the same numbers, and
leaves nothing of ours behind, even where it ends in an error. Iterators are lent as copies.
"""

import copy
import functools
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import CellType
from typing import Any

import numpy as np

from torch_mirror.doors.check.world import World, content

COPIED = 1 << 28
"""Bytes of arrays that are copied; further ones are read-only while the user's code runs."""


@contextmanager
def untouched(world: World) -> Iterator[None]:
    """Whatever is done within the block to what the world holds, it is as it was afterwards."""
    with ExitStack() as stack:
        for restore in _restorers(world):
            stack.callback(restore)
        _lend_iterators(world)
        yield


def _restorers(world: World) -> Iterator[Callable[[], None]]:
    for entries in (*world.dicts, *world.namespaces):
        yield functools.partial(_restore_dict, entries, dict(entries))
    for x, name in world.slots:
        yield functools.partial(_restore_slot, x, name, *([getattr(x, name)] if hasattr(x, name) else []))
    for sequence in world.sequences:
        yield functools.partial(_restore_sequence, sequence, list(sequence))
    for members in world.sets:
        yield functools.partial(_restore_set, members, set(members))
    for kind in world.classes:
        yield functools.partial(_restore_class, kind, dict(vars(kind)))
    for cell in world.cells:
        yield functools.partial(_restore_cell, cell, content(cell))
    for generator in (*world.generators, np.random.mtrand._rand, random._inst):  # noqa: SLF001 - what np.random.rand and random.random draw from
        yield _of_generator(generator)
    left = COPIED
    for array in world.arrays:
        if array.flags.writeable:
            left -= array.nbytes
            yield functools.partial(_restore_array, array, array.copy()) if left >= 0 else _locked(array)


def _restore_dict(entries: dict[Any, Any], saved: dict[Any, Any]) -> None:
    for key in entries.keys() - saved.keys():
        del entries[key]
    for key, value in saved.items():
        if key not in entries or entries[key] is not value:
            entries[key] = value


def _restore_slot(x: Any, name: str, *saved: Any) -> None:
    if saved:
        object.__setattr__(x, name, saved[0])
    elif hasattr(x, name):
        object.__delattr__(x, name)


def _restore_sequence(sequence: Any, saved: list[Any]) -> None:
    if len(sequence) != len(saved) or any(a is not b for a, b in zip(sequence, saved, strict=True)):
        sequence.clear()
        sequence.extend(saved)


def _restore_set(members: set[Any], saved: set[Any]) -> None:
    members.clear()
    members |= saved


def _restore_class(kind: type, saved: dict[str, Any]) -> None:
    for name in vars(kind).keys() - saved.keys():
        delattr(kind, name)
    for name, value in saved.items():
        if vars(kind).get(name) is not value and not name.startswith("__"):
            setattr(kind, name, value)


def _restore_cell(cell: CellType, saved: list[Any]) -> None:
    if saved:
        cell.cell_contents = saved[0]
    elif content(cell):
        del cell.cell_contents


def _restore_array(array: Any, saved: Any) -> None:
    if array.tobytes() != saved.tobytes():
        array[...] = saved


def _locked(array: Any) -> Callable[[], None]:
    array.flags.writeable = False
    return functools.partial(setattr, array.flags, "writeable", True)


def _of_generator(g: Any) -> Callable[[], None]:
    if isinstance(g, np.random.Generator):
        return functools.partial(setattr, g.bit_generator, "state", g.bit_generator.state)
    if isinstance(g, np.random.RandomState):
        return functools.partial(g.set_state, g.get_state(legacy=False))
    return functools.partial(g.setstate, g.getstate())


# --- other things in the place of what is there ----------------------------------------------------------------------


def replace_floats(world: World, make: Callable[[Any], Any]) -> None:
    """Put make(a) in the place of every float array, within ``untouched``; one for each array, wherever it stands.

    An array in a tuple stays, as nothing can be put there.
    """
    _replace(world, {id(a): make(a) for a in world.arrays if a.dtype.kind == "f"})


def _lend_iterators(world: World) -> None:
    """Put copies in the place of iterators: what is taken from these is not gone. A generator's cannot be made."""
    copies: dict[int, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of itertools, which still can
        for iterator in world.iterators:
            with suppress(TypeError, copy.Error):
                copies[id(iterator)] = copy.copy(iterator)
    if copies:
        _replace(world, copies)


def _replace(world: World, made: Mapping[int, Any]) -> None:
    """Put what was made in the place of objects, by their id."""

    def other(a: Any) -> Any:
        return made.get(id(a), a)

    for entries in world.dicts:
        for key, value in entries.items():
            entries[key] = other(value)
    for space, name in world.named:
        space[name] = other(space[name])
    for x, name in world.slots:
        if hasattr(x, name):
            object.__setattr__(x, name, other(getattr(x, name)))
    for sequence in world.sequences:
        members = [other(value) for value in sequence]
        sequence.clear()
        sequence.extend(members)
    for cell in world.cells:
        for value in content(cell):
            cell.cell_contents = other(value)
