"""What a line of code reads and what it writes, as far as that can be told without running it."""

import ast
import builtins
import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from torch_mirror.doors.starting.products import INSIDE
from torch_mirror.doors.starting.source import Function, assigned


class Setting(NamedTuple):
    """What the lines around say.

    functions: of the file; holds: of a name the arrays that it stands for, or holds
    shared:    whether the functions see the names of the lines, as those of a script do
    """

    functions: Mapping[str, Function]
    holds: Mapping[str, frozenset[str]]
    shared: bool = False


def setting_of(functions: Mapping[str, Function], lines: Iterable[ast.stmt]) -> Setting:
    """Names that hold others: ``params = [W1, b1]``, and views: ``V = W[1:]``, ``V = W.T``."""
    holds = dict[str, frozenset[str]]()
    for line in lines:
        for node in ast.walk(line):
            for target, value in assigned(node):
                if isinstance(target, ast.Name) and (held := frozenset(_held(value)) - {target.id}):
                    whole = frozenset(other for name in held for other in holds.get(name, frozenset()))
                    holds[target.id] = holds.get(target.id, frozenset()) | held | whole
    return Setting(functions, holds)


_VIEWS = frozenset({"T", "reshape", "ravel", "view", "transpose", "flat", "squeeze", "values", "items"})


def _held(value: ast.expr) -> Iterator[str]:
    """The names whose arrays are the value, or are in it: of [W, b], {"W": W}, W[1:], W.T, W.reshape(-1)."""
    if isinstance(value, ast.Name):
        yield value.id
    for part in _parts(value):
        yield from _held(part)


def _parts(value: ast.expr) -> list[ast.expr]:
    if isinstance(value, ast.List | ast.Tuple):
        return value.elts
    if isinstance(value, ast.Dict):
        return value.values
    if isinstance(value, ast.Subscript | ast.Starred) or (isinstance(value, ast.Attribute) and value.attr in _VIEWS):
        return [value.value]
    if isinstance(value, ast.Call):
        name = ast.unparse(value.func).rpartition(".")[2]
        if isinstance(value.func, ast.Attribute) and name in _VIEWS:
            return [value.func.value]
        if name in _HOLDERS or name[:1].isupper():  # or of a class
            return [*value.args, *(keyword.value for keyword in value.keywords)]
    return []


_HOLDERS = frozenset({"zip", "enumerate", "reversed", "list", "tuple", "dict"})


# --- reading ------------------------------------------------------------------------------------------

_SHAPES = frozenset({"shape", "size", "ndim", "dtype"})
_LIKE = frozenset({"len", "shape", "size", "ndim", "zeros_like", "ones_like", "empty_like", "full_like"})


def read(node: ast.AST) -> Iterator[str]:
    """The names whose numbers are read; of W.shape and np.zeros_like(W) none is."""
    if isinstance(node, ast.Attribute) and node.attr in _SHAPES:
        return
    if isinstance(node, ast.AugAssign):
        yield from roots(node.target)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    skipped = None
    if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).rpartition(".")[2] in _LIKE:
        skipped = node.args[0]
    for child in ast.iter_child_nodes(node):
        if child is not skipped:
            yield from read(child)


def loaded(node: ast.AST) -> Iterator[str]:
    """All names in a line."""
    return (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


# --- writing ------------------------------------------------------------------------------------------


def stored(node: ast.AST) -> set[str]:
    """The names that a line sets, or changes: of W[0] = 1, W += 1, np.add.at(W, i, 1) and np.exp(z, out=W) W."""
    return {*_stored(node)}


def _stored(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.For | ast.NamedExpr):
            targets = inner.targets if isinstance(inner, ast.Assign) else [inner.target]
            yield from (name for target in targets for name in roots(target))
        if isinstance(inner, ast.Call):
            yield from (name for k in inner.keywords if k.arg == "out" for name in roots(k.value))
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call):
            name = ast.unparse(inner.value.func)
            of, _, last = name.rpartition(".")
            if inner.value.args and (name.endswith(".at") or last in _WRITE_THE_FIRST):
                yield from roots(inner.value.args[0])
            if of and last in _WRITE_THEIR_OWN and isinstance(inner.value.func, ast.Attribute):
                yield from roots(inner.value.func.value)


_WRITE_THE_FIRST = frozenset({"copyto", "fill_diagonal", "put_along_axis", "shuffle", "put", "place", "putmask"})
_WRITE_THEIR_OWN = frozenset({"fill", "sort", "partition", "update", "itemset", "append", "insert", "pop", "clear"})


def roots(target: ast.expr) -> Iterator[str]:
    """W of W[0], W.a and (W, b)."""
    if isinstance(target, ast.Tuple | ast.List):
        for part in target.elts:
            yield from roots(part)
    else:
        while isinstance(target, ast.Subscript | ast.Attribute | ast.Starred):
            target = target.value
        if isinstance(target, ast.Name):
            yield target.id


def changed(line: ast.AST, setting: Setting) -> set[str]:
    """``stored``, with what is changed by another name: of a loop, of a list, or inside of a function of the file."""
    found = stored(line)
    for node in ast.walk(line):
        if isinstance(node, ast.For):
            inner = {name for part in node.body for name in _in_place(part, setting)}
            found |= {name for one, of in in_step(node.target, node.iter) if one in inner for name in of}
        if isinstance(node, ast.Call):
            found |= _by_call(node, setting)
    in_place = _in_place(line, setting) | (found - stored(line))
    return found | {other for name in in_place for other in setting.holds.get(name, frozenset())}


