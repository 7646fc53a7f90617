"""Networks as other people write them: each a function (p, x, t) to the loss and its gradients, with one bug to plant.

``Style.make(bug=...)`` gives the function's experiment in float64, ``module`` what torch computes of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from reference import SGD, Experiment, Own
from reference.claim.tree import named, zip_with
from torch_mirror.training.places import load
from torch_mirror.training.session import Session, torch_dtype

F = nn.functional
Forward = Callable[[Any, Any], Tensor]


class Style(NamedTuple):
    """bug: the tensors at which the planted one is first wrong, whichever is looked at first."""

    make: Callable[..., Experiment]
    forward: Forward
    criterion: Callable[..., Tensor]
    bug: frozenset[str]
    names: Mapping[str, str] | None = None
    momentum: float = 0.0


class Module(nn.Module):
    """A function of its parameters and x."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], run: Forward, dtype: torch.dtype) -> None:
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape, dtype=dtype)))
        self.run = run

    def forward(self, x: Any) -> Tensor:
        return self.run(self, x)


def using(style: Style) -> Callable[[Experiment], Session]:
    def make(e: Experiment) -> Session:
        start = named(e.parameters)
        names = style.names or {name: name.replace(".", "_") for name in start}
        module = Module({names[n]: a.shape for n, a in start.items()}, style.forward, torch_dtype(e))
        load(module, names, start)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=style.momentum)
        states = {"v": "momentum_buffer"} if style.momentum else {}
        return Session(module, names, style.criterion, optimizer, states)

    return make


def in_dtype(tree: Any, dtype: str) -> Any:
    return zip_with(lambda _, a: a.astype(dtype) if a.dtype.kind == "f" and a.dtype != dtype else a, tree)


def draws() -> np.random.Generator:
    return np.random.default_rng(7)


def normal(*shape: int) -> Any:
    return draws().standard_normal(shape) / 2


def mean_square(y: Any, t: Any) -> tuple[Any, Any]:
    error = y - t
    return (error * error).mean(), 2 * error / error.size


# --- objects that keep their values on themselves ----------------------------------------------------------


