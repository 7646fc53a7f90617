"""A campaign in parts, by several processes or a cluster: each part is a campaign with a seed of its own.

What comes of it depends on how many parts there are, and not on who does them.
"""

import os
from collections.abc import Generator
from functools import partial

from tests.attack.adversary import FORMATS
from tests.attack.soundness import Key, campaign
from tests.attack.strike import Tally
from torch_mirror.doors.jobs.tasks import Task, Who, results
from torch_mirror.doors.jobs.unit import Unit
from torch_mirror.doors.runs import Bar, silent

Draw = tuple[int, int]
"""A seed, and the number of a draw of it."""

Found = dict[Key, tuple[Tally, Draw]]
"""What came of an operation and dtype, with the draw of the first violation, if there is one."""


def in_parts(
    names: tuple[str, ...], dtypes: tuple[str, ...], elements: float, seed: int, parts: int, who: Who, bar: Bar = silent
) -> Generator[Found, None, None]:
    """What comes of each part, in order. On Ctrl-C what is found comes first, then KeyboardInterrupt."""
    attacks = [partial(attack, names, dtypes, elements / parts, seed + k) for k in range(parts)]
    tasks = [Task(do, Unit(f"part {k + 1}", do, os.getcwd())) for k, do in enumerate(attacks)]  # noqa: PTH109 - a text
    yield from results(tasks, who, bar_of_all=bar)


def attack(names: tuple[str, ...], dtypes: tuple[str, ...], elements: float, seed: int, _: Bar = silent) -> Found:
    """A whole campaign with this seed."""
    found: Found = {}
    formats = tuple(fmt for fmt in FORMATS if fmt.dtype.name in dtypes)
    for key, number, tally in campaign(names, formats, elements, seed):
        found = together(found, {key: (tally, (seed, number))})
    return found


def together(found: Found, more: Found) -> Found:
    """Both, of which the first violation is the earlier one's."""
    result = {**found}
    for key, (tally, draw) in more.items():
        before, first = found.get(key, (Tally(), draw))
        result[key] = before + tally, first if before.first else draw
    return result
