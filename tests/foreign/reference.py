"""The network that examples/c and examples/js train, in NumPy, and what a planted fault must lead to."""

import numpy as np

from reference import SGD, Experiment, SquaredError
from reference.networks.two_layer_relu import Parameters, TwoLayerReLU
from torch_mirror import Certificate

SHAPES = ((8, 3), (8, 2), (4, 3), (2, 4))  # x, t, W1, W2, in the order in which they are drawn


def experiment(dtype: str) -> Experiment:
    """The run, from data and a start of its own making: the same generator of 32 bits as in the examples."""
    state, numbers = 1, []
    for _ in range(sum(rows * columns for rows, columns in SHAPES)):
        state = (1664525 * state + 1013904223) % 2**32
        numbers.append((state >> 21) / 1024 - 1)
    ends = np.cumsum([rows * columns for rows, columns in SHAPES])[:-1]
    parts = np.split(np.array(numbers, dtype), ends)
    x, t, W1, W2 = (part.reshape(shape) for part, shape in zip(parts, SHAPES, strict=True))
    return Experiment(TwoLayerReLU(3, 4, 2), Parameters(W1, W2), x, t, SquaredError("mean"), SGD(0.1, 0.9), steps=20)


def planted(source: str, right: str, wrong: str) -> str:
    """The source with a fault in the place of what is right, which must be there once."""
    assert source.count(right) == 1, right
    return source.replace(right, wrong)


def first_wrong(certificate: Certificate) -> str | None:
    """The tensor that the certificate names first."""
    assert (certificate.verdict == "refuted") == (certificate.first is not None)
    return certificate.first and certificate.first.tensor
