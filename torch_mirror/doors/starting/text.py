"""The starting file itself, as text."""

import os
import textwrap
from pathlib import Path
from typing import NamedTuple

from torch_mirror.doors.starting.guesses import data_of
from torch_mirror.doors.starting.plan import Plan, data_maker, maker_of
from torch_mirror.doors.starting.script import Script, script_of
from torch_mirror.doors.starting.sizes import sizes_of
from torch_mirror.doors.starting.source import Source, methods
from torch_mirror.doors.starting.styles import plan_of

QUOTES = '"""'

HEAD = f"""{QUOTES}Is the backward pass {{of}} right?

    python {{name}}
    torch-mirror check {{name}}:case
    torch-mirror check {{name}}:case --watch     again, whenever a file changes

{{origin}}
{QUOTES}
"""

TAIL = """
case = {function}, {given}

if __name__ == "__main__":
    print(check(*case))
"""

LOOKED_FOR = (
    "a function of p, params or weights that returns a loss and its gradients, in a dict with the keys that p is asked "
    "for, in a list or by names such as dW1; a class with loss and backward, or with forward and backward; a loop that "
    "sets a loss and such gradients"
)
NOTHING = (
    "In {name} none of the ways is recognised in which networks are written, as far as names and returned values tell: "
    "looked for was {looked_for}. So the file holds an example of ours, and its report is none of your network."
)
MISSING = (
    "Not judged: {lost}. The parameter was not found: add it to {name}, whose function stops until then."
)
ONLY = "The file judges {only}, and nothing else: what else the network learns, add to {name}."
GUESSES = (
    "Shapes in {name} are guesses: if your function ends with an IndexError or a ValueError, look first at the lines "
    'that say "a guess".'
)

AT_RANDOM = (
    "# The parameters, at random. What is 0 hides mistakes: a bias that starts at 0 best gets other numbers."
)

TAKEN = frozenset({"np", "check", "draw", "p", "case", "net", "loss_and_gradients", "sys", "Path"})
"""Names of a starting file itself."""

EXAMPLE = """
import numpy as np

from torch_mirror import check


# Your network: the loss, and the gradient of each parameter. Put your own lines here, as they are.
def loss_and_gradients(p, x, t):  # x: (batch, 4); t: (batch,), the classes 0, 1, 2
    rows = np.arange(len(x))
    h = np.maximum(0, x @ p["W1"] + p["b1"])
    scores = h @ p["W2"] + p["b2"]
    exps = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs = exps / exps.sum(axis=1, keepdims=True)
    loss = -np.log(probs[rows, t]).mean()

    dscores = probs.copy()
    dscores[rows, t] -= 1
    dscores /= len(x)
    dz = dscores @ p["W2"].T * (h > 0)
    return loss, {"W1": x.T @ dz, "b1": dz.sum(axis=0), "W2": h.T @ dscores, "b2": dscores.sum(axis=0)}


draw = np.random.default_rng(0)

# The parameters: dicts, lists, tuples, objects, nested as you have them. Draw them at random, the biases too: what is 0
# hides mistakes.
p = {
    "W1": draw.normal(size=(4, 5)),
    "b1": draw.normal(size=5),
    "W2": draw.normal(size=(5, 3)),
    "b2": draw.normal(size=3),
}

# The data, as your function takes them: a few samples do. Sizes that all differ tell causes apart.
x = draw.normal(size=(6, 4))
t = draw.integers(0, 3, size=6)
"""


STOP = (
    "    raise NotImplementedError(\n"
    '        "an example of ours, not your network: put yours in its place, and delete these lines"\n'
    "    )\n"
)
"""The first lines of the example where somebody's own file was given: nothing but their network is certified then."""


class Start(NamedTuple):
    """A starting file. notes: what the reader is to know of it; whole: whether it can judge the network as it is."""

    text: str
    notes: tuple[str, ...] = ()
    whole: bool = True


def example(name: str, tried: Source | None = None) -> str:
    """A file with a network of its own; tried: the file in which nothing was found.

    It then has a name that no one takes for their own network, when a report has it.
    """
    origin = "Written by torch-mirror init. The network below is an example: replace it by yours."
    if tried is not None:
        origin = (
            f"Written by torch-mirror init. In {tried.path.name} no network by hand was recognised. Looked for was "
            f"{LOOKED_FOR}. So the network below is an example: replace it by yours."
        )
    head = HEAD.format(of="of a network by hand", name=name, origin=_filled(origin))
    text = head + EXAMPLE + TAIL.format(function="loss_and_gradients", given="p, x, t")
    if tried is None:
        return text
    given = "    rows = np.arange(len(x))\n"
    return text.replace(given, STOP + given).replace("loss_and_gradients", "example_of_ours")


