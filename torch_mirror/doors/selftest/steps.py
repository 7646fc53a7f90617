"""Optimizers with a mistake, made of the right one: another option, a term too many, a parameter forgotten."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Sow, keep
from reference.claim.tree import named, zip_with
from reference.optimizers.clipping import ClippedByNorm, ClippedByValue
from torch_mirror.tape.compared import meets


class WrongStep(NamedTuple):
    """A kind of mistake: from the right optimizer to the wrong one, None where it cannot be made.

    steps: how many it takes to show
    """

    name: str
    make: Callable[[Any], Any]
    steps: int = 1
    causes: bool = True


def option(name: str, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Another value of an option, where the optimizer has it and the change is one."""

    def make(optimizer: Any) -> Any:
        if name not in getattr(optimizer, "_fields", ()):
            return None
        old = getattr(optimizer, name)
        new = change(old)
        return None if new is None or new == old else optimizer._replace(**{name: new})

    return make


def _rate(change: Callable[[float], float]) -> Callable[[Any], Any]:
    """Another learning rate, at every step of a schedule."""
    return option("lr", lambda lr: tuple(map(change, lr)) if isinstance(lr, Sequence) else change(lr))


def _where(condition: Callable[[Any], bool], value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda old: value(old) if condition(old) else None


def _squared(c: float) -> float:
    return c * c


def _of_momentum(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A change of an SGD that has a momentum."""
    return lambda o: change(o) if getattr(o, "momentum", 0) and "nesterov" in o._fields else None


def _schedule_late(optimizer: Any) -> Any:
    """Each step has the learning rate of the one before."""
    lr = getattr(optimizer, "lr", None)
    if not isinstance(lr, Sequence) or len(set(lr)) < 2:
        return None
    return optimizer._replace(lr=(lr[0], *lr[:-1]))


class Otherwise(NamedTuple):
    """The optimizer, whose step is made of its own in a wrong way: wrong(step, p, g, state, t) -> (p, state)."""

    optimizer: Any
    wrong: Callable[..., tuple[Any, Any]]

    @property
    def elementwise(self) -> bool:
        return bool(getattr(self.optimizer, "elementwise", False))

    def init(self, p: Any) -> Any:
        return self.optimizer.init(p)

    def step(self, p: Any, g: Any, state: Any, t: Any, sow: Sow = keep) -> tuple[Any, Any]:
        after, state = self.wrong(self.optimizer.step, p, g, state, t)
        return zip_with(sow, after), zip_with(sow, state)


def _all_but_the_last(step: Any, p: Any, g: Any, state: Any, t: Any) -> tuple[Any, Any]:
    """It forgets the last of several parameters."""
    after, state = step(p, g, state, t)
    before = named(p)
    last = list(before)[-1]
    return zip_with(lambda name, w: before[name] if name == last else w, after), state


def _twice(step: Any, p: Any, g: Any, state: Any, t: Any) -> tuple[Any, Any]:
    once, _ = step(p, g, state, t)
    twice: tuple[Any, Any] = step(once, g, state, t)
    return twice


def _ahead(step: Any, p: Any, g: Any, state: Any, t: Any) -> tuple[Any, Any]:
    """Its count of steps is one too high: its bias corrections are those of the next step."""
    after: tuple[Any, Any] = step(p, g, state, t + 1)
    return after


def _counts(optimizer: Any) -> bool:
    return bool(getattr(optimizer, "bias_correction", False))


STEPS = (
    WrongStep("lr twice as large", _rate(lambda lr: 2 * lr)),
    WrongStep("a tenth of lr", _rate(lambda lr: lr / 10)),
    WrongStep("lr twice in it", _rate(_squared)),
    WrongStep("lr rounded to float32", _rate(lambda lr: float(np.float32(lr)))),
    WrongStep("one schedule step late", _schedule_late, steps=2),
    WrongStep("the wrong sign", option("maximize", lambda flag: not flag)),
    WrongStep("momentum left out", option("momentum", _where(bool, lambda _: 0.0)), steps=2),
    WrongStep("momentum that is not there", option("momentum", _where(lambda m: not m, lambda _: 0.9)), steps=2),
    WrongStep("momentum squared", option("momentum", _where(bool, _squared)), steps=2),
    WrongStep("1 - momentum for momentum", option("momentum", _where(bool, lambda m: 1 - m)), steps=2),
    WrongStep("the gradient times 1 - momentum",
              _of_momentum(lambda o: o._replace(dampening=o.momentum, nesterov=False)), steps=2),
    WrongStep("Nesterov's or not", _of_momentum(lambda o: o._replace(nesterov=not o.nesterov, dampening=0.0)), steps=2),
    WrongStep("weight decay left out", option("weight_decay", _where(bool, lambda _: 0.0))),
    WrongStep("weight decay that is not there", option("weight_decay", _where(lambda c: not c, lambda _: 0.01))),
    WrongStep("weight decay twice as large", option("weight_decay", _where(bool, lambda c: 2 * c))),
    WrongStep("weight decay coupled or not", option("decoupled", lambda flag: not flag)),
    WrongStep("betas swapped", option("betas", lambda b: b[::-1])),
    WrongStep("beta1 left out", option("betas", lambda b: (0.0, b[1])), steps=2),
    WrongStep("beta2 left out", option("betas", lambda b: (b[0], 0.0)), steps=2),
    WrongStep("beta2 another one", option("betas", lambda b: (b[0], 0.99)), steps=2, causes=False),
    WrongStep("bias correction left out", option("bias_correction", _where(bool, lambda _: False))),
    WrongStep("one step ahead in the bias correction", lambda o: Otherwise(o, _ahead) if _counts(o) else None),
    WrongStep("eps under the root", option("eps_inside", lambda flag: not flag)),
    WrongStep("eps a thousand times larger", option("eps", lambda eps: 1e3 * eps)),
    WrongStep("amsgrad or not", option("amsgrad", lambda flag: not flag), steps=3, causes=False),
    WrongStep("alpha for 1 - alpha", option("alpha", lambda a: 1 - a)),
    WrongStep("centered or not", option("centered", lambda flag: not flag), causes=False),
    WrongStep("lr decay that is not there", option("lr_decay", _where(lambda c: not c, lambda _: 0.1)), steps=2,
              causes=False),
    WrongStep("the sum starts at 0.1", option("initial_accumulator_value", lambda _: 0.1), causes=False),
    WrongStep("a parameter forgotten", lambda o: Otherwise(o, _all_but_the_last)),
    WrongStep("two steps for one", lambda o: Otherwise(o, _twice), causes=False),
)  # fmt: skip
"""Of updates. Where the learning rates or betas are such that nothing changes, nothing is planted."""


class Wrapped(NamedTuple):
    """An optimizer in what clips its gradients: own, and how one in its place is wrapped again."""

    own: Any
    again: Callable[[Any], Any]


def unwrapped(optimizer: Any) -> Wrapped:
    """The optimizer itself, without what clips."""
    if isinstance(optimizer, (ClippedByNorm, ClippedByValue)):
        inner = unwrapped(optimizer.optimizer)
        return Wrapped(inner.own, lambda other: optimizer._replace(optimizer=inner.again(other)))
    return Wrapped(optimizer, lambda other: other)


def apart(right: dict[str, Any], wrong: dict[str, Any]) -> bool:
    """Whether two results of balls differ anywhere by more than their radii."""
    return not all(meets(x.settled(), wrong[name].settled()) for name, x in right.items())
