"""The user's code at other sizes, where those at hand cannot tell two causes apart: N and the outputs, both 3 here."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.claim.tree import named
from reference.errors import InputError
from torch_mirror.doors.check.claimed import Claim, sizes_of
from torch_mirror.doors.check.convened import convened
from torch_mirror.doors.check.runs import NotFollowed, as_taken, followed
from torch_mirror.doors.check.untouched import untouched
from torch_mirror.doors.check.world import world_of
from torch_mirror.tape.causes import Elsewhere
from torch_mirror.tape.scene import scene_of


def elsewhere_of(claim: Claim, make: Callable[[], Any] | None) -> Callable[[], Elsewhere | str]:
    """A function that runs the code there, at its first call; it gives why it could not, "" where nothing was made.

    A verdict has been reached when it is called, so that it raises nothing, whatever ``make`` does.
    Raises InputError for what is no function.
    """
    if make is not None and not callable(make):
        raise InputError("make", "a function () -> (parameters, *data)", repr(make))

    @functools.cache
    def elsewhere() -> Elsewhere | str:
        if make is None:
            return ""
        try:
            return _at(claim, make)
        except Exception as error:  # noqa: BLE001 - whatever it is, the verdict stands
            return f"make= could not be used: {type(error).__name__}: {error}"

    return elsewhere


def _at(claim: Claim, make: Callable[[], Any]) -> Elsewhere | str:
    with untouched(world_of(make)):
        made = make()
    if not isinstance(made, tuple) or len(made) != 1 + len(claim.data):
        came = f"{len(made)} values" if isinstance(made, tuple) else type(made).__name__
        raise InputError("make", f"to return parameters and {len(claim.data)} data, as a tuple", came)
    p, *data = made
    if tuple(named(p)) != claim.names:
        raise InputError("the parameters of make", ", ".join(claim.names), ", ".join(named(p)))
    there = claim._replace(parameters=p, data=tuple(data), roots=(*claim.roots, p, data))
    wide = np.result_type(np.float64, *(np.asarray(a).dtype for a in named(p).values()))
    seen = followed(there, world_of(*there.roots), wide)
    if isinstance(seen, NotFollowed):
        return f"make= could not be used: {seen.why}"
    seen = as_taken(seen)
    d, _, _, _ = convened(seen, list(claim.names))
    given = {name: g for name, g in seen.gradients.items() if g is not None}
    return Elsewhere(scene_of(seen.tape, seen.loss, given, seen.leaves, d.side), sizes_of(there))