def starting_file(source: Source, output: Path) -> Start:
    """A file that checks the network of another one; or an example, where it has none."""
    plan = plan_of(source)
    script = script_of(source) if plan is None else None
    if script is not None:
        return Start(_of_script(source, script, output.name), script.said)
    if plan is None:
        return Start(
            example(output.name, source),
            (NOTHING.format(name=source.path.name, looked_for=LOOKED_FOR),),
            whole=False,
        )
    name = source.path.name
    notes = _notes(plan, output.name)
    origin = f"Written by torch-mirror init, which read {name} and did not run it. What is a guess says so: change it."
    told = "\n\n".join(_filled(note) for note in (origin, *notes))
    head = HEAD.format(of=f"in {name}", name=output.name, origin=told)
    imported = _imported(source, output, {*TAKEN, *plan.data})
    lines = [
        *imported.before, "import numpy as np", "", imported.line, "from torch_mirror import check", "",
        *_found(source, plan), "draw = np.random.default_rng(0)", "", *_parameters(plan), "", *_data(source, plan),
    ]  # fmt: skip
    tail = TAIL.replace("{function}", plan.function).replace("{given}", ", ".join(["p", *plan.data]))
    body = "\n".join(lines) + "\n" + tail
    return Start(f"{head}\n{body.replace('{module}', imported.name)}", notes, whole=not plan.lost)


def _of_script(source: Source, script: Script, name: str) -> str:
    """A file with lines of a script in it, which cannot be imported without training."""
    own = source.path.name
    origin = (
        f"Written by torch-mirror init, which read {own} and did not run it. Lines of it are copied, as it trains "
        "whenever it is imported: after an edit there, edit them here as well, or put them into a function."
    )
    lines = [
        "import numpy as np", "", "from torch_mirror import check", "", f"# What stands in {own} before the loop.",
        *script.before, "", "", f"# The lines of the loop in {own} of which the loss and the gradients are made.",
        f"def loss_and_gradients({', '.join(['p', *script.data])}):",
        *(textwrap.indent(line, "    ") for line in script.body), "", "", "draw = np.random.default_rng(0)", "",
        AT_RANDOM, "p = {", *(f'    "{n}": draw.normal(size=np.shape({at})),' for n, at in script.drawn.items()), "}",
    ]  # fmt: skip
    told = "\n\n".join(_filled(note) for note in (origin, *script.said))
    head = HEAD.format(of=f"in {own}", name=name, origin=told)
    data = ", ".join(["p", *script.data])
    return f"{head}\n" + "\n".join(lines) + "\n" + TAIL.format(function="loss_and_gradients", given=data)


def _notes(plan: Plan, name: str) -> tuple[str, ...]:
    """What is missing, and where to look first when the network cannot be run."""
    lost = ", ".join(plan.lost)
    missing = [MISSING.format(lost=lost, name=name)] if lost else []
    only = [ONLY.format(only=plan.only, name=name)] if plan.only else []
    return (*plan.said, *missing, *only, GUESSES.format(name=name))


class _Import(NamedTuple):
    before: list[str]
    line: str
    name: str


def _imported(source: Source, output: Path, taken: set[str]) -> _Import:
    """How the file is imported: by its name, or as a module of its package, from the folder where that begins."""
    path = source.path.resolve()
    folder, package = path.parent, list[str]()
    while (folder / "__init__.py").exists():
        package.insert(0, folder.name)
        folder = folder.parent
    before = []
    if folder != output.resolve().parent:
        way = os.path.relpath(folder, output.resolve().parent).replace(os.sep, "/")
        insert = f'sys.path.insert(0, str(Path(__file__).parent / "{way}"))'
        before = ["import sys", "from pathlib import Path", "", insert, ""]
    if not path.stem.isidentifier():
        line = f'mine = import_module("{".".join([*package, path.stem])}")'
        return _Import(["from importlib import import_module", *before], line, "mine")
    name, alias = (path.stem, "") if path.stem not in taken else ("mine", " as mine")
    way = f"from {'.'.join(package)} import {path.stem}" if package else f"import {path.stem}"
    return _Import(before, way + alias, name)


def _found(source: Source, plan: Plan) -> list[str]:
    """What was found, and the function that hands the parameters in, where there is need of one."""
    name = source.path.name
    lines = [_comment(f"Found in {name}: {plan.found}.")]
    if source.works:
        more = f"{name} does more than define things, and does it whenever it is imported"
        lines.append(_comment(f'{more}: put that under if __name__ == "__main__".'))
    return [*lines, "", "", *plan.adapter, "", ""] if plan.adapter else [*lines, ""]


def _parameters(plan: Plan) -> list[str]:
    told = "The parameters. Their shapes are a guess, from how they are multiplied: put yours here."
    return [_comment(told) if plan.guessed else AT_RANDOM, *plan.before, *plan.parameters]


def _data(source: Source, plan: Plan) -> list[str]:
    if plan.together:
        return []
    of_class = (node for name, node in source.classes.items() if any(f".{name}(" in line for line in plan.before))
    maker = next((methods(node).get("__init__") for node in of_class), maker_of(source))
    sizes = sizes_of(source, maker)
    if (call := data_maker(source, plan.data, sizes)) is not None:
        told = _comment(f"The data, as {source.path.name} makes them.")
        return [told, f"{', '.join(plan.data)} = {call}"]
    lines = [_comment("The data: a few samples do. Their shapes are a guess; take data like your own.")]
    made = {name for line in plan.drawn for name in line.partition(" = ")[0].split(", ")}
    for drawn in data_of(plan._replace(data=[name for name in plan.data if name not in made]), sizes):
        why = f"a guess: {drawn.why}" if drawn.why else "a guess"
        lines.append(f"{drawn.name} = {drawn.text}  # {why}")
    return [*lines, *plan.drawn]


def _comment(text: str) -> str:
    return textwrap.fill(text, 116, initial_indent="# ", subsequent_indent="# ")


def _filled(text: str) -> str:
    return textwrap.fill(text, 116)
