"""The gradients of a network have the form of its parameters, whatever form its backward pass gives them."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from reference import SquaredError
from reference.claim.objective import Supervised
from reference.errors import InputError

W, B, X = np.array([[2.0, -1.0]]), np.array([0.5]), np.array([[1.0, 3.0], [0.0, 1.0]])


class Parameters(NamedTuple):
    W: Any
    b: Any


class Gradients(NamedTuple):
    db: Any
    dW: Any  # noqa: N815 - as it is written


def gradients(p: Any, form: Any) -> Any:
    """Of a linear layer, by a backward pass that gives them in that form."""

    def forward(_p: Any, x: Any, _sow: Any) -> Any:
        return x @ W.T + B, x

    def backward(_p: Any, x: Any, dy: Any, _sow: Any) -> Any:
        return form(dy.T @ x, dy.sum(axis=0))

    network = SimpleNamespace(forward=forward, backward=backward)
    return Supervised(network, SquaredError("sum")).gradients(p, (X, np.zeros((2, 1))))


FORMS = {
    "the same": Parameters, "a dict": lambda dW, db: {"b": db, "W": dW},
    "with a d": lambda dW, db: {"dW": dW, "db": db},
    "another tuple": lambda dW, db: Gradients(db, dW),
}  # fmt: skip


@pytest.mark.parametrize("form", [*FORMS])
@pytest.mark.parametrize("p", [Parameters(W, B), {"W": W, "b": B}])
def test_they_are_a_tree_like_the_parameters(p: Any, form: str) -> None:
    found = gradients(p, FORMS[form])
    assert type(found) is type(p)
    own = found._asdict() if isinstance(found, Parameters) else found
    assert {name: g.tolist() for name, g in own.items()} == {"W": [[-1.0, -4.0]], "b": [-2.0]}


@pytest.mark.parametrize("p", [Parameters(W, B), {"W": W, "b": B}])
def test_one_that_is_missing_or_there_twice_is_told(p: Any) -> None:
    for form in (lambda dW, _: {"W": dW}, lambda dW, db: {"W": dW, "dW": dW, "b": db}, lambda dW, _: dW):
        with pytest.raises(InputError, match="gradients: expected a gradient of each parameter by its name: W, b"):
            gradients(p, form)
