"""What several optimizers share: the gradient that they follow, and a running mean.

Source: torch.optim (documentation of ``maximize`` and ``weight_decay``), torch.lerp.
"""

from typing import Any

from reference.arrays import Array
from reference.claim.tree import zip_with


def followed(g: Any, p: Any, weight_decay: float, *, maximize: bool) -> Any:
    """The gradient: -g to maximise, and then weight_decay p added, where there is one. Trees of the same shapes."""
    if maximize:
        g = zip_with(lambda _, dw: -dw, g)
    return zip_with(lambda _, dw, w: dw + weight_decay * w, g, p) if weight_decay else g


def lerp(a: Array, b: Array, weight: float) -> Array:
    """a + weight (b - a), from the nearer end as in torch.

    From b the step back is (1 - weight) (b - a), written d - weight d: torch rounds the weight to the tensors'
    dtype before it takes it from 1, and so the judge sees that rounding too.
    """
    d = b - a
    return a + weight * d if weight < 0.5 else b - (d - weight * d)
