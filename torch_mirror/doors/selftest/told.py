"""What is told of planted faults: a row each, and the verdict on all of them. Plain data; no arithmetic on tensors."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Side = Literal["numpy", "torch"]

Part = Literal["tensor", "line", "update"]
"""Where it was planted: in a tensor as it is computed, in a line of the source, in the optimizer's step."""

Named = Literal["named", "tie", "not named", "wrong", "not asked"]
"""named: the cause, which holds at other numbers, too. tie: several that the numbers cannot tell apart, the right one
among them. wrong: what was named does not hold at other numbers. not asked: the tool names no causes of this kind."""


class Trial(NamedTuple):
    """One fault, planted once, and what came of it.

    of:      the tensor that it makes wrong, or the line
    changes: whether a number differs by more than its rounding; what does not is not counted
    located: whether the tensor that is told first is that one, and its line where the source is there
    right_side: whether the side that is told is the one that it was planted on
    sided:   whether a side could be told at all
    """

    part: Part
    fault: str
    side: Side
    dtype: str
    of: str
    changes: bool
    refuted: bool = False
    located: bool = False
    right_side: bool = False
    named: Named = "not asked"
    where: str = ""     # the tensor and the line that were told
    said: str = ""      # of the side
    cause: str = ""
    seconds: float = 0.0
    sided: bool = True

    @property
    def found(self) -> bool:
        """Whether nothing that was told of it is missing or false."""
        aside = self.right_side or not self.sided
        return not self.changes or (self.refuted and self.located and aside and self.named != "wrong")


@dataclass(frozen=True)
class SelfTest:
    """The trials of one network; honest: the verdict on it without a fault, by dtype."""

    subject: str
    honest: dict[str, str]
    trials: tuple[Trial, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def counted(self) -> tuple[Trial, ...]:
        """Those that change a number by more than its rounding."""
        return tuple(t for t in self.trials if t.changes)

    @property
    def passed(self) -> bool:
        """Whether the network is certified as it is, and every fault that changes a number is found."""
        return bool(self.counted) and self.certified and all(t.found for t in self.trials)

    @property
    def certified(self) -> bool:
        return all(verdict == "certified" for verdict in self.honest.values())

    def __str__(self) -> str:
        from torch_mirror.reports.selftest import lines  # noqa: PLC0415 - a report is made only where it is read

        return "\n".join(lines(self))
