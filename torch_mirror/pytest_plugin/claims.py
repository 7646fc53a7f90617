"""torch_mirror.parametrize: one test for each claim, precision and part of the verdict.

After scikit-learn's parametrize_with_checks:

    @torch_mirror.parametrize({"mine": my_experiment})
    def test_mine(claim):
        claim()

makes tests ``mine-float64-forward``, ``mine-float64-loss`` and so on, so that ``pytest -k "mine and float32 and
update"`` runs what it says. The run itself is judged once, whichever of its tests comes first.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import pytest

import torch_mirror
from reference.claim.experiment import Experiment
from reference.errors import InputError, UnknownNameError
from torch_mirror.doors.check.result import Checked, Refuted
from torch_mirror.judge.findings import Row
from torch_mirror.judge.verdict import Certificate
from torch_mirror.pytest_plugin.judging import Keep, demand_certificate, demand_checked

PARTS = ("run", "forward", "loss", "gradients", "update")
"""run: where it starts, how far the two runs end apart, whether anything moved. update: parameters and the
optimizer's state. The other three are what a step computes before."""

DTYPES = ("float64", "float32")

_PART_OF = {"loss": "loss", "gradient": "gradients", "parameter": "update", "state": "update"}
"""Of a tensor, by its role. Values, constants and data are of the forward pass."""


def parametrize(
    claims: Mapping[str, Any] | Sequence[Experiment],
    *,
    dtypes: Sequence[str] = DTYPES,
    expected_failures: Mapping[str, str] | None = None,
) -> pytest.MarkDecorator:
    """A decorator of a test that takes ``claim`` and calls it.

    claims: by name, or experiments that have one. A claim is an Experiment, which is judged in its own precision, or a
    tuple of one and of ``using``, as ``verify`` takes it; a function of a dtype's name ("float64") that makes either;
    or a function without arguments that returns what ``torch_mirror.check`` or its like found, or the arguments of
    ``check`` in a tuple.
    dtypes: the precisions in which functions make experiments.
    expected_failures: why a test must be refuted, by its name ("mine-float32-update"). If it is certified, it fails.
    Raises InputError or UnknownNameError where a claim is none of these, two have one name, or a name is of no test.
    """
    named = claims.items() if isinstance(claims, Mapping) else [(_named(e), e) for e in claims]
    if not named:
        raise InputError("claims", "at least one claim", "none")
    if isinstance(dtypes, str) or not dtypes or not set(dtypes) <= set(DTYPES):
        raise InputError("dtypes", "some of " + ", ".join(map(repr, DTYPES)), repr(dtypes))
    parts: dict[str, Part] = {}
    for part in (part for name, made in named for part in _parts(str(name), made, dict.fromkeys(dtypes))):
        if part.name in parts:
            raise InputError("claims", "names that differ (a dict gives each its own)", f"{part.name!r} twice")
        parts[part.name] = part
    failures = dict(expected_failures or {})
    for name in failures:
        if name not in parts:
            raise UnknownNameError("test", name, parts)
    marks = {name: [pytest.mark.xfail(reason=why, raises=Refuted, strict=True)] for name, why in failures.items()}
    tests = [pytest.param(part, id=name, marks=marks.get(name, ())) for name, part in parts.items()]
    return pytest.mark.parametrize("claim", tests, indirect=True)


def _named(e: Any) -> str:
    e = _sides(e)[0]
    if not isinstance(e, Experiment):
        raise InputError("claims", "experiments, or a dict that gives each claim a name", type(e).__name__)
    return e.name


def _sides(made: Any) -> tuple[Any, dict[str, Any]]:
    """An experiment, and by name the function that makes its torch side, if it comes with one."""
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], Experiment):
        return made[0], {"using": made[1]}
    return made, {}


@dataclass(frozen=True)
class Run:
    """A run that is judged when it is first asked for."""

    make: Callable[[], Experiment]
    dtype: str | None = None  # that it must have

    @cached_property
    def verdict(self) -> tuple[Certificate, Mapping[str, str]]:
        """The certificate, and the part that each tensor belongs to."""
        e, using = _sides(self.make())
        if not isinstance(e, Experiment):
            wanted = "a function of a dtype that returns an Experiment, or one and what makes its torch side"
            raise InputError("claim", wanted, type(e).__name__)
        if self.dtype not in {None, str(e.dtype)}:
            wanted = f"a function that makes an Experiment of the dtype that it is given, {self.dtype}"
            raise InputError("claim", wanted, f"one of {e.dtype}")
        part_of = {name: _PART_OF.get(slot.role, "forward") for name, slot in e.slots.items()}
        return torch_mirror.verify(e, **using), part_of


@dataclass(frozen=True)
class OfRun:
    """One part of the verdict on a run."""

    name: str
    run: Run
    part: str

    def judge(self, keep: Keep, *, rows: bool, strict: bool) -> None:
        """Raises Refuted, or Unjudged. A part of the run that has no tensor at all is skipped, with a word."""
        certificate, part_of = self.run.verdict
        part = _only(replace(certificate, strict=strict), self.part, part_of)
        if self.part == "forward" and certificate.rows and not part.rows:
            pytest.skip("the network sows no value: its forward pass is judged through its loss and its gradients")
        demand_certificate(part, keep, name=self.name, rows=rows)


@dataclass(frozen=True)
class OfGradients:
    """What check says of a function."""

    name: str
    made: Callable[[], Any]

    def judge(self, keep: Keep, *, rows: bool, strict: bool) -> None:
        """Raises Refuted, or Unjudged."""
        found = self.made()
        if isinstance(found, tuple):
            found = torch_mirror.check(*found)
        if not isinstance(found, Checked):
            wanted = "a function that returns what torch_mirror.check found, or its arguments in a tuple"
            raise InputError(f"claim {self.name!r}", wanted, type(found).__name__)
        demand_checked(replace(found, subject=self.name), keep, rows=rows)


Part = OfRun | OfGradients


def _parts(name: str, made: Any, dtypes: Iterable[str]) -> Iterator[Part]:
    e = _sides(made)[0]
    if isinstance(e, Experiment):
        run = Run(lambda: made)
        yield from (OfRun(f"{name}-{e.dtype}-{part}", run, part) for part in PARTS)
    elif callable(made) and not inspect.signature(made).parameters:
        yield OfGradients(f"{name}-gradients", made)
    elif callable(made):
        for dtype in dtypes:
            run = Run(partial(made, dtype), dtype)
            yield from (OfRun(f"{name}-{dtype}-{part}", run, part) for part in PARTS)
    else:
        raise InputError(f"claim {name!r}", "an Experiment, or a function that makes a claim", type(made).__name__)


def _only(c: Certificate, part: str, part_of: Mapping[str, str]) -> Certificate:
    """What the certificate says of one part."""

    def belongs(row: Row) -> bool:
        of_run = row.check in {"start", "trajectory"} or row.tensor not in part_of
        return (part == "run") if of_run else part_of[row.tensor] == part

    rows = tuple(row for row in c.rows if belongs(row))
    ruling = c.ruling if c.ruling and any(row.tensor == c.ruling.tensor for row in rows) else None
    return replace(c, rows=rows, ruling=ruling, idle=c.idle if part == "run" else ())
