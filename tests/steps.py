"""One training step of a network, from numbers of any kind, with or without axes of stacked steps in front."""

from collections.abc import Callable
from typing import Any

from reference.arrays import Array, Sow, keep
from reference.claim import objective
from reference.claim.experiment import Experiment
from reference.claim.objective import Supervised, features
from reference.claim.tree import zip_with
from reference.optimizers.sgd import SGD


def gradients(network: Any, p: Any, x: Any, t: Any, loss: Any, sow: Sow = keep) -> Any:
    """Forward and backward pass: the gradient of each parameter. x is the network's features (..., batch, in)."""
    return Supervised(network, loss._replace(axes=2)).gradients(p, (x, t), sow)


def step(network: Any, p: Any, x: Any, t: Any, loss: Any, optimizer: Any, number: Any = 0, sow: Sow = keep) -> Any:
    """The next parameters of the first step (or another, of an optimizer without a state)."""
    descended = Supervised(network, loss._replace(axes=2))
    after, _ = objective.step(descended, p, (x, t), optimizer, optimizer.init(p), number, sow)
    return after


def value(loss: Any, y: Any, t: Any) -> Array:
    """The loss of each step. y: (..., batch, out); returns (...)."""
    result: Array = loss._replace(axes=2).value(y, t)
    return result


def step_of(e: Experiment, number: Callable[[Array], Any], scalar: Callable[[float], Any]) -> dict[str, Any]:
    """Every tensor of the experiment's first step and the loss, in some kind of numbers: balls, fractions or floats."""
    values: dict[str, Any] = {}

    def sow(name: str, value: Any) -> Any:
        values[name] = value
        return value

    x, t = number(e.x[e.rows(0)]), number(e.t[e.rows(0)])
    p = zip_with(lambda _, a: number(a), e.parameters)
    loss = e.loss._replace(scale=scalar(e.loss.scale))
    options = {name: scalar(v) if isinstance(v, float) and v else v for name, v in e.optimizer._asdict().items()}
    step(e.network, p, features(e.network, x, sow), t, loss, SGD(**options), sow=sow)
    values["loss"] = value(loss, values["y"], t)
    return values
