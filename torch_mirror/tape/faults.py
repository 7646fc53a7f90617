"""A fault in words: the lines where right values end and wrong ones begin, what is due there, and the factor in it."""

from collections.abc import Callable, Sequence
from typing import Literal

from torch_mirror.tape import compared, factors
from torch_mirror.tape.addends import wrong_addend
from torch_mirror.tape.factors import Sizes, snapped
from torch_mirror.tape.graph import needed
from torch_mirror.tape.guesses import Guess, bits, equal, first_wrong, is_right, multiple
from torch_mirror.tape.scene import (
    Scene,
    View,
    as_derivative,
    behind,
    called,
    derivative_by,
    is_blank,
    is_leaf,
    line_of,
    match_of,
    name_of,
    number_of,
    numbers_in,
    site_of,
    written,
)
from torch_mirror.tape.suspects import factor_at_fault, given_wrongly, left_unused, says_what_it_is
from torch_mirror.tape.told import Fault, Line, Right
from torch_mirror.tape.trails import made_of_some, nearest, steps


def fault_of(v: View, guess: Guess, explained: list[str], spelled: Callable[[str], str], sizes: Sizes) -> Fault:
    s = v.scene
    value = first_wrong(v, guess)
    place = dict(guess.pairs)[value]
    own = match_of(v, value)
    missing = own is not None and not own.partial and own.number != place and equal(own.factor, guess.share)
    part = own is not None and own.partial and own.number == place and equal(own.factor, guess.share)
    taken = value in s.forward  # for the derivative that is due
    if missing and own is not None and _times_used(s, own.number, place):
        value = _earliest(v, value, own.number)
    right = () if taken else (value,) if missing else last_right(v, value, guess.share)
    wrong = _users(s, value, explained) if missing or part or taken else _path(v, value, right)
    lacking: Literal["", "behind", "before"] = ""
    if (missing or part) and not taken:  # its own line may have forgotten the step, and those that use it as well
        lacking = "before" if wrong and says_what_it_is(v, value) else "behind"
        wrong = wrong if lacking == "before" else tuple(dict.fromkeys((*_lines(s, [value]), *wrong)))
    obvious = is_leaf(s, place) or (own is not None and own.number == place)
    due = None if obvious or (own is None and _is_term(s, value)) else _meaning(s, place, "")
    note, shown = _missing(s, own.number, place) if missing and own is not None and not taken else "", ""
    if taken:
        note = f"{name_of(s, value) or 'a value of the forward pass'} itself stands there"
    before = _before(v, right, wrong, guess.share)
    if wrong and not lacking and not taken and before != right:  # what comes in between is not told as right, either
        wrong = _path(v, value, before)
    given = [] if lacking or taken else [n for n in before if given_wrongly(v, guess, value, n)]
    if given:
        wrong = tuple(dict.fromkeys((*_lines(s, given), *wrong)))
        before = tuple(m for n in before for m in (last_right(v, n, guess.share) if n in given else (n,)))
    one = wrong_addend(v, value, place, guess.share) if own is None and not taken else None
    if one is not None:
        before = tuple(dict.fromkeys((*(() if one.lacking else last_right(v, one.end, guess.share)), *one.right)))
        wrong = _lines(s, [one.end, value]) if one.lacking else _path(v, one.end, before)
        lacking = "behind" if one.lacking else ""
    if wrong and not lacking and not taken:
        suspect, shown = factor_at_fault(v, value, place, guess.share)
        wrong = tuple(dict.fromkeys((*_lines(s, [] if suspect is None else [suspect]), *wrong)))
    elif lacking:
        note = "; ".join(filter(None, (note, left_unused(v, value, place, guess.share))))
    ends = _right_lines(v, before, wrong, sizes)
    # one factor is too much, and no value with another factor comes before
    if wrong and not note and all(r.factor for r in ends) and _one_factor(v, explained):
        others = ", ".join(_put_right(v, explained))
        note = f"the factor may be put right anywhere from {wrong[0].place} to the return"
        note += f"; for other gradients it is at {others}" if others else ""
    return Fault(
        tuple(spelled(name) for name in explained),
        ends,
        wrong,
        due,
        (shown,) if shown else (),
        shown=len(explained) > 1,
        note=note,
        lacking=lacking,
    )


