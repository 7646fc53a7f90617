"""One training step in some kind of numbers: balls, fractions or floats."""

from collections.abc import Callable
from typing import Any

from reference.arrays import Array
from reference.claim.experiment import Experiment
from reference.claim.objective import features
from reference.claim.step import step
from reference.claim.tree import zip_with
from reference.optimizers.sgd import SGD


def step_of(e: Experiment, number: Callable[[Array], Any], scalar: Callable[[float], Any]) -> dict[str, Any]:
    """Every tensor of the experiment's first step and the loss, in some kind of numbers."""
    values: dict[str, Any] = {}

    def sow(name: str, value: Any) -> Any:
        values[name] = value
        return value

    x, t = number(e.x[e.rows(0)]), number(e.t[e.rows(0)])
    p = zip_with(lambda _, a: number(a), e.parameters)
    loss = e.loss._replace(scale=scalar(e.loss.scale))
    options = {name: scalar(v) if isinstance(v, float) and v else v for name, v in e.sgd._asdict().items()}
    step(e.network, p, features(e.network, x, sow), t, loss, SGD(**options), sow=sow)
    values["loss"] = loss.value(values["y"], t)
    return values
