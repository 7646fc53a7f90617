"""A training run as named tensors stacked over steps: the one currency between producers and judge."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from reference.arrays import Array
from reference.errors import InputError, UnknownNameError
from reference.traces.files import LIMIT, read_arrays, shown, write_arrays
from reference.traces.mapping import KINDS, mapped
from reference.traces.notebook import as_html
from reference.traces.schema import Contents, packed, unpacked


@runtime_checkable
class Sliced(Protocol):
    """Tensors that are made when they are asked for, and of which some steps can be asked for alone."""

    def at(self, steps: slice) -> Mapping[str, Array]: ...


@dataclass(frozen=True, eq=False)
class Trace(Mapping[str, Array]):
    """Steps ``first`` ... ``first + steps - 1`` of a run, as a mapping from tensor names to arrays.

    constants: what does not change from step to step (x, t, features), (...) without a step axis;
    parameters: (steps + 1, ...) each: before the first step, and after each;
    tensors: (steps, ...) each: intermediate values, ``loss`` (steps,), gradients ``d<name>``;
    states: of the optimizer, (steps + 1, ...) each as the parameters: ``v.W1`` is a momentum buffer.
    hashes: SHA-256 of data that the trace does not hold, or of the start of a run of which it is a later part; in
    hexadecimal digits (``reference.traces.schema.sha256``).
    Where the last batch of an epoch is smaller than the others, what it lacks is filled up with NaN.
    """

    steps: int
    constants: Mapping[str, Array]
    parameters: Mapping[str, Array]
    tensors: Mapping[str, Array] = field(default_factory=dict)
    first: int = 0
    states: Mapping[str, Array] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Array:
        for group in (self.tensors, self.parameters, self.states, self.constants):
            if isinstance(name, str) and name in group:
                return group[name]
        raise UnknownNameError("tensor", name, self)

    def __iter__(self) -> Iterator[str]:
        return iter([*self.constants, *self.parameters, *self.states, *self.tensors])

    def __len__(self) -> int:
        return len(self.constants) + len(self.parameters) + len(self.states) + len(self.tensors)

    def __contains__(self, name: object) -> bool:
        return any(name in group for group in (self.tensors, self.parameters, self.states, self.constants))

    def _repr_html_(self) -> str:
        return as_html(self.first, self.steps, self._groups())

    def at(self, steps: slice) -> "Trace":
        """The part of the run between two steps (counted from this trace's own first), without copies."""
        if not isinstance(steps, slice):
            raise InputError("steps of a trace", "a slice, as slice(0, 5)", repr(steps))
        start, stop, stride = steps.indices(self.steps)
        if stride != 1:
            raise InputError("slice of a trace", "stride 1", f"stride {stride}")
        stop = max(start, stop)
        return Trace(
            stop - start,
            self.constants,
            {name: a[start : stop + 1] for name, a in self.parameters.items()},
            self._tensors_at(slice(start, stop)),
            self.first + start,
            {name: a[start : stop + 1] for name, a in self.states.items()},
            self.hashes,
        )

    def _tensors_at(self, steps: slice) -> Mapping[str, Array]:
        if isinstance(self.tensors, Sliced):
            return self.tensors.at(steps)
        return {name: a[steps] for name, a in self.tensors.items()}

    def astype(self, dtype: Any) -> "Trace":
        """The same values in a wider dtype. Raises InputError for what is no dtype of floats."""
        try:
            dtype = np.dtype(dtype)
        except TypeError as error:
            raise InputError("dtype", "one of floats", repr(dtype)) from error
        if dtype.kind != "f":
            raise InputError("dtype", "one of floats", str(dtype))

        def lift(group: Mapping[str, Array]) -> dict[str, Array]:
            return {name: a.astype(dtype) if a.dtype.kind == "f" else a for name, a in group.items()}

        groups = lift(self.constants), lift(self.parameters), lift(self.tensors)
        return Trace(self.steps, *groups, self.first, lift(self.states), self.hashes)

    def mapped(self, names: Mapping[str, str]) -> "Trace":
        """The same trace with names of the reference in the place of another program's: {"W1": "layer1.kernel.T"}.

        See ``reference.traces.mapping`` for what is told how. Raises InputError or UnknownNameError where a name does
        not fit.
        """
        return Trace(self.steps, first=self.first, hashes=self.hashes, **mapped("trace", self._groups(), names))

    def _groups(self) -> dict[str, Mapping[str, Array]]:
        return {kind: getattr(self, kind) for kind in KINDS}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace, whole or not at all: see ``reference.files``, and docs/traces.md for what the file holds.

        As .safetensors where the path ends so, and otherwise as .npz (numpy.savez, no pickle). Raises InputError if the
        file cannot be written, or an array holds no numbers, or such as .safetensors does not have (numpy.longdouble).
        """
        contents = Contents(self.steps, self.first, self._groups(), self.hashes)
        write_arrays(path, packed(shown(path), contents))

    @staticmethod
    def load(path: str | os.PathLike[str], limit: int = LIMIT) -> "Trace":
        """Read a trace that ``save`` wrote, or any program. limit: how many bytes its arrays may have together.

        That is 4 GiB by default. No pickle is read. Names of its own that the file tells of become the reference's.
        Raises InputError if the file is no such trace, is larger, or contradicts itself; UnknownNameError where it
        gives another name to an array that it does not have.
        """
        arrays = read_arrays(path, limit)
        steps, first, groups, hashes = unpacked(shown(path), arrays)
        return Trace(steps, first=first, hashes=hashes, **groups)


def gather(steps: int, segments: Iterable[Trace]) -> Trace:
    """One trace from the consecutive segments of a run of that many steps; their values are copied.

    Raises InputError where memory does not hold them.
    """
    groups: dict[str, dict[str, Array]] = {"parameters": {}, "tensors": {}, "states": {}}
    for segment in segments:
        for kind, gathered in groups.items():
            more = kind != "tensors"  # one entry before the first step
            for name, a in getattr(segment, kind).items():
                if not segment.first:
                    gathered[name] = _room(steps + more, a)
                here = slice(segment.first, segment.first + segment.steps + more)
                gathered[name][here][tuple(slice(n) for n in a.shape)] = a
        constants = segment.constants
    return Trace(steps, constants, groups["parameters"], groups["tensors"], states=groups["states"])


def _room(rows: int, like: Array) -> Array:
    try:
        return np.full((rows, *like.shape[1:]), filling(like), like.dtype)
    except (MemoryError, ValueError) as error:  # ValueError: more than an array may have
        raise InputError("steps", "as many as memory holds the tensors of (record= keeps fewer)", str(error)) from error


def filling(a: Array) -> float:
    """What fills up a smaller batch's tensor: NaN, or 0 among whole numbers."""
    return np.nan if a.dtype.kind == "f" else 0


def stack(rows: Sequence[Array], out: Array) -> Array:
    """Arrays along a new first axis, in the first entries of ``out``, which has the shape of the largest of them.

    Those of a smaller batch are filled up with NaN. numpy.concatenate is the fastest way for many small ones.
    """
    stacked = out[: len(rows)]
    if out.ndim == 1:  # one number a step
        stacked[...] = rows
        return stacked
    try:
        np.concatenate(rows, out=stacked.reshape(-1, *rows[0].shape[1:]))
    except ValueError:  # some are smaller, or scalars
        stacked[...] = filling(stacked)
        for space, row in zip(stacked, rows, strict=True):
            space[tuple(slice(n) for n in row.shape)] = row
    return stacked


def check_record(record: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """The names to record: all when None. Raises UnknownNameError for one that the run does not have."""
    if record is None:
        return tuple(known)
    if not isinstance(record, (Sequence, AbstractSet, Mapping)) or isinstance(record, (str, bytes)):
        raise InputError("record", "a list of names", repr(record))
    for name in record:
        if name not in known:
            raise UnknownNameError("tensor to record", name, known)
    return tuple(record)
