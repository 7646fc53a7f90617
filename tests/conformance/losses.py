"""The losses of the table with their options, one row each, and how torch's are held up to them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from reference.arrays import Array
from torch_mirror import losses
from torch_mirror.balls.cell import Ball
from torch_mirror.by_name import class_of, file_of
from torch_mirror.judge.compare import allowed
from torch_mirror.losses import Criterion

Draws = np.random.Generator
Target = Callable[[Draws, Array], Array]
Bad = Callable[[Array], Any]


class Data(NamedTuple):
    """What a loss sees."""

    y: Array
    t: Array


# --- the outputs and targets that losses take -------------------------------------------------------------


def numbers(draws: Draws, y: Array) -> Array:
    """Any numbers, of which a fifth are ties, y = t."""
    t = draws.normal(size=y.shape).astype(y.dtype)
    return np.where(draws.random(y.shape) < 0.2, y, t)


def labels(draws: Draws, y: Array) -> Array:
    """Classes (..., batch), in whichever integers."""
    return draws.integers(0, y.shape[-1], y.shape[:-1]).astype(("int64", "uint8", "int32")[y.size % 3])


def shares(draws: Draws, y: Array) -> Array:
    """A probability a class."""
    return draws.dirichlet(np.ones(y.shape[-1]), y.shape[:-1]).astype(y.dtype)


def yes_or_no(draws: Draws, y: Array) -> Array:
    """0 and 1."""
    return draws.integers(0, 2, y.shape).astype(y.dtype)


def probabilities(draws: Draws, y: Array) -> Array:
    """Numbers between 0 and 1."""
    return draws.random(y.shape).astype(y.dtype)


def squashed(y: Array) -> Array:
    """Probabilities of these logits, none of which is 0 or 1."""
    return (1 / (1 + np.exp(-np.clip(y, -12, 12)))).astype(y.dtype)


# --- targets that losses refuse ---------------------------------------------------------------------------


class Row(NamedTuple):
    """A loss, the kinds of targets that it takes, whether y is a probability, and bad targets made of good ones."""

    loss: Any
    targets: tuple[Target, ...] = (numbers,)
    of_probabilities: bool = False
    bad: tuple[Bad, ...] = (lambda t: t[:-1], lambda t: t.tolist(), lambda t: (8 * t).astype(int))


NUMBERS: tuple[Bad, ...] = Row._field_defaults["bad"]
CLASSES: tuple[Bad, ...] = (
    lambda t: t[:-1], lambda t: t.tolist(), lambda t: t > 0, lambda t: np.full(t.shape[:1], -100),
    lambda t: np.full(t.shape[:1], 99),
)  # fmt: skip
TARGETS: dict[losses.Targets, tuple[tuple[Target, ...], tuple[Bad, ...]]] = {
    "numbers": ((numbers,), NUMBERS),
    "classes": ((labels, shares), CLASSES),
    "binary": ((yes_or_no, probabilities), NUMBERS),
}


def rows(file: str) -> dict[str, Row]:
    """The loss of a file as it is by default, and with the last value of each of its options."""
    row, kind = losses.LOSSES[file], class_of(losses.HOME, file)
    targets, bad = TARGETS[row.targets]
    chosen = [{}, *({option: values[-1]} for option, values in row.options.items())]
    made = [kind(reduction="mean", **options) for options in chosen]
    return {repr(loss): Row(loss, targets, row.of_probabilities, bad) for loss in made}


LOSSES: dict[str, Row] = {name: row for file in losses.LOSSES for name, row in rows(file).items()}
"""Each by its mean; ``EACH`` has the sums as well."""

EACH: dict[str, Row] = {
    f"{name}, {reduction}": row._replace(loss=row.loss._replace(reduction=reduction))
    for reduction in ("sum", "mean")
    for name, row in LOSSES.items()
}


def row_of(loss: Any) -> Row:
    """The row of its kind, with these options."""
    return next(iter(rows(file_of(losses.HOME, type(loss))).values()))._replace(loss=loss)


def data(row: Row, seed: int, dtype: str, shape: tuple[int, ...], kind: int = 0) -> Data:
    """Numbers of all sizes that the loss takes; kind: which of the row's targets."""
    draws = np.random.default_rng(seed)
    y = ((0.1, 1.0, 30.0)[seed % 3] * draws.normal(size=shape)).astype(dtype)
    y = squashed(y) if row.of_probabilities else y
    return Data(y, row.targets[kind % len(row.targets)](draws, y))


# --- beside torch's ---------------------------------------------------------------------------------------


def of_torch(criterion: Criterion, given: Data) -> tuple[Array, Array]:
    """The loss and its gradient by autograd."""
    y = torch.tensor(given.y, requires_grad=True)
    loss = criterion(y, torch.tensor(given.t))
    (dy,) = torch.autograd.grad(loss, y)
    return loss.detach().numpy(), dy.numpy()


def balls(loss: Any, given: Data) -> tuple[Any, Any]:
    """The reference's value and gradient, from exact operands; labels stay an array."""
    y, t = Ball(given.y), Ball(given.t) if given.t.dtype.kind == "f" else given.t
    return loss.value(y, t), loss.gradient(y, t)


def inside(seen: Array, ball: Any) -> bool:
    """Whether every element lies within a radius that is finite."""
    with np.errstate(all="ignore"):
        bound = allowed(ball)
    assert seen.shape == ball.shape
    assert seen.dtype == ball.dtype
    return bool(np.isfinite(bound).all() and (np.abs(seen - ball.value) <= bound).all())
