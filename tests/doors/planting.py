"""Mistakes planted in somebody's source: the module with one line exchanged, which has its own file name and lines."""

import inspect
import linecache
import sys
from types import ModuleType


def planted(module: ModuleType, right: str, wrong: str) -> ModuleType:
    """A copy of the module in which ``wrong`` stands in the place of ``right``, which must occur once.

    Its lines are where they were, and tools that show source show the changed one.
    """
    source = inspect.getsource(module)
    assert source.count(right) == 1, f"{right!r} occurs {source.count(right)} times in {module.__name__}"
    changed = source.replace(right, wrong)
    name = f"planted_{module.__name__.rsplit('.', 1)[-1]}"
    file = f"/planted/{name}_{abs(hash((right, wrong)))}/{module.__name__.rsplit('.', 1)[-1]}.py"
    linecache.cache[file] = (len(changed), None, changed.splitlines(keepends=True), file)
    copy = ModuleType(name)
    copy.__file__ = file
    exec(compile(changed, file, "exec"), vars(copy))  # noqa: S102 - the project's own examples
    sys.modules[name] = copy
    return copy


def line_of(module: ModuleType, text: str) -> int:
    """The number of the line of a module that holds the text."""
    lines = linecache.getlines(str(module.__file__)) or inspect.getsource(module).splitlines()
    return next(i for i, line in enumerate(lines, 1) if text in line)
