"""The source of what somebody wrote, and of all that it needs, as one text: for a script that stands by itself.

A name is followed to the statement that defines it, in its own module or the one that it is imported from. What the
standard library, NumPy and torch define is imported; all else is copied, definitions before their use.
"""

import ast
import copy
import inspect
import linecache
import symtable
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import numpy as np

from reference.errors import InputError
from torch_mirror.doors.source import array

INSTALLED = ("site-packages", "dist-packages")
OURS = ("reference", "torch_mirror")
"""Packages that a script must not need, wherever they are installed."""


class Copied(NamedTuple):
    """imports: lines; texts: of definitions by name, in an order in which each comes after what it needs."""

    imports: dict[str, None]
    texts: dict[str, str]
    things: dict[str, Any]  # what each name is: a second one of that name has no room

    def __str__(self) -> str:
        imports = sorted(self.imports, key=lambda line: (not line.startswith("import"), line))
        once = dict.fromkeys(self.texts.values())  # of W, b = start() each name has the same text
        return "\n".join([*imports, "", *once])


def nothing() -> Copied:
    return Copied({"import numpy as np": None}, {}, {})


def is_library(module: str) -> bool:
    """Whether a script may import the module: Python's own, NumPy, torch, or another that is installed."""
    top = module.partition(".")[0]
    if top in OURS:
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return top in sys.stdlib_module_names or top in ("numpy", "torch") or any(part in file for part in INSTALLED)


def copy_function(to: Copied, function: FunctionType) -> str:
    """Copy a function with what it needs; returns its name. Raises InputError for what has no source, or no name."""
    name, module = function.__name__, function.__module__
    if name == "<lambda>":
        raise InputError("a function to copy", "one with a name, made by def", "a lambda")
    if "<locals>" not in function.__qualname__ and "." not in function.__qualname__:
        _copy_name(to, module, name)
        return name
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except OSError as error:
        raise InputError(f"source of {name}", "in a file", str(error)) from error
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for free, cell in cells:
        to.texts[free] = f"{free} = {literal(to, cell.cell_contents)}"
    for needed in _needed(ast.parse(text)):
        if needed in function.__globals__ and needed not in function.__code__.co_freevars:
            _copy_name(to, module, needed)
    to.texts[name] = f"\n{text}"
    return name


def called(to: Copied, function: Any) -> str:
    """Copy the function; returns how it is called."""
    if isinstance(function, MethodType):
        to.texts["_net"] = f"_net = {literal(to, function.__self__)}"
        return f"_net.{function.__name__}"
    if isinstance(function, FunctionType):
        return copy_function(to, function)
    raise InputError("a function to copy", "one made by def, or a method", type(function).__name__)


def _copy_name(to: Copied, module: str, name: str) -> None:
    source = _source_of(module)
    thing = vars(sys.modules[module]).get(name)
    if name in to.things:
        if to.things[name] is not thing:
            raise InputError(f"what {name} is", "one thing, for a script of one file", f"another in {module}")
        return
    for node in _statements(ast.parse(source).body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if _copy_import(to, module, name, node):
                return
        elif name in _defined(node):
            to.things[name] = thing
            for needed in _needed(node):
                if needed != name and needed in vars(sys.modules[module]):
                    _copy_name(to, module, needed)
            to.texts[name] = _text(source, node)
            return


def _source_of(module: str) -> str:
    file = getattr(sys.modules.get(module), "__file__", None)
    source = "".join(linecache.getlines(file)) if file else ""
    if not source:
        raise InputError(f"source of the module {module}", "in a file", "none: put the network into a .py file")
    return source


def _statements(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """Those of a module's top level, and what stands under an ``if`` or ``try`` there."""
    for node in body:
        yield node
        for field in ("body", "orelse"):
            if isinstance(node, (ast.If, ast.Try)):
                yield from _statements(getattr(node, field))


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}


def _copy_import(to: Copied, module: str, name: str, node: ast.Import | ast.ImportFrom) -> bool:
    """Whether the statement imports the name; if so it is copied, or what it stands for."""
    for alias in node.names:
        own = alias.asname or alias.name.partition(".")[0]
        if own != name:
            continue
        renamed = f" as {alias.asname}" if alias.asname else ""
        if isinstance(node, ast.Import):
            if is_library(alias.name):
                to.imports[f"import {alias.name}{renamed}"] = None
            else:
                _copy_module(to, module, name, alias)
        else:
            home = node.module or ""
            if node.level:
                package = module.rsplit(".", node.level)[0]
                home = f"{package}.{home}" if home else package
            if is_library(home):
                to.imports[f"from {home} import {alias.name}{renamed}"] = None
            else:
                import_module(home)
                _copy_name(to, home, alias.name)
                if alias.asname:
                    to.texts[own] = f"{own} = {alias.name}"
        to.things[name] = vars(sys.modules[module]).get(name)
        return True
    return False


def _copy_module(to: Copied, module: str, name: str, alias: ast.alias) -> None:
    """In the place of a module that is used as ``name.f``: a namespace of what is used of it."""
    if not alias.asname and "." in alias.name:
        raise InputError(f"import {alias.name}", f"import {alias.name} as ...", "a module inside another")
    nodes = ast.walk(ast.parse(_source_of(module)))
    attributes = (n for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name))
    used = list(dict.fromkeys(n.attr for n in attributes if isinstance(n.value, ast.Name) and n.value.id == name))
    import_module(alias.name)
    for attribute in used:
        _copy_name(to, alias.name, attribute)
    to.imports["from types import SimpleNamespace"] = None
    to.texts[name] = f"{name} = SimpleNamespace({', '.join(f'{a}={a}' for a in used)})"


