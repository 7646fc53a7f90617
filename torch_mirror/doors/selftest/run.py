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
from reference.traces.training import train
from torch_mirror.doors.certify import certify
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
from torch_mirror.training.session import session, session_by

STEPS_OF_A_RUN = 2
"""Of a planted run; what shows later has as many as it takes."""

DTYPES = ("float64", "float32")


def selftest(
    network: Any,
    *arguments: Any,
    using: Using = session,
    dtypes: Sequence[str] = DTYPES,
    progress: Callable[[Trial], None] | None = None,
    limit: float | None = None,
) -> SelfTest:
    """Plant faults in a network and see whether each is refuted, located, laid at the right side, and named.

    network: a reference.Experiment, of which a few steps are run; or a function (p, *data) -> (loss, gradients), with p
    and the data behind it, as ``check`` takes them: then there is no other side, and no update.
    using: makes the torch module, loss and optimizer, as for ``verify``; of a network without a mirror only the
    side of NumPy is tested. dtypes: of the runs; the numbers are rounded to each. progress: called with each trial.
    limit: seconds after which no further fault is planted, None for no limit; tensors, updates and lines have a third
    of what is left each. A fault that is being looked at is looked at to its end, and the notes say what was left out.
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
    name, honest, parts = one
    trials = []
    for left, (part, rows) in zip(range(len(parts), 0, -1), parts.items(), strict=True):
        now = time.perf_counter()
        until = np.inf if limit is None else now + (started + limit - now) / left
        for trial in rows:
            trials.append(trial)
            if progress is not None:
                progress(trial)
            if time.perf_counter() > until:
                notes = (*notes, f"not every fault was planted in {part}: {limit:g} s were the limit")
                break
    unsided = sum(trial.changes and not trial.sided for trial in trials)
    if unsided:
        notes = (*notes, f"of {unsided} wrong updates no side is told: {ELEMENTWISE}")
    return SelfTest(name, honest, tuple(trials), notes, time.perf_counter() - started)


ELEMENTWISE = (
    "beside an update of your own torch's may be the one that is meant; a fault in NumPy's numbers is told where "
    "Own(update, elementwise=True) says that each element has an update of its own"
)

Subject = tuple[str, dict[str, str], dict[str, Iterator[Trial]]]
"""Its name, the verdicts without a fault, and the trials to come of each part."""


def _experiment(e: Experiment, using: Using, dtypes: Sequence[str]) -> tuple[Subject, tuple[str, ...]]:
    of, notes = _in_each(off_zero(e), dtypes)
    first = next(iter(of.values()))
    own: Using | None = using
    try:
        using(first)
    except InputError as error:
        own, notes = None, (*notes, f"NumPy's side alone: {error}")
    try:
        certify(first, train(first), "numpy", explain=False)
        certified = True
    except InputError as error:  # of code through which balls run if NumPy's functions are replaced, as check does
        own, certified = None, False
        notes = (*notes, f"the backward pass and the update alone, as no run can be judged: {error}")
    if own is not None:
        of, more = _with_a_mirror(of, own)
        notes = (*notes, *more)
    honest = {dtype: _honest(one, own) for dtype, one in of.items()}
    return (e.name, honest, _of_experiment(of, own, certified=certified)), notes


Each = dict[str, Experiment]
"""The experiment by dtype."""


def _in_each(e: Experiment, dtypes: Sequence[str]) -> tuple[Each, tuple[str, ...]]:
    """The dtypes in which it runs. Raises InputError where it runs in none of them, or not in its own."""
    of, notes = dict[str, Experiment](), list[str]()
    for dtype in dtypes:
        try:
            one = replace(rounded(e, dtype), steps=STEPS_OF_A_RUN)
            train(replace(one, steps=1))
        except InputError as error:
            if dtype == str(e.dtype) or len(dtypes) == 1:
                raise
            notes.append(_left_out(dtype, error))
        else:
            of[dtype] = one
    if not of:
        raise InputError("dtypes", f"{e.dtype} among them, in which the experiment is", ", ".join(dtypes))
    return of, tuple(notes)


def _with_a_mirror(of: Each, using: Using) -> tuple[Each, tuple[str, ...]]:
    """Those of which there is a mirror, the first among them: a module may be made for one dtype."""
    found, notes = dict[str, Experiment](), list[str]()
    for dtype, e in of.items():
        try:
            if found:
                session_by(using, e)
            found[dtype] = e
        except InputError as error:
            notes.append(_left_out(dtype, error))
    return found, tuple(notes)


def _left_out(dtype: str, error: InputError) -> str:
    return f"nothing was tried in {dtype}, for which the network is not made (another --dtype leaves it out): {error}"


def _honest(e: Experiment, using: Using | None) -> str:
    at = point_of(e)
    first = check(function_of(e), at.parameters, *at.data).verdict
    return first if using is None or first != "certified" else verify(e, using=using, explain=False).verdict


def _of_experiment(of: Each, using: Using | None, *, certified: bool) -> dict[str, Iterator[Trial]]:
    """certified: whether runs can be judged by certify."""
    points = {dtype: point_of(e) for dtype, e in of.items()}
    steps = (trial for step in STEPS for trial in updates.trials(of, step, using, certified=certified))
    lines = source.trials(points, lambda dtype: function_of(of[dtype]), of, using)
    return {"tensors": _of_tensors(of, using, certified=certified), "updates": steps, "lines": lines}


def _of_tensors(of: Each, using: Using | None, *, certified: bool) -> Iterator[Trial]:
    first = next(iter(of.values()))
    rooms = {dtype: room_of(e) for dtype, e in of.items()}
    for i, wrong in enumerate((*GRADIENTS, *(*LEFT_OVER, *VALUES) * certified)):
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


def _function(
    function: Callable[..., Any], at: Point, dtypes: Sequence[str]
) -> tuple[Subject, tuple[str, ...]]:
    points = {dtype: _rounded(at, dtype) for dtype in dtypes}
    honest: dict[str, str] = {dtype: check(function, p.parameters, *p.data).verdict for dtype, p in points.items()}
    name = getattr(function, "__qualname__", "network")
    lines = source.trials(points, lambda _: function, {}, None)
    parts = {"tensors": _of_function(function, points), "lines": lines}
    return (name, honest, parts), ("NumPy's backward pass alone: there is no mirror",)


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
