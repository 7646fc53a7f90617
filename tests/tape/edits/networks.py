"""Three hand-written networks and the faults that are planted in them; all have two hidden layers of one size."""

from tests.tape.edits.planted import Fault

SOFTMAX = """
def step(p, X, t, decay, more):
    N = len(X)
    z1 = X @ p["W1"] + p["b1"]
    a1 = np.maximum(z1, 0)
    z2 = a1 @ p["W2"] + p["b2"]
    a2 = np.maximum(z2, 0)
    z3 = a2 @ p["W3"] + p["b3"]
    e = np.exp(z3 - z3.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    W1, W2, W3 = p["W1"], p["W2"], p["W3"]
    loss = -np.sum(t * np.log(y)) / N + decay * (np.sum(W1**2) + np.sum(W2**2) + np.sum(W3**2)) / 2
    dz3 = (y - t) / N
    dW3 = a2.T @ dz3 + decay * W3
    db3 = dz3.sum(axis=0)
    da2 = dz3 @ W3.T
    dz2 = da2 * (z2 > 0)
    dW2 = a1.T @ dz2 + decay * W2
    db2 = dz2.sum(axis=0)
    da1 = dz2 @ W2.T
    dz1 = da1 * (z1 > 0)
    dW1 = X.T @ dz1 + decay * W1
    db1 = dz1.sum(axis=0)
    return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3}
"""

DZ3, DZ2, DZ1 = "dz3 = (y - t) / N", "dz2 = da2 * (z2 > 0)", "dz1 = da1 * (z1 > 0)"
DW3, DW2, DW1 = "dW3 = a2.T @ dz3 + decay * W3", "dW2 = a1.T @ dz2 + decay * W2", "dW1 = X.T @ dz1 + decay * W1"
DB3, DB2, DB1 = "db3 = dz3.sum(axis=0)", "db2 = dz2.sum(axis=0)", "db1 = dz1.sum(axis=0)"
DA2, DA1 = "da2 = dz3 @ W3.T", "da1 = dz2 @ W2.T"

SOFTMAX_FAULTS = (
    Fault("1/N left out", DZ3, "dz3 = y - t"),
    Fault("1/N twice", DZ3, "dz3 = (y - t) / N / N"),
    Fault("N - 1 for N", DZ3, "dz3 = (y - t) / (N - 1)"),
    Fault("1/outputs for 1/N", DZ3, "dz3 = (y - t) / t.shape[1]"),
    Fault("sign of y - t", DZ3, "dz3 = (t - y) / N"),
    Fault("a 2 too many", DZ3, "dz3 = 2 * (y - t) / N"),
    Fault("t left out", DZ3, "dz3 = y / N"),
    Fault("off-diagonal left out", DZ3, "dz3 = -t / y * y * (1 - y) / N"),
    Fault("softmax's derivative left out", DZ3, "dz3 = -t / y / N"),
    Fault("mask of layer 1 left out", DZ1, "dz1 = da1"),
    Fault("mask of layer 2 left out", DZ2, "dz2 = da2"),
    Fault("mask inverted", DZ1, "dz1 = da1 * (z1 <= 0)"),
    Fault("mask of the other layer", DZ1, "dz1 = da1 * (z2 > 0)"),
    Fault("mask of da1", DZ1, "dz1 = da1 * (da1 > 0)"),
    Fault("a half too many", DZ1, "dz1 = da1 * (z1 > 0) * 0.5"),
    Fault("z1 for the mask", DZ1, "dz1 = da1 * z1"),
    Fault("W2 for W2.T", DA1, "da1 = dz2 @ W2"),
    Fault("W2 after the update", DA1, "da1 = dz2 @ more['later']['W2'].T"),
    Fault("W3 after the update", DA2, "da2 = dz3 @ more['later']['W3'].T"),
    Fault("da2 for dz2", DA1, "da1 = da2 @ W2.T"),
    Fault("z1 for a1", DW2, "dW2 = z1.T @ dz2 + decay * W2"),
    Fault("a2 for a1", DW2, "dW2 = a2.T @ dz2 + decay * W2"),
    Fault("dW2 transposed", DW2, "dW2 = (a1.T @ dz2).T + decay * W2"),
    Fault("da2 in dW2", DW2, "dW2 = a1.T @ da2 + decay * W2"),
    Fault("decay left out", DW1, "dW1 = X.T @ dz1"),
    Fault("decay twice", DW1, "dW1 = X.T @ dz1 + 2 * decay * W1"),
    Fault("decay / N", DW1, "dW1 = X.T @ dz1 + decay * W1 / N"),
    Fault("decay subtracted", DW1, "dW1 = X.T @ dz1 - decay * W1"),
    Fault("decay without its number", DW1, "dW1 = X.T @ dz1 + W1"),
    Fault("decay of a bias", DB2, "db2 = dz2.sum(axis=0) + decay * p['b2']"),
    Fault("gradient scaled", DW1, "dW1 = X.T @ dz1 / N + decay * W1"),
    Fault("last sample dropped", DW1, "dW1 = X[:-1].T @ dz1[:-1] + decay * W1"),
    Fault("first sample dropped", DW2, "dW2 = a1[1:].T @ dz2[1:] + decay * W2"),
    Fault("samples one off", DW1, "dW1 = np.roll(X, 1, axis=0).T @ dz1 + decay * W1"),
    Fault("samples reversed", DW1, "dW1 = X[::-1].T @ dz1 + decay * W1"),
    Fault("columns reversed", DW2, "dW2 = a1.T @ dz2[:, ::-1] + decay * W2"),
    Fault("db2 over all axes", DB2, "db2 = dz2.sum() * np.ones(dz2.shape[1])"),
    Fault("db2 the mean", DB2, "db2 = dz2.mean(axis=0)"),
    Fault("db2 of da2", DB2, "db2 = da2.sum(axis=0)"),
    Fault("db1 of dz2", DB1, "db1 = dz2.sum(axis=0)"),
    Fault("db2 of the first sample", DB2, "db2 = dz2[0]"),
    Fault("a dead unit", DZ1, "dz1 = da1 * (z1 > 0) * (np.arange(z1.shape[1]) != 1)"),
    Fault("a dead element", DW1, "dW1 = X.T @ dz1 + decay * W1\ndW1[0, 1] = 0"),
    Fault("a dead row", DW2, "dW2 = a1.T @ dz2 + decay * W2\ndW2[0] = 0"),
    Fault("a stale gradient", DW2, "dW2 = more['before']['W2']"),
    Fault("an accumulated gradient", DW2, "dW2 = a1.T @ dz2 + decay * W2 + more['before']['W2']"),
)

