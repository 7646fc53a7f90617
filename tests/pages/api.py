"""``python -m tests.pages.api > docs/api.md``: the public names, with their types and what their docstrings say.

The source is read and not run: the types stand as they are written, and nothing has to be imported.
"""

import ast
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeAlias

ROOT = Path(__file__).parents[2]
Definition: TypeAlias = ast.FunctionDef | ast.ClassDef | ast.Module

HEAD = """# API

Every public name, with its types and what its docstring says. This page is made from the source:
`python -m tests.pages.api > docs/api.md`. `Any` stands for arrays of any dtype, and for balls; a `Tree` is an array, or
dicts, lists, tuples and objects of arrays, nested as they come.
"""

PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "torch_mirror": {
        "Gradients by hand": ("check", "check_layer", "check_step", "check_forward", "surrogate", "Checked", "Refuted"),
        "Training runs": ("verify", "session", "Session", "certify", "recording", "train", "Certificate"),
        "Tests": ("parametrize", "parameters_like", "batches_like", "minimised", "verify_ensemble"),
        "Of the judge itself": ("reproduce", "selftest", "SelfTest", "Ball"),
    },
    "torch_mirror.reports.text": {"Reports as text": ("details",)},
    "torch_mirror.doors.strategies": {"Strategies": ("networks", "mlps", "experiments", "ensembles", "draw_array")},
    "reference": {
        "What is claimed": ("Experiment", "Ensemble", "Batches", "Own", "predict", "train", "Trace"),
        "Losses": (
            "SquaredError", "CrossEntropy", "BinaryCrossEntropy", "BinaryCrossEntropyWithLogits", "AbsoluteError",
            "Huber", "SmoothL1",
        ),
        "Optimizers": ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Groups", "ClippedByNorm", "ClippedByValue", "L2"),
        "Set-ups by name": ("experiments", "printed"),
        "Errors": ("TorchMirrorError", "InputError", "UnknownNameError"),
    },
}  # fmt: skip
"""Where each name is imported from, and below which heading it stands."""


OF_MODULES = {
    "experiments": ("names", "load", "rounded", "diabetes_split"),
    "printed": ("mean_absolute_gradients", "weight_history", "mse", "rmse", "r2"),
}
"""What of a module is for its users."""


class Found(NamedTuple):
    """A definition, and the lines of its file."""

    node: Definition
    lines: list[str]


# --- where a name is defined --------------------------------------------------------------------------


def parsed(module: str) -> Found:
    """A module's source; of torch_mirror itself the list of its public names."""
    path = ROOT.joinpath(*module.split("."))
    places = (path / "__init__.pyi", path / "__init__.py", path.with_suffix(".py"))
    text = next(place for place in places if place.exists()).read_text(encoding="utf-8")
    return Found(ast.parse(text), text.splitlines())


def defined(module: str, name: str) -> Found:
    """The class or function, or the module, of that name, along the imports. Raises LookupError if there is none."""
    tree, lines = parsed(module)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return Found(node, lines)
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return parsed(f"{module}.{name}") if node.module == module else defined(node.module, alias.name)
    raise LookupError(f"{module}.{name}: expected a class, a function or a module, found none")


def public(module: str) -> list[str]:
    """What torch_mirror's stub imports, or what a package has in ``__all__``; none of a module without."""
    tree, _ = parsed(module)
    if module == "torch_mirror":
        return [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    values = (value for node in tree.body if isinstance(node, ast.Assign) for value in [node.value]
              if ast.unparse(node.targets[0]) == "__all__")  # fmt: skip
    return [name for value in values for name in ast.literal_eval(value)]


# --- what stands on the page --------------------------------------------------------------------------


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEAD, *(line for module in PARTS for line in part(module))])


def part(module: str) -> Iterator[str]:
    """The names that are imported from a module; those that no heading has are the last."""
    yield f"## from {module}\n"
    listed = {name for names in PARTS[module].values() for name in names}
    others = [name for name in public(module) if name not in listed]
    for heading, names in {**PARTS[module], **({"Others": others} if others else {})}.items():
        yield f"### {heading}\n"
        for name in names:
            yield from entry(name, defined(module, name))


def entry(name: str, found: Found) -> Iterator[str]:
    """One name: its signature, what is said of it, and its members."""
    node, _ = found
    yield f"#### {name}\n"
    if isinstance(node, ast.FunctionDef):
        yield fenced(signature(node))
        yield prose(node, arguments(node))
    elif isinstance(node, ast.ClassDef):
        yield fenced("\n".join([head_of(node), *fields(found)]))
        yield prose(node, field_names(node))
        yield from members(node.body)
    else:
        yield prose(node, [])
        yield from members(n for n in node.body if node_name(n) in OF_MODULES[name])


