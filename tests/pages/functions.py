"""``python -m tests.pages.functions > docs/functions.md``: which of NumPy's functions the judge can follow.

Made from the table of rules (balls/table.py) and from the ways out of what has none (balls/rules/refused.py). What is
in neither is looked up in NumPy itself: then nobody has thought of it.
"""

import inspect
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls import adjoints, callers
from torch_mirror.balls.recording import Choice, Kind
from torch_mirror.balls.rules import functions
from torch_mirror.balls.rules.refused import WAYS_OUT
from torch_mirror.balls.table import TABLE, Row

HEAD = """# NumPy's functions

Your code is judged while it runs on numbers that carry a radius. So each NumPy function in it needs a **rule**: what
its result is, and how large its radius. For the derivative it needs an **adjoint**, too: what the derivative by its
operands is, given that by its result. This page lists which function has what. It is made from the table of the rules:
`python -m tests.pages.functions > docs/functions.md`.

Operators (`+`, `@`, `**`, `<`, `+=`), indices and slices, also of arrays and masks, assignment to them, and the methods
of an array (`x.sum(axis=0)`, `x.T`, `x.reshape(...)`) are those functions, and have their rules. So has `f.outer` of
each function of two operands, `np.add.outer` for one. Your own functions need none: what they call needs one. Nor does
a function that is called with plain numbers alone, `np.linspace(0, 1, 5)`: there it is NumPy's own.

A function without a rule is told by its name and its line, with a way out. `check` then judges by difference quotients:
its best word is "consistent", and no longer "certified". `Ball.rule` gives a function a rule of your own, as
[Training runs](training.md) says.
"""

WORDS: dict[Any, str] = {
    Kind.COMPOSED: "made of others here, which have theirs",
    Kind.MOVES: "moves elements, and their derivatives move back",
    Kind.DECISION: "none is due: a decision, or a place",
    Kind.ZERO: "0, but for its jumps",
    Kind.CONSTANT: "none is due: it does not depend on its numbers",
    Choice: "that of the chosen element; where the choice is open, of either one",
}
"""What of an adjoint a reader needs to know."""

MODULES = ("numpy", "numpy.linalg", "numpy.fft")
NO_MATHEMATICS = frozenset({
    "array2string", "array_repr", "array_str", "base_repr", "binary_repr", "format_float_positional", "info",
    "test", "format_float_scientific", "fromfile", "fromregex", "fromstring", "genfromtxt", "load", "loadtxt",
    "save", "savetxt", "savez", "savez_compressed", "set_printoptions", "get_printoptions", "printoptions",
    "show_config", "show_runtime", "errstate", "geterr", "seterr", "geterrcall", "seterrcall", "getbufsize",
    "setbufsize", "get_include", "typename", "mintypecode", "can_cast", "common_type", "promote_types",
    "min_scalar_type", "result_type", "isdtype", "isfortran", "issubdtype", "shares_memory", "may_share_memory",
    "busday_count", "busday_offset", "datetime_as_string", "datetime_data", "is_busday", "isnat", "frombuffer",
    "from_dlpack", "asmatrix", "bmat", "broadcast_shapes", "iterable", "isscalar", "einsum_path", "nested_iters",
    "ndindex",
})  # fmt: skip
"""Functions that compute nothing a network would differentiate: files, texts, dtypes, dates, settings."""


class Told(NamedTuple):
    """A function, and what is known of it."""

    name: str
    words: str


def followed() -> list[Told]:
    """Functions with a rule, each with what its adjoint is."""
    scipy = [Told(f"scipy.special.{name}", "its own") for name in functions.SCIPY_SLOPES if name in adjoints.SMOOTH]
    of_numpy = (Told(short(f), words(f, row)) for f, row in TABLE.items() if row.adjoint is not Kind.UNKNOWN)
    return sorted([*of_numpy, *scipy])


def words(function: Any, row: Row) -> str:
    """What its adjoint is; of np.array, which has a rule with like=ball alone, the way out without it, too."""
    way = WAYS_OUT.get(callers.name_of(function))
    return adjoint_of(row) if way is None else f"{adjoint_of(row)}, if there is a like=; else: {way}"


def adjoint_of(row: Row) -> str:
    """In words."""
    if isinstance(row.adjoint, tuple):
        return "its own"
    return WORDS[Choice if isinstance(row.adjoint, Choice) else row.adjoint]


def without_adjoint() -> list[Told]:
    """Functions with a rule whose derivative the sweep does not know."""
    return sorted(Told(short(f), "not known") for f, row in TABLE.items() if row.adjoint is Kind.UNKNOWN)


def refused() -> list[Told]:
    """Names without any rule for which a way out is known."""
    ruled = {callers.name_of(function) for function in TABLE}
    return sorted(Told(name.replace("numpy.", "np.", 1), way) for name, way in WAYS_OUT.items() if name not in ruled)


def unknown() -> dict[str, list[str]]:
    """By module, the functions of this NumPy that stand nowhere else."""
    return {module: sorted(_unknown(module)) for module in MODULES}


def _unknown(module: str) -> Iterator[str]:
    known = {*map(id, TABLE)} | {id(function_of(name)) for name in WAYS_OUT}
    space = sys.modules[module]
    for name in space.__all__:
        if name.startswith("_"):  # NumPy 2.0 has three such among its public names
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that NumPy will drop
            function = getattr(space, name)
        if not callable(function) or inspect.isclass(function) or inspect.ismodule(function) or name in NO_MATHEMATICS:
            continue
        if id(function) not in known:
            yield f"{module.replace('numpy', 'np', 1)}.{name}"


def function_of(name: str) -> Any:
    """NumPy's function of that name, as ``np.linalg.inv``; None where this NumPy has none."""
    parts = name.split(".")
    found: Any = np if parts[0] in ("np", "numpy") else None
    for part in parts[1:]:
        found = getattr(found, part, None)
    return found


def short(function: Any) -> str:
    return callers.name_of(function).replace("numpy.", "np.", 1)


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEAD, *_parts()])


def _parts() -> Iterator[str]:
    yield "## With a rule and an adjoint\n"
    yield from table(("function", "its adjoint"), followed())
    missing = without_adjoint()
    yield "## With a rule and no adjoint\n"
    if missing:
        yield "Their values have radii; a gradient that goes through one of them cannot be told.\n"
        yield from table(("function", "its adjoint"), missing)
    else:
        yield "None here. A rule of your own is one, where you register it without an adjoint.\n"
    yield "## Without a rule, with a way out\n"
    yield "The result depends on more than the numbers, or leaves their radii behind, or has no simple bound.\n"
    yield from table(("name", "what to write in its place"), refused())
    yield "## Without a rule\n"
    yield "Nothing is known of these. The message says their name and the line that called them.\n"
    for module, names in unknown().items():
        yield f"**{module}**: {', '.join(f'`{name}`' for name in names)}\n"


def table(head: tuple[str, str], rows: Iterable[Told]) -> Iterator[str]:
    yield f"| {head[0]} | {head[1]} |"
    yield "|---|---|"
    for row in rows:
        yield f"| `{row.name}` | {coded(row.words)} |"
    yield ""


def coded(text: str) -> str:
    """Text that has the signs of a table and of emphasis as they stand."""
    for sign in "|*_<[":
        text = text.replace(sign, f"\\{sign}")
    return text


if __name__ == "__main__":
    sys.stdout.write(page().rstrip("\n") + "\n")
