"""The update of a large parameter, in blocks that fit a cache, where each element is updated by itself.

Somebody's word for that is not enough here (``reference.claim.update.declared``): a norm that bounds the whole tensor
may not bound a block of it, and a torch that forgot the bound would agree with every block.

The optimizer's own code is run once more, without balls, on some thousand elements at a time of what the trace holds
before a step. That is an evaluation of the equation as its ball's centre is one: an element that comes out the same,
bit for bit, is the centre. Balls are made of the others alone, which are few: torch's fused multiply-add rounds once
where NumPy rounds twice, and that shows in the last bit of some. Where they are not few, or one of them is outside or
has an infinite radius, the whole tensor is judged on balls, as every smaller one is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.tree import named, rebuild
from reference.claim.update import of_parameter
from torch_mirror.balls.cell import Ball
from torch_mirror.judge.compare import PROBES, Where, compare
from torch_mirror.judge.findings import Row

LARGE = 1 << 16
"""Elements of a parameter, at one step, from which it is judged in blocks."""

BLOCK = 1 << 18
"""Bytes of a block, about."""

FEW = 8
"""One in so many elements may differ."""


class Update(NamedTuple):
    """What the update of one parameter starts from and leads to: flat arrays (steps, elements), by name."""

    name: str
    shape: tuple[int, ...]       # of the parameter
    optimizer: Any
    steps: Sequence[int]
    stacked: bool                # whether a step's number is an array of one, as where steps are evaluated together
    before: Mapping[str, Array]  # the parameter, and the parts of the optimizer's state that are its own
    gradient: Array
    after: Mapping[str, Array]


class InBlocks(NamedTuple):
    """An optimizer to evaluate the equations with: it has ``judge`` look at each large update, and makes the others.

    owners: of each state the parameter that it is of. after: parameters and states after each step, as the trace holds
    them. judge: whether nothing more is to be done.
    """

    optimizer: Any
    owners: Mapping[str, str | None]
    steps: Sequence[int]
    after: Mapping[str, Array]
    judge: Callable[[Update], bool]

    def step(self, p: Any, dp: Any, state: Any, t: Any, sow: Any) -> tuple[Any, Any]:
        """What is judged in blocks is not sown. Nobody asks a last equation for its result."""
        w, dw, s = named(p), named(dp), named(state)
        large = {name: self._of(name, w[name], dw[name], s, stacked=np.ndim(t) > 0) for name in w}
        if not any(large.values()):
            result: tuple[Any, Any] = self.optimizer.step(p, dp, state, t, sow)
            return result
        for name, update in large.items():
            if update is None or not self.judge(update):
                optimizer = of_parameter(self.optimizer, name)
                optimizer.step({name: w[name]}, {name: dw[name]}, _state(optimizer, name, w[name], s), t, sow)
        return p, state

    def _of(self, name: str, w: Any, dw: Any, s: Mapping[str, Any], *, stacked: bool) -> Update | None:
        """The update, if it is large and the trace holds all of it."""
        own = {name: w} | {other: a for other, a in s.items() if self.owners.get(other) == name}
        after, shape = self.after, self.after[name].shape[1:]
        if after[name][0].size < LARGE or not own.keys() <= after.keys():
            return None
        if not all(isinstance(a, Ball) and a.exact for a in (*own.values(), dw)):
            return None
        before = {other: self._flat(a.value) for other, a in own.items()}
        then = {other: self._flat(after[other]) for other in own}
        optimizer = of_parameter(self.optimizer, name)
        return Update(name, shape, optimizer, self.steps, stacked, before, self._flat(dw.value), then)

    def _flat(self, a: Array) -> Array:
        return a.reshape(len(self.steps), -1)


def judge_update(update: Update, where: Callable[[str], Where], above: float) -> list[Row] | None:
    """The rows of the parameter and its states; None where they are to be judged on balls as a whole.

    where: of each tensor by name, for all steps. above: see ``compare``. Nothing in sight may overflow.
    """
    differ = _differing(update)
    if differ is None:
        return None
    balls = {i: _on_balls(update, i, at) for i, at in enumerate(differ) if len(at)}
    rows = [_row(update, name, where(name), differ, balls, above) for name in update.after]
    return None if any(row is None for row in rows) else [row for row in rows if row]


def _row(
    update: Update,
    name: str,
    where: Where,
    differ: Sequence[Array],
    balls: Mapping[int, Mapping[str, Ball]],
    above: float,
) -> Row | None:
    """The row of one tensor, by the balls of the elements that differ at each step; None as above."""
    seen = update.after[name]
    last = _of_one(update, name, where)
    row = last._replace(comparisons=len(seen), judged=seen.size, worst=None, zero=last.zero and not seen.any())
    for i, of_step in balls.items():
        at = differ[i]
        (some,) = compare(
            seen[i : i + 1, at], of_step[name], where._replace(steps=(update.steps[i],)), roomy=True, above=above
        ).rows
        if some.first or some.vacuous:
            return None
        row = row._replace(under=max(row.under, some.under))
        if some.worst and (row.worst is None or some.worst.ratio > row.worst.ratio):
            flat = int(at[some.worst.index[0]])
            index = tuple(int(k) for k in np.unravel_index(flat, update.shape))
            row = row._replace(worst=some.worst._replace(index=index))
    return row


def _of_one(update: Update, name: str, where: Where) -> Row:
    """The row of one of the largest elements after the last step: its resolution is that of the tensor."""
    i = len(update.steps) - 1
    own = update.after[name][i]
    stride = 1 + own.size // PROBES
    at = np.array([stride * int(np.abs(own[::stride]).argmax())])
    ball = _on_balls(update, i, at)[name]
    (row,) = compare(own[None, at], ball, where._replace(steps=(update.steps[i],)), roomy=True).rows
    return row._replace(under=0.0)


def block_of(flat: Array) -> int:
    """Elements of a block of an array (steps, elements), so that the last one is about as large as the others."""
    size = flat.shape[-1]
    return -(-size // max(1, round(size * flat.itemsize / BLOCK)))


def _differing(update: Update) -> list[Array] | None:
    """Of each step the elements that come out otherwise without balls; None if they are many."""
    differ: list[Array] = []
    size, count = update.gradient.shape[1], 0
    length = block_of(update.gradient)
    for i in range(len(update.steps)):
        found = [np.empty(0, np.intp)]
        for start in range(0, size, length):
            here = slice(start, start + length)
            other = False
            for name, value in _stepped(update, i, here, lambda a: a).items():
                other = other | (value[0] != update.after[name][i, here])
            found.append(np.flatnonzero(other) + start)
        differ.append(np.concatenate(found))
        count += len(differ[-1])
        if count * FEW > size * (i + 1):
            return None
    return differ


def _on_balls(update: Update, i: int, at: Array) -> dict[str, Ball]:
    """The equations of some elements at one of the steps."""
    return _stepped(update, i, at, Ball)


def _stepped(update: Update, i: int, some: Any, as_number: Callable[[Array], Any]) -> dict[str, Any]:
    """The equations (1, ...) of some elements at one of the steps, on what the trace holds: of states and parameter.

    As where steps are evaluated together, a rate that goes by the step is an array then, and no Python number.
    """
    name, t = update.name, update.steps[i]
    values = {other: as_number(a[i : i + 1, some]) for other, a in update.before.items()}
    state = _state(update.optimizer, name, values[name], values)
    equations: dict[str, Any] = {}

    def plant(other: str, equation: Any) -> Any:
        equations[other] = equation
        return as_number(update.after[other][i : i + 1, some])

    gradient = as_number(update.gradient[i : i + 1, some])
    p, dp = {name: values[name]}, {name: gradient}
    update.optimizer.step(p, dp, state, np.array([t]) if update.stacked else t, plant)
    return equations


def _state(optimizer: Any, name: str, w: Any, values: Mapping[str, Any]) -> Any:
    """The optimizer's state of one parameter, with these values."""
    empty = optimizer.init({name: np.zeros(1) if isinstance(w, Ball) else w[:1]})
    return rebuild(empty, {other: values[other] for other in named(empty)}) if empty else empty
