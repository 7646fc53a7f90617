"""Calls that no elementary rule has noted while a recording is on: those of rules that a user has added (Ball.rule)."""

from typing import Any

from torch_mirror.balls import callers, recording
from torch_mirror.balls.masks import Mask
from torch_mirror.balls.number import Number
from torch_mirror.balls.table import Row


def own_up(result: Any, function: Any, row: Row, numbers: list[Any], named: dict[str, Any]) -> None:
    """Note what a rule has derived and no elementary rule has noted: that of a rule that a user added."""
    if not isinstance(result, Number):
        for part in result if isinstance(result, (list, tuple)) else ():
            own_up(part, function, row, numbers, named)
    elif result.node is recording.PENDING:
        operands: list[Any] = []
        arguments, others = _with_places(numbers, operands), _with_places(named, operands)

        def again(*values: Any) -> Any:
            numbers = [x for x in values if isinstance(x, Number)]
            return row.radius(numbers[0], *_with_values(arguments, values), **_with_values(others, values))

        tape = recording.current()
        if tape is not None:
            tape.note(result, callers.name_of(function), row.adjoint, again, tuple(operands))


class _Place(int):
    """Stands for an operand in the arguments of a call."""


def _with_places(x: Any, operands: list[Any]) -> Any:
    """Arguments with the places of their numbers and masks among the operands, which are appended, in place of them."""
    if isinstance(x, (Number, Mask)):
        operands.append(x)
        return _Place(len(operands) - 1)
    if isinstance(x, dict):
        return {name: _with_places(i, operands) for name, i in x.items()}
    return type(x)(_with_places(i, operands) for i in x) if type(x) in (list, tuple) else x


def _with_values(x: Any, operands: tuple[Any, ...]) -> Any:
    """The arguments again, with other operands."""
    if isinstance(x, _Place):
        return operands[x]
    if isinstance(x, dict):
        return {name: _with_values(i, operands) for name, i in x.items()}
    return type(x)(_with_values(i, operands) for i in x) if type(x) in (list, tuple) else x
