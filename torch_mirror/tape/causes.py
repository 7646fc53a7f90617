"""Why a gradient is wrong: the smallest edit of the right equation that gives it, asked of tape/edits.

Blame finds the line (blame.py) and this the cause, one after the other and of the same mistake: the right equation is
drawn up as the user computes it, so many times too large if theirs are (share), and with the values that blame has put
in the place of derivatives already. What those explain is right in it, and what is left has a cause of its own.
Only what explains all the gradients of the mistake is told. Nothing is asked of a gradient that is right.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from torch_mirror.balls.number import Number
from torch_mirror.tape.edits.constants import DECIMAL, PLAIN, Constant
from torch_mirror.tape.edits.explain import Point, explain
from torch_mirror.tape.edits.gradients import gradient_equation
from torch_mirror.tape.edits.told import Cause, Explanation
from torch_mirror.tape.factors import Sizes
from torch_mirror.tape.graph import MissingAdjointError, needed
from torch_mirror.tape.patterns import number
from torch_mirror.tape.scene import Scene, site_of, starts, written

NOT_ASKED = "not asked for"

NEVER = -math.inf
"""The seconds of who asks for no causes."""

BUDGET = 2.0
"""Seconds of the processor for all causes of one check: a busy machine finds the same."""


class Elsewhere(NamedTuple):
    """The same code at another point, best of sizes that all differ."""

    scene: Scene
    sizes: Sizes


class Asked(NamedTuple):
    """What causes are made of.

    sizes:     numbers that a factor may be, by what they are called; "N" is the batch
    spoken:    what code calls a parameter, for its name
    elsewhere: where the code was run once more, asked for only where causes are tied; or why it was not, "" if there
               is nothing to say of that
    seconds:   that are left, or NEVER
    """

    sizes: Sizes
    spoken: Callable[[str], str]
    elsewhere: Callable[[], Elsewhere | str]
    seconds: float


class Mistake(NamedTuple):
    """Of the names of parameters: the gradients that are wrong with it; given: by number, as scene.anew takes them."""

    wrong: tuple[str, ...]
    right: tuple[str, ...]
    given: Mapping[int, Number]
    share: float


class Reasons(NamedTuple):
    """causes: several are a tie. why: why they are tied, or what is known where there is none."""

    causes: tuple[str, ...]
    why: str
    seconds: float


def reasons(s: Scene, mistake: Mistake, asked: Asked) -> Reasons:
    """The causes of a mistake. Nothing is known of an operation that has no adjoint.

    Where the mistake is itself what makes all of the user's values so many times too large, such as a sign, it is an
    edit of the equation as it is; so that is asked as well.
    """
    if asked.seconds == NEVER:
        return Reasons((), NOT_ASKED, 0)
    asked = asked._replace(sizes={**counted(s), **asked.sizes})
    shares, spent = list(dict.fromkeys((mistake.share, 1.0))), 0.0
    found = Reasons((), "", 0)
    for left, share in zip(range(len(shares), 0, -1), shares, strict=True):
        try:
            seconds = max(asked.seconds - spent, 0.0) / left
            found = _reasons(s, mistake._replace(share=share), asked._replace(seconds=seconds))
        except MissingAdjointError:
            break
        spent += found.seconds
        if found.causes:
            break
    return found._replace(seconds=spent)


def _reasons(s: Scene, mistake: Mistake, asked: Asked) -> Reasons:
    """In the user's scale."""
    here = _point(s, mistake, asked.spoken, mistake.share)
    e = explain(here.eq, here.seen, by_number(asked.sizes), budget=asked.seconds)
    if mistake.given or all(len(finding.causes) == 1 for finding in e.findings):
        return Reasons(*_told(e, s, mistake, asked), e.seconds)
    there = _elsewhere(mistake, asked)
    if isinstance(there, str):
        causes, why = _told(e, s, mistake, asked)
        return Reasons(causes, f"{why}; {there or 'check(..., make=) looks at such a point'}", e.seconds)
    left, constants = max(asked.seconds - e.seconds, 0.5), by_number(asked.sizes, there.sizes)
    again = explain(here.eq, here.seen, constants, budget=left, elsewhere=there.point)
    return Reasons(*_told(again, s, mistake, asked), e.seconds + again.seconds)


def _point(s: Scene, mistake: Mistake, spoken: Callable[[str], str], scale: float) -> Point:
    leaves = {spoken(name): x for name, x in s.leaves.items()}
    eq = gradient_equation(s.loss, leaves, s.side, scale, starts(s, mistake.given))
    seen = {spoken(name): s.gradients[name] for name in (*mistake.wrong, *mistake.right) if name in s.gradients}
    return Point(eq, seen, {})


MOST = 8
"""Numbers that the forward pass makes of the data, which may be sizes: of a loop's none is."""


