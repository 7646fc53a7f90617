"""The convention at kinks, such as the derivative of a ReLU at 0, that somebody's gradients were computed in."""

from torch_mirror.doors.check.claimed import gradient_name
from torch_mirror.doors.check.runs import Followed
from torch_mirror.tape import compared
from torch_mirror.tape.conventions import conventions
from torch_mirror.tape.sweep import Derivatives
from torch_mirror.tape.told import Row


def _rows(seen: Followed, d: Derivatives, order: list[str]) -> tuple[Row, ...]:
    rows = []
    for name in order:
        leaf = seen.leaves[name]
        rows.append(compared.row(gradient_name(name), seen.gradients[name], d.by(leaf).settled(), {name: leaf.value}))
    return tuple(rows)


CONVENTIONS = 27
"""Sweeps: all conventions of three operations whose two sides meet."""


def convened(seen: Followed, order: list[str]) -> tuple[Derivatives, tuple[Row, ...], tuple[str, ...]]:
    """The derivative and what is found beside it, in the convention that fits most gradients of the user's."""
    best: tuple[int, Derivatives, tuple[Row, ...]] | None = None
    for d in conventions(seen.loss, CONVENTIONS):
        rows = _rows(seen, d, order)
        wrong = sum(row.word == "WRONG" for row in rows)
        if best is None or wrong < best[0]:
            best = wrong, d, rows
        if not wrong:
            break
    if best is None:
        raise AssertionError("there is one convention at least")
    _, d, rows = best
    if not d.open:
        return d, rows, ()
    where = ", ".join(dict.fromkeys(str(o.place) for o in d.open if o.place is not None))
    elements = sum(o.open + o.ties for o in d.open)
    noun = "one element" if elements == 1 else f"{elements:,} elements"
    return d, rows, (f"two sides of a kink meet at {noun} ({where}); the derivative of either side is taken there",)