def members(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Public functions in it, each with the first paragraph that is said of it."""
    for inner in body:
        if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
            said = (ast.get_docstring(inner) or "").split("\n\n")[0]
            is_value = any(ast.unparse(d) == "property" for d in inner.decorator_list)
            called = f"{inner.name}: {unparsed(inner.returns)}" if is_value else signature(inner, short=True)
            told = f": {inline(' '.join(said.split()))}" if said else ""
            yield wrapped(f"- `{called}`{told}")
    yield ""


def fenced(text: str) -> str:
    return f"```text\n{text}\n```\n"


def unparsed(node: ast.expr | None) -> str:
    """An annotation as it is written, without quotes around the whole."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return "" if node is None else ast.unparse(node)


def signature(node: ast.FunctionDef, *, short: bool = False) -> str:
    """``name(arguments) -> result``, an argument a line where it is long; short: in one line, without self."""
    given = parts_of(node.args)
    drawn = any(ast.unparse(d) in ("composite", "st.composite") for d in node.decorator_list)
    given = given[1:] if drawn or given[:1] in (["self"], ["cls"]) else given
    result = f" -> {unparsed(node.returns)}" if node.returns is not None else ""
    result = result.replace("-> ", "-> SearchStrategy[", 1) + "]" if drawn else result
    line = f"{node.name}({', '.join(given)}){result}"
    if short or len(line) <= 100:
        return line
    return "\n".join([f"{node.name}(", *(f"    {part}," for part in given), f"){result}"])


def parts_of(args: ast.arguments) -> list[str]:
    """Each argument as it is written, with ``/`` and ``*`` between them."""
    positional = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(positional) - len(args.defaults)) + list(args.defaults)
    parts = [one(a, d) for a, d in zip(positional, defaults, strict=True)]
    if args.posonlyargs:
        parts.insert(len(args.posonlyargs), "/")
    if args.vararg:
        parts.append(f"*{one(args.vararg, None)}")
    elif args.kwonlyargs:
        parts.append("*")
    parts += [one(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    return [*parts, f"**{one(args.kwarg, None)}"] if args.kwarg else parts


def one(argument: ast.arg, default: ast.expr | None) -> str:
    typed = f": {unparsed(argument.annotation)}" if argument.annotation is not None else ""
    equal = " = " if typed else "="
    return f"{argument.arg}{typed}{f'{equal}{ast.unparse(default)}' if default is not None else ''}"


def arguments(node: ast.FunctionDef) -> list[str]:
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [a.arg for a in every if a is not None]


def head_of(node: ast.ClassDef) -> str:
    bases = [ast.unparse(base) for base in node.bases]
    frozen = ["frozen"] if any("frozen=True" in ast.unparse(d) for d in node.decorator_list) else []
    told = ", ".join([*frozen, *bases])
    return f"class {node.name}{f' ({told})' if told else ''}"


def fields(found: Found) -> Iterator[str]:
    """The fields of a class as its file has them, comments too; else how it is made."""
    node, lines = found
    body = node.body
    own = [n for n in body if isinstance(n, ast.AnnAssign) and not unparsed_target(n).startswith("_")]
    for field in own:
        yield from lines[field.lineno - 1 : field.end_lineno]
    for inner in body:
        if isinstance(inner, ast.FunctionDef) and inner.name == "__init__" and not own:
            yield textwrap.indent(signature(inner).replace("__init__", node_name(node), 1), "    ")


def unparsed_target(node: ast.AnnAssign) -> str:
    return ast.unparse(node.target)


def node_name(node: ast.AST) -> str:
    return getattr(node, "name", "")


def field_names(node: ast.ClassDef) -> list[str]:
    makers = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    given = [name for maker in makers for name in arguments(maker)]
    return [*given, *(unparsed_target(n) for n in node.body if isinstance(n, ast.AnnAssign))]


# --- docstrings as Markdown ---------------------------------------------------------------------------


def prose(node: Definition, names: Iterable[str]) -> str:
    """A docstring: paragraphs, lists of what ``name: ...`` says of an argument, and indented lines as they stand."""
    said = ast.get_docstring(node) or ""
    known = {*names}
    return "\n".join(block(text, known) for text in re.split(r"\n{2,}", said) if text.strip())


def block(text: str, names: set[str]) -> str:
    """One paragraph; what is raised is a paragraph of its own, behind what is said of the arguments."""
    lines = text.splitlines()
    if all(line.startswith("    ") for line in lines):
        return fenced(textwrap.dedent(text))
    name = rf"(?:{'|'.join(sorted(names)) or '$'})"  # $: of none
    lines = [part for line in lines for part in re.split(rf"(?<=\.) (?={name}: )", line)]
    found = [""]
    for line in lines:
        about = re.match(r"((?:\w+, )*\w+):\s+(.*)", line)
        if about and {*about[1].split(", ")} <= names:
            called = ", ".join(f"`{name}`" for name in about[1].split(", "))
            found.append(f"- {called}: {inline(about[2])}")
        else:
            found[-1] += f" {inline(line.strip())}"
    pieces = [piece.strip() for x in found for piece in re.split(r"(?<=[.;]) (?=Raises )", x) if piece.strip()]
    in_a_list = [one.startswith("- ") and other.startswith("- ") for one, other in pairwise([*pieces, ""])]
    ends = ["\n" if inside else "\n\n" for inside in in_a_list]
    return "".join(wrapped(piece) + end for piece, end in zip(pieces, ends, strict=True)).rstrip("\n") + "\n"


def wrapped(text: str) -> str:
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def inline(text: str) -> str:
    """Text in which what stands between two backquotes is code, and nothing else is markup."""
    pieces = re.split(r"(``[^`]+``)", text)
    return "".join(f"`{p[2:-2]}`" if p.startswith("``") else re.sub(r"([*_<\[\]|])", r"\\\1", p) for p in pieces)


if __name__ == "__main__":
    sys.stdout.write(page().rstrip("\n") + "\n")
