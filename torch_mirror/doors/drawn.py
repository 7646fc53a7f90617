"""What stands beside a run's curves in its report: the reference's own run, and the script of a refutation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, TypeVar

import numpy as np

from reference.claim.experiment import Experiment
from reference.claim.slots import names
from reference.errors import InputError, TorchMirrorError
from reference.traces import training as reference_training
from reference.traces.trace import Trace
from torch_mirror.judge.replay import Givens, judge_givens
from torch_mirror.judge.series import Held, Series, joined, piece_of, view_of
from torch_mirror.judge.stacking import stacking_flaw


def held_of(held_out: Any) -> Held | None:
    """Data that nobody trains on. Raises InputError for anything but a pair (x, t), or None."""
    if held_out is not None and not (isinstance(held_out, tuple) and len(held_out) == 2):
        raise InputError("held_out", "a pair (x, t), or None", type(held_out).__name__)
    return None if held_out is None else Held(*held_out)


@dataclass
class Drawing:
    """Takes each segment of torch's run and of NumPy's, as ``verify(observe=)`` hands them out; keeps its curves."""

    experiment: Experiment
    held: Held | None = None
    pieces: list[Series] = field(default_factory=list)
    givens: Givens | None = None

    def __call__(self, torch: Trace, numpy: Trace) -> None:
        e, stacks = self.experiment, stacking_flaw(self.experiment) is None
        if self.givens is None:
            _, self.givens = judge_givens(e, torch, "torch")
        view = view_of(0, e.steps, ("torch", "numpy"), stacks=stacks, held=self.held)
        self.pieces.append(piece_of(e, view, self.givens, torch, numpy))


def own_run(e: Experiment, trace: Trace, *, wanted: bool) -> Iterator[Trace | None]:
    """The reference's own run in the segments of a trace that begins with it; None for each where it begins later."""
    if trace.first or not wanted:
        return repeat(None)
    return reference_training.segments(e, names(e.slots, "parameter"))


def with_pictures(
    pieces: Sequence[Series], script: Callable[[], str] | None, shown: Callable[[], Any] | None = None
) -> Series | None:
    """The curves of all pieces.

    Of a refutation script makes the program that reproduces it, and shown what check found of the backward pass at
    fault (``why.shown``).
    """
    if not pieces:
        return None
    whole, missing = joined(pieces), dict[str, str]()
    text, missing["script"] = told(script) if script is not None else ("", "")
    found, missing["shown"] = told(shown) if shown is not None else (None, "")
    whole = whole._replace(script=text or "", shown=found)
    return whole._replace(missing={**whole.missing, **{name: why for name, why in missing.items() if why}})


T = TypeVar("T")


def told(make: Callable[[], T]) -> tuple[T | None, str]:
    """What is made; or None, and why there is none: the verdict stands, whatever comes of looking for one."""
    try:
        with np.errstate(all="ignore"):
            return make(), ""
    except TorchMirrorError as error:
        return None, str(error)
    except Exception as error:  # noqa: BLE001 - as said
        return None, f"looking for one ended in {type(error).__name__}: {' '.join(str(error).split())}"
