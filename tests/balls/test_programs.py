"""Any program of views and assignments: aliasing is NumPy's, and nothing changes under a radius."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attack.adversary import (
    F64,
    hostile,
    operand,
    worst,
)
from tests.attack.holes import Hole, always, found
from tests.attack.strategies import formats, movements, seeds
from torch_mirror.balls import assignment, cell
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format
from torch_mirror.balls.rules import shapes

LOOKS: tuple[Callable[[Any], Any], ...] = (
    lambda a: a[0], lambda a: a[..., 0], lambda a: a[1:], lambda a: a[::-1], lambda a: a.T, lambda a: a.reshape(-1),
    lambda a: a.ravel(), lambda a: a[None], lambda a: a[..., [0, -1]], lambda a: a.copy(), lambda a: np.flip(a, 0),
    np.squeeze, np.atleast_2d, lambda a: a.flatten(), lambda a: np.moveaxis(a, 0, -1),
)  # fmt: skip


def assign(a: Any, b: Any) -> None:
    a[...] = b.reshape(-1)[0]


def add(a: Any, b: Any) -> None:
    a += b.reshape(-1)[-1]


def scale(a: Any, _: Any) -> None:
    a /= 2  # of a fraction too


def set_first(a: Any, b: Any) -> None:
    a[0] = b.reshape(-1)[0] * 2


def shift(a: Any, _: Any) -> None:
    a[1:] = a[:-1]


def overwrite_where(a: Any, b: Any) -> None:
    a[a <= 0] = b.reshape(-1)[0]


WRITES = (assign, add, scale, set_first, shift, overwrite_where)
programs = st.lists(
    st.tuples(st.integers(0, len(LOOKS) - 1), st.integers(0, 9), st.integers(0, len(WRITES) - 1), st.integers(0, 9)),
    max_size=8,
)


def run(program: Any, x: Any, y: Any) -> list[Any]:
    """Every array that a program makes: views, copies and results, written to in between."""
    arrays = [x.copy(), y.copy()]
    for look, of, write, source in program:
        a = arrays[of % len(arrays)]
        seen = LOOKS[look](a)
        if np.ndim(seen) and np.size(seen):
            arrays.append(seen)
        b = arrays[source % len(arrays)]
        arrays.append(b * 3)
        target = arrays[(of + source) % len(arrays)]
        if target.ndim:
            WRITES[write](target, b)
    return arrays


@given(formats, programs, seeds, movements)
def test_any_program_of_views_and_assignments_is_numpy_s(
    fmt: Format, program: Any, seed: int, moved: bool  # noqa: FBT001 - drawn
) -> None:
    assert against_numpy(fmt, program, seed, moved=moved) <= 1


def against_numpy(fmt: Format, program: Any, seed: int, *, moved: bool) -> float:
    """The worst error / radius over all arrays of a program."""
    rng = np.random.default_rng(seed)
    values = [hostile("normal", shape, fmt, rng) for shape in ((3, 4), (4, 2))]
    # radii that leave no comparison open, as fractions and floats must select the same elements
    radii = [np.abs(v) * fmt.u if moved else None for v in values]
    operands = [operand(v, e, fmt, fmt.dtype, rng) for v, e in zip(values, radii, strict=True)]
    with np.errstate(all="ignore"):
        balls = run(program, *(o.ball for o in operands))
        arrays, exact = run(program, *(o.other for o in operands)), run(program, *(o.exact for o in operands))
    assert [b.shape for b in balls] == [a.shape for a in arrays]
    return max(worst(ball, q, [a]) for ball, q, a in zip(balls, exact, arrays, strict=True))


@pytest.mark.parametrize(("where", "name", "hole"), [
    (assignment, "written_through", lambda root, *_: root),             # views are copies
    (shapes, "placed", lambda like, old, *_: np.full_like(like, old)),  # nothing is assigned
    (cell, "_seen", lambda _x, number, _look: Ball(number)),            # no view follows
])  # fmt: skip
def test_programs_find_a_hole(where: Any, name: str, hole: Any) -> None:
    program = [(0, 0, 1, 1), (4, 0, 3, 0), (2, 1, 0, 3)]
    found(lambda: [against_numpy(F64, program, 0, moved=True)], Hole(where, name, always(hole)))