def _is_term(s: Scene, value: int) -> bool:
    """Whether a value is a term of a sum on its line: what is due in its place is not what is due of the line."""
    line = line_of(s, value)
    if line is None or called(s, value):
        return False
    users = (n for n, x in enumerate(s.tape.values) if any(number_of(a) == value for a in x.node.operands))
    sums = (line_of(s, n) for n in users if s.tape.values[n].node.operation in ("add", "subtract"))
    return any(other is not None and other[:2] == line[:2] for other in sums)


CONSTANT = (
    "it is a constant: it was computed from no parameter, or by way of whole numbers (a cast to int, an argmax), "
    "behind which nothing is followed"
)


def untraced(v: View, name: str, spelled: Callable[[str], str]) -> Fault:
    s = v.scene
    n = number_of(s.gradients[name])
    if n is None:
        return Fault((spelled(name),), note=CONSTANT)
    line = line_of(s, n)
    return Fault((spelled(name),), wrong=() if line is None else (line,))


def _one_factor(v: View, explained: list[str]) -> bool:
    """Whether all of the gradients have one factor too much, without which each is right."""
    s = v.scene
    c = multiple(v, explained[0])
    if c is None:
        return False
    without = {name: as_derivative(s.gradients[name], s.leaves[name].shape, snapped(c)) for name in explained}
    return not any(compared.row(name, g, derivative_by(s, v.derivatives, name)).outside for name, g in without.items())


def _put_right(v: View, explained: list[str]) -> list[str]:
    """Where other gradients, which are right, lose the factor that these have too much: ``nn.py:21``."""
    s, c = v.scene, multiple(v, explained[0])
    starts = [number_of(s.gradients[name]) for name in s.gradients if is_right(s, v.derivatives, name)]
    found = [step for n in starts if c is not None and n is not None for step in steps(v, n, frozenset())]
    lines = (line_of(s, step.number) for step in found if c is not None and equal(step.change * c, 1))
    return list(dict.fromkeys(line.place for line in lines if line is not None))


def last_right(v: View, end: int, share: float) -> tuple[int, ...]:
    """The nearest values behind one that are right with that share; of any share, where there is none of that."""
    found: set[int] = set()
    seen: set[int] = set()
    todo = behind(v.scene, end)
    while todo:
        n = todo.pop()
        if n not in seen:
            seen.add(n)
            m = match_of(v, n)
            if m is not None and equal(m.factor, share):
                found.add(n)
            else:
                todo += behind(v.scene, n)
    return tuple(sorted(found)) or tuple(nearest(v, end))


def _before(v: View, right: Sequence[int], wrong: Sequence[Line], share: float) -> tuple[int, ...]:
    """The right values; instead of one that a wrong line itself makes on its way, those that it is made of."""
    ends: list[int] = []
    for n in right:
        inside = line_of(v.scene, n) in wrong
        ends += (last_right(v, n, share) if inside else ()) or (n,)
    return tuple(dict.fromkeys(ends))


def _right_lines(v: View, right: Sequence[int], wrong: Sequence[Line], sizes: Sizes) -> tuple[Right, ...]:
    """Each once, but for those of wrong lines, where there are others."""
    told = [r for n in right if (r := _right_line(v, n, sizes)) is not None]
    places = {line[:2] for line in wrong}
    others = [r for r in told if r.line[:2] not in places]
    return tuple(dict.fromkeys(others or told))


def _right_line(v: View, n: int, sizes: Sizes) -> Right | None:
    s, m, line = v.scene, match_of(v, n), line_of(v.scene, n)
    if m is None or line is None:
        return None
    part = "" if called(s, n) else written(s, n)  # of the line: what the whole of it gives may be something else
    times = "" if abs(m.factor - 1) < 1e-9 else factors.in_words(m.factor, sizes)
    right = _meaning(s, m.number, times)
    return right._replace(line=line._replace(source=part or line.source), partial=m.partial)


