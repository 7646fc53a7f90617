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
from typing import Any, NamedTuple

import numpy as np

from reference.claim.tree import Tree, named
from reference.errors import InputError
from torch_mirror.doors.check import quotients
from torch_mirror.doors.check.claimed import Claim, claim_of, gradient_name, sizes_of
from torch_mirror.doors.check.closer import closer
from torch_mirror.doors.check.own import own_run
from torch_mirror.doors.check.result import Checked
from torch_mirror.doors.check.runs import Followed, NotFollowed, Plain, as_taken, followed, plain_run, read_again
from torch_mirror.doors.check.world import World, world_of
from torch_mirror.tape import compared
from torch_mirror.tape.blame import blame
from torch_mirror.tape.conventions import Misfit, fitting, undecidable
from torch_mirror.tape.graph import MissingAdjointError
from torch_mirror.tape.scene import scene_of
from torch_mirror.tape.sweep import Derivatives
from torch_mirror.tape.told import Fault, Row


def check(
    function: Callable[..., Any] | None = None,
    parameters: Tree = None,
    *arrays: Any,
    loss: Callable[..., Any] | None = None,
    gradients: Callable[..., Any] | None = None,
    data: tuple[Any, ...] = (),
) -> Checked:
    """Judge hand-written gradients against the derivative of their own loss, at the given numbers.

    function:   (p, *data) -> (loss, gradients); or None, with the two below
    parameters: an array of floats, or a tree of them: dicts, lists, tuples, objects
    arrays:     the data: arrays of any dtype and shape, or whatever else the function takes. data= is the same
    loss, gradients: functions (p, *data) -> a number, and -> the gradients, as a tree like the parameters

    Of float32 arrays the formulas are judged in float64, and the numbers in float32. Nothing that is given is
    written to, nor anything else that the function can reach. Raises InputError for what cannot be used, and what
    the function raises by itself.
    """
    started = time.perf_counter()
    claim = claim_of(function, parameters, (*arrays, *data), loss=loss, gradients=gradients)
    world = world_of(*claim.roots)
    with np.errstate(all="ignore"):
        plain = plain_run(claim, world)
        found = _judged(claim, world, plain)
    name = getattr(function or loss, "__name__", "check")
    return Checked(name, *found, loss=float(plain.loss), seconds=time.perf_counter() - started)


class Found(NamedTuple):
    """What is told of the gradients."""

    rows: tuple[Row, ...]
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()


def _judged(claim: Claim, world: World, plain: Plain) -> Found:
    leaves = named(claim.parameters)
    wide = np.result_type(np.float64, *(np.asarray(a).dtype for a in leaves.values()))
    seen = followed(claim, world, wide)
    if isinstance(seen, NotFollowed):
        return _by_quotients(claim, world, plain, f"the code cannot be followed on balls{_at(seen)}")
    if why := read_again(claim, world, wide, seen):
        return _by_quotients(claim, world, plain, why)
    own = own_run(claim, world, plain, seen)
    if own.astray:
        return _by_quotients(claim, world, plain, own.astray)
    if seen.loss.node is None or not seen.loss.node.active:
        raise InputError(
            "the loss", "to be computed from the parameters that the function is given",
            "one that does not depend on them; a function of an object says net.params = p first",
        )  # fmt: skip
    try:
        found = _derived(claim, as_taken(seen))
        rows = tuple(_blinded(row, own.blind) for row in found.rows)
        return found._replace(rows=rows, notes=(*found.notes, *_decisions(seen), *own.notes))
    except MissingAdjointError as error:
        return _by_quotients(claim, world, plain, str(error))


def _blinded(row: Row, why: str) -> Row:
    """A row that is ok of the formula says nothing of a run that is not what the formula says."""
    return row._replace(word="undecided", why=why) if why and row.word == "ok" else row


def _derived(claim: Claim, seen: Followed) -> Found:
    order = sorted(claim.names, key=lambda name: _place_in_the_pass(seen, name))
    d, rows, notes, complete = _convened(seen, order)
    given = {name: g for name, g in seen.gradients.items() if g is not None}
    if any(row.word == "undecided" for row in rows):
        near = closer(seen, d, dict(zip(order, rows, strict=True)))
        rows, notes, scene = tuple(near.rows.values()), (*notes, *near.notes), near.scene
    else:
        scene = scene_of(seen.tape, seen.loss, given, seen.leaves, d.side)
    if not complete:
        rows = _not_all_tried(seen, rows, order)
    wrong = [name for name, row in zip(order, rows, strict=True) if row.word == "WRONG" and name in given]
    faults = blame(scene, wrong, gradient_name, sizes_of(claim))
    return Found(rows, faults, (*notes, *_untold(wrong, faults)))


