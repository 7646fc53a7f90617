"""Faults in the update, on both sides: NumPy's by ``check_step`` and ``certify``, torch's by ``verify``."""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import reference
from reference.claim.experiment import Experiment
from reference.claim.slots import gradient_of
from reference.claim.tree import named, rebuild, zip_with
from reference.claim.update import declared
from reference.errors import InputError
from reference.experiments import rounded
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import format_of
from torch_mirror.doors.certify import certify
from torch_mirror.doors.check.step import check_step
from torch_mirror.doors.mirror_causes import causes_of_update
from torch_mirror.doors.selftest.backward import Using, elsewhere_of
from torch_mirror.doors.selftest.by_hand import ByHand
from torch_mirror.doors.selftest.graded import graded, in_short
from torch_mirror.doors.selftest.steps import WrongStep, apart, unwrapped
from torch_mirror.doors.selftest.told import Named, Side, Trial
from torch_mirror.doors.verify import verify
from torch_mirror.optimizers import optimizer_of
from torch_mirror.training.loop import train
from torch_mirror.training.places import places
from torch_mirror.training.session import Session

if TYPE_CHECKING:
    import torch


def trials(
    of: dict[str, Experiment], wrong: WrongStep, using: Using | None, *, certified: bool = True
) -> Iterator[Trial]:
    """The mistake in the reference's optimizer, and in the mirror's, in each dtype.

    certified: whether a run of the network can be judged by certify, too
    """
    for dtype, one in of.items():
        e = replace(one, steps=max(one.steps, wrong.steps + 1))
        made = wrong.make(unwrapped(e.optimizer).own)
        if made is None:
            continue
        yield _timed(dtype, wrong, "numpy", functools.partial(_numpy, e, wrong, made, certified=certified))
        if using is not None:
            yield _timed(dtype, wrong, "torch", functools.partial(_torch, e, wrong, made, using))


def _timed(dtype: str, wrong: WrongStep, side: Side, judged: Callable[[], Trial]) -> Trial:
    started = time.perf_counter()
    try:
        row = judged()
    except InputError as error:
        row = Trial("update", wrong.name, side, "", "update", changes=True, said=f"refused: {error}")
    return row._replace(dtype=dtype, seconds=time.perf_counter() - started)


def changes(e: Experiment, made: Any) -> bool:
    """Whether the wrong optimizer makes other parameters or state of the run's own gradients, beyond rounding."""
    own, fmt = unwrapped(e.optimizer).own, format_of(e.dtype)
    try:
        made = made.checked(e.steps) if hasattr(made, "checked") else made
    except InputError:
        return False  # torch refuses such options, and so does the reference
    right = wrong = zip_with(lambda _, a: Ball(a.copy(), 0, fmt), e.parameters)
    states = own.init(right), made.init(wrong)
    for t, g in enumerate(_gradients(e)):
        balls = rebuild(e.parameters, {name: Ball(a, 0, fmt) for name, a in g.items()})
        right, before = own.step(right, balls, states[0], t)
        wrong, after = made.step(wrong, balls, states[1], t)
        states = before, after
        if apart(named(right), named(wrong)):
            return True
    return False


def _gradients(e: Experiment) -> list[dict[str, Any]]:
    """The parameters' gradients at each step of the reference's own run."""
    own = {name: str(gradient_of(e.slots, name)) for name in named(e.parameters)}
    trace = reference.train(e, record=list(own.values()))
    return [{name: trace.tensors[g][t].copy() for name, g in own.items()} for t in range(e.steps)]


# --- NumPy's --------------------------------------------------------------------------------------------------------