def _in_place(line: ast.AST, setting: Setting) -> set[str]:
    """What it changes and does not set anew: W -= a, W[0] = a; not W = W - a, after which W is another array."""
    anew = {
        t.id for n in ast.walk(line) if isinstance(n, ast.Assign | ast.AnnAssign)
        for t, _ in assigned(n) if isinstance(t, ast.Name)
    }  # fmt: skip
    added = {name for n in ast.walk(line) if isinstance(n, ast.AugAssign) for name in roots(n.target)}
    calls = {name for n in ast.walk(line) if isinstance(n, ast.Call) for name in _by_call(n, setting)}
    return (stored(line) - anew) | added | calls


def in_step(target: ast.expr, of: ast.expr) -> list[tuple[str, set[str]]]:
    """Each name of a loop with the arrays that it goes through, in zip(..), enumerate(..) and ((W, dW), (b, db))."""
    name = ast.unparse(of.func).rpartition(".")[2] if isinstance(of, ast.Call) else ""
    if isinstance(target, ast.Tuple) and isinstance(of, ast.Call) and name == "zip":
        return [pair for one, other in zip(target.elts, of.args, strict=False) for pair in in_step(one, other)]
    if isinstance(target, ast.Tuple) and isinstance(of, ast.Call) and name == "enumerate" and of.args:
        return in_step(target.elts[-1], of.args[0])
    if isinstance(target, ast.Tuple) and isinstance(of, ast.List | ast.Tuple):
        rows = [row.elts for row in of.elts if isinstance(row, ast.List | ast.Tuple)]
        columns = zip(*rows, strict=False) if len(rows) == len(of.elts) else []
        return [(name, {*_held(e)}) for t, column in zip(target.elts, columns, strict=False)
                for name in roots(t) for e in column]  # fmt: skip
    return [(name, {*_held(of)}) for name in roots(target)]


_HARMLESS = frozenset({"print", "append", "extend", "write", "flush", "close", "info", "debug", "warning", "log"})


def _by_call(call: ast.Call, setting: Setting) -> set[str]:
    """What a function of the file changes: of what it is given, and of the module."""
    function = setting.functions.get(ast.unparse(call.func))
    if function is None:
        return set()
    own = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    inner = {n for line in function.body for n in _in_place(line, setting._replace(functions={}))}
    of = [*zip(own, call.args, strict=False), *((k.arg or "", k.value) for k in call.keywords)]
    given = {n for one, value in of if one in inner for n in _held(value)}
    return given | changed_outside(call, setting)


def changed_outside(line: ast.AST, setting: Setting) -> set[str]:
    """The names of a script that its functions change by themselves, where they are called."""
    return {n for f in called(line, setting) for part in f.body for n in stored(part)} & read_outside(line, setting)


def read_outside(line: ast.AST, setting: Setting) -> set[str]:
    """The names of a script that its functions have from it, where they are called."""
    return {name for f in called(line, setting) for name in outer_names(f)}


def called(line: ast.AST, setting: Setting) -> list[Function]:
    """The functions of a script that a line calls, and those that these call; none where the line is in a function."""
    found, left = dict[str, Function](), [line] if setting.shared else []
    while left:
        names = {ast.unparse(n.func) for n in ast.walk(left.pop()) if isinstance(n, ast.Call)}
        for name in names & {*setting.functions} - {*found}:
            found[name] = setting.functions[name]
            left.append(found[name])
    return [*found.values()]


def outer_names(function: Function) -> set[str]:
    """The names that a function has from outside: those that it does not set, and those that it declares global."""
    nodes = [*ast.walk(function)]
    outer = {n for node in nodes if isinstance(node, ast.Global) for n in node.names}
    own = {node.arg for node in nodes if isinstance(node, ast.arg)} | {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return {*loaded(function)} - (own - outer)


def handed_on(line: ast.stmt, setting: Setting) -> set[str]:
    """What a line that is a call of an unknown function hands it: it may change that; print and kin do not."""
    if not isinstance(line, ast.Expr) or not isinstance(line.value, ast.Call):
        return set()
    name = ast.unparse(line.value.func)
    of, _, last = name.rpartition(".")
    if last in _HARMLESS or name in setting.functions or name in dir(builtins) or of.startswith(("plt", "np", "ax")):
        return set()
    parts = [line.value.func, *line.value.args, *(k.value for k in line.value.keywords)]
    given = {n for part in parts for n in (roots(part) if part is line.value.func else _held(part))}
    return given | {other for n in given for other in setting.holds.get(n, frozenset())}


# --- entries of dicts ---------------------------------------------------------------------------------


class _Keyed(ast.NodeTransformer):
    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        key = node.slice
        text = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
        if text is not None and isinstance(node.value, ast.Name) and node.value.id in self.names:
            return ast.copy_location(ast.Name(f"{node.value.id}{INSIDE}{text}", node.ctx), node)
        return self.generic_visit(node)


def keyed(lines: Iterable[ast.stmt], names: Iterable[str]) -> list[ast.stmt]:
    """Copies of lines in which entries of these dicts, params["W2"], are names by themselves."""
    change = _Keyed(frozenset(names))
    return [change.visit(copy.deepcopy(line)) for line in lines]
