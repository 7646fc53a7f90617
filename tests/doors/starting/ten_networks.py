"""Ten networks by hand in ten styles, for torch-mirror init: written anew, as people write them."""

START_RETURNS_A_TUPLE = """import numpy as np

rng = np.random.default_rng(3)


def start():
    W1 = rng.normal(size=(7, 5))
    b1 = rng.normal(size=5)
    W2 = rng.normal(size=(5, 2))
    b2 = rng.normal(size=2)
    return W1, b1, W2, b2


def loss_and_gradients(params, x, t):
    W1, b1, W2, b2 = params
    h = np.tanh(x @ W1 + b1)
    y = h @ W2 + b2
    loss = 0.5 * ((y - t) ** 2).sum() / len(x)
    dy = (y - t) / len(x)
    dz = dy @ W2.T * (1 - h * h)
    return loss, (x.T @ dz, dz.sum(axis=0), h.T @ dy, dy.sum(axis=0))
"""

DICT_OF_ZEROS = """'''gradients accumulated, sample by sample, in a dict of zeros'''
import numpy as np


def init_params(n_in=4, n_hidden=6, n_out=3, seed=1):
    rs = np.random.RandomState(seed)
    return {
        "W1": rs.randn(n_hidden, n_in) * 0.5, "b1": rs.randn(n_hidden) * 0.1,
        "W2": rs.randn(n_out, n_hidden) * 0.5, "b2": rs.randn(n_out) * 0.1,
    }


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def loss_and_grads(params, X, Y):
    grads = {k: np.zeros_like(v) for k, v in params.items()}
    loss = 0.0
    for x, y in zip(X, Y):
        a = sigmoid(params["W1"] @ x + params["b1"])
        out = params["W2"] @ a + params["b2"]
        err = out - y
        loss += 0.5 * np.sum(err ** 2)
        grads["W2"] += np.outer(err, a)
        grads["b2"] += err
        delta = params["W2"].T @ err * a * (1 - a)
        grads["W1"] += np.outer(delta, x)
        grads["b1"] += delta
    return loss, grads
"""

ARGUMENTS = """import numpy as np


def relu(z):
    return np.maximum(z, 0)


def backprop(X, y, W1, b1, W2, b2):
    N = X.shape[0]
    Z1 = X @ W1 + b1
    A1 = relu(Z1)
    scores = A1 @ W2 + b2
    scores = scores - scores.max(axis=1, keepdims=True)
    P = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    loss = -np.log(P[np.arange(N), y]).mean()
    dS = P.copy()
    dS[np.arange(N), y] -= 1
    dS /= N
    dW2 = A1.T @ dS
    db2 = dS.sum(axis=0)
    dA1 = dS @ W2.T
    dZ1 = dA1 * (Z1 > 0)
    dW1 = X.T @ dZ1
    db1 = dZ1.sum(axis=0)
    return loss, dW1, db1, dW2, db2
"""

CLASS_THAT_UPDATES_ITSELF = """import numpy as np


class MLP:
    def __init__(self, n_inputs, n_hidden, n_outputs, lr=0.1, seed=0):
        g = np.random.default_rng(seed)
        self.W1 = g.standard_normal((n_inputs, n_hidden)) / np.sqrt(n_inputs)
        self.b1 = np.zeros(n_hidden)
        self.W2 = g.standard_normal((n_hidden, n_outputs)) / np.sqrt(n_hidden)
        self.b2 = np.zeros(n_outputs)
        self.lr = lr

    def forward(self, X):
        self.z1 = X @ self.W1 + self.b1
        self.a1 = np.tanh(self.z1)
        self.z2 = self.a1 @ self.W2 + self.b2
        return self.z2

    def compute_loss(self, y_hat, y):
        return np.mean((y_hat - y) ** 2)

    def backward(self, X, y):
        m = y.size
        dz2 = 2 * (self.z2 - y) / m
        self.dW2 = self.a1.T @ dz2
        self.db2 = dz2.sum(axis=0)
        dz1 = dz2 @ self.W2.T * (1 - self.a1 ** 2)
        self.dW1 = X.T @ dz1
        self.db1 = dz1.sum(axis=0)

    def update(self):
        self.W1 -= self.lr * self.dW1
        self.b1 -= self.lr * self.db1
        self.W2 -= self.lr * self.dW2
        self.b2 -= self.lr * self.db2

    def fit(self, X, y, epochs=10):
        for _ in range(epochs):
            y_hat = self.forward(X)
            loss = self.compute_loss(y_hat, y)
            self.backward(X, y)
            self.update()
        return loss
"""

