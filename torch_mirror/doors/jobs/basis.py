"""What a verdict rests on, so that it may stand for a run that would be judged again.

The key is how a run is to be judged, by which software on which processor, its arrays, and the bits of all its steps on
both sides: the run is made again, and only the judging is spared. A judged run's bits are taken while it is judged. Its
files, those that were opened or imported, must have the contents that they had, too.

What no step's bits show is not seen where no file that Python opens shows it either: what an equation on balls would do
that arrays do not (a branch on their type, by a file that a library opens in C, the time of day).
"""

import hashlib
import io
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reference.claim.tree import named
from reference.experiments import held_out
from torch_mirror.doors.drawn import Drawing, held_of
from torch_mirror.doors.jobs.bits import bits_of
from torch_mirror.doors.jobs.software import digest, hardware, software
from torch_mirror.doors.jobs.watch import digest_of
from torch_mirror.doors.runs import Run, Sides, Source
from torch_mirror.judge.series import Series

OF_LIBRARIES = re.compile(
    "(OMP|OPENBLAS|GOTO|BLIS|MKL|KMP|ATEN|TORCH|PYTORCH|NPY|NUMPY|DNNL|ONEDNN|CUDA|CUBLAS|LD|LC)_.*|PYTHON.*|LANG|TZ"
)
"""Variables that libraries read, and no line of the user's names."""

SET_BY_LIBRARIES = frozenset({"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"})
"""Which scikit-learn and threadpoolctl set as they are loaded, whenever that is; no number depends on them."""


class Basis(NamedTuple):
    """key: see ``key_of``. files: the digest of each by its path. variables: the same of the environment, by name."""

    key: str
    files: Mapping[str, str]
    variables: Mapping[str, str]

    def stands(self) -> bool:
        """Whether the files and the environment are as they were."""
        return all(digest_of(path) == was for path, was in self.files.items()) and self.variables == read_by(self.files)


def key_of(source: Source, sides: Sides, steps: int | None, bits: str, *, strict: bool) -> str:
    """All that is known of a run, as one digest. bits: of both its sides (see bits.py)."""
    e = sides.experiment if steps is None else replace(sides.experiment, steps=steps)
    told = [tuple(source), strict, e.name, e.steps, e.seed, e.accumulate, software(), hardware(), bits]
    whole = hashlib.sha256(repr(told).encode())
    _add(whole, {**named(e.parameters), **e.named_data})
    return whole.hexdigest()


class Known(NamedTuple):
    """What is known of a run before it is judged, from training both sides. pieces: of its curves, if wanted."""

    key: str
    pieces: Sequence[Series] = ()


def known_of(run: Run, steps: int | None, *, strict: bool, curves: bool) -> Known:
    """A run is made for it. The key is "" where there is none, see ``key_if_any``."""
    if not curves:
        return Known(key_if_any(run, steps, strict=strict))
    drawing: list[Drawing] = []
    key = key_if_any(run, steps, strict=strict, drawing=drawing)
    return Known(key, drawing[0].pieces if drawing else ())


def key_if_any(
    run: Run, steps: int | None, bits: str | None = None, *, strict: bool,
    drawing: list[Drawing] | None = None,
) -> str:  # fmt: skip
    """The key of a run; "" where it cannot be made: then its error is told by what judges it. Nothing is printed.

    bits: of the run that was judged; None: a run is made, which costs two trainings. drawing: what draws that run is
    put into it.
    """
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            sides = run.make()
            if run.source is None or not isinstance(sides, Sides):
                return ""
            if bits is None:
                e = sides.experiment if steps is None else replace(sides.experiment, steps=steps)
                draws = None
                if drawing is not None:
                    draws = Drawing(e, held_of(held_out(e)))
                    drawing.append(draws)
                bits = bits_of(e, sides.using, draws)
            return key_of(run.source, sides, steps, bits, strict=strict)
    except (Exception, SystemExit):  # noqa: BLE001 - the user's code may raise anything
        return ""


def _add(whole: Any, arrays: Mapping[str, Any]) -> None:
    """Add arrays to the bit: names, types, shapes, their bytes, and how they lie in memory, which bears on rounding."""
    for name, value in sorted(arrays.items()):
        array = np.asarray(value)
        whole.update(f"{name}\0{array.dtype.str}\0{array.shape}\0{array.strides}\0".encode())
        whole.update(np.ascontiguousarray(array).tobytes())


def read_by(files: Mapping[str, str]) -> dict[str, str]:
    """Of the environment what bears on a run: what libraries read, and each variable that a Python file names.

    Named is what stands between quotes. A name that is put together is not seen, nor a loop over all variables.
    """
    texts = [_text(path) for path in files if path.endswith(".py")]
    return {
        name: digest(value.encode(errors="surrogateescape"))
        for name, value in sorted(os.environ.items())
        if (OF_LIBRARIES.fullmatch(name) and name not in SET_BY_LIBRARIES)
        or any(f"{quote}{name}{quote}" in text for text in texts for quote in "'\"")
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
