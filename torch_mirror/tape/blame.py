"""Blame by line: where the right values of a backward pass end, where the wrong ones begin, and what follows from them.

A wrong value of the user's is *put in the place* of the derivative that it stands for, and the sweep started anew from
there. Gradients that are right after that are right but for this mistake: they follow from it, and that is shown,
not guessed. What is wrong still has a mistake of its own, which is looked for in the light of the new derivatives.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence

from torch_mirror.balls.number import Number
from torch_mirror.tape.causes import NEVER, NOT_ASKED, Asked, Mistake, Reasons, reasons
from torch_mirror.tape.endless import ended
from torch_mirror.tape.faults import fault_of, untraced
from torch_mirror.tape.guesses import Guess, guesses_of, is_right, itself, promising, stood_for
from torch_mirror.tape.overwritten import overwritten
from torch_mirror.tape.recomputed import recomputed
from torch_mirror.tape.scene import Scene, View, anew, is_leaf, view_of
from torch_mirror.tape.shares import partial_sums
from torch_mirror.tape.told import Fault

MOST = 6
"""Faults that are told; what is wrong beyond them is told without."""

SECONDS = 10.0
"""Of the processor, for the lines of one check, as for the ladder (ladder.py): a loop of many turns has many values
that may stand for many derivatives, and each is a sweep. A busy machine finds the same."""

LATE = (
    f"no line was found within {SECONDS:g} seconds of the processor: not all values were tried in the place of "
    "derivatives that they may stand for, and no cause was looked for; fewer turns of a loop, or samples, would tell"
)
"""What is said where there was no time to try all values."""

BOTH = (
    "no line is told: where both sides of a comparison are equal, your backward pass takes it as the forward pass did, "
    "and the other way; other numbers, at which they are not equal, would tell"
)
"""What is said where the recording cannot be had in one convention."""

WIDE = "no line can be told: with all radii of the way to it, it may be right; fewer layers or steps would tell"
"""What is said of what is wrong by a closer look alone (closer.py), which says nothing of lines."""


def blame(s: Scene, wrong: Sequence[str], spelled: Callable[[str], str], asked: Asked) -> tuple[Fault, ...]:
    """The faults behind wrong gradients, in the order of the backward pass.

    wrong: names of parameters, in that order; spelled: the gradient's name for a parameter's;
    asked: what causes are made of; who asks for none asks for no lines either
    """
    if asked.seconds == NEVER:
        return tuple(Fault((spelled(name),), why=NOT_ASKED) for name in wrong[:MOST])
    if s.both:
        return tuple(Fault((spelled(name),), note=BOTH) for name in wrong[:MOST])
    plain = anew(s, {})
    if any(is_right(s, plain, name) for name in wrong) and (other := ended(s)) is not None:
        s, plain = other, anew(other, {})
    found = _faults(s, plain, wrong, spelled, asked)
    return found or tuple(Fault((spelled(name),), note=WIDE) for name in wrong[:MOST])


def _faults(
    s: Scene, plain: Mapping[int, Number], wrong: Sequence[str], spelled: Callable[[str], str], asked: Asked
) -> tuple[Fault, ...]:
    """One after the other. plain: the derivatives, before any value is put in the place of one."""
    sizes = {"N (the batch)" if name == "N" else name: n for name, n in asked.sizes.items()}
    given: dict[int, Number] = {}
    left, faults = list(wrong), list[Fault]()
    told: list[tuple[Fault, set[int]]] = []  # with the values that were put in the place of derivatives
    until = time.process_time() + SECONDS
    while left and len(faults) < MOST:
        derivatives = anew(s, given) if given else plain
        v = view_of(s, derivatives, partial_sums(s, derivatives))
        left = [name for name in left if not is_right(s, v.derivatives, name)]
        if not left:
            break
        if asked.seconds > 0 and (lost := overwritten(v, left, until)) is not None:
            fault, names = lost
            faults.append(fault._replace(gradients=tuple(map(spelled, names))))
            left = [name for name in left if name not in names]
            continue
        guess, explained = _best(v, left, given, until)
        if len(explained) < len(left) and not faults and (one := recomputed(v, left, spelled, until)) is not None:
            return (one,)
        if guess is None and time.process_time() > until:
            return (*faults, *(Fault((spelled(name),), note=LATE) for name in left[: MOST - len(faults)]))
        if guess is None:
            faults.append(untraced(v, left.pop(0), spelled))
            continue
        right = tuple(name for name in s.gradients if is_right(s, v.derivatives, name))
        why = reasons(s, Mistake(tuple(explained), right, given, guess.share), asked)
        until += why.seconds
        asked = asked._replace(seconds=max(asked.seconds - why.seconds, min(asked.seconds, 0.0)))
        fault = _with_causes(fault_of(v, guess, explained, spelled, sizes), why)
        set_aside = [f.gradients[0] for f, values in told if values & s.above[explained[0]]]
        if set_aside:
            apart = f"(with the mistake told at {', '.join(set_aside)} set aside)"
            fault = fault._replace(note=f"{fault.note} {apart}".strip())
        given |= stood_for(s, guess)
        told.append((fault, {value for value, _ in guess.pairs}))
        faults.append(fault)
        left = [name for name in left if name not in explained]
    return tuple(faults)


def _with_causes(fault: Fault, why: Reasons) -> Fault:
    """A fault that has a cause keeps it where none is found, or only that something is not there.

    Where that is the cause, and several lines may be the wrong one, each of them may be right: it is missing there.
    """
    absent = all(cause.startswith("a factor 0 at ") or ABSENT.match(cause) for cause in why.causes)
    if fault.causes and absent:
        return fault
    lacking = fault.lacking or ("behind" if why.causes and absent and fault.wrong[1:] else "")
    return fault._replace(causes=why.causes, why=why.why, lacking=lacking)


ABSENT = re.compile(r"term .* left out of ")


def _best(v: View, left: list[str], given: dict[int, Number], until: float) -> tuple[Guess | None, list[str]]:
    """The values whose adoption makes most gradients right and none wrong: of the first gradient that has such values.

    Where none has, the first gradient itself stands in the place of its derivative, and explains that alone; where time
    ran out before that was known, nothing does. until: by time.process_time.
    """
    s = v.scene
    right = [name for name in s.gradients if is_right(s, v.derivatives, name)]
    for ending in (False, True):  # first what lies before the gradients of parameters, of which others are made as well
        for name in left:
            guesses = [g for g in sorted(guesses_of(v, left, name)) if is_leaf(s, g[2].place) is ending]
            best, explained = _best_of(v, guesses, name, (left, right), given, until)
            if best is not None:
                return best, explained
            if time.process_time() > until:
                return None, []
    own = itself(s, left[0])
    return own, [left[0]] if own else []


def _best_of(
    v: View,
    guesses: list[tuple[int, int, Guess]],
    name: str,
    sides: tuple[list[str], list[str]],
    given: dict[int, Number],
    until: float,
) -> tuple[Guess | None, list[str]]:
    """The first guess that makes a gradient right, and none wrong, or a later one that makes more of them right.

    sides: the gradients that are wrong, and those that are right
    """
    s, (left, right) = v.scene, sides
    best, explained = None, list[str]()
    for hoped, _, guess in guesses:
        if len(explained) >= -hoped or time.process_time() > until:
            break
        if not promising(v, name, guess):
            continue
        derivatives = anew(s, {**given, **stood_for(s, guess)})
        now = [other for other in left if is_right(s, derivatives, other)]
        if name in now and len(now) > len(explained) and all(is_right(s, derivatives, other) for other in right):
            best, explained = guess, now
    return best, explained
