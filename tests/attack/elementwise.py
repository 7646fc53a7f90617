"""Operations of each element alone."""

import numpy as np
import torch

from reference.activations import relu, relu_backward, sigmoid, sigmoid_backward, tanh_backward
from tests.attack.domains import last_not_zero, not_negative, number, often_equal, positive, within_reach
from tests.attack.evaluations import flushed, fused_multiply_add, with_torch
from tests.attack.operation import ASSUMED, COPIES, E, Operation
from tests.attack.oracle import choose, largest, least

ELEMENTWISE: dict[str, Operation] = {
    "add": Operation((E, E), lambda x, y: x + y, torch.add, domain=often_equal),
    "subtract": Operation((E, E), lambda x, y: x - y, torch.sub, domain=often_equal),
    "multiply": Operation((E, E), lambda x, y: x * y, torch.mul),
    "divide": Operation((E, E), lambda x, y: x / y, torch.div, domain=last_not_zero),
    "divide by a number": Operation((E,), lambda x, n: x / n, lambda x, n: x * (1 / n), {
        "times reciprocal": lambda x, n: x * x.dtype.type(1 / n),
        "times 2 / n, halved": lambda x, n: x * x.dtype.type(2 / n) * x.dtype.type(0.5),
    }, number(3.0, 6.0, 10.0, 442.0, 4.0, 0.3), share=4),
    "scale": Operation((E,), lambda x, c: c * x, lambda x, c: c * x, {}, number(0.3, 3.0, 1e-3, 0.25)),
    "square": Operation((E,), np.square, torch.square),
    "cube": Operation((E,), lambda x: x**3, lambda x: x**3, {"by products": lambda x: x * x * x},
                      exact=lambda x: x * x * x, attained=0.3),
    "fifth power": Operation((E,), lambda x: x**5, lambda x: x**5, {"by products": lambda x: x * x * x * x * x},
                             exact=lambda x: x * x * x * x * x),
    "reciprocal": Operation((E,), np.reciprocal, torch.reciprocal, exact=lambda x: 1 / x, domain=last_not_zero),
    "negative": Operation((E,), np.negative, torch.neg, **COPIES),
    "abs": Operation((E,), np.abs, torch.abs, **COPIES),
    "fabs": Operation((E,), np.fabs, torch.abs, exact=np.abs, share=0.3, **COPIES),
    "sign": Operation((E,), np.sign, torch.sign, exact=lambda x: choose(x, -1, 0, 1), **COPIES),
    "exp": Operation((E,), np.exp, torch.exp, domain=within_reach, **ASSUMED),
    "tanh": Operation((E,), np.tanh, torch.tanh, domain=within_reach, **ASSUMED),
    "sigmoid": Operation((E,), sigmoid, torch.sigmoid, exact=lambda x: 1 / (1 + np.exp(-x)), domain=within_reach,
                         **ASSUMED),
    "log": Operation((E,), np.log, torch.log, domain=positive, **ASSUMED),
    "sqrt": Operation((E,), np.sqrt, torch.sqrt, domain=not_negative),
    "tanh backward": Operation((E, E), lambda da, a: tanh_backward(da, a, a), torch.ops.aten.tanh_backward, {
        "fused": lambda da, a: da * fused_multiply_add(-a, a, np.ones_like(a)),
    }),
    "sigmoid backward": Operation((E, E), lambda da, a: sigmoid_backward(da, a, a),
                                  torch.ops.aten.sigmoid_backward),
    "relu": Operation((E,), relu, torch.relu, exact=lambda x: largest(x, 0), **COPIES),
    "relu backward": Operation((E, E), lambda da, z: relu_backward(da, z, z),
                               lambda da, z: torch.where(z <= 0, 0, da),
                               exact=lambda da, z: choose(z, 0, 0, da), **COPIES),
    "mask as a factor": Operation((E, E), lambda da, z: da * (z > 0), lambda da, z: da * (z > 0),
                                  exact=lambda da, z: choose(z, 0, 0, da), **COPIES),
    "maximum": Operation((E, E), np.maximum, torch.maximum, exact=largest, domain=often_equal, **COPIES),
    "minimum": Operation((E, E), np.minimum, torch.minimum, exact=least, domain=often_equal, **COPIES),
    "clip": Operation((E, E), lambda x, y: np.clip(x, -0.25, y), lambda x, y: torch.minimum(torch.clamp(x, -0.25), y),
                      exact=lambda x, y: least(largest(x, -0.25), y), **COPIES),
    "eighth": Operation((E,), lambda x: x / 8, lambda x: x / 8, {
        "times reciprocal": lambda x: x * x.dtype.type(0.125), "flushed": flushed(with_torch(lambda x: x / 8)),
    }, share=0.25, **COPIES),
    "larger as a factor": Operation((E, E), lambda x, y: (x > y) * y, lambda x, y: (x > y) * y,
                                    exact=lambda x, y: choose(x - y, 0, 0, y), share=0.25, **COPIES),
    "clip to numbers": Operation((E,), lambda x: np.clip(x, -0.1, 0.7), lambda x: torch.clamp(x, -0.1, 0.7),
                                 exact=lambda x: least(largest(x, -0.1), 0.7), share=0.25, **COPIES),
    "clip from above": Operation((E, E), lambda x, y: np.clip(x, None, y), lambda x, y: torch.clamp(x, max=y),
                                 exact=least, share=0.25, **COPIES),
}  # fmt: skip
