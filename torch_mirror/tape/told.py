"""What is told of gradients that somebody wrote by hand: rows and faults. Plain data; no arithmetic here."""

from typing import Literal, NamedTuple

Word = Literal["ok", "WRONG", "undecided", "consistent", "none"]
"""ok: no element is outside. WRONG: one is. undecided: the radius is too large to tell.
consistent: as ok, by difference quotients at some elements, which prove nothing. none: no gradient was given."""


class Line(NamedTuple):
    """A line of the user's code."""

    file: str
    number: int
    source: str = ""  # as it is written there, without what stands before and behind it

    @property
    def place(self) -> str:
        """``nn.py:41``, without the folders."""
        name = self.file.rsplit("/", 1)[-1].rsplit("\\", 1)[-1]
        cell = name.startswith("<ipython") or "ipykernel" in self.file
        return f"{'cell' if cell else name}:{self.number}"


class Row(NamedTuple):
    """What was found of one gradient."""

    name: str                        # of the gradient, dW1
    word: Word
    size: int = 0                    # elements
    outside: int = 0                 # elements that differ by more than both radii
    worst: float = 0.0               # the largest |yours - derivative| / (sum of both radii)
    resolution: float | None = None  # a change of the whole gradient by this relative amount would have been seen
    index: tuple[int, ...] = ()      # type: ignore[assignment]  # of the worst element; hides tuple.index, which nobody calls
    seen: float = 0.0                # the user's value there
    expected: float = 0.0            # the derivative there
    pattern: str = ""                # in which way they differ, in words
    why: str = ""                    # what else a reader must know: why it is undecided, what was looked at
    unjudged: int = 0                # elements of which a radius hides more than WIDE of their size (compared.py)


class Right(NamedTuple):
    """A right value that a wrong one was made of."""

    line: Line
    of: Line | None       # the line of the forward value that it is the derivative by
    name: str = ""        # of that forward value, where its line gives it one
    factor: str = ""      # in words, where it is so many times the derivative
    partial: bool = False  # it is, or is so many times, what some uses of the forward value add to the derivative


class Fault(NamedTuple):
    """One mistake, and all that follows from it.

    gradients: the wrong ones that it explains, the first that the backward pass computes first
    right, wrong: where the right values end, and the lines from there to the first wrong value
    due:       the derivative that should stand where the first wrong value does
    causes:    each proven; several are a tie
    why:       why they are tied, or what is known where there is no cause
    shown:     whether it was shown that the further gradients are right but for it
    lacking:   where an operation is never applied to a right value, or a term is never added: such a step has no line.
               "behind": at the first of the wrong lines, which makes that value, or behind it, up to the others, which
               use it. "before": the line that makes it is right, as its name says what it is; so at or before the
               wrong lines, which use it
    """

    gradients: tuple[str, ...]
    right: tuple[Right, ...] = ()
    wrong: tuple[Line, ...] = ()
    due: Right | None = None
    causes: tuple[str, ...] = ()
    why: str = ""
    shown: bool = False
    note: str = ""
    lacking: Literal["", "behind", "before"] = ""
