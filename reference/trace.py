"""A training run as named tensors stacked over steps: the one currency between producers and judge."""

import contextlib
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from reference.arrays import Array
from reference.errors import InputError, UnknownNameError

_RESERVED = "__torch_mirror__"
_NO_TRACE = (
    ValueError, KeyError, TypeError, AttributeError, OverflowError,                # another file of NumPy's
    EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError,  # an empty, cut or damaged one
)  # fmt: skip


@runtime_checkable
class Sliced(Protocol):
    """Tensors that are made when they are asked for, and of which some steps can be asked for alone."""

    def at(self, steps: slice) -> Mapping[str, Array]: ...


@dataclass(frozen=True, eq=False)
class Trace(Mapping[str, Array]):
    """Steps ``first`` ... ``first + steps - 1`` of a run, as a mapping from tensor names to arrays.

    constants: what does not change from step to step (x, t, features), (...) without a step axis;
    parameters: (steps + 1, ...) each: before the first step, and after each;
    tensors: (steps, ...) each: intermediate values, ``loss`` (steps,), gradients ``d<name>``.
    """

    steps: int
    constants: Mapping[str, Array]
    parameters: Mapping[str, Array]
    tensors: Mapping[str, Array] = field(default_factory=dict)
    first: int = 0

    def __getitem__(self, name: str) -> Array:
        for group in (self.tensors, self.parameters, self.constants):
            if name in group:
                return group[name]
        raise UnknownNameError("tensor", name, self)

    def __iter__(self) -> Iterator[str]:
        return iter([*self.constants, *self.parameters, *self.tensors])

    def __len__(self) -> int:
        return len(self.constants) + len(self.parameters) + len(self.tensors)

    def __contains__(self, name: object) -> bool:
        return name in self.tensors or name in self.parameters or name in self.constants

    def at(self, steps: slice) -> "Trace":
        """The part of the run between two steps (counted from this trace's own first), without copies."""
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
        )

    def _tensors_at(self, steps: slice) -> Mapping[str, Array]:
        if isinstance(self.tensors, Sliced):
            return self.tensors.at(steps)
        return {name: a[steps] for name, a in self.tensors.items()}

    def astype(self, dtype: Any) -> "Trace":
        """The same values in a wider dtype."""

        def lift(group: Mapping[str, Array]) -> dict[str, Array]:
            return {name: a.astype(dtype) for name, a in group.items()}

        return Trace(self.steps, lift(self.constants), lift(self.parameters), lift(self.tensors), self.first)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace as .npz (numpy.savez, no pickle). Raises InputError if the file cannot be written."""
        groups = {"constants": self.constants, "parameters": self.parameters, "tensors": self.tensors}
        arrays = {f"{kind}/{name}": a for kind, group in groups.items() for name, a in group.items()}
        path = Path(path)
        partial = path.parent / f".{os.getpid()}.npz.part"  # short: a name may be as long as the system allows
        try:
            with partial.open("wb") as file:
                np.savez(file, **{_RESERVED: np.array([self.steps, self.first])}, **arrays)  # type: ignore[arg-type]  # the stub takes the names for allow_pickle
            partial.replace(path)
        except OSError as error:
            raise InputError(f"trace file {path}", "a path that can be written", error.strerror) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Trace":
        """Read a trace that ``save`` wrote. Raises InputError if the file is none."""
        groups: dict[str, dict[str, Array]] = {"constants": {}, "parameters": {}, "tensors": {}}
        try:
            with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                steps, first = (int(n) for n in file[_RESERVED])
                for key in file.files:
                    if key != _RESERVED:
                        kind, _, name = key.partition("/")
                        groups[kind][name] = file[key]
        except OSError as error:
            raise InputError(f"trace file {path}", "a readable file", error.strerror or error) from error
        except _NO_TRACE as error:
            came = str(error) or "an empty or cut file"
            raise InputError(f"trace file {path}", "a trace that Trace.save wrote", came) from error
        for kind, rows in (("parameters", steps + 1), ("tensors", steps)):
            for name, array in groups[kind].items():
                if array.shape[:1] != (rows,):
                    raise InputError(f"trace file {path}", f"{rows} entries of {name}", f"shape {array.shape}")
        return Trace(steps, groups["constants"], groups["parameters"], groups["tensors"], first)


def gather(steps: int, segments: Iterable[Trace]) -> Trace:
    """One trace from the consecutive segments of a run of that many steps; their values are copied."""
    parameters: dict[str, Array] = {}
    tensors: dict[str, Array] = {}
    for segment in segments:
        if not segment.first:
            constants = segment.constants
            parameters |= {name: np.empty((steps + 1, *a.shape[1:]), a.dtype) for name, a in segment.parameters.items()}
            tensors |= {name: np.empty((steps, *a.shape[1:]), a.dtype) for name, a in segment.tensors.items()}
        stop = segment.first + segment.steps
        for name, a in segment.parameters.items():
            parameters[name][segment.first : stop + 1] = a
        for name, a in segment.tensors.items():
            tensors[name][segment.first : stop] = a
    return Trace(steps, constants, parameters, tensors)


def check_record(record: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """The names to record: all when None. Raises UnknownNameError for one that the run does not have."""
    if record is None:
        return tuple(known)
    if isinstance(record, str):
        raise InputError("record", "a list of names", repr(record))
    for name in record:
        if name not in known:
            raise UnknownNameError("tensor to record", name, known)
    return tuple(record)
