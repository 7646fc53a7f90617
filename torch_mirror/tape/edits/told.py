"""What is told of a wrong tensor: causes that are proven, ties, and what is known where nothing fits. Plain data."""

from collections.abc import Mapping
from typing import NamedTuple

from torch_mirror.balls.recording import Place
from torch_mirror.tape.edits.constants import Constant


class Cause(NamedTuple):
    """One edit that explains it.

    words:    what was done, "mask (z2 > 0) left out of d(z2)"
    place:    the line that made the first value that is another one with it, if the user's values show it
    explains: the outputs of which every element is within its radius with it
    tried:    edits that were evaluated; alone: no other one fits
    worst:    the largest |seen - edited| / (both radii): the proof is that it is at most 1
    also:     the same formula in other words
    less:     what fits here as well and is less simple: 3 may be the inputs, and by chance N / outputs
    nodes:    of the equation, the first to be another one with it, or with an edit that is as cheap and the same
    """

    words: str
    place: Place | None
    explains: tuple[str, ...]
    tried: int
    alone: bool
    worst: float
    also: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    nodes: tuple[int, ...] = ()

    def __str__(self) -> str:
        line = "" if self.place is None else f"line {self.place.line}: "
        fits = "this alone fits" if self.alone else "nothing simpler fits"
        fits += f"; also possible: {'; or '.join(self.less)}" if self.less else ""
        return f"{line}{self.words}; explains {', '.join(self.explains)}; {self.tried:,} edits tried, {fits}"


class Finding(NamedTuple):
    """One mistake. Several causes are a tie; why: why the numbers at hand cannot tell them apart."""

    causes: tuple[Cause, ...]
    why: str = ""

    def __str__(self) -> str:
        return "\n".join([*map(str, self.causes), *([f"a tie: {self.why}"] if self.why else [])])


class Explanation(NamedTuple):
    """findings: in the order in which they were found; unexplained: wrong, and no single edit explains it.

    facts: what else is known; complete: False where the time ran out before all edits had been tried.
    constants: the numbers that a factor might be, by name
    """

    findings: tuple[Finding, ...]
    unexplained: tuple[str, ...]
    facts: tuple[str, ...]
    tried: int
    seconds: float
    complete: bool
    constants: Mapping[str, Constant] = {}

    def __str__(self) -> str:
        left = [f"{', '.join(self.unexplained)}: no single edit explains it"] if self.unexplained else []
        return "\n".join([*map(str, self.findings), *left, *self.facts])
