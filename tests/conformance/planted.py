"""Faults for any network, loss and optimizer: a factor in a gradient on either side, another update on torch's."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from torch import Tensor, nn

from reference.arrays import Array, Sow
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from reference.errors import InputError
from torch_mirror.by_name import file_of
from torch_mirror.doors.selftest.by_hand import ByHand
from torch_mirror.optimizers import optimizer_of, states_of
from torch_mirror.training.places import places
from torch_mirror.training.session import Session, session

FACTOR = 1 + 2.0**-20
"""By far more than float64 rounds, and less than any test of the training itself would notice."""


def scaled(at: Mapping[str, int], factor: float = FACTOR) -> Sow:
    """For ``reference.train``: each of the gradients times the factor, at its own step alone."""
    times = dict.fromkeys(at, -1)

    def plant(name: str, value: Array, /) -> Array:
        if name not in at:
            return value
        times[name] += 1
        return value * factor if times[name] == at[name] else value

    return plant


def hooked(
    of: str, step: int, factor: float = FACTOR, without: Callable[[Experiment], Session] = session
) -> Callable[[Experiment], Session]:
    """For ``verify``: torch's gradient of a parameter or value times the factor, at that step alone, by a hook.

    without: what the session is like but for that.
    """

    def using(e: Experiment) -> Session:
        right, times = without(e), -1

        def scale(gradient: Tensor) -> Tensor:
            nonlocal times
            times += 1
            return gradient * factor if times == step else gradient

        if of in named(e.parameters):
            places(right.module, right.names, named(e.parameters))[of].weight.register_hook(scale)  # type: ignore[no-untyped-call]  # untyped in torch
            return right

        def plant(name: str, value: Tensor) -> Tensor:
            if name == of:
                value.register_hook(scale)  # type: ignore[no-untyped-call]  # as above
            return value

        forward: Any = right.module.forward
        right.module.forward = lambda x, sow: forward(x, lambda name, v: sow(name, plant(name, v)))
        return right

    return using


def by_hand(optimizer: Any) -> Callable[[Experiment], Session]:
    """For ``verify``: torch's gradients, and the update by the reference's optimizer, whatever torch offers."""

    def using(e: Experiment) -> Session:
        right = session(e)
        found = places(right.module, right.names, named(e.parameters))
        return right._replace(optimizer=ByHand(optimizer, found, e.parameters, states_of(e.optimizer)))

    return using


def stepped_by(wrong: Any) -> Callable[[Experiment], Session]:
    """For ``verify``: torch steps by another optimizer than the experiment's; by hand where torch has none such."""

    def using(e: Experiment) -> Session:
        right = session(e)
        try:
            return right._replace(optimizer=optimizer_of(wrong, _weights(e, right)))
        except InputError:
            return by_hand(wrong)(e)

    return using


def _weights(e: Experiment, right: Session) -> dict[str, nn.Parameter]:
    return {name: place.weight for name, place in places(right.module, right.names, named(e.parameters)).items()}


def mirrored_as(file: str, *kinds: type) -> Callable[[str, type], str]:
    """In place of ``file_of`` where a table of mirrors is read: these classes have the mirror of that file."""
    return lambda home, kind: file if kind in kinds else file_of(home, kind)


@contextmanager
def refused() -> Iterator[None]:
    """Within it a check must fail: by an assertion or a missing error, or as the product itself tells the fault."""
    with pytest.raises((AssertionError, InputError, pytest.fail.Exception)):
        yield
