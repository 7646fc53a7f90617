"""Who called: the line of the user's code, and the name of the library's function as it is written there.

A NumPy function knows neither. Its name in another module than numpy (numpy.linalg.norm) is looked up in the
modules themselves, and not in ``__module__``, which names where a function was written. The line is that of the
first frame outside of this package, NumPy and SciPy. What takes a ball apart without asking it first
(``np.asarray``, ``math.exp``) is found in the libraries' own frames, or, where it is written in C and has none, in
the user's line.
"""

import ast
import dis
import linecache
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

MODULES = (
    "numpy", "numpy.linalg", "numpy.lib.stride_tricks", "numpy.random", "numpy.fft", "numpy.testing", "numpy.strings",
    "numpy.polynomial.polynomial", "scipy.special", "scipy.linalg", "scipy.signal", "scipy.stats", "scipy.ndimage",
)  # fmt: skip
"""Where a function may be found by its name. None of them is imported for that."""

LIBRARIES = ("numpy", "scipy", "torch_mirror")


def name_of(function: Any) -> str:
    """``numpy.linalg.norm``, ``numpy.add.reduce``; the name alone of what is in none of the modules."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"{name_of(owner)}.{function.__name__}"
    name = getattr(function, "__name__", type(function).__name__)
    for module in MODULES:
        if module in sys.modules and getattr(sys.modules[module], name, None) is function:
            return f"{module}.{name}"
    return name if hasattr(function, "__code__") else f"numpy.{name}"


def line() -> str:
    """``net.py:12`` of the user's code that called, seen from the working directory; empty if there is none."""
    frame, _ = _callers()
    return f"{_shown(frame.f_code.co_filename)}:{frame.f_lineno}" if frame else ""


def called() -> str:
    """What the user's code calls: ``numpy.linalg.inv``, ``math.exp``; empty if that cannot be told."""
    frame, inner = _callers()
    if inner is not None and (name := _of_frame(inner)):
        return name
    return _as_written(frame) if frame else ""


_REMAINDERS = (6, 19)
"""What BINARY_OP is given for % and %= (CPython's opcode.h: NB_REMAINDER, NB_INPLACE_REMAINDER)."""


def formats() -> bool:
    """Whether the user's code asks from a %, as in ``"%.3f" % x``, by the instruction that it is at."""
    frame, inner = _callers()
    if frame is None or inner is not None:
        return False
    code, at = frame.f_code.co_code, frame.f_lasti
    return dis.opname[code[at]] == "BINARY_OP" and code[at + 1] in _REMAINDERS


def located(error: TypeError) -> TypeError:
    """The error, with the line of the user's code in its message."""
    where = line()
    if where and where not in str(error):
        error.args = (f"{error} (called at {where})",)
    return error


def _callers() -> tuple[FrameType | None, FrameType | None]:
    """The user's frame, and the frame of NumPy's or SciPy's that it called."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as inspect.currentframe does, without its None
    inner = None
    while frame is not None and (library := _library(frame)):
        inner = frame if library != "torch_mirror" else None
        frame = frame.f_back
    return frame, inner


def _library(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__") or ""
    return next((lib for lib in LIBRARIES if name == lib or name.startswith(f"{lib}.")), "") or _made(frame)


def _made(frame: FrameType) -> str:
    """The frames that NumPy and dataclasses make up have no module."""
    return "numpy" if frame.f_code.co_filename.startswith("<__array_function__") else ""


def _of_frame(frame: FrameType) -> str:
    """The public name of a library's function, by the frame that runs it."""
    code = frame.f_code
    owner = frame.f_locals.get("self")
    if code.co_name == "__getitem__" and owner is not None:  # np.r_[x, y]
        return next((f"numpy.{n}" for n in ("r_", "c_") if getattr(sys.modules["numpy"], n) is owner), "")
    name = code.co_qualname.split(".")[0] if code.co_name.startswith("__") else code.co_name
    library = (frame.f_globals.get("__name__") or "").split(".")[0]
    public = [m for m in MODULES if m.split(".")[0] == library and m in sys.modules]
    return next((f"{m}.{name}" for m in public if hasattr(sys.modules[m], name)), name)


def _as_written(frame: FrameType) -> str:
    """The function of the innermost call that the line is at, from its source: what C code was called."""
    instructions = list(frame.f_code.co_positions())
    first, last, start, end = instructions[frame.f_lasti // 2]
    if first is None or last is None or start is None or end is None:
        return ""
    lines = [linecache.getline(frame.f_code.co_filename, i).encode() for i in range(first, last + 1)]
    if not all(lines):
        return ""
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    try:
        tree = ast.parse(b"".join(lines).decode().strip(), mode="eval").body
    except SyntaxError:
        return ""
    return ast.unparse(tree.func) if isinstance(tree, ast.Call) else ""


def _shown(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
