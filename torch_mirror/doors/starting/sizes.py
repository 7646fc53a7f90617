"""Numbers for what a file leaves open: sizes that all differ, so that a mix-up of two shows."""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch_mirror.doors.starting.source import Function, Source

BATCH = 6

_KINDS = (
    (r"n|m|batch(_size)?|samples?|batch_?n", "batch"),
    (r"in|inputs?|n_?(in|x|inputs?|features?)|d(_?in)?|(input|in)_?(layer_?)?(size|dim|features)|dim|features?", "in"),
    (r"h|hid(den)?\w*|n_?(h|hid|hidden)|d_?hid(den)?|(hidden|hid|h)_?(layer_?)?(size|dim)", "hidden"),
    (r"out|outputs?|(num_)?(classes|labels)|n_?(out|y|outputs?|classes|lab(els)?)|c|k|d_?out", "out"),
    (r"(output|out)_?(size|dim|features)", "out"),
    (r"v|vocab\w*", "vocabulary"),
    (r"t|steps|seq\w*|length|time", "time"),
)
_USUAL = {"batch": BATCH, "in": 4, "hidden": 5, "out": 3, "vocabulary": 4, "time": 2}


class Sizes(NamedTuple):
    """Numbers by what they are the size of: batch, in, hidden, out, vocabulary, time."""

    numbers: Mapping[str, int]

    def of(self, name: str) -> int | None:
        """The number of a name such as ``n_x``, or of digits; None where it says nothing."""
        kind = kind_of(name)
        if kind is None:
            return int(name) if name.isdigit() else None
        return self.numbers[kind]


def kind_of(name: str) -> str | None:
    """What a name is the size of: "in" for n_x or inputs; None where it says nothing."""
    return next((kind for pattern, kind in _KINDS if re.fullmatch(pattern, name.casefold())), None)


def sizes_of(source: Source, maker: Function | None) -> Sizes:
    """The usual numbers, but for those that the file has: constants, defaults of the maker of the parameters, lists."""
    numbers = dict(_USUAL)
    found = {**source.constants, **(dict(_defaults(maker)) if maker is not None else {})}
    for name, n in found.items():
        kind = kind_of(name)
        if kind is not None and kind != "batch" and n > 0:
            numbers[kind] = n
    for whole in _lists(source.tree if maker is None or not maker.args.defaults else maker):
        numbers["in"], numbers["out"] = whole[0], whole[-1]
        break
    return Sizes(numbers)


def _defaults(function: Function) -> Iterator[tuple[str, int]]:
    given = [*function.args.posonlyargs, *function.args.args]
    for argument, default in zip(reversed(given), reversed(function.args.defaults), strict=False):
        if isinstance(default, ast.Constant) and type(default.value) is int:
            yield argument.arg, default.value


def _lists(tree: ast.AST) -> Iterator[list[int]]:
    """Sizes of layers: [4, 5, 3], as an argument or a default."""
    for node in ast.walk(tree):
        given = node.args if isinstance(node, ast.Call) else node.defaults if isinstance(node, ast.arguments) else []
        for one in given:
            if isinstance(one, ast.List | ast.Tuple) and len(one.elts) > 2:
                numbers = [e.value for e in one.elts if isinstance(e, ast.Constant) and type(e.value) is int]
                if len(numbers) == len(one.elts) and min(numbers) > 0:  # no axes, as of a transpose
                    yield numbers


def shapes_told(function: Function) -> dict[str, list[str] | None]:
    """The shapes that a docstring tells, ``x: (N, in), t: (N,) labels``; None for ``ids: a list of whole numbers``."""
    text = ast.get_docstring(function) or ""
    found: dict[str, list[str] | None] = {
        name: [part.strip() for part in shape.split(",") if part.strip()]
        for name, shape in re.findall(r"\b(\w+)\s*:\s*\(([^()]*)\)", text)
    }
    for names in re.findall(r"((?:\w+,\s*)*\w+)\s*:\s*(?:a )?lists? of (?:whole numbers|int\w*|labels)", text):
        found |= dict.fromkeys(re.split(r",\s*", names))
    return found
