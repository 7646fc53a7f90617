"""The equations of one training step: what the producers follow and the judge reads."""

from reference.arrays import Array, Sow, keep
from reference.claim.objective import Network, Parameters
from reference.losses import SquaredError
from reference.optimizers.sgd import SGD


def gradients(
    network: Network, p: Parameters, x: Array, t: Array, loss: SquaredError, sow: Sow = keep
) -> Parameters:
    """Forward and backward pass: the gradient of each parameter. x is the network's features."""
    y, cache = network.forward(p, x, sow)
    dy = sow("dy", loss.gradient(y, t))
    return network.backward(p, cache, dy, sow)


def step(
    network: Network,
    p: Parameters,
    x: Array,
    t: Array,
    loss: SquaredError,
    sgd: SGD,
    v: Parameters | None = None,
    sow: Sow = keep,
) -> tuple[Parameters, Parameters | None]:
    """One training step: the next parameters and momentum buffers. v: the buffers, None before the first step."""
    return sgd.step(p, gradients(network, p, x, t, loss, sow), v, sow)