EDGE_FAULTS = (
    Fault(">= for >", DZ1, "dz1 = da1 * (z1 >= 0)"),
)
"""For numbers of few bits, where some z1 are exactly 0."""

SIGMOID = """
def step(p, X, t, decay, more):
    N, K = t.shape
    W1, W2, W3 = p["W1"], p["W2"], p["W3"]
    z1 = X @ W1 + p["b1"]
    a1 = 1 / (1 + np.exp(-z1))
    z2 = a1 @ W2 + p["b2"]
    a2 = 1 / (1 + np.exp(-z2))
    z3 = a2 @ W3 + p["b3"]
    y = 1 / (1 + np.exp(-z3))
    loss = np.mean((y - t)**2)
    dy = 2 * (y - t) / (N * K)
    dz3 = dy * y * (1 - y)
    dW3 = a2.T @ dz3
    db3 = np.sum(dz3, axis=0)
    da2 = np.dot(dz3, W3.T)
    dz2 = da2 * a2 * (1 - a2)
    dW2 = a1.T @ dz2
    db2 = np.sum(dz2, axis=0)
    da1 = np.dot(dz2, W2.T)
    dz1 = da1 * a1 * (1 - a1)
    dW1 = X.T @ dz1
    db1 = np.sum(dz1, axis=0)
    return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3}
"""

DY, SZ3, SZ1 = "dy = 2 * (y - t) / (N * K)", "dz3 = dy * y * (1 - y)", "dz1 = da1 * a1 * (1 - a1)"
SZ2 = "dz2 = da2 * a2 * (1 - a2)"

SIGMOID_FAULTS = (
    Fault("2 left out", DY, "dy = (y - t) / (N * K)"),
    Fault("outputs left out", DY, "dy = 2 * (y - t) / N"),
    Fault("2 and outputs left out", DY, "dy = (y - t) / N"),
    Fault("N left out", DY, "dy = 2 * (y - t) / K"),
    Fault("N and outputs left out", DY, "dy = 2 * (y - t)"),
    Fault("sign", DY, "dy = 2 * (t - y) / (N * K)"),
    Fault("derivative left out", SZ3, "dz3 = dy"),
    Fault("1 - y left out", SZ3, "dz3 = dy * y"),
    Fault("y left out", SZ3, "dz3 = dy * (1 - y)"),
    Fault("at z for a", SZ1, "dz1 = da1 * z1 * (1 - z1)"),
    Fault("at a2 for a1", SZ1, "dz1 = da1 * a2 * (1 - a2)"),
    Fault("derivative twice", SZ1, "dz1 = da1 * a1 * (1 - a1) * a1 * (1 - a1)"),
    Fault("tanh's derivative", SZ1, "dz1 = da1 * (1 - a1**2)"),
    Fault("sigmoid twice", SZ1, "s1 = 1 / (1 + np.exp(-a1))\ndz1 = da1 * s1 * (1 - s1)"),
    Fault("ReLU's derivative", SZ2, "dz2 = da2 * (z2 > 0)"),
    Fault("z2 for a2 in dW3", "dW3 = a2.T @ dz3", "dW3 = z2.T @ dz3"),
    Fault("a1 for a2 in dW3", "dW3 = a2.T @ dz3", "dW3 = a1.T @ dz3"),
    Fault("dy for dz3", "dW3 = a2.T @ dz3", "dW3 = a2.T @ dy"),
    Fault("dy for dz3 going back", "da2 = np.dot(dz3, W3.T)", "da2 = np.dot(dy, W3.T)"),
    Fault("W2 for W2.T", "da1 = np.dot(dz2, W2.T)", "da1 = np.dot(dz2, W2)"),
    Fault("dW2 in the other order", "dW2 = a1.T @ dz2", "dW2 = dz2.T @ a1"),
    Fault("1/N once more", "dW1 = X.T @ dz1", "dW1 = X.T @ dz1 / N"),
)

