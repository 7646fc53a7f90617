"""The curves of a run beside its verdict: plain data for reports, taken from the traces as their segments go by.

    pieces = [piece_of(e, view, givens, torch, numpy) for torch, numpy in segments]
    series = joined(pieces)

A verdict needs none of this, and it costs nothing where nobody asks. Steps are shown, not all of them: SHOWN of the
whole run, and of these CLOSELY at which every tensor is held up to its equation once more, to have error and radius
of the worst element of each step. The verdict is about all steps; a certificate's rows say where the worst one was.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.objective import predict
from reference.claim.slots import gradient_of, names
from reference.claim.tree import named
from reference.errors import InputError, TorchMirrorError
from reference.printed import r2
from reference.traces.trace import Trace
from reference.traces.training import read_only
from torch_mirror.balls.format import format_of
from torch_mirror.judge.compare import allowed
from torch_mirror.judge.replay import Givens, Part, as_ball, evaluate, lifted, loss_of, parts

SHOWN = 48
"""Steps of a run of which loss, distance and gradients are shown."""

CLOSELY = 16
"""Steps of them at which each tensor's error and radius are looked at, and the parameters are shown."""

FEW = 6
"""Elements of a parameter up to which each of them has a curve; of more there are quantiles."""

QUANTILES = {"smallest": 0.0, "lower quarter": 0.25, "median": 0.5, "upper quarter": 0.75, "largest": 1.0}


class Held(NamedTuple):
    """Data that nobody trains on."""

    x: Any  # as the network's forward takes it
    t: Any  # targets, the same


class View(NamedTuple):
    """What of a run is shown."""

    shown: tuple[int, ...]
    closely: tuple[int, ...]
    sides: tuple[str, str]      # what the two runs are called: the one that is judged, and the one beside it
    stacks: bool                # whether the equations are evaluated for many steps at once
    held: Held | None = None


class Curves(NamedTuple):
    """Numbers over some steps, by name; NaN where there is none."""

    steps: tuple[int, ...] = ()
    values: Mapping[str, Array] = {}  # (steps,) each; never written to


class Series(NamedTuple):
    """The curves of a run, each at the steps that it names.

    loss: of each side, before the update of that step. distance: of the two runs' parameters after it, Euclidean, and
    beside it the way of the judged one from the start.
    gradients: mean |dW| of each weight, of the side that is judged (document 001, ``grad_history``). weights: of each
    parameter after the step, its elements or their quantiles (document 001, ``weight_history``). errors, radii: of each
    tensor, |seen - expected| and the admissible distance at the element of that step where their quotient is largest.
    score: on held-out data, of each side, after the step. missing: what cannot be shown, and why. script: a program
    that reproduces the refutation, if there is one.
    """

    sides: tuple[str, str]
    loss: Curves = Curves()
    distance: Curves = Curves()
    gradients: Curves = Curves()
    weights: Mapping[str, Curves] = {}
    errors: Curves = Curves()
    radii: Curves = Curves()
    score: Curves = Curves()
    scored: str = ""                  # what the score is
    missing: Mapping[str, str] = {}
    script: str = ""
    shown: Any = None                 # what check found of a backward pass that is wrong, with its pictures


def view_of(first: int, steps: int, sides: tuple[str, str], *, stacks: bool, held: Held | None = None) -> View:
    """What is shown of so many steps from ``first`` on: evenly spread, from the first to the last."""

    def spread(count: int) -> tuple[int, ...]:
        return tuple(np.unique(np.linspace(first, first + steps - 1, count).round().astype(int)).tolist())

    return View(spread(SHOWN), spread(CLOSELY), sides, stacks, held) if steps else View((), (), sides, stacks, held)


