"""One turn of a loop that trains: the lines that its loss and its gradients are made of, in the order of the code.

The update of a parameter is none of them, for whoever asks whether the gradients are right. There are two exceptions,
which decide whether they are right:

    W2 -= lr * dW2; dz1 = dz2 @ W2.T      a gradient reads W2 before its update and after it: the update stays
    dW += x.T @ dy                        dW is never set back to 0: it starts from what the turns before have left
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from torch_mirror.doors.starting.effects import (
    Setting,
    changed,
    handed_on,
    in_step,
    keyed,
    loaded,
    read,
    read_outside,
    roots,
    setting_of,
)
from torch_mirror.doors.starting.products import INSIDE
from torch_mirror.doors.starting.source import Function, assigned


class Step(NamedTuple):
    """What is asked of a turn.

    before, lines: what stands before the loop, and in it; outer: the lines around, from the loop's own outwards
    loss:          its name; behind: a line that makes it, where it has none in the loop
    gradients:     by parameter, W2: dW2; an entry of a dict is ``params["W2"]`` with INSIDE between the two
    dicts:         the names of such dicts
    """

    before: list[ast.stmt]
    lines: list[ast.stmt]
    outer: list[list[ast.stmt]]
    loss: str
    gradients: Mapping[str, str]
    dicts: frozenset[str]
    functions: Mapping[str, Function]
    behind: tuple[ast.stmt, ...] = ()
    shared: bool = False  # as in Setting


class Turn(NamedTuple):
    """The lines that are kept, of those before and of those of the loop; what is to be said; gradients added up."""

    before: list[ast.stmt]
    lines: list[ast.stmt]
    said: tuple[str, ...]
    added: tuple[str, ...]


class _Line(NamedTuple):
    place: int
    own: ast.stmt  # as it stands
    line: ast.stmt  # with entries of dicts as names
    writes: frozenset[str]
    hands: frozenset[str]
    before: bool


def turn_of(step: Step) -> Turn:
    """The lines of a turn."""
    setting = _setting(step)
    leaves, slopes = {*step.gradients}, {*step.gradients.values()}
    own = [*step.before, *step.lines, *step.behind]
    lines = []
    for i, (one, line) in enumerate(zip(own, keyed(own, step.dicts), strict=True)):
        writes, hands = _with_entries(changed(line, setting), setting, step), handed_on(line, setting)
        lines.append(_Line(i, one, line, frozenset(writes), frozenset(hands), i < len(step.before)))
    updates = [one for one in lines if (one.writes | one.hands) & leaves and (one.before or not one.writes & slopes)]
    added = tuple(slope for leaf, slope in step.gradients.items() if _is_added_up(step, setting, leaf, slope))
    written = [(one.place, one.writes | one.hands) for one in updates if not one.before]
    last = {
        slope: max((i for i, names in written if leaf in names), default=None)
        for leaf, slope in step.gradients.items()
    }
    free = [one for one in lines if one not in updates and not _starts_anew(one, last, added, step, setting)]

    def needs(line: ast.stmt) -> set[str]:
        return _all({*loaded(line)} | read_outside(line, setting), setting, step)

    def slices(candidates: list[_Line], wanted: set[str]) -> list[_Line]:
        return _sliced(candidates, wanted, needs)

    behind = {slope: slices(free, {slope}) for slope in sorted(slopes)}
    made = sorted({one.place for some in behind.values() for one in some})
    reads = {i: _all({*read(line)} | read_outside(line, setting), setting, step)
             for i in made for line in [lines[i].line]}  # fmt: skip
    said, kept = list[str](), list[_Line]()
    for update in (one for one in updates if not one.before):
        for leaf in sorted((update.writes | update.hands) & leaves):
            reading = [i for i in made if leaf in reads[i]]
            later = next((i for i in reading if i > update.place), None)
            if later is None or reading[0] > update.place:
                continue
            kept.append(update)
            wrong = [slope for slope, some in behind.items() if lines[later] in some]
            said.append(_too_early(leaf, update.own, lines[later].own, [shown(slope) for slope in wrong]))
    whole = sorted({*(one.place for one in free), *(one.place for one in kept)})
    found = slices([lines[i] for i in whole], {step.loss, *slopes})
    said += [_never_zeroed(slope, step, setting) for slope in added]
    return Turn(
        [one.own for one in found if one.before], [one.own for one in found if not one.before],
        tuple(dict.fromkeys(said)), added,
    )  # fmt: skip


def _starts_anew(
    one: _Line, last: Mapping[str, int | None], added: tuple[str, ...], step: Step, setting: Setting
) -> bool:
    """Whether a line does no more than to set gradients back, behind the update, or in some turn before it."""
    slopes = one.writes & {*last}
    if one.before or not slopes or one.writes - {*last, *step.dicts} or isinstance(one.own, ast.For | ast.While):
        return False
    if any(_event([one.own], slope, step, setting, only="added") for slope in slopes):
        return False
    behind = all((at := last[slope]) is not None and at < one.place for slope in slopes)
    return behind or (isinstance(one.own, ast.If) and slopes <= {*added})


def _setting(step: Step) -> Setting:
    setting = setting_of(step.functions, keyed([*step.before, *step.lines], step.dicts))
    entries = [*step.gradients, *step.gradients.values()]
    holds = {name: frozenset(e for e in entries if e.startswith(name + INSIDE)) for name in step.dicts}
    whole = {name: held | setting.holds.get(name, frozenset()) for name, held in holds.items()}
    return setting._replace(holds={**setting.holds, **whole}, shared=step.shared)


def _with_entries(names: set[str], setting: Setting, step: Step) -> set[str]:
    """The names, with the entries of dicts that are named as a whole."""
    return names | {other for name in names & step.dicts for other in setting.holds[name]}


def _all(names: set[str], setting: Setting, step: Step) -> set[str]:
    """The names, with the entries of dicts, and the parameters that they are other names of."""
    views = {other for name in names - step.dicts for other in setting.holds.get(name, frozenset()) & {*step.gradients}}
    return _with_entries(names, setting, step) | views


def _sliced(lines: list[_Line], wanted: set[str], needs: Callable[[ast.stmt], set[str]]) -> list[_Line]:
    """The lines that the wanted names are made of: no line that prints, and none of an optimizer."""
    kept, wanted, by_lines = list[_Line](), {*wanted}, set[str]()
    for one in reversed(lines):
        if one.writes & wanted or one.hands & by_lines:
            kept.insert(0, one)
            wanted |= needs(one.line)
            by_lines |= needs(one.line)
    return kept


def _too_early(leaf: str, update: ast.stmt, later: ast.stmt, wrong: list[str]) -> str:
    return (
        f"{shown(leaf)} is written in line {update.lineno}, before line {later.lineno} reads it for "
        f"{' and '.join(wrong)}: what is made there is taken at other weights than the loss. Line {update.lineno} is "
        "kept, so that check judges what runs."
    )


def _never_zeroed(slope: str, step: Step, setting: Setting) -> str:
    line = next(line for line in step.lines if _event([line], slope, step, setting) == "added")
    return (
        f"{shown(slope)} is added to in line {line.lineno} and never set back to 0 before the next turn: from the "
        "second turn on it holds the gradients of the turns before as well. It starts from ones here, which stand for "
        "what they leave, so that check says so."
    )


def shown(name: str) -> str:
    """``params["W2"]``, as the code has it."""
    of, _, key = name.partition(INSIDE)
    return f'{of}["{key}"]' if key else of


# --- gradients that are added up over the turns -------------------------------------------------------


def _is_added_up(step: Step, setting: Setting, leaf: str, slope: str) -> bool:
    """Whether an update of the parameter is made of a sum over turns between which it is never set back to 0."""
    if _event(step.lines, slope, step, setting) != "added":
        return False
    for lines in step.outer[:-1]:  # the outermost runs once
        if _resets(lines, slope, step, setting):
            return False
        if any(leaf in _writes(line, step, setting) for line in lines):
            return True
    return False


def _writes(line: ast.stmt, step: Step, setting: Setting) -> set[str]:
    return {n for one in keyed([line], step.dicts) for n in changed(one, setting) | handed_on(one, setting)}


def _resets(lines: list[ast.stmt], slope: str, step: Step, setting: Setting) -> bool:
    return any(_event([line], slope, step, setting, only="reset") == "reset" for line in lines)


def _event(lines: list[ast.stmt], slope: str, step: Step, setting: Setting, only: str = "") -> str:
    """What happens first to a gradient: "reset", "added", or "" where nothing does; only: the one that is looked for.

    What an if sets back counts where its parameter is updated there as well, every few turns.
    """
    leaf = next(leaf for leaf, other in step.gradients.items() if other == slope)
    for line in lines:
        if isinstance(line, ast.If):
            both = (_event(part, slope, step, setting, only) for part in (line.body, line.orelse))
            found = next(filter(None, both), "")
            if found == "reset" and leaf not in _writes(line, step, setting):
                found = ""
        else:
            found = next(filter(None, (_of(one, slope, setting, only) for one in keyed([line], step.dicts))), "")
        if found:
            return found
    return ""


def _of(line: ast.stmt, slope: str, setting: Setting, only: str) -> str:
    names = {slope, slope.partition(INSIDE)[0]} if INSIDE in slope else {slope}
    for one, aliases in _simple([line], names, setting):
        for word in _events_of(one, aliases):
            if only in ("", word):
                return word
    return ""


def _simple(lines: Iterable[ast.stmt], names: set[str], setting: Setting) -> Iterator[tuple[ast.stmt, set[str]]]:
    """Simple statements, each with the names that the gradient has there; in a loop over gradients one more."""
    for line in lines:
        if isinstance(line, ast.For):
            pairs = in_step(line.target, line.iter)
            more = {one for one, of in pairs for n in of if names & {n, *setting.holds.get(n, frozenset())}}
            yield from _simple(line.body, names | more, setting)
        elif isinstance(line, ast.While | ast.With | ast.Try | ast.If):
            yield from _simple(line.body, names, setting)
        else:
            yield line, names


def _events_of(line: ast.stmt, names: set[str]) -> Iterator[str]:
    if isinstance(line, ast.AugAssign) and names & {*roots(line.target)}:
        of_0 = isinstance(line.op, ast.Mult) and isinstance(line.value, ast.Constant) and line.value.value == 0
        yield "reset" if of_0 else "added"
    for target, value in assigned(line):
        if names & {*roots(target)}:
            yield "added" if names & {*read(value)} else "reset"
    if isinstance(line, ast.Expr) and isinstance(line.value, ast.Call):
        of, _, last = ast.unparse(line.value.func).rpartition(".")
        if last == "fill" and of.partition("[")[0] in names:
            yield "reset"
        if last == "at" and line.value.args and names & {*roots(line.value.args[0])}:
            yield "added"
        if last == "copyto" and line.value.args and names & {*roots(line.value.args[0])}:
            yield "reset"


def levels(lines: list[ast.stmt], body: list[ast.stmt]) -> list[list[ast.stmt]]:
    """The lines of a loop and those around it, from the inside outwards; none where they are not in there."""
    if lines is body:
        return [lines]
    for line in lines:
        for part in (getattr(line, "body", []), getattr(line, "orelse", [])):
            if isinstance(part, list) and not isinstance(line, ast.FunctionDef | ast.ClassDef) and part:
                inside = levels(part, body)
                if inside:
                    return [*inside, lines]
    return []
