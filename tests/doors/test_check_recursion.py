"""Recursive nets: the way back visits a tree in another order than the way there, and one slip is told as one."""

from typing import Any

import numpy as np

from torch_mirror import Checked, check

TREE = ((("a", "b"), "c"), ("d", ("e", "f")))
draw = np.random.default_rng(0).normal
P = {"E": draw(size=(6, 3)), "W": 0.7 * draw(size=(3, 6)), "b": draw(size=3), "u": draw(size=3)}


def checked(slip: str = "") -> Checked:
    def mine(p: Any, t: float) -> Any:
        g = {name: np.zeros_like(a) for name, a in p.items()}

        def there(n: Any) -> Any:
            if isinstance(n, str):
                return p["E"]["abcdef".index(n)], n
            (left, a), (right, b) = there(n[0]), there(n[1])
            c = np.concatenate([left, right])
            h = np.tanh(p["W"] @ c + p["b"])
            return h, (c, h, a, b)

        def back(n: Any, dh: Any) -> None:
            if isinstance(n, str):
                g["E"]["abcdef".index(n)] += dh
                return
            c, h, a, b = n
            dz = dh * (1 - h * h)
            if slip == "square":
                dz = dh * (1 - h)
            g["W"] += np.outer(dz, c)
            g["b"] += dz
            dc = p["W"].T @ dz
            back(a, dc[:3])
            if slip == "half":
                back(b, dc[:3])
            else:
                back(b, dc[3:])

        h, root = there(TREE)
        e = p["u"] @ h - t
        g["u"] += 2 * e * h
        back(root, 2 * e * p["u"])
        return e**2, g

    return check(mine, P, 0.7)


def test_a_right_one_is_certified() -> None:
    assert checked().certified


def test_one_slip_at_every_node_is_one_mistake() -> None:
    (fault,) = checked("square").faults
    assert fault.gradients == ("dW", "db", "dE")
    assert fault.shown
    assert [line.source for line in fault.wrong] == ["dz = dh * (1 - h)"]
    assert fault.causes[0].startswith("the square left out of ")


def test_what_a_line_is_given_wrongly_comes_before_the_line_which_is_right_in_other_turns() -> None:
    fault = checked("half").faults[0]
    assert fault.gradients == ("dW", "db")
    assert [line.source for line in fault.wrong][:2] == ["back(b, dc[:3])", "dz = dh * (1 - h * h)"]
