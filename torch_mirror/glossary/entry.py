"""One word of a report, and what it means."""

from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["word", "verdict", "tensor", "check", "arbiter", "cause", "selftest"]
"""Where it stands: in the text of any report; as the verdict on a whole; as that on one tensor; as the name of a check
of a run; as what the arbiter says; as the cause of a wrong tensor; or in a selftest."""


class Entry(NamedTuple):
    """also: terms that help to understand it. says: a regular expression for the cause or note in a report."""

    term: str
    kind: Kind
    words: str
    also: tuple[str, ...] = ()
    says: str = ""
