"""One step of an optimizer as an equation, and what explains a wrong one.

The reference's own step (reference/optimizers) is recorded once, on balls. Its settings are variables there, lr,
momentum, beta1 and so on, so that edits can change them. Where each element is updated by itself, all wrong leaves are
put into one vector: a mistake in the step is the same in each of them, and many elements prove more than few.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.claim.tree import named
from reference.optimizers.schedule import rate
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import recording
from torch_mirror.tape.edits.equation import Draft, Equation
from torch_mirror.tape.edits.recorded import key_of, noted
from torch_mirror.tape.sweep import leaf

Vectors = Mapping[str, Any]
"""A vector for each leaf that is updated: by the leaf's name."""

SETTINGS = ("lr", "momentum", "dampening", "weight_decay", "alpha", "eps")


def update_equation(optimizer: Any, p: Any, g: Any, state: Mapping[str, Any], t: int) -> Equation:
    """The step from one array or ball p, with its gradient g and the state by name: outputs "p" and the state's names.

    optimizer: of reference.optimizers; t: the number of the step, from 0
    Raises what the optimizer's step raises.
    """
    with recording():
        settings = _settings(optimizer, t)
        leaves = {"p": leaf(p, "p"), "g": leaf(g, "g")}
        before = {name: {"p": leaf(a, name)} for name, a in state.items()}
        new, after = optimizer._replace(**settings).step({"p": leaves["p"]}, {"p": leaves["g"]}, before, t)
        results = {"p": new["p"].settled(), **{name: after[name]["p"].settled() for name in state}}
    draft = Draft()
    numbers = noted(draft, results.values(), "adjoint")
    outputs = {name: numbers[key_of(x)] for name, x in results.items()}
    draft.nodes = [node._replace(place=None) for node in draft.nodes]  # lines of ours, which tell nobody anything
    for name, i in outputs.items():
        if draft.nodes[i].operands:
            draft.nodes[i] = draft.nodes[i]._replace(label=f"{name}'")
    return draft.equation(outputs)


def settings_of(optimizer: Any, t: int) -> dict[str, float]:
    """The numbers that an optimizer's equation has names for, but zeros: "weight decay", "beta1"."""
    return {name.replace("_", " "): c for name, c in _numbers(optimizer, t).items()}


def _numbers(optimizer: Any, t: int) -> dict[str, float]:
    found = {name: float(getattr(optimizer, name)) for name in SETTINGS[1:] if getattr(optimizer, name, 0)}
    betas = getattr(optimizer, "betas", ())
    found |= {f"beta{i}": float(beta) for i, beta in enumerate(betas, 1) if beta}
    return {"lr": float(rate(optimizer.lr, t)), **found}


def _settings(optimizer: Any, t: int) -> dict[str, Any]:
    """As variables; a setting that is 0 stays 0, so that the step takes the branch that it takes without."""
    numbers = _numbers(optimizer, t)
    balls: dict[str, Any] = {name: leaf(np.float64(c), name.replace("_", " ")) for name, c in numbers.items()}
    if "beta1" in balls or "beta2" in balls:
        balls["betas"] = tuple(balls.pop(name, 0.0) for name in ("beta1", "beta2"))
    return balls


def together(tree: Any, names: tuple[str, ...]) -> Any:
    """The leaves of these names as one vector, arrays or balls."""
    leaves = named(tree)
    if any(hasattr(leaves[name], "settled") for name in names):
        return Ball(together_seen({name: number_of(leaves[name]) for name in names}, names))
    return np.concatenate([np.asarray(leaves[name]).reshape(-1) for name in names])


def number_of(x: Any) -> Number:
    """Of a ball its number; an array as it is."""
    return x.settled() if hasattr(x, "settled") else Number(np.asarray(x))


def together_seen(seen: Mapping[str, Number], names: tuple[str, ...]) -> Number:
    """The same of numbers, with their radii."""
    values = np.concatenate([seen[name].value.reshape(-1) for name in names])
    radii = np.concatenate([np.asarray(seen[name].radius).reshape(-1) for name in names])
    return Number(values, radii, seen[names[0]].format)


