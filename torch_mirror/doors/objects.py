"""What a command names as FILE:OBJECT: something of the user's own, taken from a Python file."""

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reference.errors import InputError, TorchMirrorError

OURS = Path(__file__).resolve().parents[1]
"""The folder of this package."""


def load(text: str) -> Any:
    """The object of ``network.py:experiment``; dots go further in. A function that needs no argument is called for it.

    The file runs once, as a module of its own name, and may import what lies beside it. Raises InputError for a file or
    an object that is not there, and for what the file or the function raises.
    """
    file, _, name = text.rpartition(":")
    path = Path(file)
    if not file or not name:
        raise InputError("what is to be looked at", "the name of an experiment, or FILE:OBJECT", repr(text))
    if not path.is_file():
        raise InputError(f"file {file}", "a Python file", "none that is there" if not path.exists() else "a folder")
    found: Any = _module(path)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except Exception as error:  # a module may have a __getattr__ of its own
            public = [own for own in vars(found) if not own.startswith("_")] if hasattr(found, "__dict__") else []
            came = "none of that name" if isinstance(error, AttributeError) else _said(error)
            raise InputError(f"object {name} of {file}", f"one of {', '.join(public) or 'none'}", came) from error
    if not callable(found) or isinstance(found, type) or not _takes_nothing(found):
        return found
    with running(f"{text}()", "an experiment, or what check takes"):
        return found()


@contextmanager
def running(text: str, expected: str = "code that runs") -> Iterator[None]:
    """Say of what the user's own code raises that it is theirs, and where; SystemExit, too, as nothing was judged.

    Ours is let through: it is our fault.
    """
    try:
        yield
    except TorchMirrorError:
        raise
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        if Path(last.filename).resolve().is_relative_to(OURS):
            raise
        place = f"{Path(last.filename).name}, line {last.lineno}"
        raise InputError(text, expected, f"{_said(error)} ({place})") from error


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"file {path}", "a Python file, whose name ends in .py", path.suffix or "none")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # as dataclasses and pickles look themselves up
    before = sys.path[:]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"file {path}", "to run", _said(error)) from error
    finally:
        sys.path[:] = before
    return module


def _takes_nothing(function: Any) -> bool:
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return all(a.default is not a.empty or a.kind in (a.VAR_POSITIONAL, a.VAR_KEYWORD) for a in arguments)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