def _needed(node: ast.AST) -> list[str]:
    """The names from outside that a statement uses: none of its functions' own, such as their arguments.

    Those of annotations are left out: a script does not evaluate them.
    """
    bare = ast.unparse(_Bare().visit(copy.deepcopy(node)))
    outer = {*_outer(symtable.symtable(bare, "<source>", "exec"))}
    return list(dict.fromkeys(n.id for n in ast.walk(ast.parse(bare)) if isinstance(n, ast.Name) and n.id in outer))


def _outer(table: symtable.SymbolTable) -> Iterator[str]:
    inside = table.get_type() != "module"
    yield from (s.get_name() for s in table.get_symbols() if (s.is_global() if inside else s.is_referenced()))
    for child in table.get_children():
        yield from _outer(child)


class _Bare(ast.NodeTransformer):
    """The same code without annotations."""

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _text(source: str, node: ast.stmt) -> str:
    """The lines of a statement with its decorators, and an empty one before a function or class."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(d.lineno for d in decorators)])
    text = textwrap.dedent("\n".join(source.splitlines()[first - 1 : node.end_lineno]))
    return f"\n{text}\n" if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else text


# --- values ---------------------------------------------------------------------------------------------------------

OBJECT = '''
def _object(kind, attributes):
    """An object with these attributes, whatever its __init__ would do."""
    made = object.__new__(kind)
    for name, value in attributes.items():
        object.__setattr__(made, name, value)
    return made
'''


def literal(to: Copied, value: Any) -> str:
    """A value as Python. What it needs is copied. Raises InputError for what cannot be written down."""
    found = next((text for form in _FORMS if (text := form(to, value)) is not None), None)
    if found is None:
        expected = "arrays, numbers, texts, and what is made of them"
        raise InputError("a value to write down", expected, type(value).__name__)
    return found


def _plain(_: Copied, value: Any) -> str | None:
    if isinstance(value, np.ndarray):
        return array(value)
    if isinstance(value, np.generic):
        return f"np.{value.dtype}({value.item()!r})"
    return repr(value) if value is None or isinstance(value, (bool, int, float, complex, str, bytes)) else None


def _container(to: Copied, value: Any) -> str | None:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(to, k)}: {literal(to, v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        fields = ", ".join(f"{f}={literal(to, v)}" for f, v in zip(value._fields, value, strict=True))
        return f"{_class(to, type(value))}({fields})"
    if not isinstance(value, (list, tuple)):
        return None
    inner = ", ".join(literal(to, v) for v in value)
    return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"


def _code(to: Copied, value: Any) -> str | None:
    if isinstance(value, FunctionType):
        return copy_function(to, value)
    if isinstance(value, MethodType):
        return f"{literal(to, value.__self__)}.{value.__name__}"
    return _class(to, value) if isinstance(value, type) else None


def _thing(to: Copied, value: Any) -> str | None:
    if is_library(type(value).__module__) or not hasattr(value, "__dict__"):
        return None
    to.texts.setdefault("_object", OBJECT)
    attributes = {name: v for name, v in vars(value).items() if not name.startswith("__")}
    return f"_object({_class(to, type(value))}, {literal(to, attributes)})"


_FORMS = (_plain, _container, _code, _thing)


def _class(to: Copied, kind: type) -> str:
    if "." in kind.__qualname__:
        raise InputError(f"class {kind.__name__}", "one at the top of its file", f"{kind.__qualname__}, inside another")
    if is_library(kind.__module__):
        to.imports[f"from {kind.__module__} import {kind.__name__}"] = None
    else:
        _copy_name(to, kind.__module__, kind.__name__)
    return kind.__name__


def beside(copied: str, names: Iterable[str]) -> dict[str, str]:
    """Names for a script's own use: as they are, or with an underscore where what was copied binds them, too."""
    taken: set[str] = set()
    for line in ast.parse(copied).body:
        if isinstance(line, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            taken.add(line.name)
        else:
            inside = [*ast.walk(line)]
            taken |= {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            taken |= {(n.asname or n.name).partition(".")[0] for n in inside if isinstance(n, ast.alias)}
    return {name: f"{name}_" if name in taken else name for name in names}
