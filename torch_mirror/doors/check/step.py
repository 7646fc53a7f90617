"""check_step: an optimizer written by hand against one that is known to be right, over some steps.

    def update(p, g):                     # in place, or it returns the next p; with state and t behind, if it has them
        for name in p:
            velocity[name] = 0.9 * velocity[name] + g[name]
            p[name] -= 0.1 * velocity[name]

    check_step(update, reference.SGD(0.1, momentum=0.9), p, g)

Both run on balls from the same numbers, in float64 or wider, each on its own parameters and state; so a state that the
user's optimizer hides in an object or in its module goes along. The gradients of each step are the given ones times
numbers that are drawn, so that a step that only forgets what was before is seen. At the first step at which the two
parameters do not meet within their radii the user's update is another formula, and no rounding explains it.

The user's own steps are made as well, on arrays of their own dtype, from the same gradients: what they give has to be
what the balls say (own.py), or nothing is certified of them.

How finely an element is judged is told by how far the steps have moved it: of a parameter of 1e17, which no step of
0.1 moves in float64, nothing is known.
"""

import time
from collections.abc import Callable, Mapping
from numbers import Integral
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import keep
from reference.claim.tree import Tree, named, zip_with
from reference.claim.update import Own, checked_optimizer
from reference.errors import InputError
from reference.optimizers.adagrad import Adagrad
from reference.optimizers.adam import Adam, AdamW
from reference.optimizers.rmsprop import RMSprop
from reference.optimizers.sgd import SGD
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number
from torch_mirror.doors.check.claimed import copies, spoken
from torch_mirror.doors.check.own import blinded
from torch_mirror.doors.check.result import Checked
from torch_mirror.doors.check.running_mean import narrowing
from torch_mirror.doors.check.runs import line_of
from torch_mirror.doors.check.step_causes import First, faults_of, unsought
from torch_mirror.doors.check.step_own import Made, as_the_right_one, own_steps, plain_steps, steps_on_balls
from torch_mirror.doors.check.step_whole import Run
from torch_mirror.doors.check.untouched import untouched
from torch_mirror.doors.check.world import world_of
from torch_mirror.tape import compared
from torch_mirror.tape.edits.explain_updates import Later
from torch_mirror.tape.told import Fault, Row