def counted(s: Scene) -> dict[str, float]:
    """Single numbers that the forward pass makes of the data alone, by their expressions: ``mask.sum()``."""
    found: dict[str, float] = {}
    for x in needed([s.loss]):
        n = x.node.number
        alone = n not in s.forward and n not in s.inner and len(s.sites[site_of(s, n)]) == 1
        if alone and isinstance(x, Number) and x.size == 1:
            name, c = written(s, n), float(x.value.reshape(()))
            if name and math.isfinite(c) and abs(c) not in (0.0, 0.5, 1.0, 2.0):
                found[name] = c
    return found if len(found) <= MOST else {}


class _There(NamedTuple):
    point: Point
    sizes: Sizes


def _elsewhere(mistake: Mistake, asked: Asked) -> _There | str:
    """The user's scale there is the number of the same name; where it has none, nothing can be asked there."""
    names = [name for name, n in asked.sizes.items() if n == mistake.share]
    if not names and mistake.share != 1:
        return f"on the way your gradients are {number(mistake.share)} times too large, which has no name elsewhere"
    there = asked.elsewhere()
    if isinstance(there, str):
        return there
    known = {**counted(there.scene), **there.sizes}
    scale = known.get(names[0], 1.0) if names else 1.0
    sizes = {name: known[name] for name in asked.sizes if name in known}
    constants = {name: sizes[name.split(" or ")[0]] for name in by_number(asked.sizes, sizes)}
    return _There(_point(there.scene, mistake, asked.spoken, scale)._replace(constants=constants), sizes)


def by_number(sizes: Sizes, there: Sizes | None = None) -> dict[str, float]:
    """One name for each number but for the batch, whose number may be equal by chance: ``x.shape[1] or W1.shape[0]``.

    What one layer gives is what the next one takes, and two names for it are no tie. Where the sizes at another point
    are known, only names whose numbers are equal at both are one.
    """
    names: dict[tuple[float, ...], list[str]] = {}
    for name, n in sizes.items():
        if there is None or name in there:
            numbers = (n,) if there is None else (n, there[name])
            names.setdefault((n, -1.0) if name == "N" else numbers, []).append(name)
    return {" or ".join(several[:2]): numbers[0] for numbers, several in names.items()}


def _told(e: Explanation, s: Scene, mistake: Mistake, asked: Asked) -> tuple[tuple[str, ...], str]:
    wanted = {asked.spoken(name) for name in mistake.wrong}
    sizes = {asked.spoken(name): s.gradients[name].size for name in mistake.wrong}
    explained = [set(finding.causes[0].explains) for finding in e.findings]
    if e.findings and explained[0] == wanted:
        first = e.findings[0]
        return tuple(in_words([cause], sizes, e.constants) for cause in first.causes), first.why
    if e.findings and set().union(*explained) == wanted and all(len(f.causes) == 1 for f in e.findings):
        return (in_words([f.causes[0] for f in e.findings], sizes, e.constants),), ""
    if not e.tried and e.complete:
        return (), "; ".join(e.facts)  # the right equation is 0, as of np.sign, or there is nothing to compare
    return (), unexplained(e, "equation")


def unexplained(e: Explanation, right: str) -> str:
    """What is said where there is no cause: none of all edits, or of those that there was time for."""
    tried = f"no single edit of the right {right} explains it ({e.tried:,} were tried)"
    late = f"none was found before the time was up ({e.tried:,} edits of the right {right} were tried)"
    return "; ".join([tried if e.complete else late, *e.facts])


LESS = 2
"""Less simple causes that are told beside one: 1.5 may be N / 2 of N = 3, and N / (N - 1)."""


def in_words(causes: Iterable[Cause], elements: Mapping[str, int], constants: Mapping[str, Constant]) -> str:
    """Several causes are told as one where each explains its own gradients, as of layers that one line computes."""
    causes = list(causes)
    words = ", and ".join(_with_number(cause.words, constants) for cause in causes)
    count = sum(elements[name] for cause in causes for name in cause.explains)
    fits = "it alone fits" if all(cause.alone for cause in causes) else "nothing simpler fits"
    less = list(dict.fromkeys(words for cause in causes for words in cause.less))
    fits += f", and less simple {', or '.join(less[:LESS])}" if less else ""
    proof = f"with it all {count:,} elements are within their radius, worst {max(c.worst for c in causes):.1g}"
    return f"{words} (proof: {proof}; {fits}, {causes[-1].tried:,} edits tried)"


def _with_number(words: str, constants: Mapping[str, Constant]) -> str:
    """The number before its name, ``1/6 (here 1/N, N the batch)``: it is proven, and what it is the size of is not."""
    for name in sorted(constants.keys() - PLAIN.keys() - DECIMAL.keys(), key=len, reverse=True):
        for before, after in (("a factor ", " at "), ("a factor ", " there"), ("a term ", " * ")):
            if f"{before}{name}{after}" in words:
                batch = ", N the batch" if re.search(r"\bN\b", name) else ""
                c = number(constants[name].value)
                told = f"{before}{c if c == name else f'{c} (here {name}{batch})'}{after}"
                return words.replace(f"{before}{name}{after}", told)
    return words
