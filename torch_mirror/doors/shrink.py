"""A counterexample of few and round numbers.

A shrinker that draws a seed can make shapes smaller but not numbers. This goes on where it stops: the
numbers of a failing experiment are replaced by 0, then by 1, then by ever more of their own digits, as
long as it still fails. Many numbers are tried at once, and the halves of them where that is too many, so
that it takes few evaluations to get rid of most (delta debugging: Zeller and Hildebrandt, Simplifying and
Isolating Failure-Inducing Input, 2002).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np

from reference.arrays import Array
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.claim.tree import named, rebuild

E = TypeVar("E", Experiment, Ensemble)
C = TypeVar("C")

def _rounded(decimals: int, a: Array) -> Array:
    return np.round(a, decimals)


SIMPLER: list[Callable[[Array], Array]] = [
    np.zeros_like,
    lambda a: np.where(a == 0, a, np.ones_like(a)),
    *(partial(_rounded, decimals) for decimals in range(5)),
]
"""Each makes numbers simpler: 0, then 1, then few decimal places. What is as simple already stays as it is."""


def smallest(experiment: E, fails: Callable[[E], bool], evaluations: int = 1000) -> E:
    """The experiment, or an ensemble with one of its members, with numbers as simple as they may be.

    fails: what must stay true; it is asked ``evaluations`` times at most. The result is the experiment
    itself where nothing simpler fails. Shapes, options and everything but start and data stay as they are.
    """
    best, fewer = experiment, _at_most(evaluations, fails)

    def accepted(candidate: E) -> bool:
        nonlocal best
        best = candidate if (one := fewer(candidate)) else best
        return one

    if isinstance(experiment, Ensemble):
        _fewer_members(experiment, accepted)
    simplest(numbers(best), lambda arrays: accepted(_with(best, arrays)), evaluations)
    return best  # the last that was accepted


def _at_most(evaluations: int, fails: Callable[[C], bool]) -> Callable[[C], bool]:
    """The same question, which is answered with no from some number of evaluations on."""
    left = iter(range(evaluations))
    return lambda candidate: next(left, None) is not None and fails(candidate)


Arrays: TypeAlias = dict[str, Array]


def simplest(arrays: Arrays, fails: Callable[[Arrays], bool], evaluations: int = 1000) -> Arrays:
    """Arrays of the same names and shapes, with numbers as simple as they may be; the same dict where none is simpler.

    fails: what must stay true; it is asked ``evaluations`` times at most.
    """
    best, fewer = arrays, _at_most(evaluations, fails)

    def accepted(candidate: Arrays) -> bool:
        nonlocal best
        best = candidate if (one := fewer(candidate)) else best
        return one

    def simplify(simpler: Callable[[Array], Array]) -> None:
        places = [(name, int(i)) for name, a in best.items() for i in np.flatnonzero(simpler(a) != a)]
        _try(places, lambda some: accepted(_simpler(best, some, simpler)))

    before = None
    while before is not best:
        before = best
        for simpler in SIMPLER:
            simplify(simpler)
    return best


def numbers(experiment: Experiment | Ensemble) -> dict[str, Array]:
    """The arrays that are minimised, by name: x, t and the parameters."""
    return {"x": experiment.x, "t": experiment.t, **named(experiment.parameters)}


def _simpler(arrays: Arrays, places: list[tuple[str, int]], simpler: Callable[[Array], Array]) -> Arrays:
    """The arrays with simpler numbers at these places: an array's name and a flat position in it."""
    found = {name: a.copy() for name, a in arrays.items()}
    for name, i in places:
        found[name].flat[i] = simpler(found[name].flat[i])
    return found


def _with(experiment: E, arrays: Arrays) -> E:
    """The experiment with other numbers."""
    p = rebuild(experiment.parameters, arrays)
    return replace(experiment, parameters=p, x=arrays["x"], t=arrays["t"])


def _try(places: list[tuple[str, int]], accepted: Callable[[list[tuple[str, int]]], bool]) -> None:
    """All at once; if that is not accepted, one half and then the other."""
    if places and not accepted(places) and len(places) > 1:
        half = len(places) // 2
        _try(places[:half], accepted)
        _try(places[half:], accepted)


def _fewer_members(ensemble: Ensemble, accepted: Callable[[Any], bool]) -> None:
    """Halve an ensemble as long as one of its halves is accepted."""
    while ensemble.members > 1:
        half = ensemble.members // 2
        halves = (ensemble.some(slice(half)), ensemble.some(slice(half, None)))
        failing = next((part for part in halves if accepted(part)), None)
        if failing is None:
            return
        ensemble = failing