def check_step(
    update: Any,
    optimizer: Any,
    parameters: Tree,
    gradients: Tree,
    steps: int = 20,
    *,
    start: Callable[[Tree], Tree] | None = None,
    states: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Checked:
    """Judge the update of an optimizer written by hand.

    update:     a function (p, gradients), (p, gradients, state) or (p, gradients, state, t), as reference.Own takes it
    optimizer:  one of reference.SGD, Adam, AdamW, RMSprop, Adagrad or of their protocol; or torch.optim's own of these
                names, of which the class and the options are taken; no class derived from one
    parameters, gradients: trees of the same form; start: the user's state before the first step, from p
    states:     which tree of the user's state is which of the optimizer's: {"m": "first_moment"}; compared as well

    Raises InputError for what cannot be used, and what the update raises by itself.
    """
    started = time.perf_counter()
    theirs, ours = Own(update, start).checked(steps), checked_optimizer(known(optimizer), steps)
    leaves = {name: np.asarray(a) for name, a in named(parameters).items()}
    wide = np.result_type(np.float64, *(a.dtype for a in leaves.values()))
    _check_given(parameters, gradients, steps)
    drawn = _drawn(gradients, steps, seed)
    world = world_of(update, start, parameters, gradients)

    with untouched(world):  # as it is: whatever is wrong with it is the user's own
        theirs.step(copies(parameters), copies(gradients), theirs.init(parameters), 0)
    plain = plain_steps(theirs, world, parameters, drawn)
    try:
        yours = steps_on_balls(theirs, world, parameters, drawn, wide)
    except TypeError as error:
        line = line_of(error)
        where = f" at {line.place} {line.source}" if line else ""
        raise InputError("update", "code that can be followed on balls", f"{error}{where}") from error
    own = own_steps(theirs, world, parameters, drawn, plain, yours)

    def ball(a: Any) -> Ball:
        return Ball(np.array(a, wide))

    with np.errstate(all="ignore"):
        rows, first, right = _compared(
            yours, ours, copies(parameters, ball), [copies(g, ball) for g in drawn], states or {}, own.narrow
        )
    if own.astray and as_the_right_one(plain, right):  # whatever the balls say of another run
        rows, first = {name: row._replace(word="ok") for name, row in rows.items()}, None
    unsure = own.astray or own.blind
    rows = {name: blinded(row, unsure) for name, row in rows.items()}
    name = getattr(update, "__qualname__", "update")
    what = f"what {_called(ours)} makes in {steps} steps"
    faults: tuple[Fault, ...] = ()
    if first is not None:
        given = [copies(g, ball) for g in drawn]
        run = Run(copies(parameters, ball), given, [made.p for made in yours], right)
        faults = faults_of(ours, first, run)
    notes = own.notes if not own.astray or first is None else (own.astray,)
    notes = notes if first is None else (*notes, *unsought(ours))
    return Checked(name, tuple(rows.values()), faults, notes, seconds=time.perf_counter() - started, what=what)


def known(optimizer: Any) -> Any:
    """An optimizer of the protocol: itself, or that of the class and the options of torch's own.

    Its options are those of its one parameter group, in which a scheduler changes them. Raises InputError for groups
    whose options differ, for options that reference does not have, and for another optimizer in torch: its step takes
    no balls.
    """
    kinds: dict[str, Any] = {"SGD": SGD, "Adam": Adam, "AdamW": AdamW, "RMSprop": RMSprop, "Adagrad": Adagrad}
    kind = type(optimizer)
    if isinstance(optimizer, FunctionType):
        raise InputError(
            "optimizer",
            "one that is made: reference.SGD(0.1) and kin, or torch's, torch.optim.SGD(parameters, lr=0.1)",
            f"a function, {optimizer.__name__}: hand in what it returns, made with any parameters of torch's",
        )  # fmt: skip
    own = kind.__module__.startswith("torch.optim.") and kind.__name__ in kinds
    if not own and _of_torch(kind) and not hasattr(optimizer, "init"):
        raise InputError(
            "optimizer",
            f"an object with init() and step(), or torch's {', '.join(kinds)}, each of which has a like in reference",
            f"{kind.__name__}, whose step is code of torch that cannot be followed on balls: write the right update in "
            "NumPy, and hand in reference.Own(update, start); or let verify train by both, with that optimizer in "
            "session",
        )  # fmt: skip
    if not own:
        return optimizer
    options, *others = [_options(group) for group in optimizer.param_groups]
    what = f"torch.optim.{kind.__name__}"
    for other in others:
        differ = [name for name in options if options[name] != other[name]]
        if differ:
            expected = "the same options in all parameter groups; or reference.Groups, which says whose is which"
            raise InputError(what, expected, f"{', '.join(differ)} that differ")
    decoupled = options.pop("decoupled_weight_decay", False)
    ours = AdamW if decoupled else kinds[kind.__name__]
    try:
        return ours(**options)
    except TypeError as error:
        raise InputError(what, "options that reference has too", error) from None


def _of_torch(kind: type) -> bool:
    """Whether it is a class of torch's optimizers, or derived from one; torch is not imported for it."""
    return any(base.__module__.startswith("torch.optim.") for base in kind.__mro__)


def _called(optimizer: Any) -> str:
    if hasattr(optimizer, "optimizer"):
        return "the optimizer"
    return "AdamW" if getattr(optimizer, "decoupled", False) else type(optimizer).__name__


_SILENT = {"params", "initial_lr", "foreach", "fused", "capturable", "differentiable"}
"""Of a parameter group: what changes no number."""


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers may be tensors."""
    given = {name: value for name, value in group.items() if name not in _SILENT}
    return {name: value.item() if hasattr(value, "item") else value for name, value in given.items()}


def _cancelled(optimizer: Any) -> float:
    """What 1 - beta may be off, relative to it, where one side takes the difference and the other has the literal."""
    options = optimizer if isinstance(optimizer, tuple) else ()
    numbers = [x for option in options for x in (option if isinstance(option, tuple) else (option,))]
    unit = float(np.finfo(np.float64).eps) / 2
    return max((unit / (1 - x) for x in numbers if isinstance(x, float) and 0 < x < 1), default=0.0)


def _check_given(parameters: Tree, gradients: Tree, steps: Any) -> None:
    """Raise InputError for no parameters, no steps, and a gradient that is not of its parameter's shape."""
    given = named(gradients)
    if not named(parameters):
        raise InputError("parameters", "an array, or a tree of arrays", f"{type(parameters).__name__} without one")
    if not isinstance(steps, Integral) or steps < 1:
        raise InputError("steps", "a whole number from 1 on", repr(steps))
    for name, a in named(parameters).items():
        if (dtype := np.asarray(a).dtype).kind != "f":
            raise InputError(f"parameter {name}", "an array of floats", f"one of {dtype}")
        if name not in given:
            raise InputError("gradients", f"one of {name}", ", ".join(given) or "none")
        if np.shape(given[name]) != np.shape(a):
            raise InputError(f"gradient of {name}", f"shape {np.shape(a)}", np.shape(given[name]))


def _drawn(gradients: Tree, steps: int, seed: int) -> list[Tree]:
    """The gradients of each step: the given ones times numbers of a normal distribution, in their own dtype."""
    draw = np.random.default_rng(seed)

    def one(_: str, a: Any) -> Any:
        array = np.asarray(a)
        array = array if array.dtype.kind == "f" else array.astype(np.float64)
        return np.asarray(array * draw.standard_normal(array.shape)).astype(array.dtype)

    return [zip_with(one, gradients) for _ in range(steps)]


class Compared(NamedTuple):
    """rows: of each parameter and each state that is compared what the first wrong step shows; else the last one.

    right: the parameters that the right optimizer makes, of each step
    """

    rows: dict[str, Row]
    first: First | None
    right: list[Tree]


def _compared(
    made: list[Made], ours: Any, p: Tree, drawn: list[Tree], states: Mapping[str, str], narrow: Format | None
) -> Compared:
    rows: dict[str, Row] = {}
    first: First | None = None
    right: list[Tree] = []
    beginning = named(p)
    mine, my_state = p, ours.init(p)
    for t, (g, yours) in enumerate(zip(drawn, made, strict=True)):
        before, state = mine, my_state
        sow = narrowing(ours, mine, g, my_state)  # an optimizer of the protocol need not take one
        mine, my_state = ours.step(mine, g, my_state, t, *(() if sow is keep else (sow,)))
        right.append(mine)
        pairs = {name: (x, named(yours.p)[name], named(before)[name]) for name, x in named(mine).items()}
        for name, own in states.items():
            pairs |= _states(name, own, my_state, yours.state)
        for name, (x, y, start) in pairs.items():
            if rows.get(name) is None or rows[name].word != "WRONG":
                row = _row(name, x.settled(), _settled(y), start, t)
                if row.word == "ok" and name in beginning:
                    row = _by_the_way(row, x, y, beginning[name])
                if row.word == "WRONG" and name in beginning:
                    way = compared.both(*((Ball(_settled(a)) - beginning[name]).settled() for a in (y, x)))
                    row = compared.unless_constants(row, way, narrow, 2 * _cancelled(ours))
                rows[name] = row
        seen = {name: _settled(y) for name, (_, y, _) in pairs.items()}
        if first is not None:
            first = first._replace(later=(*first.later, Later(g, seen)))
        elif first is None and any(row.word == "WRONG" for row in rows.values()):
            nothing = zip_with(lambda _, a: np.zeros_like(a), g)
            first = First(t, before, g, state, drawn[t - 1] if t else nothing, seen)
    if all(row.word == "ok" and row.resolution is None for row in rows.values()):
        rows = {name: row._replace(word="undecided") for name, row in rows.items()}
    return Compared(rows, first, right)


def _states(state: str, own: str, mine: Tree, yours: Tree) -> dict[str, tuple[Any, Any, Any]]:
    """The tensors of a state on both sides. Raises InputError where one is missing."""
    found = {}
    for name, x in named(mine[state]).items():
        other = named(yours).get(f"{own}.{name}")
        if other is None:
            raise InputError(f"state {own}.{name} after the update", "a tensor", ", ".join(named(yours)) or "none")
        found[f"{state}.{name}"] = (x, other, None)
    return found


def _settled(x: Any) -> Number:
    return x.settled() if hasattr(x, "settled") else Number(np.asarray(x, np.float64))


def _row(name: str, x: Number, y: Number, start: Any, t: int) -> Row:
    """Of a parameter the pattern is that of the change in this step."""
    row = compared.row(spoken(name), y, x)
    if row.word != "WRONG":
        return row
    if start is not None and x.shape == y.shape:
        change = compared.row(name, (Ball(y) - start).settled(), (Ball(x) - start).settled())
        said = change.pattern.replace("yours / derivative", "your change / the right one")
        row = row._replace(pattern=said or row.pattern)
    said = row.pattern.replace("the derivative", "the right one").replace("derivative", "the right one")
    return row._replace(pattern=f"from step {t + 1} on: {said}")


def _by_the_way(row: Row, x: Any, y: Any, beginning: Any) -> Row:
    """A row that is ok, as finely as the whole way from the beginning is known."""
    pair = compared.both(*((Ball(_settled(a)) - beginning).settled() for a in (y, x)))
    way = compared.of(row.name, pair)
    why = way.why if way.resolution is not None else "nothing has moved it: it could not have failed"
    return way._replace(why=why, worst=row.worst, index=row.index, seen=row.seen, expected=row.expected)
