"""A failing case as a script that stands by itself: for a bug report, a test, or somebody who has no torch-mirror.

    print(torch_mirror.reproduce(loss_and_gradients, p, x, y))        # the arguments of check
    torch_mirror.reproduce(experiment, path="case.py")                # of reference.Experiment, as verify takes it

    torch_mirror.reproduce(experiment, using=mine)                    # where it is the torch side that is wrong

The script needs NumPy alone. It holds the functions that compute the loss and the gradients, the smallest sizes and
simplest numbers at which one of these is still wrong, and the derivative there, with how far rounding may be from it.
It prints a difference quotient beside them, and ends in an AssertionError.
"""

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from reference.claim.experiment import Experiment
from reference.claim.objective import Function, Silent
from reference.errors import InputError
from reference.files import write_whole
from torch_mirror.doors.check.claimed import Claim, claim_of, gradient_name
from torch_mirror.doors.mirror_causes import function_of
from torch_mirror.doors.reproduce_places import place_of, spellings
from torch_mirror.doors.reproduce_smaller import Case, in_double, room_of, smaller, wrong_rows
from torch_mirror.doors.reproduce_sources import Copied, beside, called, literal, nothing


def reproduce(
    network: Any,
    *arguments: Any,
    using: Callable[[Experiment], Any] | None = None,
    path: str | Path | None = None,
) -> str:
    """The text of a script that shows a wrong gradient; with ``path`` it is also written there.

    network: a function (p, *data) -> (loss, gradients) with p and the data behind it, as ``check`` takes them; or a
    reference.Experiment, whose first step is looked at. using: as for ``verify``; where the reference's own gradients
    are right, the script shows what the mirror has in the place of the first tensor that is wrong in it. There the loss
    may have no penalty, but for one that a function has in it.
    Raises InputError where nothing is wrong, where the code cannot be followed, or where something that it needs cannot
    be copied, such as a lambda.
    """
    experiment = network if isinstance(network, Experiment) else None
    if experiment is not None:
        function: Any = function_of(experiment)
        data = experiment.seen(experiment.objective.prepare(experiment.data), 0)
        case = Case(experiment.parameters, tuple(data))
    elif callable(network) and arguments:
        function, case = network, Case(arguments[0], tuple(arguments[1:]))
    else:
        expected = "a function (p, *data) -> (loss, gradients) with p and the data behind it, or an Experiment"
        raise InputError("what is to be reproduced", expected, type(network).__name__)
    case = in_double(case)
    claim = claim_of(function, case.parameters, case.data)
    rows = wrong_rows(claim, case)
    if not rows and experiment is not None and using is not None:
        text = _of_mirror(experiment, using)
        return text if path is None else _written(text, path)
    if not rows:
        raise InputError("what is to be reproduced", "a gradient of which check refutes a number", "none that is wrong")
    name = next(iter(rows))
    case = smaller(claim, case, name)
    to = nothing()
    call = _experiment(to, experiment) if experiment is not None else called(to, function)
    text = _script(to, claim, case, name, call)
    _check_script(text)
    return text if path is None else _written(text, path)


def _written(text: str, path: str | Path) -> str:
    write_whole("path", Path(path), text)
    return text


def _of_mirror(e: Experiment, using: Callable[[Experiment], Any]) -> str:
    """Torch is imported here alone."""
    from torch_mirror.doors import reproduce_mirror  # noqa: PLC0415 - as said

    found = reproduce_mirror.strayed(e, using)
    if found is None:
        raise InputError("what is to be reproduced", "a gradient or value that verify refutes", "none that is wrong")
    text = reproduce_mirror.script(nothing(), e, found)
    _check_script(text)
    return text


def _check_script(text: str) -> None:
    """Run it once. Raises InputError where it does not end as it should: something that it needs was not copied."""
    expected = "to end in an AssertionError"
    try:
        with redirect_stdout(StringIO()), np.errstate(all="ignore"):
            exec(compile(text, "<script>", "exec"), {"__name__": "__main__"})  # noqa: S102 - the user's own code
    except AssertionError:
        return
    except Exception as error:
        raise InputError("the script", expected, f"{type(error).__name__}: {error}") from error
    raise InputError("the script", expected, "no error: the network uses what its source does not show")


def _experiment(to: Copied, e: Experiment) -> str:
    """Copy the network and the loss, and what calls them."""
    if isinstance(e.objective, Function):
        return called(to, e.objective.function)
    network = e.network.network if isinstance(e.network, Silent) else e.network
    to.texts["_network"] = f"_network = {literal(to, network)}"
    to.texts["_loss"] = f"_loss = {literal(to, e.loss)}"
    if e.penalty is not None or e.accumulate != 1:
        raise InputError("an experiment to copy", "one without penalty and accumulation", "one with")
    to.texts["_mine"] = MINE
    return "_mine"


MINE = """
def _mine(p, x, t):
    y, cache = _network.forward(p, x)
    return _loss.value(y, t), _network.backward(p, cache, _loss.gradient(y, t))
"""


def _script(to: Copied, claim: Claim, case: Case, name: str, call: str) -> str:
    row = wrong_rows(claim, case)[name]
    p = literal(to, case.parameters)
    data = [literal(to, d) for d in case.data]
    names = [f"data{i}" for i in range(len(data))]
    at = f"[{', '.join(map(str, row.index))}]" if row.index else ""
    gradients = claim.run(case.parameters, *case.data)[1]
    place = place_of(gradients, spellings(name))
    to.imports["import copy"] = None
    arguments = "".join(f", {n}" for n in names)
    copied = str(to).strip()
    return SCRIPT.format(
        what=gradient_name(name, claim.root), copied=copied, own=beside(copied, OWN), start=p,
        index=f"[{', '.join(map(str, row.index)) or '()'}]",
        data="\n".join(f"{n} = {text}" for n, text in zip(names, data, strict=True)),
        call=call, arguments=arguments, place=place, at=at, leaf=place_of(case.parameters, (name,)),
        right=repr(float(row.expected)), room=repr(float(room_of(row))),
    )  # fmt: skip


OWN = ("p", "loss_and_gradients", "loss_at", "moved", "seen", "derivative", "rounding")
"""Names of the script itself, as ``beside`` takes them."""

SCRIPT = '''"""{what} is not the derivative of the loss. It needs NumPy alone; made by torch_mirror.reproduce."""

from __future__ import annotations

{copied}

# the smallest sizes and simplest numbers at which it still fails
{own[p]} = {start}
{data}


def {own[loss_and_gradients]}({own[p]}):
    return {call}(copy.deepcopy({own[p]}){arguments})


def {own[loss_at]}(h):
    {own[moved]} = copy.deepcopy({own[p]})
    {own[moved]}{leaf}{index} += h
    return float({own[loss_and_gradients]}({own[moved]})[0])


{own[seen]} = float(np.asarray({own[loss_and_gradients]}({own[p]})[1]{place}){index})
{own[derivative]} = {right}  # of the loss, by p{leaf}{index}
{own[rounding]} = {room}  # how far rounding may take a right gradient from it
print("{what}{at} is", {own[seen]})
print("the derivative is", {own[derivative]})
print("the difference quotient is", ({own[loss_at]}(1e-6) - {own[loss_at]}(-1e-6)) / 2e-6)
assert abs({own[seen]} - {own[derivative]}) <= {own[rounding]}, (
    f"{what}{at} is {{{own[seen]}}}, where {{{own[derivative]}}} is right"
)
'''
