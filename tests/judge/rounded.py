"""Right code in float32, drawn: a few functions in a row, whose constants each side has in a way of its own.

In torch a constant is a Python number, a buffer, a tensor that is made as it is used or kept in a list, or comes of
others (1 - c', 3 (c / 3)); in NumPy a Python number, one of x's dtype, or np.float32. Some of them cancel: x c - x c'.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from reference import SGD, Experiment
from torch_mirror import Session, session

Constant = Callable[[Any], Any]
"""Of what it is used with."""

STEPS: dict[str, tuple[Callable[..., Tensor], Callable[..., Any]]] = {
    "scale": (lambda h, a, _: h * a(h), lambda h, a, _: h * a(h)),
    "shift": (lambda h, a, _: h - a(h), lambda h, a, _: h - a(h)),
    "cancel": (lambda h, a, b: h * a(h) - h * b(h), lambda h, a, b: h * a(h) - h * b(h)),
    "normalise": (lambda h, a, b: (h - a(h)) / b(h), lambda h, a, b: (h - a(h)) / b(h)),
    "divide": (lambda h, a, _: h / a(h), lambda h, a, _: h * (1 / a(h))),
    "tanh": (lambda h, *_: torch.tanh(h), lambda h, *_: np.tanh(h)),
    "log": (lambda h, a, _: torch.log(h * h + a(h)), lambda h, a, _: np.log(h**2 + a(h))),
    "softplus": (lambda h, *_: functional.softplus(h), lambda h, *_: np.maximum(h, 0) + np.log1p(np.exp(-np.abs(h)))),
    "sigmoid": (lambda h, a, _: torch.sigmoid(h * a(h)), lambda h, a, _: 1 / (1 + np.exp(-(h * a(h))))),
    "rms": (
        lambda h, a, _: h * torch.rsqrt((h * h).mean(1, keepdim=True) + a(h)),
        lambda h, a, _: h / np.sqrt((h**2).mean(axis=1, keepdims=True) + a(h)),
    ),
    "gelu": (
        lambda h, *_: functional.gelu(h, approximate="tanh"),
        lambda h, *_: 0.5 * h * (1 + np.tanh(0.7978845608 * (h + 0.044715 * h**3))),
    ),
    "root": (lambda h, a, b: torch.sqrt(h * h + a(h)) - b(h), lambda h, a, b: np.sqrt(h**2 + a(h)) - b(h)),
}

IN_NUMPY: dict[str, Callable[[float], Constant]] = {
    "a number": lambda c: lambda _: c,
    "of x's dtype": lambda c: lambda x: x.dtype.type(c),
    "np.float32": lambda c: lambda _: np.float32(c),
    "an array": lambda c: lambda x: np.array(c, x.dtype),
}


def in_torch(kind: str, module: nn.Module, name: str, c: float) -> Constant:
    """The constant in torch; what it is kept in belongs to the module."""
    if kind == "a number":
        return lambda _: c
    if kind == "made":
        return lambda _: torch.tensor(c)
    if kind == "kept":
        setattr(module, name, [torch.tensor(c)])
        return lambda _: getattr(module, name)[0]
    if kind == "1 - c'":
        module.register_buffer(name, torch.tensor(1 - c))
        return lambda _: 1 - getattr(module, name)
    times = 3 if kind == "3 (c / 3)" else 1
    module.register_buffer(name, torch.tensor(c / times))
    return lambda _: getattr(module, name) * times


IN_TORCH = ("a number", "made", "kept", "a buffer", "1 - c'", "3 (c / 3)")


class Drawn(NamedTuple):
    """Right code, and what it consists of."""

    experiment: Experiment
    using: Callable[[Experiment], Session]
    words: list[Any]


class Net(nn.Module):
    """The functions, and then a linear layer."""

    def __init__(self, kept: nn.Module, functions: list[Callable[[Tensor], Tensor]]) -> None:
        super().__init__()
        self.kept, self.functions, self.l = kept, functions, nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        for f in self.functions:
            x = f(x)
        y: Tensor = self.l(x)
        return y


def drawn(seed: int, factor: float = 1.0) -> Drawn:
    """The code of that seed. factor: what NumPy has times its dW, which is wrong unless it is 1."""
    draw = np.random.default_rng(seed)
    n = int(draw.choice([6, 40, 300, 3000]))
    x = (draw.normal(size=(n, 3)) * draw.choice([0.1, 1, 10]) + draw.choice([0.0, 3.0])).astype("f4")
    t, W = draw.normal(size=(n, 2)).astype("f4"), (0.3 * draw.normal(size=(3, 2))).astype("f4")
    kept, of_torch, of_numpy, words = nn.Module(), list[Any](), list[Any](), list[Any]()
    for i, name in enumerate(map(str, draw.choice(list(STEPS), size=draw.integers(1, 4)))):
        c = [float(np.round(draw.uniform(0.01, 0.99), int(draw.integers(2, 5)))) for _ in range(2)]
        if name == "cancel":
            c[1] = c[0] * (1 + float(draw.choice([1e-3, 1e-5, 0.1])))
        torchs, numpys = ([str(draw.choice(list(kinds))) for _ in c] for kinds in (IN_TORCH, IN_NUMPY))
        a = [in_torch(kind, kept, f"c{i}{j}", c[j]) for j, kind in enumerate(torchs)]
        b = [IN_NUMPY[kind](c[j]) for j, kind in enumerate(numpys)]
        of_torch.append(lambda h, f=STEPS[name][0], a=a: f(h, *a))
        of_numpy.append(lambda h, f=STEPS[name][1], b=b: f(h, *b))
        words.append((name, c, torchs, numpys))

    def mine(p: Any, x: Any, t: Any) -> Any:
        h = x
        for f in of_numpy:
            h = f(h)
        d = h @ p["W"] + p["b"] - t
        g = 2 * d / d.size
        return np.mean(d**2), {"W": (h.T @ g) * factor if factor != 1 else h.T @ g, "b": g.sum(axis=0)}

    def using(e: Experiment) -> Session:
        net = Net(kept, of_torch)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        return session(e, net, {"W": "l.weight.T", "b": "l.bias"}, nn.MSELoss(), optimizer)

    e = Experiment(mine, {"W": W, "b": np.zeros(2, "f4")}, x, t, None, SGD(0.01), steps=int(draw.integers(1, 3)))
    return Drawn(e, using, words)
