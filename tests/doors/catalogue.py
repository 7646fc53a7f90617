"""The catalogue of planted faults (tests/tape/edits) as somebody would bring it: through check and check_step.

A cause that is named at one point is right if the same words are named at another one, of other sizes, numbers and
settings: what only happens to be equal here has another name there.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from tests.tape.edits.planted import Fault, Sizes, numbers, planted
from torch_mirror import Checked
from torch_mirror.doors.selftest import graded

Grade = Literal["right", "tie", "none", "wrong"]


def of_network(sizes: Sizes, seed: int) -> tuple[Any, ...]:
    """Parameters and data of the networks: X, t, a decay, and what a fault may fall back on."""
    p, X, t = numbers(sizes, seed, dyadic=False)
    r = np.random.default_rng(seed + 1000)
    later = {k: a + 0.25 * r.standard_normal(a.shape) for k, a in p.items()}
    before = {k: r.standard_normal(a.shape) for k, a in p.items()}
    return p, X, t, (0.3, 0.37, 0.23)[seed % 3], {"later": later, "before": before}


def of_optimizer(seed: int, n: int) -> tuple[Any, Any]:
    """Parameters and gradients."""
    r = np.random.default_rng(seed)
    p, g = ({"W": r.standard_normal((n, 3)), "b": r.standard_normal(3)} for _ in range(2))
    return p, g


def update_of(written: Any, fault: Fault | None) -> tuple[Callable[..., Any], Callable[[Any], Any], dict[str, str]]:
    """A hand-written optimizer as check_step takes it: the update, its state at the start, and which state is which."""
    step, _ = planted(written.source, fault)
    names = list(written.optimizer.init({"p": np.zeros(1)}))

    def update(p: Any, g: Any, state: Any, t: Any) -> Any:
        new: dict[str, Any] = {}
        after: dict[str, Any] = {name: {} for name in names}
        for k in p:
            own = {name: state[name][k] for name in names}
            new[k], made = step(p[k], g[k], own, t, state["before"][k], *written.settings)
            for name in names:
                after[name][k] = made[name]
        return new, {**after, "before": g}

    def start(p: Any) -> Any:
        return {name: {k: np.zeros_like(a) for k, a in p.items()} for name in (*names, "before")}

    return update, start, {name: name for name in names}


def words(result: Checked) -> set[str]:
    """The causes without their proofs, and without the numbers that they give names to."""
    return graded.words(result.causes)


def grade(here: Checked, there: Callable[[], Checked]) -> Grade:
    """Of the causes that are named here; there: checks at the other point, which is asked only where there are some."""
    one = words(here)
    if not one:
        return "none"
    if not one & words(there()):
        return "wrong"
    return "right" if len(one) == 1 else "tie"