def _untold(wrong: list[str], faults: tuple[Fault, ...]) -> tuple[str, ...]:
    """What is wrong and belongs to no fault that is told: there are too many, or radii are too large for blame."""
    told = {name for fault in faults for name in fault.gradients}
    left = [name for name in map(gradient_name, wrong) if name not in told]
    if not left:
        return ()
    which = "it follows" if len(left) == 1 else "they follow"
    return (f"{', '.join(left)}: wrong, and it could not be told from what {which}; mend the others and check again",)


def _rows(seen: Followed, d: Derivatives, order: list[str]) -> tuple[Row, ...]:
    rows = []
    for name in order:
        leaf = seen.leaves[name]
        rows.append(compared.row(gradient_name(name), seen.gradients[name], d.by(leaf).settled(), {name: leaf.value}))
    return tuple(rows)


CONVENTIONS = 27
"""Sweeps: all conventions of three operations whose two sides meet; of more some are tried (conventions.py)."""


def _convened(seen: Followed, order: list[str]) -> tuple[Derivatives, tuple[Row, ...], tuple[str, ...], bool]:
    """The derivative and what is found beside it, in the convention that fits most gradients of the user's.

    At last whether it fits, or all conventions were tried.
    """
    fitted = fitting(seen.loss, lambda d: _misfit(seen, d), CONVENTIONS)
    d = fitted.derivatives
    rows = _rows(seen, d, order)
    if not d.open:
        return d, rows, (), True
    where = ", ".join(dict.fromkeys(str(o.place) for o in d.open if o.place is not None))
    elements = sum(o.open + o.ties for o in d.open)
    noun = "one element" if elements == 1 else f"{elements:,} elements"
    told = f"two sides of a kink meet at {noun} ({where}); the derivative of either side is taken there"
    return d, rows, (told,), fitted.complete


def _misfit(seen: Followed, d: Derivatives) -> Misfit:
    """How many gradients are wrong under a convention, and the sum of what is, relative to the largest of each."""
    wrong, total = 0, 0.0
    for name, g in seen.gradients.items():
        by = d.by(seen.leaves[name]).settled()
        if g is None or g.shape != by.shape:
            continue
        pair = compared.both(g, by)
        outside = pair.wrong
        if outside.any():
            off = np.abs(pair.seen - pair.expected)[outside]
            wrong += 1
            total += float(np.where(np.isfinite(off), off, 1).sum() / max(np.nanmax(np.abs(pair.seen)), 1e-300))
    return wrong, total


def _not_all_tried(seen: Followed, rows: tuple[Row, ...], order: list[str]) -> tuple[Row, ...]:
    """The rows where not every convention was tried: what is wrong under the best may be right under another."""
    if not any(row.word == "WRONG" for row in rows):
        return rows
    every = undecidable(seen.loss)
    sure = {} if every is None else dict(zip(order, _rows(seen, every, order), strict=True))
    why = f"it fits none of the conventions that were tried at kinks, and there are more than {CONVENTIONS}"
    return tuple(
        row._replace(word="undecided", why=f"{why}; other numbers, at which fewer sides meet, would tell")
        if row.word == "WRONG" and (name not in sure or sure[name].word != "WRONG") else row
        for name, row in zip(order, rows, strict=True)
    )  # fmt: skip


def _decisions(seen: Followed) -> tuple[str, ...]:
    """What Python decided by values, and might have decided otherwise: an ``if``, an index by a mask, an argmax."""
    taken = {f"{t.what} at {t.place}" if t.place else t.what: t.open for t in seen.tape.taken}
    shown = ", ".join(list(taken)[:3]) + (" and others" if len(taken) > 3 else "")
    return (f"followed as your run took it, though another way is within the radius: {shown}",) if taken else ()


def _place_in_the_pass(seen: Followed, name: str) -> int:
    g = seen.gradients[name]
    return g.node.number if g is not None and g.node is not None else len(seen.tape.values)


# --- where it cannot be followed --------------------------------------------------------------------------------------


def _by_quotients(claim: Claim, world: World, plain: Plain, why: str) -> Found:
    rows = quotients.rows(claim, world, plain)
    return Found(rows, notes=(why, "so it was looked at by difference quotients alone"))


def _at(seen: NotFollowed) -> str:
    place = "" if seen.line is None else f" at {seen.line.place} {seen.line.source}"
    return f"{place}: {seen.why}"