def piece_of(e: Experiment, view: View, givens: Givens, judged: Trace, beside: Trace | None) -> Series:
    """The curves of one segment. beside: the same steps of the other run, with its parameters at least."""
    here = [t for t in view.shown if judged.first <= t < judged.first + judged.steps]
    close = [t for t in view.closely if judged.first <= t < judged.first + judged.steps]
    missing: dict[str, str] = {}
    runs = {side: run for side, run in zip(view.sides, (judged, beside), strict=True) if run is not None}
    if beside is None:
        missing["distance"] = f"there is no run of {view.sides[1]} beside it"
    if "loss" not in judged.tensors:
        missing["loss"] = f"{view.sides[0]}'s run holds no loss: its curve is the reference's loss of its parameters"
    scored, score = _scores(e, view, runs, here, missing)
    with np.errstate(all="ignore"):
        errors, radii = _errors(e, judged, givens, close, stacks=view.stacks)
        return Series(
            view.sides,
            Curves(tuple(here), {side: _losses(e, run, here) for side, run in runs.items()}),
            Curves(tuple(here), {} if beside is None else _distances(e, judged, beside, here)),
            Curves(tuple(here), _gradients(e, judged, here, missing)),
            {name: _elements(a, judged.first, close) for name, a in judged.parameters.items()},
            errors, radii, score, scored, missing,
        )  # fmt: skip


def joined(pieces: Sequence[Series]) -> Series:
    """The pieces of consecutive segments, one behind the other."""
    first = pieces[0]
    together: dict[str, Any] = {
        kind: _behind_each_other([getattr(piece, kind) for piece in pieces])
        for kind in ("loss", "distance", "gradients", "errors", "radii", "score")
    }
    together["weights"] = {
        name: _behind_each_other([piece.weights[name] for piece in pieces]) for name in first.weights
    }
    return first._replace(**together)


def _behind_each_other(some: Sequence[Curves]) -> Curves:
    """Curves of the same names; of a name that one of them does not have, its steps have none."""
    every = dict.fromkeys(name for curves in some for name in curves.values)

    def of(curves: Curves, name: str) -> Array:
        return curves.values[name] if name in curves.values else np.full(len(curves.steps), np.nan)

    values = {name: np.concatenate([of(curves, name) for curves in some]) for name in every}
    return Curves(tuple(t for curves in some for t in curves.steps), values)


def _losses(e: Experiment, run: Trace, steps: Iterable[int]) -> Array:
    """Of these steps: as the trace has them, or else as the reference computes them from the trace's parameters."""
    if "loss" in run.tensors:
        return np.array([float(run.tensors["loss"][t - run.first]) for t in steps])
    prepared = e.objective.prepare(read_only(e.data))
    return np.array([_loss(e, _parameters(e, run, t - run.first), prepared, t) for t in steps], float)


def _loss(e: Experiment, p: Any, prepared: Any, t: int) -> float:
    sown: dict[str, Any] = {}

    def note(name: str, value: Any, /) -> Any:
        sown[name] = value
        return value

    seen = e.seen(prepared, t)
    e.objective.gradients(p, seen, note)
    return float(sown["loss"] if "loss" in sown else e.objective.loss_of(sown["y"], seen))


def _parameters(e: Experiment, run: Trace, i: int) -> Any:
    return e.parameters_of({name: a[i].copy() for name, a in run.parameters.items()})


def _distances(e: Experiment, judged: Trace, beside: Trace, steps: Iterable[int]) -> dict[str, Array]:
    """Of all parameters after each step, Euclidean, in float64: from those of the other run, and from the start."""
    at, start = [t - judged.first + 1 for t in steps], named(e.parameters)
    apart, way = np.zeros(len(at)), np.zeros(len(at))
    for name, a in judged.parameters.items():
        for k, i in enumerate(at):
            apart[k] += _square(a[i], beside.parameters[name][i])
            way[k] += _square(a[i], start[name])
    return {"distance": np.sqrt(apart), "way from the start": np.sqrt(way)}


def _square(a: Array, b: Array) -> float:
    d = np.subtract(a, b, dtype=np.float64)
    return float(np.vdot(d, d))


def _gradients(e: Experiment, run: Trace, steps: Iterable[int], missing: dict[str, str]) -> dict[str, Array]:
    """Mean |dW| of each weight: of each parameter, where all are vectors."""
    every = names(e.slots, "parameter")
    weights = [name for name in every if len(e.slots[name].shape) > 1] or every
    own = [g for name in weights if (g := gradient_of(e.slots, name)) is not None and g in run.tensors]
    if not own:
        missing["gradients"] = "the trace holds no parameter gradients"
    held = [run.tensors[name] for name in own]
    return {name: np.array([_mean(a[t - run.first]) for t in steps]) for name, a in zip(own, held, strict=True)}


