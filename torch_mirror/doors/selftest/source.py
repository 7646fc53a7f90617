"""Faults in the source: one expression of the user's backward pass is another one, for one trial.

Which lines are the backward pass is read off a recording: those of which nothing is made that the loss is made of. The
function that a line belongs to gets the code of the edited file, and its own again afterwards; nothing is imported or
run twice, and whatever else the file does at its start is not done again.
"""

import gc
import linecache
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import numpy as np

from reference.claim.experiment import Experiment
from reference.errors import InputError, TorchMirrorError
from torch_mirror.balls.format import format_of
from torch_mirror.balls.number import Number
from torch_mirror.doors.check import quotients
from torch_mirror.doors.check.claimed import Claim, claim_of
from torch_mirror.doors.check.derivative import check
from torch_mirror.doors.check.runs import Followed, Plain, followed, plain_run
from torch_mirror.doors.check.world import World, world_of
from torch_mirror.doors.selftest.backward import Point, Using, moved, named_of
from torch_mirror.doors.selftest.edits import Edit, edits_of
from torch_mirror.doors.selftest.graded import in_short
from torch_mirror.doors.selftest.told import Trial
from torch_mirror.doors.verify import verify
from torch_mirror.judge.verdict import NOT_ITS_OWN
from torch_mirror.tape.graph import needed

MOST = 24
"""Edits that are planted in one network, of as many kinds as its lines allow."""


class Planted(NamedTuple):
    """An edit, and the function whose code it is."""

    edit: Edit
    home: Any  # a FunctionType
    code: CodeType


class Right(NamedTuple):
    """What the network gives as it is: loss and gradients as balls, and the lines of its backward pass by file."""

    loss: Number
    gradients: Mapping[str, Number]
    lines: Mapping[str, frozenset[int]]


def right_of(function: Callable[..., Any], at: Point) -> Right | None:
    """None where the code cannot be followed on balls."""
    claim = claim_of(function, at.parameters, at.data)
    with np.errstate(all="ignore"):
        seen = followed(claim, world_of(*claim.roots), np.float64)
    if not isinstance(seen, Followed):
        return None
    forward = {x.node.number for x in needed([seen.loss])}  # with its masks, which a backward pass may take from it
    of_loss: dict[str, set[int]] = {}
    others: dict[str, set[int]] = {}
    for x in seen.tape.values:
        if x.node is not None and x.node.place is not None:
            lines = of_loss if x.node.number in forward else others
            lines.setdefault(x.node.place.file, set()).add(x.node.place.line)
    gradients = {name: g for name, g in seen.gradients.items() if g is not None}
    only = {file: frozenset(found - of_loss.get(file, set())) for file, found in others.items()}
    return Right(seen.loss, gradients, only)


def planted_in(lines: Mapping[str, frozenset[int]]) -> Iterator[Planted]:
    """The edits of these lines, file by file in turn."""
    for file, wanted in lines.items():
        source = "".join(linecache.getlines(file))
        if not source or not wanted:
            continue
        homes = _functions(file)
        for edit in edits_of(source, wanted):
            try:
                module = compile(edit.tree, file, "exec")
            except (SyntaxError, ValueError, TypeError):
                continue
            for home in homes:
                code = home.__code__
                inside = code.co_firstlineno <= edit.line <= max(n for _, _, n in code.co_lines() if n)
                other = _same(module, code) if inside else None
                if other is not None and other.co_freevars == code.co_freevars:
                    yield Planted(edit, home, other)
                    break


def _functions(file: str) -> list[FunctionType]:
    """The functions of a file that are alive, the innermost first."""
    alive = [f for f in gc.get_objects() if type(f) is FunctionType]  # isinstance would ask other objects for a class
    found = [f for f in alive if f.__code__.co_filename == file]
    return sorted(found, key=lambda f: -f.__code__.co_firstlineno)


def _same(module: CodeType, code: CodeType) -> CodeType | None:
    """The code of the same function in an edited module."""
    todo = [module]
    while todo:
        here = todo.pop()
        if here.co_qualname == code.co_qualname and here.co_firstlineno == code.co_firstlineno:
            return here
        todo += [c for c in here.co_consts if isinstance(c, CodeType)]
    return None


