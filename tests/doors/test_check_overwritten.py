"""``=`` where ``+=`` is due is proven by what the user's own backward pass gives with ``+=``, and by nothing less."""

from typing import Any

import numpy as np
import pytest

from torch_mirror import check

draw = np.random.default_rng(8).normal
W, X = draw(size=(5, 3)), draw(size=(8, 5))
Y = np.array([0, 2, 1, 1, 0, 2, 2, 0])


def hinge(put: str, *, twice: float = 1.0) -> Any:
    """cs231n's loop; put: what its second line does; twice: a second fault, a factor of the first line."""

    def mine(w: Any, x: Any, y: Any) -> Any:
        loss, dw = 0.0, np.zeros_like(w)
        for a, k in zip(x, y, strict=True):
            s = a @ w
            for j in range(w.shape[1]):
                margin = s[j] - s[k] + 1
                if j != k and margin > 0:
                    loss += margin
                    dw[:, j] += twice * a
                    if put == "=":
                        dw[:, k] = -a
                    else:
                        dw[:, k] -= a
        return loss / len(x), dw / len(x)

    return mine


def test_what_is_put_over_a_sum_in_an_array_is_told_and_proven() -> None:
    assert check(hinge("-="), W, X, Y).certified
    result = check(hinge("="), W, X, Y)
    (fault,) = result.faults
    assert [line.source for line in fault.wrong] == ["dw[:, k] = -a"]
    assert fault.causes[0].startswith("= where += or -= is due: what was added up there before is thrown away, ")
    assert "all 15 elements" in fault.causes[0]


def test_beside_a_second_mistake_in_the_same_gradient_it_is_not_said() -> None:
    """With += the gradient is still wrong: nothing is proven."""
    result = check(hinge("=", twice=1.5), W, X, Y)
    assert result.verdict == "refuted"
    assert not any("is due" in cause for cause in result.causes)


def recurrent(keep: str, *, scale: float = 1.0) -> Any:
    """A loop over time. keep: "=" or "+=" for the gradient of U."""

    def mine(p: Any, x: Any, t: Any) -> Any:
        h, past = np.zeros(3), []
        for a in x:
            past.append((a, h))
            h = np.tanh(a @ p["V"] + h @ p["U"])
        g = {name: np.zeros_like(a) for name, a in p.items()}
        dh = 2 * (h - t)
        after = h
        for a, before in reversed(past):
            dz = dh * (1 - after**2)
            g["V"] += np.outer(a, dz)
            if keep == "=":
                g["U"] = scale * np.outer(before, dz)
            else:
                g["U"] += np.outer(before, dz)
            dh = dz @ p["U"].T
            after = before
        return ((h - t) ** 2).sum(), g

    return mine


@pytest.mark.parametrize("names", [("V", "U"), ("U", "V")])
def test_of_a_name_that_keeps_the_last_turn_alone_the_line_is_told(names: tuple[str, ...]) -> None:
    """The last turn's share is 0 here, as h is 0 before the first step."""
    p = {name: draw(size=(5 if name == "V" else 3, 3)) for name in names}
    data = X[:4], draw(size=3)
    assert check(recurrent("+="), p, *data).certified
    result = check(recurrent("="), p, *data)
    (fault,) = result.faults
    assert fault.gradients == ("dU",)
    assert [line.source for line in fault.wrong] == ['g["U"] = scale * np.outer(before, dz)']
    assert "of 4 turns the share of the last one alone is kept" in fault.causes[0]


def test_a_sum_of_the_turns_that_is_not_the_derivative_is_no_cause() -> None:
    p = {"V": draw(size=(5, 3)), "U": draw(size=(3, 3))}
    result = check(recurrent("=", scale=0.7), p, X[:4], draw(size=3))
    assert result.verdict == "refuted"
    assert not any("is due" in cause for cause in result.causes)


def test_what_a_mask_sets_to_0_is_no_such_mistake() -> None:
    """dz[z <= 0] = 0 puts something over what was there, as it should."""

    def mine(p: Any, x: Any, t: Any) -> Any:
        z = x @ p["W"]
        e = np.maximum(z, 0) - t
        dz = 2 * e / e.size
        dz[z <= 0] = 0
        return (e**2).mean(), {"W": 2 * x.T @ dz}  # the mistake: 2

    result = check(mine, {"W": W}, X, draw(size=(8, 3)))
    assert "a factor 2 " in result.causes[0]
    assert not any("is due" in cause for cause in result.causes)