def _mean(a: Array) -> float:
    return float(np.abs(a).mean(dtype=np.float64)) if a.size else 0.0


def _elements(a: Array, first: int, steps: Iterable[int]) -> Curves:
    """A parameter after these steps: each element, or the quantiles of all."""
    rows = [a[t - first + 1].reshape(-1).astype(float) for t in steps]
    if a[0].size <= FEW:
        where = [str(list(map(int, index))) if index else "value" for index in np.ndindex(a[0].shape)]
        return Curves(tuple(steps), {name: np.array([row[k] for row in rows]) for k, name in enumerate(where)})
    some = np.array([np.quantile(row, list(QUANTILES.values())) for row in rows]).reshape(-1, len(QUANTILES))
    return Curves(tuple(steps), {name: some[:, k] for k, name in enumerate(QUANTILES)})


def _errors(
    e: Experiment, trace: Trace, givens: Givens, steps: list[int], *, stacks: bool
) -> tuple[Curves, Curves]:
    """|seen - expected| and the radius at each step's worst element, of every tensor that the trace holds."""
    found: dict[str, dict[int, tuple[float, float]]] = {}
    if steps:
        for part in parts(e, trace, givens, stacks=stacks, steps=steps):
            _look(e, part, found)

    def curves(k: int) -> Curves:
        none = (np.nan, np.nan)
        return Curves(
            tuple(steps), {name: np.array([at.get(t, none)[k] for t in steps], float) for name, at in found.items()}
        )

    return curves(0), curves(1)


def _look(e: Experiment, part: Part, found: dict[str, dict[int, tuple[float, float]]]) -> None:
    """Evaluate the part's equations on the trace's own operands, as the local check does."""
    fmt = format_of(e.dtype)

    def look(name: str, seen: Array, equation: Any) -> Any:
        ball = as_ball(equation, fmt)
        for t, v, c, r in zip(part.steps, seen, ball.value, np.broadcast_to(allowed(ball), ball.shape), strict=True):
            if v.size and v.dtype.kind == "f":
                found.setdefault(name, {})[t] = _worst(np.abs(v - c).reshape(-1), np.asarray(r).reshape(-1))
        return lifted(seen, fmt)

    def plant(name: str, equation: Any) -> Any:
        if name in part.after:
            return look(name, part.after[name], equation)
        planted = look(name, part.tensors[name], equation) if name in part.tensors else equation
        if name == "y" and e.objective.deferred and "loss" in part.tensors:
            look("loss", part.tensors["loss"], loss_of(e, part, planted))
        return planted

    evaluate(e, part, plant)


def _worst(error: Array, radius: Array) -> tuple[float, float]:
    """Both where error / radius is largest; where nothing is off, where the radius is."""
    ratio = np.where(error == 0, 0, error / radius)
    ratio[np.isnan(ratio)] = np.inf
    at = int(ratio.argmax()) if ratio.any() else int(radius.argmax())
    return float(error[at]), float(radius[at])


def _scores(
    e: Experiment, view: View, runs: Mapping[str, Trace], steps: list[int], missing: dict[str, str]
) -> tuple[str, Curves]:
    """R^2, or the share of right classes, on held-out data, after each step."""
    if view.held is None:
        missing["score"] = "the claim names no held-out data"
        return "", Curves()
    classes = np.asarray(view.held.t).dtype.kind in "iu"
    scored = "accuracy" if classes else "R²"

    def score(p: Any, held: Held) -> float:
        y = predict(e.network, p, held.x)
        return float(np.mean(np.argmax(y, axis=-1) == held.t)) if classes else r2(np.asarray(held.t), y)

    try:
        values = {
            side: np.array([score(_parameters(e, run, t - run.first + 1), view.held) for t in steps], float)
            for side, run in runs.items()
        }
    except (TorchMirrorError, InputError) as error:
        missing["score"] = str(error)
        return "", Curves()
    return scored, Curves(tuple(steps), values)
