"""Causes of a wrong update that only all steps from the first on show: another optimizer makes the user's own steps.

At the first wrong step the equation of the right one starts from the right state (step_causes.py). A state that nobody
sees may be another one by then: with beta2 = 0.99 for 0.999 the first step is the same number, as v / (1 - beta2) is
g^2 for both, and the second starts from another v. So the optimizer with the mistake runs from the beginning, on
balls, and is the cause if it makes every element of the user's parameters, in each of the steps that are looked at,
within the two radii. As in the search of edits the error has to exceed these by BITS (tape/edits/search.py), or
anything would fit.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.tree import Tree, named, zip_with
from reference.optimizers.adam import Adam
from reference.optimizers.clipping import ClippedByNorm, ClippedByValue
from reference.optimizers.schedule import rate
from reference.optimizers.sgd import SGD
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.doors.check.step_clipping import Clip, clippings
from torch_mirror.tape import compared
from torch_mirror.tape.edits.menu_updates import BETAS
from torch_mirror.tape.edits.search import BITS

Step = Callable[[Tree, Tree, Any, int], tuple[Tree, Any]]
"""(p, g, state, t) to the next p and state."""


class Mistake(NamedTuple):
    """words: as the menu of edits has them. init, step: of the optimizer with the mistake."""

    words: str
    init: Callable[[Tree], Any]
    step: Step


class Run(NamedTuple):
    """What is to be explained. p: the start; g: of each step, right: what the right optimizer makes. Trees of balls.

    seen: the user's own parameters after each step, as balls
    """

    p: Tree
    g: Sequence[Tree]
    seen: Sequence[Tree]
    right: Sequence[Tree]


def causes(optimizer: Any, run: Run) -> tuple[str, ...]:
    """The mistakes that make all steps of the run; several are a tie."""
    tried, fits = list(mistakes(optimizer)), list[tuple[str, float]]()
    with np.errstate(all="ignore"):
        for mistake in tried:
            worst = _fits(mistake, run)
            if worst is not None:
                fits.append((mistake.words, worst))
    count = sum(np.size(_number(x).value) for x in named(run.p).values()) * len(run.g)
    alone = "it alone fits" if len(fits) == 1 else "nothing simpler fits"
    return tuple(
        f"{words} (proof: with it all {count:,} elements of {len(run.g)} steps are within their radius, "
        f"worst {worst:.1g}; {alone}, {len(tried)} edits of the whole run tried)"
        for words, worst in fits
    )


def mistakes(optimizer: Any) -> Iterator[Mistake]:
    """Those of Adam that a bias correction hides at the first step; of SGD a decay and a momentum that are hidden.

    Of gradients that are clipped other ways to clip, and the mistakes of the optimizer that is given them.
    """
    if isinstance(optimizer, Adam):
        yield from _of_adam(optimizer)
    if isinstance(optimizer, SGD):
        yield from _of_sgd(optimizer)
    if isinstance(optimizer, (ClippedByNorm, ClippedByValue)):
        yield from _of_clipping(optimizer)


def _other(optimizer: Any, words: str, **options: Any) -> Mistake:
    changed = optimizer._replace(**options)
    return Mistake(words, changed.init, changed.step)


def _of_adam(optimizer: Adam) -> Iterator[Mistake]:
    beta1, beta2 = optimizer.betas
    if beta1 != beta2:
        yield _other(optimizer, "beta1 and beta2 swapped", betas=(beta2, beta1))
    for c in BETAS:
        if c not in (beta1, beta2):
            yield _other(optimizer, f"as if beta1 were {c:g}, not {beta1:g}", betas=(c, beta2))
            yield _other(optimizer, f"as if beta2 were {c:g}, not {beta2:g}", betas=(beta1, c))
    if optimizer.bias_correction and isinstance(optimizer.lr, float):
        words = "t + 1 for t, the number of the step, in the bias correction"
        yield Mistake(words, optimizer.init, lambda p, g, state, t: optimizer.step(p, g, state, t + 1))


def _of_sgd(optimizer: SGD) -> Iterator[Mistake]:
    for c in BETAS if not optimizer.momentum else ():
        yield _other(optimizer, f"a momentum of {c:g}, where there should be none", momentum=c)
    if optimizer.momentum and optimizer.weight_decay:
        plain = optimizer._replace(weight_decay=0.0)

        def decoupled(p: Tree, g: Tree, state: Any, t: int) -> tuple[Tree, Any]:
            smaller = zip_with(lambda _, w: w * (1 - rate(optimizer.lr, t) * optimizer.weight_decay), p)
            after: tuple[Tree, Any] = plain.step(smaller, g, state, t)
            return after

        yield Mistake("weight decay decoupled from the gradient", plain.init, decoupled)


def _of_clipping(optimizer: ClippedByNorm | ClippedByValue) -> Iterator[Mistake]:
    inner = optimizer.optimizer
    for words, clip in clippings(optimizer):
        yield Mistake(words, inner.init, _after(clip, inner))
    for mistake in mistakes(inner):
        yield Mistake(mistake.words, mistake.init, optimizer._replace(optimizer=_Quiet(mistake)).step)


def _after(clip: Clip, optimizer: Any) -> Step:
    def step(p: Tree, g: Tree, state: Any, t: int) -> tuple[Tree, Any]:
        after: tuple[Tree, Any] = optimizer.step(p, clip(g), state, t)
        return after

    return step


class _Quiet(NamedTuple):
    """A mistake as an optimizer, which sows nothing."""

    mistake: Mistake

    def step(self, p: Tree, g: Tree, state: Any, t: int, _: Any) -> tuple[Tree, Any]:
        return self.mistake.step(p, g, state, t)


def wrong_in(run: Run) -> tuple[str, ...]:
    """The parameters that are wrong after some step."""
    pairs = ((name, named(seen)[name], x) for seen, right in zip(run.seen, run.right, strict=True)
             for name, x in named(right).items())  # fmt: skip
    return tuple(dict.fromkeys(
        name for name, own, x in pairs
        if np.shape(_number(own).value) != np.shape(_number(x).value)
        or compared.both(_number(own), _number(x)).wrong.any()
    ))  # fmt: skip


def _fits(mistake: Mistake, run: Run) -> float | None:
    """The largest |user's - made| / (both radii) of all steps; None where it is above 1, or tells nothing."""
    p, state = run.p, mistake.init(run.p)
    worst, told = 0.0, list[Array]()
    for t, (g, seen, right) in enumerate(zip(run.g, run.seen, run.right, strict=True)):
        p, state = mistake.step(p, g, state, t)
        for name, x in named(p).items():
            own, due = _number(named(seen)[name]), _number(named(right)[name])
            if own.shape != np.shape(_number(x).value):
                return None
            pair = compared.both(own, _number(x))
            if pair.wrong.any() or not np.isfinite(pair.allowed).all():
                return None
            apart = np.abs(pair.seen - pair.expected)
            worst = max(worst, float(np.max(np.where(apart > 0, apart / pair.allowed, 0), initial=0)))
            error = np.abs(own.value - due.value)
            told.append(np.ravel(np.where(error > 0, error / pair.allowed, 1)))
    most = np.sort(np.maximum(np.nan_to_num(np.concatenate(told), nan=1.0), 1.0))[-3:]
    return worst if np.log2(most).sum() >= BITS else None


def _number(x: Any) -> Number:
    number: Number = x.settled() if hasattr(x, "settled") else Ball(np.asarray(x, np.float64)).settled()
    return number
