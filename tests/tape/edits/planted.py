"""Faults planted in hand-written backward passes: one line of a network's source is another one.

The network is a text, in which a fault replaces one line. So the line that the cause should name is known, and the same
fault can be planted at any sizes and numbers: a cause is right if it holds there, too.
"""

import linecache
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import recording
from torch_mirror.tape.edits.equation import Equation
from torch_mirror.tape.edits.gradients import gradient_equation
from torch_mirror.tape.edits.updates import settings_of, update_equation
from torch_mirror.tape.sweep import leaf


class Fault(NamedTuple):
    """old: the line as it is right; new: as it is planted, or several lines."""

    name: str
    old: str
    new: str


class Sizes(NamedTuple):
    """Of the batch, the inputs, both hidden layers, and the outputs."""

    N: int
    inputs: int
    hidden: int
    outputs: int


class Point(NamedTuple):
    """One run: the right equation, what the code has, and what a factor may be; line: where the fault was planted."""

    eq: Equation
    seen: Mapping[str, Number]
    constants: Mapping[str, float]
    line: int
    others: Mapping[str, Number]
    previous: Mapping[str, Number]


def planted(source: str, fault: Fault | None) -> tuple[Callable[..., Any], int]:
    """The network's function with the fault, and the number of its line."""
    name = f"<{fault.name if fault else 'right'} {hash(source)}>"
    line = 0
    if fault is not None:
        lines = source.splitlines()
        where = [i for i, text in enumerate(lines) if text.strip() == fault.old]
        assert len(where) == 1, f"{fault.name}: {fault.old!r} stands in {len(where)} lines"
        new = (f"    {text}" for text in fault.new.split("\n"))
        source = "\n".join([*lines[: where[0]], *new, *lines[where[0] + 1 :]])
        line = where[0] + 1
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space: dict[str, Any] = {"np": np, "__name__": "planted"}
    exec(compile(source, name, "exec"), space)  # noqa: S102 - our own text, above
    return space["step"], line


def numbers(sizes: Sizes, seed: int, *, dyadic: bool) -> tuple[dict[str, Any], Any, Any]:
    """Parameters, inputs and one-hot targets. dyadic: of few bits, so that some z are exactly 0."""
    r = np.random.default_rng(seed)
    h = sizes.hidden

    def drawn(*shape: int) -> Any:
        a = r.standard_normal(shape)
        return np.round(a * 2) / 2 if dyadic else a

    p = {
        "W1": drawn(sizes.inputs, h), "b1": drawn(h), "W2": drawn(h, h), "b2": drawn(h),
        "W3": drawn(h, sizes.outputs), "b3": drawn(sizes.outputs),
    }  # fmt: skip
    return p, drawn(sizes.N, sizes.inputs), np.eye(sizes.outputs)[r.integers(0, sizes.outputs, sizes.N)]


def run(source: str, fault: Fault | None, sizes: Sizes, seed: int, *, dyadic: bool = False) -> Point:
    """Of a network whose step is (p, X, t, decay, more) -> loss, gradients; more: what a fault may fall back on."""
    loss, leaves, point = recorded(source, sizes, seed, fault, dyadic=dyadic)
    return point._replace(eq=gradient_equation(loss, leaves))


def recorded(
    source: str, sizes: Sizes, seed: int, fault: Fault | None = None, *, dyadic: bool = False
) -> tuple[Number, dict[str, Number], Point]:
    """The loss, the parameters, and a point without its equation."""
    step, line = planted(source, fault)
    p, X, t = numbers(sizes, seed, dyadic=dyadic)
    decay = (0.3, 0.37, 0.23)[seed % 3]
    r = np.random.default_rng(seed + 1000)
    more = {"later": {k: a + 0.25 * r.standard_normal(a.shape) for k, a in p.items()},
            "before": {k: r.standard_normal(a.shape) for k, a in p.items()}}  # fmt: skip
    with recording():
        cells = {k: leaf(a, k) for k, a in p.items()}
        leaves = {k: x.settled() for k, x in cells.items()}
        spare = {name: {k: Ball(a) for k, a in arrays.items()} for name, arrays in more.items()}
        loss, gradients = step(cells, Ball(X), Ball(t), decay, spare)
        seen = {k: gradients[k].settled() for k in leaves}
    constants = {"N, the batch": float(sizes.N), "inputs": float(sizes.inputs), "hidden": float(sizes.hidden),
                 "outputs": float(sizes.outputs), "decay": decay}  # fmt: skip
    others = {f"{k} after the update": Number(a) for k, a in more["later"].items()}
    previous = {k: Number(a) for k, a in more["before"].items()}
    return loss.settled(), leaves, Point(Equation((), (), {}), seen, constants, line, others, previous)


def update(written: Any, fault: Fault | None, size: int, seed: int, *, named: str = "p") -> Point:
    """One step, the fourth, of a hand-written optimizer, beside that of the reference."""
    step, line = planted(written.source, fault)
    r = np.random.default_rng(seed)
    p, g, before = r.standard_normal((3, size))
    names = list(written.optimizer.init({named: p}))
    squares = {"betas", "alpha"} & set(written.optimizer._fields)
    state = {k: r.uniform(0.1, 2, size) if k == "v" and squares else r.standard_normal(size) for k in names}
    cells = {name: Ball(a) for name, a in state.items()}
    with np.errstate(all="ignore"):
        w, after = step(Ball(p), Ball(g), cells, 3, Ball(before), *written.settings)
    seen = {"p": w.settled(), **{name: x.settled() for name, x in after.items()}}
    eq = update_equation(written.optimizer, p, g, state, 3)
    return Point(eq, seen, settings_of(written.optimizer, 3), line, {}, {"g": Number(before)})