class Dense:
    """A layer that remembers its input for the backward pass, and its gradients for the update."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.W, self.b = normal(inputs, outputs), np.zeros(outputs)
        self.x = self.dW = self.db = None
        self.name, self.calls = "dense", [0]

    def forward(self, x: Any) -> Any:
        self.x = x
        self.calls.append(1)
        return x @ self.W + self.b

    def backward(self, d: Any, factor: int) -> Any:
        self.dW, self.db = self.x.T @ d * factor, d.sum(axis=0)  # type: ignore[attr-defined]  # set by forward
        return d @ self.W.T


def layers(*, bug: bool) -> Experiment:
    def loss(p: list[Dense], x: Any, t: Any) -> Any:
        first, second = p
        a = np.tanh(first.forward(x))
        value, d = mean_square(second.forward(a), t)
        first.backward(second.backward(d, 1) * (1 - a * a), 2 if bug else 1)
        return value, [{"dW": layer.dW, "db": layer.db} for layer in p]

    return Experiment(loss, [Dense(3, 4), Dense(4, 2)], normal(6, 3), normal(6, 2), None, SGD(0.1), 3)


@dataclass
class Line:
    W: Any
    b: Any


def velocity(*, bug: bool) -> Experiment:
    def loss(p: Line, x: Any, t: Any) -> Any:
        value, d = mean_square(x @ p.W + p.b, t)
        return value, Line(x.T @ d, d.sum(axis=0) * (2 if bug else 1))

    def update(p: Line, g: Line, state: Any, rate: float = 0.1) -> None:
        v = state["v"]
        v.W, v.b = 0.9 * v.W + g.W, 0.9 * v.b + g.b
        p.W -= rate * v.W
        p.b -= rate * v.b

    own = Own(update, lambda p: {"v": Line(np.zeros_like(p.W), np.zeros_like(p.b))})
    return Experiment(loss, Line(normal(3, 2), np.zeros(2)), normal(6, 3), normal(6, 2), None, own, 4)


# --- loops -------------------------------------------------------------------------------------------------


def recurrent(*, bug: bool) -> Experiment:
    """A character a step, columns, dicts of steps; t are the characters that follow."""

    def loss(p: Any, x: Any, t: Any) -> Any:
        h, q, value = {-1: np.zeros_like(p["bh"])}, {}, 0
        for k in range(len(x)):
            h[k] = np.tanh(p["Wxh"][:, x[k], None] + p["Whh"] @ h[k - 1] + p["bh"])
            e = np.exp(p["Why"] @ h[k] + p["by"])
            q[k] = e / np.sum(e)
            value = value - np.log(q[k][t[k], 0])
        g = {name: np.zeros_like(w) for name, w in p.items()}
        behind = np.zeros_like(h[0])
        for k in reversed(range(len(x))):
            dy = np.copy(q[k])
            dy[t[k]] -= 1
            g["Why"] += dy @ h[k].T
            g["by"] += dy
            dz = (1 - h[k] * h[k]) * (p["Why"].T @ dy + behind)
            g["bh"] += dz
            g["Wxh"][:, x[k]] += dz[:, 0]
            g["Whh"] += dz @ h[k if bug else k - 1].T
            behind = p["Whh"].T @ dz
        return value, g

    p = {"Wxh": normal(4, 5), "Whh": normal(4, 4), "Why": normal(5, 4), "bh": np.zeros((4, 1)), "by": np.zeros((5, 1))}
    x, t = draws().integers(0, 5, (2, 6))
    return Experiment(loss, p, x, t, None, SGD(0.1), 3)


def torch_recurrent(m: Any, x: Tensor) -> Tensor:
    h, ys = torch.zeros_like(m.bh), []
    for i in x:
        h = torch.tanh(m.Wxh[:, i, None] + m.Whh @ h + m.bh)
        ys.append((m.Why @ h + m.by)[:, 0])
    return torch.stack(ys)


def convolution(*, bug: bool) -> Experiment:
    """A 3x3 kernel, place by place: 18 sums into two elements of a bias."""

    def loss(p: Any, X: Any, t: Any) -> Any:
        places = [(c, i, j) for c in range(2) for i in range(3) for j in range(3)]
        z = np.zeros((len(X), 2, 3, 3), dtype=X.dtype, like=p["K"])
        for c, i, j in places:
            z[:, c, i, j] = np.sum(X[:, i : i + 3, j : j + 3] * p["K"][c], axis=(1, 2)) + p["b"][c]
        flat = np.maximum(z, 0).reshape(len(X), -1)
        value, d = mean_square(flat @ p["O"], t)
        dz = (d @ p["O"].T).reshape(z.shape) * (z > 0)
        dK, db = np.zeros_like(p["K"]), np.zeros_like(p["b"])
        for c, i, j in places:
            dK[c] += np.sum(dz[:, c, i, j, None, None] * X[:, i : i + 3, j : j + 3], axis=0)
            db[c] += dz[:, c, i, j].mean() if bug else dz[:, c, i, j].sum()
        return value, {"K": dK, "b": db, "O": flat.T @ d}

    p = {"K": normal(2, 3, 3), "b": np.zeros(2), "O": normal(18, 1)}
    return Experiment(loss, p, normal(3, 5, 5), normal(3, 1), None, SGD(0.1), 2)


# --- forms -------------------------------------------------------------------------------------------------


def normalised(*, bug: bool) -> Experiment:
    """Batch norm in training mode; the parameters a tuple. The bug: no term of the variance."""

    def loss(p: Any, x: Any, t: Any) -> Any:
        W, gain, shift, O = p
        z = x @ W
        c = z - z.mean(axis=0)
        s = np.sqrt((c * c).mean(axis=0) + 1e-5)
        h = c / s
        a = gain * h + shift
        value, d = mean_square(a @ O, t)
        da = d @ O.T
        dh = da * gain
        dz = (dh - dh.mean(axis=0) - (0 if bug else h * (dh * h).mean(axis=0))) / s
        return value, (x.T @ dz, (da * h).sum(axis=0), da.sum(axis=0), a.T @ d)

    p = (normal(3, 4), np.ones(4), np.zeros(4), normal(4, 2))
    return Experiment(loss, p, normal(8, 3), normal(8, 2), None, SGD(0.1), 3)


def tied(*, bug: bool) -> Experiment:
    """An autoencoder whose two layers are one matrix, nested dicts, ``dW`` beside ``W``, no target."""

    def loss(p: Any, x: Any) -> Any:
        W = p["encoder"]["W"]
        a = np.tanh(x @ W.T + p["encoder"]["b"])
        value, d = mean_square(a @ W + p["decoder"]["b"], x)
        dz = (d @ W.T) * (1 - a * a)
        dW = dz.T @ x if bug else dz.T @ x + a.T @ d
        return value, {"encoder": {"dW": dW, "db": dz.sum(axis=0)}, "decoder": {"db": d.sum(axis=0)}}

    p = {"encoder": {"W": normal(3, 4), "b": np.zeros(3)}, "decoder": {"b": np.zeros(4)}}
    return Experiment(loss, p, normal(6, 4), None, None, SGD(0.1), 3)


def torch_tied(m: Any, x: Tensor) -> Tensor:
    """The error itself, as there is no target to hand on."""
    return torch.tanh(F.linear(x, m.W, m.b)) @ m.W + m.c - x


def embedded(*, bug: bool) -> Experiment:
    """Words as whole numbers; the gradient of a word that stands twice is a sum."""

    def loss(p: Any, x: Any, t: Any) -> Any:
        h = p["E"][x].mean(axis=1)
        value, d = mean_square(h @ p["W"], t)
        dh, dE = d @ p["W"].T, np.zeros_like(p["E"])
        for i, word in np.ndenumerate(x):
            dE[word] += dh[i[0]] / (1 if bug else x.shape[1])
        return value, {"E": dE, "W": h.T @ d}

    x = draws().integers(0, 5, (5, 3)).astype(np.uint8)
    return Experiment(loss, {"E": normal(6, 4), "W": normal(4, 2)}, x, normal(5, 2), None, SGD(0.1), 3)


def scalars(*, bug: bool) -> Experiment:
    """Two parameters of shape (), and an update in place of them."""

    def loss(p: Any, x: Any, t: Any) -> Any:
        value, d = mean_square(p["a"] * x + p["b"], t)
        return value, {"a": (d * x).sum(), "b": d.mean() if bug else d.sum()}

    def update(p: Any, g: Any) -> None:
        for name in p:
            p[name] -= 0.1 * g[name]

    return Experiment(loss, {"a": np.array(0.5), "b": np.array(0.0)}, normal(7), normal(7), None, Own(update), 3)


class Two(NamedTuple):
    W: Any
    b: Any


def pure(*, bug: bool) -> Experiment:
    """A NamedTuple, and an update that returns (p, state)."""

    def loss(p: Two, x: Any, t: Any) -> Any:
        value, d = mean_square(x @ p.W + p.b, t)
        return value, Two(x.T @ d / (2 if bug else 1), d.sum(axis=0))

    def update(p: Two, g: Two, state: Any) -> Any:
        v = Two(*[0.9 * old + new for old, new in zip(state["v"], g, strict=True)])
        return Two(*[w - 0.1 * a for w, a in zip(p, v, strict=True)]), {"v": v}

    own = Own(update, lambda p: {"v": Two(*map(np.zeros_like, p))})
    return Experiment(loss, Two(normal(3, 2), np.zeros(2)), normal(6, 3), normal(6, 2), None, own, 4)


def odds(*, bug: bool) -> Experiment:
    """No bias where one is None, one array for two parameters, Fortran order, strides, a parameter without effect."""

    def loss(p: Any, x: Any, t: Any) -> Any:
        a = np.tanh(x @ p["W"] + p["c"])
        value, d = mean_square(a @ p["V"] + p["e"], t)
        da = (d @ p["V"].T) * (1 - a * a)
        gradients = {"W": (da.T @ x).T, "V": a.T @ d, "c": da.sum(axis=0), "e": d.sum(axis=0) * (2 if bug else 1)}
        return value, {**gradients, "unused": np.zeros_like(p["unused"])}

    one = np.zeros(3)
    W, V = np.asfortranarray(normal(3, 3)), normal(6, 6)[::-2, ::-2]
    W.flags.writeable = False
    p = {"W": W, "b": None, "V": V, "c": one, "e": one, "unused": np.ones(2)}
    x = np.broadcast_to(normal(1, 3), (5, 3)) + normal(5, 3)[:, ::-1]
    return Experiment(loss, p, x, normal(5, 3), None, SGD(0.1), 3)


def mean_squares(y: Tensor, t: Tensor) -> Tensor:
    return F.mse_loss(y, t)


STYLES: Mapping[str, Style] = {
    "layers that remember": Style(
        layers, lambda m, x: torch.tanh(x @ m.W0 + m.b0) @ m.W1 + m.b1, mean_squares, frozenset({"d0.W"}),
        {"0.W": "W0", "0.b": "b0", "1.W": "W1", "1.b": "b1"},
    ),
    "a dataclass and its velocity": Style(
        velocity, lambda m, x: x @ m.W + m.b, mean_squares, frozenset({"db"}), momentum=0.9
    ),
    "a recurrent loop": Style(
        recurrent, torch_recurrent, lambda y, t: F.cross_entropy(y, t, reduction="sum"), frozenset({"dWhh"})
    ),
    "a convolution by loops": Style(
        convolution, lambda m, x: torch.relu(F.conv2d(x[:, None], m.K[:, None], m.b)).flatten(1) @ m.O,
        mean_squares, frozenset({"db"}),
    ),
    "batch norm, a tuple": Style(
        normalised, lambda m, x: F.batch_norm(x @ m.W, None, None, m.g, m.s, training=True) @ m.O,
        mean_squares, frozenset({"d0"}), {"0": "W", "1": "g", "2": "s", "3": "O"},
    ),
    "tied weights": Style(
        tied, torch_tied, lambda y: y.square().mean(), frozenset({"dencoder.W"}),
        {"encoder.W": "W", "encoder.b": "b", "decoder.b": "c"},
    ),
    "an embedding": Style(
        embedded, lambda m, x: F.embedding(x, m.E).mean(1) @ m.W, mean_squares, frozenset({"dE"})
    ),
    "scalars": Style(scalars, lambda m, x: m.a * x + m.b, mean_squares, frozenset({"db"})),
    "a pure update": Style(
        pure, lambda m, x: x @ m.W + m.b, mean_squares, frozenset({"dW"}), momentum=0.9
    ),
    "odds and ends": Style(
        odds, lambda m, x: torch.tanh(x @ m.W + m.c) @ m.V + m.e, mean_squares, frozenset({"de"})
    ),
}  # fmt: skip