LIST_OF_DICTS = """import numpy as np


def init_network(layer_sizes, seed=0):
    rng = np.random.default_rng(seed)
    ways = zip(layer_sizes, layer_sizes[1:])
    return [{"W": rng.normal(size=(a, b)) / a**0.5, "b": rng.normal(size=b)} for a, b in ways]


def forward(params, x):
    acts = [x]
    for i, layer in enumerate(params):
        z = acts[-1] @ layer["W"] + layer["b"]
        acts.append(np.tanh(z) if i < len(params) - 1 else z)
    return acts


def loss_and_grad(params, x, y):
    acts = forward(params, x)
    diff = acts[-1] - y
    loss = (diff**2).mean()
    grads = []
    delta = 2 * diff / diff.size
    for i in range(len(params) - 1, -1, -1):
        grads.insert(0, {"W": acts[i].T @ delta, "b": delta.sum(0)})
        if i > 0:
            delta = delta @ params[i]["W"].T * (1 - acts[i] ** 2)
    return loss, grads
"""

DATACLASS = """from dataclasses import dataclass

import numpy as np


@dataclass
class Params:
    W: np.ndarray
    b: np.ndarray
    V: np.ndarray
    c: np.ndarray


def new_params(n_in=5, n_hid=4, n_out=3):
    r = np.random.default_rng(1)
    W, V = r.normal(size=(n_in, n_hid)), r.normal(size=(n_hid, n_out))
    return Params(W, r.normal(size=n_hid), V, r.normal(size=n_out))


def loss(p, x, t):
    h = np.maximum(x @ p.W + p.b, 0)
    y = h @ p.V + p.c
    e = y - t
    value = np.sum(e * e) / len(x)
    dy = 2 * e / len(x)
    dV = h.T @ dy
    dc = dy.sum(0)
    dh = dy @ p.V.T
    dz = np.where(h > 0, dh, 0)
    return value, Params(W=x.T @ dz, b=dz.sum(0), V=dV, c=dc)
"""

LISTS_OF_A_CLASS = """import numpy as np


def sigma(z):
    return 1 / (1 + np.exp(-z))


class Network:
    '''Lists of weights and biases; a sample is a column.'''

    def __init__(self, sizes):
        self.num_layers = len(sizes)
        self.biases = [np.random.randn(y, 1) for y in sizes[1:]]
        self.weights = [np.random.randn(y, x) for x, y in zip(sizes[:-1], sizes[1:])]

    def feedforward(self, a):
        for b, w in zip(self.biases, self.weights):
            a = sigma(w @ a + b)
        return a

    def cost(self, x, y):
        return 0.5 * np.sum((self.feedforward(x) - y) ** 2)

    def backprop(self, x, y):
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        activation, activations, zs = x, [x], []
        for b, w in zip(self.biases, self.weights):
            z = w @ activation + b
            zs.append(z)
            activation = sigma(z)
            activations.append(activation)
        delta = (activations[-1] - y) * sigma(zs[-1]) * (1 - sigma(zs[-1]))
        nabla_b[-1] = delta
        nabla_w[-1] = delta @ activations[-2].T
        for l in range(2, self.num_layers):
            s = sigma(zs[-l])
            delta = self.weights[-l + 1].T @ delta * s * (1 - s)
            nabla_b[-l] = delta
            nabla_w[-l] = delta @ activations[-l - 1].T
        return nabla_b, nabla_w
"""

