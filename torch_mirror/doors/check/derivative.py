"""The question of check: is what somebody wrote as a gradient the derivative of what they wrote as a loss.

    def mine(p, x, y):
        net.params = p
        return net.loss(x, y)             # (loss, {name: gradient})

    print(check(mine, net.params, X, y))

The function runs once as it is and once on balls: values with a radius, which say how far rounding may move them.
A recording of the second run gives the derivative of the loss, with a radius too (tape/sweep.py). Where the user's
gradient and the derivative are further apart than both radii, no rounding explains it: the gradient is wrong.
No step size, no tolerance, no torch.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from reference.claim.tree import Tree, named
from reference.errors import InputError
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.number import Number
from torch_mirror.doors.check import nonfinite, quotients
from torch_mirror.doors.check.claimed import (
    Claim,
    claim_of,
    gradient_name,
    kept_as_parameters,
    name_of,
    shared,
    sizes_of,
    spoken,
)
from torch_mirror.doors.check.closer import closer, is_open
from torch_mirror.doors.check.convened import convened, not_all_tried
from torch_mirror.doors.check.elsewhere import elsewhere_of
from torch_mirror.doors.check.leftover import left_over
from torch_mirror.doors.check.own import blinded, own_run
from torch_mirror.doors.check.result import Checked
from torch_mirror.doors.check.runs import (
    Followed,
    NotFollowed,
    Plain,
    as_taken,
    followed,
    plain_run,
    read_again,
    unsteady,
)
from torch_mirror.doors.check.stopped import stopped
from torch_mirror.doors.check.world import World, world_of
from torch_mirror.tape import causes, patterns
from torch_mirror.tape.blame import blame
from torch_mirror.tape.causes import Asked, Elsewhere
from torch_mirror.tape.edits.explain import NOT_FINITE
from torch_mirror.tape.graph import MissingAdjointError, needed
from torch_mirror.tape.scene import Scene, scene_of
from torch_mirror.tape.surrogate import declarations
from torch_mirror.tape.sweep import Derivatives
from torch_mirror.tape.told import Fault, Row
from torch_mirror.tape.zeros import flat_behind, why_zero


def check(
    function: Callable[..., Any] | None = None,
    parameters: Tree = None,
    *arrays: Any,
    loss: Callable[..., Any] | None = None,
    gradients: Callable[..., Any] | None = None,
    data: tuple[Any, ...] = (),
    make: Callable[[], Any] | None = None,
    explain: bool = True,
) -> Checked:
    """Judge hand-written gradients against the derivative of their own loss, at the given numbers.

    function:   (p, *data) -> (loss, gradients); or None, with the two below
    parameters: an array of floats, or a tree of them: dicts, lists, tuples, objects
    arrays:     the data: arrays of any dtype and shape, or whatever else the function takes. data= is the same
    make:       () -> (parameters, *data) of other sizes, best such that no two sizes are equal. It is called where the
                numbers at hand cannot tell the causes of a wrong gradient apart, and not else
    explain:    whether lines and causes are looked for, which takes up to ten and two seconds of the processor where a
                gradient is wrong. False in a property test, whose failures hypothesis tries some hundred times
    loss, gradients: functions (p, *data) -> a number, and -> the gradients, as a tree like the parameters

    Of float32 arrays the formulas are judged in float64, and the numbers in float32. Nothing that is given is
    written to, nor anything else that the function can reach. A gradient that is added to from call to call, or that is
    returned a call too late, is refuted. Raises InputError for what cannot be used, for a function that gives other
    results at a second call in another way, for a loss that is not finite, and what the function raises by itself.
    """
    started = time.perf_counter()
    claim = claim_of(function, parameters, (*arrays, *data), loss=loss, gradients=gradients)
    world = world_of(*claim.roots)
    with np.errstate(all="ignore"):
        plain = plain_run(claim, world)
        found = _judged(claim, world, plain, elsewhere_of(claim, make), causes.BUDGET if explain else causes.NEVER)
    name = name_of(function or loss, "check")
    return Checked(name, *found, loss=float(plain.loss), seconds=time.perf_counter() - started)


class Found(NamedTuple):
    """What is told of the gradients."""

    rows: tuple[Row, ...]
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()


def _judged(
    claim: Claim, world: World, plain: Plain, elsewhere: Callable[[], Elsewhere | str], seconds: float
) -> Found:
    leaves = named(claim.parameters)
    wide = np.result_type(np.float64, *(np.asarray(a).dtype for a in leaves.values()))
    seen = followed(claim, world, wide)
    error = unsteady(claim, world, plain)  # after that: code that has run often is recorded at other instructions
    if error is not None:
        left = None if isinstance(seen, NotFollowed) else left_over(claim, world, wide)
        if left is None:
            raise error
        return Found(left.rows, left.faults, (ONCE,))
    if not np.isfinite(plain.loss) and (isinstance(seen, NotFollowed) or not np.isfinite(seen.loss.value).all()):
        line = "" if isinstance(seen, NotFollowed) else nonfinite.line_of_a_value(seen.loss, seen.leaves)
        came = f"{plain.loss[()]} from {line}" if line else str(plain.loss[()])
        raise InputError("the loss", "a finite number, which has a derivative", came)
    if isinstance(seen, NotFollowed):
        return _by_quotients(claim, world, plain, f"the code cannot be followed on balls{_at(seen)}")
    if why := read_again(claim, world, wide, seen):
        return _by_quotients(claim, world, plain, why)
    own = own_run(claim, world, plain, seen)
    if own.astray:
        return _by_quotients(claim, world, plain, own.astray)
    if not _depends(seen):
        raise InputError(
            "the loss", "to be computed from the parameters that the function is given",
            "one that does not depend on them; a function of an object says net.params = p first",
        )  # fmt: skip
    try:
        found = _derived(claim, as_taken(seen), elsewhere, seconds, own.narrow)
        rows = tuple(blinded(row, own.blind) for row in found.rows)
        return found._replace(rows=rows, notes=(*found.notes, *_declared(seen), *_decisions(seen), *own.notes))
    except MissingAdjointError as error:
        return _by_quotients(claim, world, plain, str(error))


ONCE = "the gradients at hand depend on the call before; mend that first, what else is wrong is looked at then"


def _derived(
    claim: Claim, seen: Followed, elsewhere: Callable[[], Elsewhere | str], seconds: float, narrow: Format | None
) -> Found:
    """seconds: of the processor, for causes. narrow: as in compared.row."""
    order = sorted(claim.names, key=lambda name: _place_in_the_pass(seen, name))
    d, rows, notes, complete = convened(seen, order, narrow)
    spelled = partial(gradient_name, root=claim.root)
    given = {name: g for name, g in seen.gradients.items() if g is not None}
    scene: Scene | None = None
    if any(map(is_open, rows)):
        near = closer(seen, d, dict(zip(order, rows, strict=True)), narrow)
        rows, notes, scene = tuple(near.rows.values()), (*notes, *near.notes), near.scene
    scene = (scene or scene_of(seen.tape, seen.loss, given, seen.leaves, d.side))._replace(root=claim.root)
    if not complete:
        rows = not_all_tried(seen, rows, order)
    wrong = [name for name, row in zip(order, rows, strict=True) if row.word == "WRONG" and name in given]
    faults = blame(scene, wrong, spelled, Asked(sizes_of(claim), partial(spoken, root=claim.root), elsewhere, seconds))
    rows = tuple(_with_reason(seen, name, row, at_a_kink=bool(d.open)) for name, row in zip(order, rows, strict=True))
    notes = (*notes, *_untold(wrong, faults, spelled), *_no_parameters(claim, given), *_shared(claim))
    said = _undeclared(seen, d, wrong, faults) or (_stopped(scene, wrong, faults) if seconds != causes.NEVER else ())
    return Found(rows, faults, (*notes, *said))


def _depends(seen: Followed) -> bool:
    """Whether the loss is made of a parameter, be it through np.sign."""
    made = {x.node.number for x in needed([seen.loss])} if seen.loss.node is not None else set()
    return any(x.node is not None and x.node.number in made for x in seen.leaves.values())


def _with_reason(seen: Followed, name: str, row: Row, *, at_a_kink: bool) -> Row:
    """A row that is wrong where the derivative is 0 says why it is."""
    if row.word != "WRONG" or row.pattern != patterns.NOTHING:
        return row
    return row._replace(pattern=f"{row.pattern}: {why_zero(seen.loss, seen.leaves[name], at_a_kink=at_a_kink)}")


def _undeclared(seen: Followed, d: Derivatives, wrong: list[str], faults: tuple[Fault, ...]) -> tuple[str, ...]:
    """The way out for a gradient that is not meant to be the derivative: straight-through, or reversed."""
    flat = [name for name in wrong if flat_behind(seen.loss, seen.leaves[name])]
    meant = [name for fault in faults for name in wrong if gradient_name(name, seen.root) == fault.gradients[0]
             and _may_be_meant(fault, seen.gradients[name], d.by(Ball(seen.leaves[name])).settled())]  # fmt: skip
    names = ", ".join(gradient_name(name, seen.root) for name in dict.fromkeys((*flat, *meant)))
    what = "straight-through, a gradient that is stopped or reversed"
    said = f"{names}: not the derivative of this forward; if that is meant ({what}), declare it: {DECLARED}"
    return (said,) if names else ()


def _stopped(scene: Scene, wrong: list[str], faults: tuple[Fault, ...]) -> tuple[str, ...]:
    """The way out where all gradients are right but for one value that they take for a constant."""
    if not all(not fault.causes or fault.causes[0].startswith("term ") for fault in faults):
        return ()  # what is left out where a gradient is stopped is a term
    where = stopped(scene, wrong, unnamed=len(faults) > 1)
    names = ", ".join(gradient_name(name, scene.root) for name in wrong)
    way = f"if that is meant, declare it: {DECLARED}(value, 0)"
    return (f"{names}: right if no gradient goes through {where}; {way}",) if where else ()


DECLARED = "torch_mirror.surrogate"


def _may_be_meant(fault: Fault, own: Number | None, due: Number) -> bool:
    """What is everywhere of the derivative's sign, and no edit explains; or of the other, and the sign is the cause.

    Never a NaN, nor what has a cause of another kind: a term that was left out may be a gradient that is stopped, and
    is a mistake more often.
    """
    if own is None or own.shape != due.shape or NOT_FINITE in fault.why or fault.why == causes.NOT_ASKED:
        return False
    signs = own.value * due.value
    turned = any("a factor -1 " in cause for cause in fault.causes)
    if not signs.any() or (fault.causes and not turned):
        return False
    return bool((signs <= 0).all() if turned else (signs >= 0).all())


def _shared(claim: Claim) -> tuple[str, ...]:
    pairs = shared(claim.parameters)
    told = f"{', '.join(pairs)} share memory: looked at as if they did not, each by its own share of the derivative"
    return (told,) if pairs else ()


def _no_parameters(claim: Claim, given: dict[str, Any]) -> tuple[str, ...]:
    """What an object that was handed in as parameters keeps beside them."""
    kept = [name for name in kept_as_parameters(claim.names) if name not in given]
    own = ", ".join(f'"{name}": net.{name}' for name in claim.names if name not in kept)
    way = f"hand in the parameters alone, {{{own}}}, and set them in the function"
    return (f"{', '.join(kept)}: kept by the object for gradients, and no parameter; {way}",) if kept else ()


def _untold(wrong: list[str], faults: tuple[Fault, ...], spelled: Callable[[str], str]) -> tuple[str, ...]:
    """What is wrong and belongs to no fault that is told: there are too many, or radii are too large for blame."""
    told = {name for fault in faults for name in fault.gradients}
    left = [name for name in map(spelled, wrong) if name not in told]
    if not left:
        return ()
    which = "it follows" if len(left) == 1 else "they follow"
    return (f"{', '.join(left)}: wrong, and it could not be told from what {which}; mend the others and check again",)


def _decisions(seen: Followed) -> tuple[str, ...]:
    """What Python decided by values, and might have decided otherwise: an ``if``, an index by a mask, an argmax."""
    taken = {f"{t.what} at {t.place}" if t.place else t.what: t.open for t in seen.tape.taken}
    shown = ", ".join(list(taken)[:3]) + (" and others" if len(taken) > 3 else "")
    return (f"followed as your run took it, though another way is within the radius: {shown}",) if taken else ()


def _declared(seen: Followed) -> tuple[str, ...]:
    """Where the forward declares a derivative, which is then not that of the loss as it is."""
    places = [x.node.place for x in needed([seen.loss]) if x.node is not None and x.node.operation == "surrogate"]
    where = ", ".join(dict.fromkeys(str(place) for place in places if place is not None))
    return (f"declared by you: the derivative that surrogate has{f' at {where}' if where else ''}",) if places else ()


def _place_in_the_pass(seen: Followed, name: str) -> int:
    g = seen.gradients[name]
    return g.node.number if g is not None and g.node is not None else len(seen.tape.values)


# --- where it cannot be followed --------------------------------------------------------------------------------------


def _by_quotients(claim: Claim, world: World, plain: Plain, why: str) -> Found:
    with declarations() as declared:
        rows = quotients.rows(claim, world, plain)
    if declared():
        unknown = "the forward declares a derivative (surrogate), of which difference quotients know nothing"
        return Found(tuple(Row(row.name, "undecided", row.size, why=unknown) for row in rows), notes=(why,))
    return Found(rows, notes=(why, "so it was looked at by difference quotients alone"))


def _at(seen: NotFollowed) -> str:
    place = "" if seen.line is None else f" at {seen.line.place} {seen.line.source}"
    return f"{place}: {seen.why}"
