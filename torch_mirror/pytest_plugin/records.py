"""What is kept of one verdict: plain data that JSON can hold, as pytest-xdist's workers send it."""

from typing import Literal, TypedDict


class Record(TypedDict):
    """One verdict."""

    claim: str                # what was judged: the function's or the experiment's name
    verdict: Literal["certified", "refuted", "undecided", "doubted"]
    doubts: int               # tensors that are within their radius, and not as rounding errors are
    elements: int             # judged
    worst: float              # the largest error / radius
    worst_at: str             # the tensor that has it
    resolution: float | None  # the coarsest: a relative change of a whole tensor below this may not have been seen
    resolution_at: str        # the tensor that has it
    seconds: float


PROPERTIES: tuple[Literal["claim", "verdict", "elements", "worst", "resolution", "doubts"], ...] = (
    "claim", "verdict", "elements", "worst", "resolution", "doubts",
)  # fmt: skip
"""What a JUnit file shows of each."""
