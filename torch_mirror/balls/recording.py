"""Recording: while it is on, every elementary rule notes what it made of what, and on which line of the user's code.

    with recording() as tape:
        loss = f(leaf(W))           # tape.values: each number and mask that was made, in order

A rule is elementary if its adjoint is written down beside it (``@elementary(adjoints.tanh)``); all others are composed
of elementary ones and need none. Views, indices and assignment in place have become moves of numbers that nothing
changes (cell.py) before anything is noted, so that the tape knows of no mutation.

A number without a node is a constant. A number that comes from ``derived`` and that no elementary rule owns up to has
the node PENDING, at which a sweep stops with an error: a rule without an adjoint never passes for a constant.

Off, it costs a rule one look at a ContextVar.
"""

import linecache
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from functools import wraps
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeVar

LIBRARIES = ("numpy", "scipy", "torch_mirror")


class Kind(Enum):
    """What stands for an adjoint where there is no function for it."""

    LEAF = "a variable"
    COMPOSED = "composed of others"
    MOVES = "moves elements"
    DECISION = "no derivative: a decision"
    ZERO = "zero almost everywhere"
    CONSTANT = "does not depend on its numbers"
    UNKNOWN = "has a rule and no adjoint"


Function = Callable[..., Any]
"""(g, y, *operands, *arguments, **named) -> the derivative by an operand, g being that by the result y: NumPy code."""


class Choice(NamedTuple):
    """The adjoint of what chooses between operands; ``side`` says which one has the derivative where that is open.

    by:   of each operand, as Function with the further argument side="first", "last" or "even"
    open: (*operands, *arguments, **named) -> 1 where the choice is open, 2 where it is an exact tie, and else 0
    """

    by: tuple[Function, ...]
    open: Callable[..., Any]


Adjoint = tuple[Function, ...] | Choice | Kind


class Place(NamedTuple):
    """A place in the user's code: nothing is read until it is asked for."""

    code: CodeType
    instruction: int

    @property
    def span(self) -> tuple[int | None, int | None, int | None, int | None]:
        """The first and the last line, and the columns, of the expression."""
        return list(self.code.co_positions())[self.instruction // 2]

    @property
    def line(self) -> int:
        """The number of the line on which the expression starts."""
        return self.span[0] or self.code.co_firstlineno

    @property
    def file(self) -> str:
        """As Python knows it: a path, or <ipython-input-...> and kin, which linecache knows as well."""
        return self.code.co_filename

    @property
    def function(self) -> str:
        """The name of the function that the line is in."""
        return self.code.co_qualname

    @property
    def source(self) -> str:
        """The line, without its indentation; empty if it is not to be had."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        path = Path(self.file)
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        return f"{shown}:{self.line}"


@dataclass(slots=True, eq=False)
class Node:
    """How a number or mask was made.

    number:    its place in the recording
    operation: the elementary rule's name
    rule:      rule(*operands, *arguments, **named) makes it again
    active:    whether it may change with a variable
    """

    number: int
    operation: str
    rule: Callable[..., Any]
    operands: tuple[Any, ...]  # numbers and masks, which nothing changes
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    adjoint: Adjoint
    place: Place | None
    active: bool


def _again(*_: Any, **_named: Any) -> Any:
    raise TypeError("a variable is not made of anything")


PENDING = Node(-1, "an operation", _again, (), (), {}, Kind.UNKNOWN, None, active=True)
"""Of a number that a rule has derived and that no elementary rule has noted."""


class Taken(NamedTuple):
    """A decision of the user's code, followed as the centre takes it where the radii leave it open."""

    what: str
    open: int  # elements
    place: Place | None


@dataclass(slots=True, eq=False)
class Recording:
    """What has been made, in order, which open decisions were followed, and where numbers were made into text.

    texts: by how much, relative to a number, the one that is printed for it is larger.
    """

    values: list[Any] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    formatted: list[Place | None] = field(default_factory=list)
    texts: float = 0.0

    def note(
        self, made: Any, operation: str, adjoint: Adjoint, rule: Callable[..., Any], operands: tuple[Any, ...],
        arguments: tuple[Any, ...] = (), named: Mapping[str, Any] = {},
    ) -> None:  # fmt: skip
        """Make ``made``, a number or mask, a node."""
        flat = adjoint is Kind.ZERO or adjoint is Kind.DECISION
        active = not flat and any(x.node is not None and x.node.active for x in operands)
        place = caller()
        made.node = Node(len(self.values), operation, rule, operands, arguments, named, adjoint, place, active)
        self.values.append(made)

    def leaf(self, made: Any, name: str) -> None:
        """Make a number a variable, by which derivatives may be asked for."""
        made.node = Node(len(self.values), name, _again, (), (), {}, Kind.LEAF, caller(), active=True)
        self.values.append(made)


_current: ContextVar[Recording | None] = ContextVar("the recording that is on", default=None)
current = _current.get


@contextmanager
def recording(texts: float = 0.0) -> Iterator[Recording]:
    """Within the block, in the thread or task that runs it, what is made of numbers is noted."""
    tape = Recording(texts=texts)
    token = _current.set(tape)
    try:
        yield tape
    finally:
        _current.reset(token)


@contextmanager
def paused() -> Iterator[None]:
    """Within the block nothing is noted."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def followed(what: str, left: int) -> bool:
    """Whether a decision that the radii leave open is taken as the centre takes it, which is noted; False if off."""
    tape = _current.get()
    if tape is not None:
        tape.taken.append(Taken(what, left, caller()))
    return tape is not None


Rule = TypeVar("Rule", bound=Callable[..., Any])


def elementary(adjoint: Adjoint, name: str = "") -> Callable[[Rule], Rule]:
    """The decorated rule is noted, with its adjoint. Its first arguments are its operands: numbers and masks."""

    def decorate(rule: Rule) -> Rule:
        operation = name or rule.__name__

        @wraps(rule)
        def noted(*arguments: Any, **named: Any) -> Any:
            made = rule(*arguments, **named)
            if hasattr(made, "made_of"):  # a number, and no mask
                made.made_of(arguments)
            tape = current()
            if tape is None or not (made.node is None or made.node is PENDING):
                return made
            count = next((i for i, x in enumerate(arguments) if not hasattr(x, "node")), len(arguments))
            tape.note(made, operation, adjoint, noted, arguments[:count], arguments[count:], named)
            return made

        noted.adjoint = adjoint  # type: ignore[attr-defined]  # for the table
        return noted  # type: ignore[return-value]  # it is called as the rule is

    return decorate


def caller() -> Place | None:
    """The first frame outside of this package, NumPy and SciPy."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - as inspect.currentframe does, without its None
    while frame is not None:
        name = frame.f_globals.get("__name__") or ""
        if name.partition(".")[0] not in LIBRARIES and not frame.f_code.co_filename.startswith("<__array_function__"):
            return Place(frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return None
