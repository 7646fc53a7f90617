"""What can go wrong on the user's side, as one exception tree.

    TorchMirrorError
    ├── InputError          a tensor, option or file that cannot be used
    └── UnknownNameError    a name that is not in the list it was looked up in

Every message names the tensor or option, what was expected, and what came.
"""

import difflib
from collections.abc import Iterable


class TorchMirrorError(Exception):
    """Base of all errors that bad input causes; the command line turns it into exit status 2."""


class InputError(TorchMirrorError, ValueError):
    """A tensor, option or file that cannot be used."""

    def __init__(self, what: str, expected: object, came: object) -> None:
        self.what, self.expected, self.came = what, expected, came
        super().__init__(f"{what}: expected {expected}, got {came}")

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, object, object]]:
        # Exception's own would call the class with the message alone: a worker process could not send the error
        return type(self), (self.what, self.expected, self.came)


class UnknownNameError(TorchMirrorError, KeyError):
    """A name that is not in the list it was looked up in; the nearest known one is suggested."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        same = [other for other in self.known if other.casefold() == str(name).casefold()]  # w for W
        nearest = same or difflib.get_close_matches(str(name), self.known, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}? " if nearest else ""
        self.message = f"unknown {kind} {name!r}: {hint}known are {', '.join(self.known) or 'none'}"
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would print the repr
        return self.message

    def __reduce__(self) -> tuple[type["UnknownNameError"], tuple[str, str, tuple[str, ...]]]:
        return type(self), (self.kind, self.name, self.known)
