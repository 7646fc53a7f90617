"""Faults in NumPy's own run, of values of the forward pass and of what is left over from the step before.

The run's trace is judged by ``certify``.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import reference
from reference.claim.experiment import Experiment
from reference.errors import InputError
from reference.experiments import rounded
from torch_mirror.doors.certify import certify
from torch_mirror.doors.mirror_causes import causes_of_gradients
from torch_mirror.doors.selftest.backward import elsewhere_of
from torch_mirror.doors.selftest.graded import graded, in_short
from torch_mirror.doors.selftest.planting import Target, differ, planting, through
from torch_mirror.doors.selftest.told import Named, Trial
from torch_mirror.doors.selftest.wrongs import Wrong


def trials(
    of: dict[str, Experiment], wrong: Wrong, target: Target, rooms: Mapping[str, Mapping[str, float]]
) -> Iterator[Trial]:
    """The mistake in the run, in each dtype; what follows from it goes on with it.

    rooms: of each dtype how much of each tensor it may round away
    """
    named: tuple[Named, str] | None = None
    for dtype, one in of.items():
        started = time.perf_counter()
        e = replace(one, steps=max(one.steps, wrong.steps))
        plant = planting(wrong, target)
        try:
            c = certify(e, reference.train(e, plant=through(plant)), "numpy", explain=False)
        except InputError as error:
            yield Trial("tensor", wrong.name, "numpy", dtype, target.tensor, changes=True, said=f"refused: {error}")
            continue
        differs = differ(plant.made, rooms[dtype].get(target.tensor, 0.0))
        said, first = "" if c.ruling is None else c.ruling.verdict, "" if c.first is None else c.first.tensor
        row = Trial(
            "tensor", wrong.name, "numpy", dtype, target.tensor, differs, c.verdict == "refuted",
            first == target.tensor, _of_numpy(said), where=first, said=said,
        )  # fmt: skip
        if differs and wrong.causes:
            named = named or _named(rounded(e, "float64"), wrong, target)
            row = row._replace(named=named[0], cause=named[1])
        yield row._replace(seconds=time.perf_counter() - started)


def _of_numpy(said: str) -> bool:
    """Whether no other side is told: of a run that is judged alone there is none."""
    return said not in ("the mirror strays", "both stray")


def _named(e: Experiment, wrong: Wrong, target: Target) -> tuple[Named, str]:
    def causes(e: Experiment) -> tuple[str, ...]:
        trace = reference.train(e, plant=through(planting(wrong, target)))
        return causes_of_gradients(e, trace, wrong.steps - 1).causes

    found = causes(e)
    return graded(found, lambda: causes(elsewhere_of(e))), in_short(found)
