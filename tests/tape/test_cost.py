"""What derivatives with radii cost: ratios in one run, in seconds of the processor, on one thread."""

import time
from collections.abc import Callable
from typing import Any

from threadpoolctl import threadpool_limits

from reference.arrays import Array
from tests.tape.networks import softmax_network, taped
from torch_mirror.tape.sweep import derivative


def fastest(f: Callable[[], Any], times: int) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        f()
        best = min(best, time.process_time() - start)
    return best


def test_of_784_128_10_they_cost_no_more_than_25_backward_passes_by_hand() -> None:
    """Recording the loss, with the user's backward pass, is in it."""
    net = softmax_network(784, 128, 10, 64)

    def both() -> Any:
        return net.function(net.p, net.x, net.t)

    def forward() -> Array:
        import numpy as np

        a1 = np.maximum(net.x @ net.p["W1"].T + net.p["b1"], 0)
        z2 = a1 @ net.p["W2"].T + net.p["b2"]
        e = np.exp(z2 - z2.max(axis=1, keepdims=True))
        return -(net.t * np.log(e / e.sum(axis=1, keepdims=True))).sum()

    with threadpool_limits(1):
        own = fastest(both, 30) - fastest(forward, 30)
        tape = fastest(lambda: derivative(taped(net).loss), 15)
    assert tape < 25 * own
