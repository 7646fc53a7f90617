"""The user's modules, always read from their source.

Python keeps the compiled form of a module in a .pyc file, and takes it for current where the source has the same size
and the same second of its last change. A line that is edited and judged twice within a second, 0.5 to 2.0, would have
the verdict on the code before. So what lies in the user's folders is compiled anew each time.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

NOT_THEIRS = frozenset({"site-packages", "dist-packages"})
"""Folders of what is installed, even where they lie within one of the user's."""

OURS = frozenset({"reference", "torch_mirror"})
"""Packages that are no user's, even where they lie within a folder of theirs."""


def is_module(where: str) -> bool:
    """Whether the text before the colon names a module, ``package.network``, and no file."""
    path = Path(where)
    if path.suffix == ".py" or not all(part.isidentifier() for part in where.split(".")):
        return False
    return not path.exists() or (path / "__init__.py").exists()


class Fresh(SourceFileLoader):
    """Loads a module from its source, and neither reads nor writes a compiled form."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class Sources(MetaPathFinder):
    """Finds modules below some folders, for ``sys.meta_path``, and notes them.

    seen: the files of these modules, also of those that cannot be compiled; and where a module that was found nowhere
    might lie, so that it is known which files a verdict may change with.
    """

    def __init__(self, *folders: Path) -> None:
        self.folders = list(folders)
        self.seen: list[Path] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in OURS or not self._may_hold(path):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None and path is None:
            self.seen += [folder / f"{fullname}.py" for folder in self.folders]
        if spec is None or spec.origin is None or not isinstance(spec.loader, SourceFileLoader):
            return None  # the others of sys.meta_path look for it
        file = Path(spec.origin)
        if not any(_lies_in(file, folder) for folder in self.folders):
            return None
        self.seen.append(file)
        spec.loader = Fresh(fullname, spec.origin)
        return spec

    def _may_hold(self, path: Sequence[str] | None) -> bool:
        """Whether a module may lie below one of the folders; path: that of its package, None at the top."""
        places = self.folders if path is None else [Path(entry) for entry in path]
        return any(_lies_in(place, folder) for place in places for folder in self.folders)


def _lies_in(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder) and not NOT_THEIRS & {*file.relative_to(folder).parts}


def theirs() -> dict[str, str]:
    """The paths of the user's modules that were read, below the current folder and from it, by the files' names.

    Of two files of one name nobody knows which is meant by it: they are left out.
    """
    loaders = (getattr(getattr(module, "__spec__", None), "loader", None) for module in [*sys.modules.values()])
    files = {Path(loader.path) for loader in loaders if isinstance(loader, Fresh)}
    below = [file.relative_to(Path.cwd()) for file in files if file.is_relative_to(Path.cwd())]
    names = [file.name for file in files]
    return {file.name: str(file) for file in below if names.count(file.name) == 1}


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Within it, modules in the folder can be imported by their names. It must be an absolute path.

    Modules that were read from another folder are forgotten: those here may have the same names.
    """
    _forget_others(folder)
    before = sys.path[:]
    sys.path.insert(0, str(folder))
    there = next((finder for finder in sys.meta_path if isinstance(finder, Sources)), None)  # of who watches the files
    finder = there or Sources()
    finder.folders.append(folder)
    if there is None:
        sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.path[:] = before
        if there is None:
            sys.meta_path.remove(finder)


def _forget_others(folder: Path) -> None:
    for name, module in [*sys.modules.items()]:
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        if isinstance(loader, Fresh) and not _lies_in(Path(loader.path), folder):
            del sys.modules[name]
