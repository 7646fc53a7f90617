"""The door: faults of every kind are planted in a network, one at a time, and what the tool says of each is graded.

    print(torch_mirror.selftest(experiment))              # of reference.Experiment, with its mirror in torch
    print(torch_mirror.selftest(loss_and_gradients, p, x, y))     # what check takes: NumPy alone

Would a fault be found in *this* network, at these sizes and numbers? A check that was never seen to fail says little.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reference.claim.experiment import Experiment
from reference.claim.tree import zip_with
from reference.errors import InputError
from reference.experiments import rounded
from reference.optimizers.sgd import SGD
from torch_mirror.doors.check.claimed import claim_of, data_as, sizes_of
from torch_mirror.doors.check.derivative import check
from torch_mirror.doors.mirror_causes import function_of
from torch_mirror.doors.selftest import backward, mirror, source, trace, updates
from torch_mirror.doors.selftest.backward import Point, Using, off_zero, point_of
from torch_mirror.doors.selftest.planting import chosen, room_of
from torch_mirror.doors.selftest.steps import STEPS
from torch_mirror.doors.selftest.told import SelfTest, Trial
from torch_mirror.doors.selftest.wrongs import GRADIENTS, LEFT_OVER, VALUES
from torch_mirror.doors.verify import verify
from torch_mirror.training.session import session

STEPS_OF_A_RUN = 2
"""Of a planted run; what shows later has as many as it takes."""

DTYPES = ("float64", "float32")


def selftest(
    network: Any,
    *arguments: Any,
    using: Using = session,
    dtypes: Sequence[str] = DTYPES,
    progress: Callable[[Trial], None] | None = None,
) -> SelfTest:
    """Plant faults in a network and see whether each is refuted, located, laid at the right side, and named.

    network: a reference.Experiment, of which a few steps are run; or a function (p, *data) -> (loss, gradients), with p
    and the data behind it, as ``check`` takes them: then there is no other side, and no update.
    using: makes the torch module, loss and optimizer, as for ``verify``; of a network without a mirror only the
    side of NumPy is tested. dtypes: of the runs; the numbers are rounded to each. progress: called with each trial.
    Raises InputError for what is neither, and what the network itself raises.
    """
    started = time.perf_counter()
    if isinstance(network, Experiment):
        one, notes = _experiment(network, using, dtypes)
    elif callable(network) and arguments:
        one, notes = _function(network, Point(arguments[0], tuple(arguments[1:])), dtypes)
    else:
        expected = "a reference.Experiment, or a function (p, *data) -> (loss, gradients) with p and the data behind it"
        raise InputError("network", expected, type(network).__name__)
    name, honest, rows = one
    trials = []
    for trial in rows:
        trials.append(trial)
        if progress is not None:
            progress(trial)
    return SelfTest(name, honest, tuple(trials), notes, time.perf_counter() - started)


Subject = tuple[str, dict[str, str], Iterator[Trial]]
"""Its name, the verdicts without a fault, and the trials to come."""


def _experiment(e: Experiment, using: Using, dtypes: Sequence[str]) -> tuple[Subject, tuple[str, ...]]:
    of = {dtype: replace(rounded(off_zero(e), dtype), steps=STEPS_OF_A_RUN) for dtype in dtypes}
    notes: tuple[str, ...] = ()
    own: Using | None = using
    try:
        using(next(iter(of.values())))
    except InputError as error:
        own, notes = None, (f"NumPy's side alone: {error}",)
    honest = {dtype: _honest(one, own) for dtype, one in of.items()}
    return (e.name, honest, _of_experiment(of, own)), notes


def _honest(e: Experiment, using: Using | None) -> str:
    at = point_of(e)
    first = check(function_of(e), at.parameters, *at.data).verdict
    return first if using is None or first != "certified" else verify(e, using=using, explain=False).verdict


def _of_experiment(of: dict[str, Experiment], using: Using | None) -> Iterator[Trial]:
    first = next(iter(of.values()))
    rooms = {dtype: room_of(e) for dtype, e in of.items()}
    for i, wrong in enumerate((*GRADIENTS, *LEFT_OVER, *VALUES)):
        target = chosen(first, wrong, i)
        if target is None:
            yield Trial("tensor", wrong.name, "numpy", "", "", changes=False)
            continue
        if wrong in GRADIENTS:
            yield from backward.trials(of, wrong, target, using)
        else:
            yield from trace.trials(of, wrong, target, rooms)
        if using is not None and mirror.can_be_planted(first, using, target):
            yield from mirror.trials(of, wrong, target, using, rooms)
    for step in STEPS:
        yield from updates.trials(of, step, using)
    points = {dtype: point_of(e) for dtype, e in of.items()}
    yield from source.trials(points, lambda dtype: function_of(of[dtype]), of, using)


def _function(
    function: Callable[..., Any], at: Point, dtypes: Sequence[str]
) -> tuple[Subject, tuple[str, ...]]:
    points = {dtype: _rounded(at, dtype) for dtype in dtypes}
    honest: dict[str, str] = {dtype: check(function, p.parameters, *p.data).verdict for dtype, p in points.items()}
    name = getattr(function, "__qualname__", "network")
    return (name, honest, _of_function(function, points)), ("NumPy's backward pass alone: there is no mirror",)


def _rounded(at: Point, dtype: str) -> Point:
    def one(a: Any) -> Any:
        return np.asarray(a).astype(dtype)

    return Point(zip_with(lambda _, a: one(a), at.parameters), tuple(data_as(d, one) for d in at.data))


def _of_function(function: Callable[..., Any], points: dict[str, Point]) -> Iterator[Trial]:
    """Of any data: an experiment's slots are those of its parameters' gradients alone."""

    def of_data(p: Any, *_: Any) -> Any:
        return function(p, *next(iter(points.values())).data)

    first = next(iter(points.values()))
    x = np.zeros((1, 1), next(iter(points)))
    shell = Experiment(of_data, first.parameters, x, None, None, SGD(1.0), 1)
    batch = int(sizes_of(claim_of(function, first.parameters, first.data)).get("N", 1))
    for i, wrong in enumerate(GRADIENTS):
        target = chosen(shell, wrong, i, batch)
        if target is None:
            yield Trial("tensor", wrong.name, "numpy", "", "", changes=False)
            continue
        yield from backward.trials_of_function(function, points, wrong, target)
    yield from source.trials(points, lambda _: function, {}, None)