SCRIPT = """# a script: everything on the top level
import numpy as np

np.random.seed(0)
X = np.random.randn(8, 3)
Y = np.random.randn(8, 2)
W1 = np.random.randn(3, 4)
b1 = np.random.randn(4)
W2 = np.random.randn(4, 2)
b2 = np.random.randn(2)
lr = 0.05

for step in range(20):
    z1 = X.dot(W1) + b1
    a1 = np.maximum(0, z1)
    out = a1.dot(W2) + b2
    loss = ((out - Y) ** 2).sum()
    dout = 2 * (out - Y)
    dW2 = a1.T.dot(dout)
    db2 = dout.sum(axis=0)
    da1 = dout.dot(W2.T)
    dz1 = da1 * (z1 > 0)
    dW1 = X.T.dot(dz1)
    db1 = dz1.sum(axis=0)
    W1 -= lr * dW1
    b1 -= lr * db1
    W2 -= lr * dW2
    b2 -= lr * db2
"""

NAMED_TUPLE = """import numpy as np
from typing import NamedTuple


class Weights(NamedTuple):
    Wx: np.ndarray
    Wh: np.ndarray
    bh: np.ndarray
    Wy: np.ndarray


def make_params(rng, input_size=3, hidden_size=4, output_size=2):
    return Weights(
        rng.normal(size=(input_size, hidden_size)), rng.normal(size=(hidden_size, hidden_size)),
        rng.normal(size=hidden_size), rng.normal(size=(hidden_size, output_size)),
    )


def rnn_loss(params, xs, ys):
    '''xs: (T, input), ys: (T, output).'''
    hs = {-1: np.zeros(params.bh.shape)}
    loss = 0.0
    outs = {}
    for t in range(len(xs)):
        hs[t] = np.tanh(xs[t] @ params.Wx + hs[t - 1] @ params.Wh + params.bh)
        outs[t] = hs[t] @ params.Wy
        loss += 0.5 * np.sum((outs[t] - ys[t]) ** 2)
    dWx, dWh, dbh, dWy = (np.zeros_like(w) for w in params)
    dnext = np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        dy = outs[t] - ys[t]
        dWy += np.outer(hs[t], dy)
        dh = params.Wy @ dy + dnext
        draw = dh * (1 - hs[t] ** 2)
        dbh += draw
        dWx += np.outer(xs[t], draw)
        dWh += np.outer(hs[t - 1], draw)
        dnext = params.Wh @ draw
    return loss, Weights(dWx, dWh, dbh, dWy)
"""

UNROLLED = """import numpy as np


def nn_cost(theta, n_in, n_hid, n_lab, X, y, lam):
    '''Unrolled parameters, as a course with Octave has them. X: (m, n_in), y: (m,) labels.'''
    W1 = theta[: n_hid * (n_in + 1)].reshape(n_hid, n_in + 1)
    W2 = theta[n_hid * (n_in + 1):].reshape(n_lab, n_hid + 1)
    m = X.shape[0]
    a1 = np.hstack([np.ones((m, 1)), X])
    z2 = a1 @ W1.T
    a2 = np.hstack([np.ones((m, 1)), 1 / (1 + np.exp(-z2))])
    a3 = 1 / (1 + np.exp(-(a2 @ W2.T)))
    Y = np.eye(n_lab)[y]
    J = -np.sum(Y * np.log(a3) + (1 - Y) * np.log(1 - a3)) / m
    J += lam / (2 * m) * (np.sum(W1[:, 1:] ** 2) + np.sum(W2[:, 1:] ** 2))
    d3 = a3 - Y
    d2 = (d3 @ W2)[:, 1:] * a2[:, 1:] * (1 - a2[:, 1:])
    W1_grad = d2.T @ a1 / m
    W2_grad = d3.T @ a2 / m
    W1_grad[:, 1:] += lam / m * W1[:, 1:]
    W2_grad[:, 1:] += lam / m * W2[:, 1:]
    return J, np.concatenate([W1_grad.ravel(), W2_grad.ravel()])
"""

NETWORKS = {
    "start returns a tuple": START_RETURNS_A_TUPLE,
    "dict of zeros": DICT_OF_ZEROS,
    "arguments": ARGUMENTS,
    "class that updates itself": CLASS_THAT_UPDATES_ITSELF,
    "list of dicts": LIST_OF_DICTS,
    "dataclass": DATACLASS,
    "lists of a class": LISTS_OF_A_CLASS,
    "script": SCRIPT,
    "named tuple": NAMED_TUPLE,
    "unrolled": UNROLLED,
}
