"""What rounding may do to a gradient of one step: the radius of the reference's own, and the worst of the step.

The reference's backward is evaluated on balls whose operands are all rounded once, so that nothing passes for exact.
"""

from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Array
from reference.claim.slots import parameter_gradients
from reference.errors import TorchMirrorError
from torch_mirror.balls.cell import Ball
from torch_mirror.balls.format import Format
from torch_mirror.judge.cases import Case, backward, equation, rounded
from torch_mirror.judge.checks.end_to_end import free_step
from torch_mirror.judge.checks.forms import any_form, forms_of
from torch_mirror.judge.replay import as_ball


class Rounding(NamedTuple):
    """radius: of the tensor, shaped as it. share: the largest relative radius of the step's tensors, this one included.

    That of the tensor itself counts because its radius is as wrong as its numbers where the backward lacks a factor.
    """

    radius: Array
    share: float

    @property
    def largest(self) -> float:
        """The largest finite radius."""
        return float(np.max(self.radius, initial=0, where=np.isfinite(self.radius)))


def rounding_of(case: Case, name: str, fmt: Format) -> Rounding:
    """Of the case's tensor, which is the gradient of a value or parameter of that name, or follows from it."""
    shares: list[float] = []

    def tell(sown: str, ball: Any, /) -> Any:
        # nothing follows from another parameter's gradient: one that cancels says nothing of this one
        if isinstance(ball, Ball) and sown not in parameter_gradients(case.experiment.slots):
            shares.append(_relative_radius(ball))
        return ball

    gradient = backward(case, name, rounded(fmt), tell)
    own = as_ball(gradient if case.kind == "gradient" else equation(case, rounded(fmt)), fmt)
    return Rounding(own.radius, max([*shares, _relative_radius(own)]))


def of_other_forms(case: Case) -> Array | float:
    """The radius of a gradient of torch's in any form, as the check had it; 0 of what has no other form."""
    e, f, part = case.experiment, case.finding, case.part._replace(stacks=False)
    if f.side == "numpy" or case.kind != "gradient":
        return 0.0
    with suppress(TorchMirrorError):
        if f.check == "local":
            return np.asarray(forms_of(e, part, [f.tensor])[f.tensor].other.radius[0])
        return np.asarray(any_form(e, part, free_step(e, part))[f.tensor].radius[0])
    return 0.0


def _relative_radius(ball: Ball) -> float:
    """The largest radius over the largest value; 0 where there is no such number."""
    size, radius = (float(np.max(np.abs(a), initial=0)) for a in (ball.value, ball.radius))
    return radius / size if size > 0 and np.isfinite(radius / size) else 0.0
