"""What a command names as FILE:OBJECT or MODULE:OBJECT: something of the user's own."""

import ast
import difflib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from reference.errors import InputError, TorchMirrorError
from torch_mirror.doors.sources import Fresh, importable, is_module

OURS = Path(__file__).resolve().parents[1]
"""The folder of this package."""

SHOWN = 8
"""Objects of a file that are named where none was."""


def load(text: str) -> Any:
    """The object of ``network.py:experiment`` or ``package.network:experiment``; dots go further in.

    A function that needs no argument is called for it. A file runs once, as a module of its own name, and may import
    what lies beside it; a module is imported as ``python -m`` does, with the current folder in front. Raises InputError
    for a file, a module or an object that is not there, and for what any of them raises.
    """
    where, _, name = text.rpartition(":")
    if is_file_alone(text):
        raise without_object(text)
    if not where or not name:
        raise InputError("what is to be looked at", "the name of an experiment, or FILE:OBJECT", repr(text))
    path = Path(where)
    by_name = is_module(where)
    if not by_name and not path.is_file():
        raise InputError(f"file {where}", "a Python file", "none that is there" if not path.exists() else "a folder")
    with importable(Path.cwd() if by_name else path.resolve().parent):
        found = _attribute(_imported(where) if by_name else _run(path), name, where)
        return called(text, found)


def is_file_alone(text: str) -> bool:
    """Whether it is a Python file that is there, and :OBJECT was forgotten."""
    return text.endswith(".py") and Path(text).is_file()


def without_object(file: str) -> InputError:
    """What to say of it, with the objects that are in the file. The file is read, and does not run."""
    try:
        names = _defined(ast.parse(Path(file).read_bytes()))
    except (OSError, SyntaxError, ValueError):
        names = []
    some = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    known = f"; OBJECT may be one of {some}" if names else ""
    example = f"{file}:{names[0] if names else 'experiment'}"
    return InputError(file, f"FILE:OBJECT, as in {example}", f"the file alone{known}")


def _defined(module: ast.Module) -> list[str]:
    """What an object to be judged may be, the last first: no class, no import, no plain number, and nothing private.

    Of functions those that need no argument, as the others cannot be called.
    """
    found: list[str] = []
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            given = len(node.args.posonlyargs) + len(node.args.args) == len(node.args.defaults)
            found += [node.name] if given and all(node.args.kw_defaults) else []
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and not isinstance(node.value, (ast.Constant, ast.Lambda)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [target.id for target in targets if isinstance(target, ast.Name)]
    return list(dict.fromkeys(name for name in reversed(found) if not name.startswith("_")))


def each(text: str) -> list[tuple[str, Any]]:
    """The object that is named; of a dict of some each with its key behind the text. Raises InputError as load does."""
    found = load(text)
    if not isinstance(found, dict):
        return [(text, found)]
    if not found:
        raise InputError(text, "at least one case", "an empty dict")
    return [(f"{text} {key}", called(f"{text} {key}", one)) for key, one in found.items()]


def entry(text: str, name: str) -> Any:
    """The object that ``each(text)`` has under this name; of a dict no other function is called.

    Raises InputError as load does, and where it is not there.
    """
    found = load(text)
    if not isinstance(found, dict):
        return found
    for key, one in found.items():
        if f"{text} {key}" == name:
            return called(name, one)
    raise InputError(name, "the entry that was there before", f"only {', '.join(map(str, found)) or 'none'}")


def called(text: str, found: Any) -> Any:
    """What a function that needs no argument returns; anything else as it is."""
    if not callable(found) or isinstance(found, type) or not _takes_nothing(found):
        return found
    with running(f"{text}()", "an experiment, or what check takes"):
        return found()


def is_arguments(found: Any) -> bool:
    """Whether it is what ``torch_mirror.check`` takes: (function, parameters, *data)."""
    return isinstance(found, tuple) and len(found) > 1 and callable(found[0])


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
        if Path(last.filename).resolve().is_relative_to(OURS) and not isinstance(error, SystemExit):
            raise  # which none of our functions does
        place = f"{Path(last.filename).name}, line {last.lineno}"
        raise InputError(text, expected, f"{_said(error)} ({place})") from error


def _attribute(found: Any, name: str, where: str) -> Any:
    """The object of that name, with dots, in a module."""
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except (Exception, SystemExit) as error:  # a module may have a __getattr__ of its own
            public = [own for own in vars(found) if not own.startswith("_")] if hasattr(found, "__dict__") else []
            near = difflib.get_close_matches(part, public, n=1, cutoff=0.5)
            unknown = f"none of that name{f' (did you mean {near[0]}?)' if near else ''}"
            came = unknown if isinstance(error, AttributeError) else _said(error)
            raise InputError(f"object {name} of {where}", f"one of {', '.join(public) or 'none'}", came) from error
    return found


def _imported(name: str) -> ModuleType:
    what = f"module {name}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise InputError(what, "to run", _said(error)) from error
        raise InputError(what, "one that can be imported from here, or a Python file", "none of that name") from error
    except (Exception, SystemExit) as error:
        raise InputError(what, "to run", _said(error)) from error


def _run(path: Path) -> ModuleType:
    if path.suffix != ".py":
        raise InputError(f"file {path}", "a Python file, whose name ends in .py", path.suffix or "none")
    loader = Fresh(path.stem, str(path.resolve()))
    spec = importlib.util.spec_from_file_location(path.stem, loader.path, loader=loader)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]  # None only without a loader
    sys.modules[path.stem] = module  # as dataclasses and pickles look themselves up
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        way_out = ""
        if isinstance(error, ImportError) and "relative import" in str(error):  # it is a part of a package
            name = f"{path.resolve().parent.name}.{path.stem}"
            way_out = f", or to be named by its package: {name}:OBJECT, from the folder above"
        raise InputError(f"file {path}", f"to run{way_out}", _said(error)) from error
    return module


def _takes_nothing(function: Any) -> bool:
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return all(a.default is not a.empty or a.kind in (a.VAR_POSITIONAL, a.VAR_KEYWORD) for a in arguments)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