@contextmanager
def edited(planted: Planted) -> Iterator[None]:
    """Within it the function is the edited one, for everybody who calls it."""
    own = planted.home.__code__
    planted.home.__code__ = planted.code
    try:
        yield
    finally:
        planted.home.__code__ = own


def trials(
    of: Mapping[str, Point], function: Callable[[str], Callable[..., Any]],
    claims: Mapping[str, Experiment], using: Using | None,
) -> Iterator[Trial]:  # fmt: skip
    """Edits of the backward pass, in each dtype.

    of: where it is looked at, by dtype; function: what check takes, by dtype; claims: the experiments, if these are
    some; using: makes their mirror
    """
    first = next(iter(of))
    right = right_of(function(first), of[first])
    if right is None:
        return
    planted_edits = 0
    for planted in planted_in(right.lines):
        if planted_edits == MOST:
            break
        rows = [_trial(planted, right, dtype, of[dtype], function(dtype), claims.get(dtype), using) for dtype in of]
        if all(row is None for row in rows):
            continue
        planted_edits += 1
        yield from (row for row in rows if row is not None)


def _trial(
    planted: Planted, right: Right, dtype: str, at: Point, function: Callable[..., Any], e: Experiment | None,
    using: Using | None,
) -> Trial | None:  # fmt: skip
    """None for what does not run, or is no gradient of that shape: nobody would need a tool for it."""
    started = time.perf_counter()
    edit = planted.edit
    file = planted.code.co_filename.rsplit("/", 1)[-1]
    row = Trial("line", edit.words, "numpy", dtype, f"{file}:{edit.line}", changes=False)
    with edited(planted), np.errstate(all="ignore"):
        try:
            claim = claim_of(function, at.parameters, at.data)
            world = world_of(*claim.roots)
            plain = plain_run(claim, world)
            own = plain.gradients
            if any(own[name] is None or np.shape(own[name]) != g.shape for name, g in right.gradients.items()):
                return None
        except Exception:  # noqa: BLE001 - whatever an edited program raises
            return None
        if not _changes(right.gradients, own, dtype):
            return row._replace(seconds=time.perf_counter() - started)
        if _changes({"": right.loss}, {"": plain.loss}, dtype) and _is_right(claim, world, plain):
            return row._replace(said=SHARED, seconds=time.perf_counter() - started)
        try:
            c = check(function, at.parameters, *at.data)
        except TorchMirrorError as error:
            return row._replace(changes=True, said=f"refused: {error}")
        named = named_of(c, lambda: check(function, moved(at).parameters, *at.data).causes)
        lines = [line for fault in c.faults for line in fault.wrong]
        told = any(line.file == planted.code.co_filename and line.number in edit.lines for line in lines)
        said = ""
        if e is not None and using is not None:
            said = _side(e, using)
    return row._replace(
        changes=True, refuted=c.verdict == "refuted", located=told,
        right_side=c.verdict == "refuted" and said in ("", NOT_ITS_OWN), named=named,
        where=", ".join(dict.fromkeys(line.place for line in lines[:3])), said=said, cause=in_short(c.causes),
        seconds=time.perf_counter() - started,
    )  # fmt: skip


def _side(e: Experiment, using: Using) -> str:
    """What is said of the side by verify, to which the experiment is new: its code is another one now."""
    try:
        ruling = verify(replace(e), using=using, explain=False).ruling
    except InputError:
        return ""  # what the edited code hands on is refused before anything is trained
    return "" if ruling is None else ruling.verdict


SHARED = "no fault: it changes the forward pass as well, whose derivative the gradient is"
"""Of what both passes share without a recording that tells it, as a mask that is made into a list of Python."""


def _is_right(claim: Claim, world: World, plain: Plain) -> bool:
    """Whether difference quotients of the edited loss agree; ``check``, which is on trial, is not asked."""
    return all(row.word == "consistent" for row in quotients.rows(claim, world, plain))


def _changes(right: Mapping[str, Number], own: Mapping[str, Any], dtype: str) -> bool:
    """Whether a result is another one by more than the dtype may have rounded either."""
    share = 2 * format_of(np.dtype(dtype)).u / format_of(np.dtype(np.float64)).u
    return any(
        bool((~(np.abs(np.asarray(own[name], np.float64) - g.value) <= share * np.asarray(g.radius))).any())
        for name, g in right.items()
    )