def _meaning(s: Scene, place: int, times: str) -> Right:
    place = _looked_at(s, place)
    line = None if is_leaf(s, place) else line_of(s, place)
    return Right(line or Line("", 0), line, name_of(s, place), times)


def _looked_at(s: Scene, place: int) -> int:
    """The value itself, where a call has looked at it as a row or a column for itself: a of ``a @ V``."""
    while place in s.inner:
        x = s.tape.values[place]
        operands = [a for a in x.node.operands if a.size == x.size and number_of(a) is not None]
        if x.node.operation != "view" or not operands:
            break
        place = operands[0].node.number
    return place


def _path(v: View, end: int, right: Sequence[int]) -> tuple[Line, ...]:
    """The lines from the last right values to a value; then those of factors that it was made with."""
    s = v.scene
    between: set[int] = set()
    todo = [end]
    while todo:
        n = todo.pop()
        if n not in between and n not in right:
            between.add(n)
            todo += behind(s, n)
    carrying = {*right, *made_of_some(v, sorted(between), right)}
    way = [n for n in sorted(between) if n in carrying or n == end]
    return _lines(s, [*way, *sorted(_factors(s, way, carrying))])


def _factors(s: Scene, way: Sequence[int], carrying: set[int]) -> set[int]:
    """What the values on the way were multiplied with, and is no value of the forward pass evaluated once more.

    Of the forward pass is what it makes of the data alone, too.
    """
    known = {bits(s, x.node.number) for x in needed([s.loss])}
    found: set[int] = set()
    todo = [m for n in way for m in behind(s, n)]
    while todo:
        n = todo.pop()
        if n not in found and n not in carrying and bits(s, n) not in known and not is_blank(s, n):
            found.add(n)
            todo += behind(s, n)
    return found


def _lines(s: Scene, numbers: Sequence[int]) -> tuple[Line, ...]:
    found = [line for n in numbers if (line := line_of(s, n)) is not None]
    return tuple(dict.fromkeys(found))


def _users(s: Scene, number: int, explained: Sequence[str]) -> tuple[Line, ...]:
    """The lines that use a value on the way to some gradients."""
    way = sorted(set().union(*(s.above[name] for name in explained)))
    return _lines(s, [n for n in way if any(number_of(x) == number for x in s.tape.values[n].node.operands)])


def _missing(s: Scene, have: int, place: int) -> str:
    """What lies between the derivative that is there and the one that is due."""
    if times := _times_used(s, have, place):
        line = line_of(s, have)
        where = f"{written(s, have) or name_of(s, have)}{f' ({line.place})' if line else ''}"
        share = f"it is the share of one of the {times} times that {where} was run"
        return f"{share}: those of the others are added nowhere"
    between = _between(s, place, have)
    if len(between) > 3 or not between:
        name, line = name_of(s, place), line_of(s, place)
        by = f"dL/d {name}" if name else f"the derivative by {'a value' if line is None else line.place}"
        return f"{by} is computed nowhere"
    told = ((written(s, n) or name_of(s, n), line_of(s, n)) for n in between)
    what = dict.fromkeys(f"{text}{f' ({line.place})' if line else ''}" for text, line in told)
    return f"it is computed nowhere: the step back through {', '.join(what)} is missing"


def _earliest(v: View, value: int, place: int) -> int:
    """The first value behind one that is the derivative by the same place, up to a factor."""
    while True:
        same = [n for n in nearest(v, value) if (m := match_of(v, n)) is not None and m.number == place]
        if not same:
            return value
        value = same[0]


def _times_used(s: Scene, have: int, place: int) -> int:
    """How often the expression of a forward value was run that uses another value directly; 0 if once."""
    several = [n for n in s.sites[site_of(s, have)] if n in s.forward]
    using = [n for n in several if any(number_of(x) == place for x in s.tape.values[n].node.operands)]
    return len(using) if have in using and len(using) > 1 else 0


def _between(s: Scene, first: int, last: int) -> list[int]:
    """What the last value is made of and the first one leads to; with the last, without the first."""
    found = {first}
    for n in numbers_in(s.tape.values[last]):
        if n not in found and any(number_of(x) in found for x in s.tape.values[n].node.operands):
            found.add(n)
    return sorted(found - {first})
