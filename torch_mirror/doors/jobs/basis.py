"""What a verdict rests on, so that it may stand for a run that would be judged again.

The key is known before the run: how it is to be judged, by which software on which processor, its arrays, and the bits
of its first steps on both sides. Which files the rest depends on is known only behind it: those that were opened or
imported. A verdict stands if the new run has the same key, and every file the contents that it had.

What is not seen by this: the time of day, and numbers drawn without a seed, where they show in no array and in none of
the first steps; a file that a library opens in C; a variable of the environment whose name is put together.
"""

import hashlib
import io
import os
import re
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import reference
import torch_mirror
from reference.claim.tree import named
from torch_mirror.doors.jobs.software import digest, hardware, software
from torch_mirror.doors.jobs.watch import digest_of
from torch_mirror.doors.runs import Run, Sides, Source
from torch_mirror.training.convolutions import term_by_term
from torch_mirror.training.session import session, session_by
from torch_mirror.training.threads import one_thread

TRIAL = 3
"""How many first steps are in a key. The optimizer's state shows from the second step on."""

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


def key_of(source: Source, folder: str, sides: Sides, steps: int | None, *, strict: bool) -> str:
    """What is known of a run before it is judged, as one digest. Raises what its first steps raise."""
    e = sides.experiment if steps is None else replace(sides.experiment, steps=steps)
    told = [tuple(source), folder, strict, e.name, e.steps, e.seed, e.accumulate, software(), hardware()]
    whole = hashlib.sha256(repr(told).encode())
    _add(whole, {**named(e.parameters), **e.named_data})
    first = replace(e, steps=min(e.steps, TRIAL))
    with one_thread(), term_by_term(), np.errstate(all="ignore"):
        _add(whole, dict(reference.train(first).items()))
        _add(whole, dict(torch_mirror.train(first, using=session_by(sides.using or session, first)).items()))
    return whole.hexdigest()


def key_if_any(run: Run, folder: str, steps: int | None, *, strict: bool) -> str:
    """The key of a run; "" where it cannot be made: then its error is told by what judges it. Nothing is printed."""
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            sides = run.make()
            if run.source is None or not isinstance(sides, Sides):
                return ""
            return key_of(run.source, folder, sides, steps, strict=strict)
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
