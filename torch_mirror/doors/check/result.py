"""What check returns: plain data, which can say itself in twenty lines, and raise them."""

import sys
from dataclasses import dataclass, field
from typing import Literal

from torch_mirror.reports import derivatives, derivatives_json
from torch_mirror.reports.html.pictures import Pictures
from torch_mirror.tape.told import Fault, Row
from torch_mirror.visible import visible

Verdict = Literal["certified", "refuted", "undecided", "consistent"]


class Refuted(AssertionError):  # noqa: N818 - the verdict by its name
    """Something that was to be certified is not; the message is what ``print`` of the result would show."""


@dataclass(frozen=True)
class Checked:
    """The verdict on gradients written by hand, or on another thing that check_* looked at.

    rows are in the order in which the backward pass computes them. certified: no element of any gradient is outside,
    and the radii are small enough to tell; elements of which they are not are counted and said. consistent: the code
    could not be followed, and difference quotients at some elements agree; that proves nothing.
    """

    subject: str                     # what was looked at: the function's name
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    loss: float | None = None        # at the point that was looked at
    seconds: float = 0.0
    what: str = "the derivative of the loss"  # what a row should be
    pictures: Pictures | None = field(default=None, compare=False, repr=False)  # for a report, if asked for

    @property
    def verdict(self) -> Verdict:
        """refuted if a gradient is wrong; else undecided if one is, or is missing; else certified or consistent.

        Where there is no element at all, nothing could have been wrong, and it is undecided, too.
        """
        words = {row.word for row in self.rows}
        if "WRONG" in words:
            return "refuted"
        if not any(row.size for row in self.rows) or words & {"undecided", "none"}:
            return "undecided"
        return "consistent" if "consistent" in words else "certified"

    @property
    def certified(self) -> bool:
        return self.verdict == "certified"

    @property
    def resolution(self) -> float | None:
        """A change of any whole gradient by this relative amount would have been seen; of those that are not 0."""
        return max((row.resolution for row in self.rows if row.resolution is not None), default=None)

    @property
    def unjudged(self) -> int:
        """Elements of which a radius hides too much; the rows say of which tensors."""
        return sum(row.unjudged for row in self.rows)

    @property
    def causes(self) -> tuple[str, ...]:
        """What was proven to be a cause, over all faults."""
        return tuple(cause for fault in self.faults for cause in fault.causes)

    def assert_certified(self) -> None:
        """Raises Refuted with the text of ``print(result)`` unless the verdict is certified."""
        __tracebackhide__ = True  # pytest shows the line of the test
        if not self.certified:
            raise Refuted(f"\n{self}")

    def table(self) -> str:
        """Every row on a line of its own."""
        return "\n".join(derivatives.table(self.rows))

    def details(self) -> str:
        """What ``print`` shows, however many lines it has."""
        return "\n".join([self._head(), *derivatives.lines(self.rows, self.faults, self.notes, sys.maxsize)])

    def json(self) -> str:
        """All of it as strict JSON, as reports/check.schema.json describes it."""
        given = self.subject, self.what, self.verdict, self.loss, self.seconds
        return derivatives_json.as_json(*given, self.rows, self.faults, self.notes)

    def __str__(self) -> str:
        head = self._head()
        return "\n".join([head, *derivatives.lines(self.rows, self.faults, self.notes, derivatives.LIMIT - 1)])

    def _repr_html_(self) -> str:
        return derivatives.as_html(self._head(), self.rows, self.faults, self.notes)

    def _head(self) -> str:
        """The verdict in one line."""
        victims = {name for fault in self.faults for name in fault.gradients[1:]}
        wrong = [row.name for row in self.rows if row.word == "WRONG" and row.name not in victims]
        tensors, elements = len(self.rows), sum(row.size for row in self.rows)
        said = {
            "refuted": f"{', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} not {self.what}{_following(victims)}",
            "undecided": f"it could not be told of everything whether it is {self.what}",
            "consistent": f"nothing contradicts that each is {self.what}, and nothing proves it",
            "certified": f"each is {self.what}{_coarsely(self.resolution)}{_but_for(self.unjudged)}",
        }[self.verdict]
        counts = f"{tensors} tensor{'' if tensors == 1 else 's'}, {elements:,} elements"
        return visible(f"{self.subject}: {self.verdict}, {said} ({counts})")


COARSE = 2.0**-20
"""A resolution above this is told in the first line."""


def _coarsely(resolution: float | None) -> str:
    coarse = resolution is not None and resolution > COARSE
    return f", as far as it could be told: only a change of {resolution:.0e} would have been seen" if coarse else ""


def _but_for(unjudged: int) -> str:
    return f", but for {unjudged:,} element{'' if unjudged == 1 else 's'} that could not be told" if unjudged else ""


def _following(victims: set[str]) -> str:
    return f"; {len(victims)} more follow{'s' if len(victims) == 1 else ''} from that" if victims else ""