TANH = """
def step(p, X, t, decay, more):
    N = X.shape[0]
    W1, W2, W3 = p["W1"], p["W2"], p["W3"]
    z1 = X @ W1 + p["b1"]
    a1 = np.tanh(z1)
    z2 = a1 @ W2 + p["b2"]
    a2 = np.where(z2 > 0, z2, 0)
    z3 = a2 @ W3 + p["b3"]
    loss = np.sum((z3 - t)**2) / (2 * N)
    dz3 = (z3 - t) / N
    dW3 = a2.T @ dz3
    db3 = dz3.sum(0)
    da2 = dz3 @ W3.T
    dz2 = da2.copy()
    dz2[z2 <= 0] = 0
    dW2 = a1.T @ dz2
    db2 = dz2.sum(0)
    da1 = dz2 @ W2.T
    dz1 = da1 * (1 - a1**2)
    dW1 = X.T @ dz1
    db1 = dz1.sum(0)
    return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3}
"""

TZ1 = "dz1 = da1 * (1 - a1**2)"

TANH_FAULTS = (
    Fault("at z for a", TZ1, "dz1 = da1 * (1 - z1**2)"),
    Fault("square left out", TZ1, "dz1 = da1 * (1 - a1)"),
    Fault("+ for -", TZ1, "dz1 = da1 * (1 + a1**2)"),
    Fault("1 - left out", TZ1, "dz1 = da1 * a1**2"),
    Fault("derivative left out", TZ1, "dz1 = da1"),
    Fault("derivative twice", TZ1, "dz1 = da1 * (1 - a1**2) * (1 - a1**2)"),
    Fault("sigmoid's derivative", TZ1, "dz1 = da1 * a1 * (1 - a1)"),
    Fault("tanh twice", TZ1, "dz1 = da1 * (1 - np.tanh(a1)**2)"),
    Fault("mask left out", "dz2[z2 <= 0] = 0", "dz2[z2 <= 0] *= 1"),
    Fault("mask the wrong way", "dz2[z2 <= 0] = 0", "dz2[z2 > 0] = 0"),
    Fault("mask of z1", "dz2[z2 <= 0] = 0", "dz2[z1 <= 0] = 0"),
    Fault("2 too many", "dz3 = (z3 - t) / N", "dz3 = 2 * (z3 - t) / N"),
    Fault("1/N left out", "dz3 = (z3 - t) / N", "dz3 = z3 - t"),
    Fault("sign", "dz3 = (z3 - t) / N", "dz3 = (t - z3) / N"),
    Fault("t left out", "dz3 = (z3 - t) / N", "dz3 = z3 / N"),
    Fault("activation for z", "dW2 = a1.T @ dz2", "dW2 = z1.T @ dz2"),
)

OUTSIDE = (
    Fault("noise", DZ2, "dz2 = da2 * (z2 > 0) + 0.01 * np.sin(1e3 * z2)"),
    Fault("the absolute value", DZ2, "dz2 = np.abs(da2) * (z2 > 0)"),
    Fault("clipped", DZ3, "dz3 = np.clip((y - t) / N, -0.02, 0.02)"),
    Fault("sign of z1", DZ1, "dz1 = da1 * (2 * (z1 > 0) - 1)"),
    Fault("leaky", DZ1, "dz1 = da1 * ((z1 > 0) + 0.1 * (z1 <= 0))"),
    Fault("W squared in the decay", DW1, "dW1 = X.T @ dz1 + decay * W1**3"),
    Fault("both bounds of a batch", DW1, "dW1 = X[1:-1].T @ dz1[1:-1] + decay * W1"),
    Fault("two rows swapped", DW2, "dW2 = a1[[2, 1, 0, *range(3, N)]].T @ dz2 + decay * W2"),
    Fault("each layer by its width", DA1, "da1 = dz2 @ (W2 * np.arange(W2.shape[0])).T"),
    Fault("normalised", DZ2, "dz2 = da2 * (z2 > 0)\ndz2 = dz2 / (1 + np.abs(dz2))"),
    Fault("a constant added", DB2, "db2 = dz2.sum(axis=0) + 0.001"),
    Fault("a running mean", DW2, "dW2 = 0.9 * more['before']['W2'] + 0.1 * (a1.T @ dz2 + decay * W2)"),
    Fault("the wrong half", DZ2, "dz2 = da2 * (z2 > 0)\ndz2[:N // 2] = 0"),
    Fault("sorted", DW1, "dW1 = np.sort(X, axis=0).T @ dz1 + decay * W1"),
)
"""What no single edit of the menu is: nothing may be named for these that is not true elsewhere."""
