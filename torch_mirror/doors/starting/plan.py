"""What a starting file needs to know of a network: what is called with what. Plain data, and how arguments are made."""

import ast
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch_mirror.doors.starting.products import INSIDE, keys
from torch_mirror.doors.starting.sizes import Sizes
from torch_mirror.doors.starting.source import Function, Source, arguments, assigned, is_called_by_place, returned

GENERATORS = frozenset({"draw", "draws", "rng", "rs", "random", "generator", "gen", "random_state", "rand", "r"})
LISTS = frozenset({"sizes", "layers", "layer_dims", "layer_sizes", "dims", "widths", "layers_dims"})
NUMBERS: Mapping[str, str] = {
    "seed": "0", "reg": "0.1", "lam": "0.1", "lambd": "0.1", "l2": "0.1", "decay": "0.1", "weight_decay": "0.1",
    "lr": "0.1", "learning_rate": "0.1", "alpha": "0.1", "eps": "1e-5", "scale": "1.0", "weight_scale": "1.0",
}  # fmt: skip


class Plan(NamedTuple):
    """found: what there is, in words; function: what is checked, as the file calls it.

    before, adapter: lines in front of the parameters and behind the data; parameters: lines that make p
    guessed:         whether the parameters' shapes are guesses; outputs: how many these make, 0 where that is not known
    data:            the arguments behind the parameters; scope: the code that uses them
    lost:            gradients whose parameter was not found, as they stand: the written function stops at them
    leaves:          names of parameters; known: whether p["W1"] is one of them; alone: whether p is the only one itself
    places:          where those are that are no p["W1"]: W1 at p[0]
    together:        whether ``parameters`` make the data, too; only: what alone is judged, in words, "" where it is all
    drawn:           lines that make the data that ``forward`` tells the shapes of, behind the others
    said:            what is wrong with the order of copied lines
    """

    found: str
    function: str
    parameters: list[str]
    data: list[str]
    scope: list[ast.AST]
    leaves: list[str]
    told: dict[str, list[str] | None]
    known: bool = True
    alone: bool = False
    guessed: bool = False
    outputs: int = 0
    before: tuple[str, ...] = ()
    adapter: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    places: Mapping[str, str] = MappingProxyType({})
    together: bool = False
    only: str = ""
    drawn: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


def made_by(function: Function, sizes: Sizes, *, method: bool = False) -> str | None:
    """The arguments that a function, or a class by its __init__, is called with; None where one says nothing."""
    annotated = {a.arg: ast.unparse(a.annotation) for a in function.args.args if a.annotation is not None}
    given = [_argument(name, annotated.get(name, ""), sizes) for name in arguments(function, method=method)]
    return None if None in given else ", ".join(filter(None, given))


def _argument(name: str, annotation: str, sizes: Sizes) -> str | None:
    if name in GENERATORS or "Generator" in annotation or "RandomState" in annotation:
        return "draw"
    if name in LISTS or annotation in ("list[int]", "tuple[int, ...]", "Sequence[int]"):
        return f"[{sizes.numbers['in']}, {sizes.numbers['hidden']}, {sizes.numbers['out']}]"
    if name in NUMBERS:
        return NUMBERS[name]
    number = sizes.of(name)
    return None if number is None else str(number)


_MAKERS = (
    r"(init|initiali[sz]e|make_param|new_param)", r"(start|create|random|get|build)_?(params?|parameters|weights|net)?",
    r"params?|parameters|weights",
)  # fmt: skip


def maker_of(source: Source) -> Function | None:
    """The function that makes the parameters, by its name: init_params(...), start(), parameters()."""
    named = (f for n, f in source.functions.items() if re.match(_MAKERS[0], n))
    return next(named, None) or next(
        (f for p in _MAKERS[1:] for n, f in source.functions.items() if re.fullmatch(p, n) and is_called_by_place(f)),
        None,
    )


_DATA = r"((make|load|get|toy|sample|draw|new|random)_?)?(data(set)?|batch|samples?)(_?(make|batch|set))?"


def data_maker(source: Source, names: list[str], sizes: Sizes) -> str | None:
    """How the file itself makes the data: a call of data(), or names of the module; None where it does not.

    A function is taken where it returns as many things as there are data.
    """
    for name, f in source.functions.items():
        value = returned(f)
        many = len(value.elts) if isinstance(value, ast.Tuple) else 1
        if re.fullmatch(_DATA, name) and is_called_by_place(f) and value is not None and many == len(names):
            call = made_by(f, sizes)
            if call is not None:
                return f"{{module}}.{name}({call})"
    made = {t.id for node in source.tree.body for t, _ in assigned(node) if isinstance(t, ast.Name)}
    return ", ".join(f"{{module}}.{name}" for name in names) if {*names} <= made else None


def subscripts(scope: list[ast.AST], of: str) -> list[str]:
    """The names that a dict is asked for, in the order of the lines: W1 for p["W1"]; of p["l1"]["W"] all together."""
    found = []
    for code in scope:
        for node in (node for node in ast.walk(code) if isinstance(node, ast.Subscript)):
            root, path = keys(node)
            if path and ast.unparse(root) == of:
                found.append((node.lineno, node.col_offset, INSIDE.join(path)))
    names = list(dict.fromkeys(name for *_, name in sorted(found)))
    return [name for name in names if not any(other.startswith(name + INSIDE) for other in names)]