def _numpy(e: Experiment, wrong: WrongStep, made: Any, *, certified: bool) -> Trial:
    row = Trial("update", wrong.name, "numpy", "", "update", changes(e, made))
    if not row.changes:
        return row
    own, g = unwrapped(e.optimizer).own, rebuild(e.parameters, _gradients(e)[0])

    def checked(p: Any) -> Any:
        def update(p: Any, g: Any, state: Any, t: Any) -> Any:
            return made.step(p, g, state, t)

        return check_step(update, own, p, g, e.steps, start=made.init)

    c = checked(e.parameters)
    named_, cause = _graded(wrong, c.causes, lambda: checked(elsewhere_of(e).parameters).causes)
    told = [r.name for r in c.rows if r.word == "WRONG"]
    row = row._replace(
        refuted=c.verdict == "refuted", located=bool(told), right_side=bool(told), named=named_, cause=cause,
        where=", ".join(told[:3]),
    )  # fmt: skip
    if not certified:
        return row
    trace = reference.train(replace(e, optimizer=unwrapped(e.optimizer).again(made)))
    if set(trace.states) != set(named(e.optimizer.init(e.parameters))):
        return row  # a run with another state is none that the equations tell of
    certificate = certify(e, trace, "numpy", explain=False)
    said = "" if certificate.ruling is None else certificate.ruling.verdict
    return row._replace(
        refuted=row.refuted and certificate.verdict == "refuted", right_side=said == "the reference strays", said=said,
        sided=_sided(e, said),
    )  # fmt: skip


def _sided(e: Experiment, said: str) -> bool:
    """Whether a side could be told: not of an update that does not say that it is elementwise, as the ruling says.

    Nor where torch's is another one than the user's own, either of which may be meant.
    """
    own = unwrapped(e.optimizer).own
    if said == "updates differ":
        return not declared(own)
    return said != "no ruling" or bool(getattr(own, "elementwise", False))


# --- torch's --------------------------------------------------------------------------------------------------------


def _torch(e: Experiment, wrong: WrongStep, made: Any, using: Using) -> Trial:
    row = Trial("update", wrong.name, "torch", "", "update", changes(e, made))
    if not row.changes:
        return row
    steps: list[int] = []
    c = verify(e, using=lambda e: stepped_by(e, using(e), made, steps), explain=False)
    if not steps and using(e).train_step is not None:
        return row._replace(changes=False, said="the loop does not call its optimizer's step, where it is planted")
    said, first = "" if c.ruling is None else c.ruling.verdict, c.first
    tensors = {*named(e.parameters), *named(e.optimizer.init(e.parameters))}
    named_, cause = _mirrors(e, wrong, made, using)
    return row._replace(
        refuted=c.verdict == "refuted", located=first is not None and first.tensor in tensors,
        right_side=said == "the mirror strays", where="" if first is None else first.tensor, said=said, named=named_,
        cause=cause, sided=_sided(e, said),
    )  # fmt: skip


def _mirrors(e: Experiment, wrong: WrongStep, made: Any, using: Using) -> tuple[Named, str]:
    wide = rounded(e, "float64")

    def causes(e: Experiment) -> tuple[str, ...]:
        trace = train(e, using=stepped_by(e, using(e), made))
        found = certify(e, trace, explain=False).first
        steps = () if found is None else range(found.step, e.steps)  # a state that is not there shows in the step after
        return next((causes for step in steps if (causes := causes_of_update(e, trace, step).causes)), ())

    return _graded(wrong, causes(wide), lambda: causes(elsewhere_of(wide)))


def stepped_by(e: Experiment, right: Session, made: Any, steps: list[int] | None = None) -> Session:
    """The session with the wrong optimizer: torch's own of these options, or the reference's where torch has none.

    steps: gets a 1 whenever a training loop of the user's own calls the optimizer's step
    """
    found = places(right.module, right.names, named(e.parameters))
    wrong = unwrapped(e.optimizer).again(made)
    other: torch.optim.Optimizer
    try:
        other = optimizer_of(wrong, {name: place.weight for name, place in found.items()})
    except InputError:
        other = ByHand(wrong, found, e.parameters, dict(right.states))
    if right.train_step is not None:  # which calls the step of its own optimizer
        def step() -> None:
            other.step()
            if steps is not None:
                steps.append(1)

        right.optimizer.step = step  # type: ignore[method-assign,assignment]  # as a user's wrong optimizer would
    return right._replace(optimizer=other)


def _graded(
    wrong: WrongStep, here: tuple[str, ...], elsewhere: Callable[[], tuple[str, ...]]
) -> tuple[Named, str]:
    if not wrong.causes and not here:
        return "not asked", ""
    return graded(here, elsewhere), in_short(here)
