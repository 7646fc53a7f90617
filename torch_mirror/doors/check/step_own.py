"""The steps of a user's optimizer by themselves: on arrays, as they would run, and on balls; and whether these agree.

On balls a cast to a narrower dtype is none, and a type is another one. So what is certified of the run on balls is
certified of the user's own only if each of its numbers is what the balls say (own.py).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.claim.tree import Tree, named
from reference.claim.update import Own as Update
from reference.claim.update import copied
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.number import Number
from torch_mirror.doors.check.claimed import copies
from torch_mirror.doors.check.own import Again, Beside, Own, explained, narrowest_among, own_numbers
from torch_mirror.doors.check.runs import NotFollowed, given_ball
from torch_mirror.doors.check.standin import stand_in
from torch_mirror.doors.check.untouched import replace_floats, untouched
from torch_mirror.doors.check.world import World


class Made(NamedTuple):
    """What a step has made, by name: the parameters, and of the state what has a name."""

    p: Tree
    state: Tree


def plain_steps(update: Update, world: World, p: Tree, gradients: Sequence[Tree]) -> list[Made]:
    """On arrays of their own dtype. Raises what the user's code raises."""
    with untouched(world), np.errstate(all="ignore"):
        return list(_steps(update, copies(p), [copies(g) for g in gradients]))


def steps_on_balls(update: Update, world: World, p: Tree, gradients: Sequence[Tree], dtype: Any) -> list[Made]:
    """The same on balls of the dtype."""

    def ball(a: Any) -> Ball:
        return given_ball(a, dtype)

    with untouched(world), np.errstate(all="ignore"):
        start, given = copies(p, ball), [copies(g, ball) for g in gradients]
        replace_floats(world, ball)
        stand_in(world.namespaces, ball, dtype)
        return list(_steps(update, start, given))


def _steps(update: Update, p: Tree, gradients: Sequence[Tree]) -> Iterator[Made]:
    state = update.init(p)
    for t, g in enumerate(gradients):
        p, state = update.step(p, g, state, t)
        yield Made(copied(p), copied(state))  # an object may go on writing to what it has returned


def own_steps(
    update: Update, world: World, p: Tree, gradients: Sequence[Tree], plain: Sequence[Made], balls: Sequence[Made]
) -> Own:
    """What the user's own parameters and states say beside the balls of the same steps."""
    results = list(_beside(plain, balls))

    def again(dtype: np.dtype[Any]) -> Again | NotFollowed:
        try:
            narrow = steps_on_balls(update, world, p, gradients, dtype)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run in float64 has not raised it
            return NotFollowed(None, f"{type(error).__name__}: {error}")
        return Again({r.name: r.ball for r in _beside(plain, narrow)})

    came = (r.value for r in results)
    narrowest = narrowest_among((*named(p).values(), *named(gradients[0]).values(), *world.arrays, *came))
    return own_numbers(results, narrowest, again)


def as_the_right_one(plain: Sequence[Made], right: Sequence[Tree]) -> bool:
    """Whether the user's own parameters are those of the right optimizer at every step, given as balls."""
    made = [Made(p, {}) for p in right]
    return all(explained(r, 0, 0) for r in _beside([m._replace(state={}) for m in plain], made))


def _beside(plain: Sequence[Made], balls: Sequence[Made]) -> Iterator[Beside]:
    for t, (own, ball) in enumerate(zip(plain, balls, strict=True)):
        for mine, on_balls in ((own.p, ball.p), (own.state, ball.state)):
            found = named(on_balls)
            for name, a in named(mine).items():
                x = found.get(name)
                if hasattr(x, "settled"):
                    yield Beside(f"{name} after step {t + 1}", np.asarray(a), _number(x))


def _number(x: Any) -> Number:
    number: Number = x.settled()
    return number
