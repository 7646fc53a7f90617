"""Hand-written optimizers and the faults that are planted in them; each is a step of one leaf."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from reference.optimizers.adam import Adam, AdamW
from reference.optimizers.rmsprop import RMSprop
from reference.optimizers.sgd import SGD
from tests.tape.edits.planted import Fault

PLAIN = """
def step(w, g, state, t, before, lr, wd):
    g = g + wd * w
    w = w - lr * g
    return w, {}
"""
PLAIN_FAULTS = (
    Fault("the wrong sign", "w = w - lr * g", "w = w + lr * g"),
    Fault("lr left out", "w = w - lr * g", "w = w - g"),
    Fault("lr twice", "w = w - lr * g", "w = w - lr * lr * g"),
    Fault("decay left out", "g = g + wd * w", "g = g"),
    Fault("2 in the decay", "g = g + wd * w", "g = g + 2 * wd * w"),
    Fault("decay subtracted", "g = g + wd * w", "g = g - wd * w"),
    Fault("the gradient before", "g = g + wd * w", "g = before + wd * w"),
    Fault("accumulated", "g = g + wd * w", "g = g + before + wd * w"),
    Fault("half of it", "w = w - lr * g", "w = w - 0.5 * lr * g"),
)

MOMENTUM = """
def step(w, g, state, t, before, lr, m, wd):
    g = g + wd * w
    v = m * state["v"] + g
    w = w - lr * v
    return w, {"v": v}
"""
V, W = 'v = m * state["v"] + g', "w = w - lr * v"
MOMENTUM_FAULTS = (
    Fault("1 - momentum", V, 'v = m * state["v"] + (1 - m) * g'),
    Fault("momentum left out", V, "v = g"),
    Fault("no momentum factor", V, 'v = state["v"] + g'),
    Fault("the old buffer", W, 'w = w - lr * state["v"]'),
    Fault("the gradient for the buffer", W, "w = w - lr * g"),
    Fault("lr inside the buffer", V, 'v = m * state["v"] + lr * g\nlr = 1'),
    Fault("Nesterov", W, "w = w - lr * (g + m * v)"),
    Fault("momentum and lr swapped", V, 'm, lr = lr, m\nv = m * state["v"] + g'),
    Fault("the wrong sign", W, "w = w + lr * v"),
    Fault("1 - momentum for momentum", V, 'v = (1 - m) * state["v"] + g'),
    Fault("decay decoupled", "g = g + wd * w", "w = w - lr * wd * w"),
    Fault("decay left out", "g = g + wd * w", "g = g"),
    Fault("a sign in the buffer", V, 'v = m * state["v"] - g'),
    Fault("lr twice", V, 'v = m * state["v"] + lr * g'),
)

NESTEROV = """
def step(w, g, state, t, before, lr, m):
    v = m * state["v"] + g
    w = w - lr * (g + m * v)
    return w, {"v": v}
"""
NW = "w = w - lr * (g + m * v)"
NESTEROV_FAULTS = (
    Fault("the usual momentum", NW, "w = w - lr * v"),
    Fault("the old buffer", NW, 'w = w - lr * (g + m * state["v"])'),
    Fault("momentum left out", NW, "w = w - lr * (g + v)"),
    Fault("momentum squared", NW, "w = w - lr * (g + m * m * v)"),
    Fault("lr on the gradient alone", NW, "w = w - (lr * g + m * v)"),
)

ADAM = """
def step(w, g, state, t, before, lr, b1, b2, eps, wd):
    g = g + wd * w
    m = b1 * state["m"] + (1 - b1) * g
    v = b2 * state["v"] + (1 - b2) * g**2
    mh = m / (1 - b1**(t + 1))
    vh = v / (1 - b2**(t + 1))
    w = w - lr * mh / (np.sqrt(vh) + eps)
    return w, {"m": m, "v": v}
"""
AM, AV = 'm = b1 * state["m"] + (1 - b1) * g', 'v = b2 * state["v"] + (1 - b2) * g**2'
AW = "w = w - lr * mh / (np.sqrt(vh) + eps)"
MH, VH = "mh = m / (1 - b1**(t + 1))", "vh = v / (1 - b2**(t + 1))"
ADAM_FAULTS = (
    Fault("correction of m left out", MH, "mh = m"),
    Fault("correction of v left out", VH, "vh = v"),
    Fault("t for t + 1 in m", MH, "mh = m / (1 - b1**t)"),
    Fault("t for t + 1 in v", VH, "vh = v / (1 - b2**t)"),
    Fault("beta2 in the correction of m", MH, "mh = m / (1 - b2**(t + 1))"),
    Fault("m multiplied by it", MH, "mh = m * (1 - b1**(t + 1))"),
    Fault("the root left out", AW, "w = w - lr * mh / (vh + eps)"),
    Fault("eps inside", AW, "w = w - lr * mh / np.sqrt(vh + eps)"),
    Fault("eps left out", AW, "w = w - lr * mh / np.sqrt(vh)"),
    Fault("the wrong sign", AW, "w = w + lr * mh / (np.sqrt(vh) + eps)"),
    Fault("g for m", AW, "w = w - lr * g / (np.sqrt(vh) + eps)"),
    Fault("m uncorrected at the end", AW, "w = w - lr * m / (np.sqrt(vh) + eps)"),
    Fault("1 - beta1 left out", AM, 'm = b1 * state["m"] + g'),
    Fault("1 - beta2 left out", AV, 'v = b2 * state["v"] + g**2'),
    Fault("g for g^2", AV, 'v = b2 * state["v"] + (1 - b2) * g'),
    Fault("beta2 in m", AM, 'm = b2 * state["m"] + (1 - b2) * g'),
    Fault("beta1 in v", AV, 'v = b1 * state["v"] + (1 - b1) * g**2'),
    Fault("m in v", AV, 'v = b2 * state["v"] + (1 - b2) * m**2'),
    Fault("the old m", MH, 'mh = state["m"] / (1 - b1**(t + 1))'),
    Fault("the old v", VH, 'vh = state["v"] / (1 - b2**(t + 1))'),
    Fault("decay left out", "g = g + wd * w", "g = g"),
    Fault("decay decoupled", "g = g + wd * w", "w = w - lr * wd * w"),
    Fault("betas swapped", "g = g + wd * w", "g = g + wd * w\nb1, b2 = b2, b1"),
    Fault("no correction", MH, "b1, b2 = 0, 0\nmh = m"),
    Fault("the gradient before", "g = g + wd * w", "g = before + wd * w"),
)

ADAMW = """
def step(w, g, state, t, before, lr, b1, b2, eps, wd):
    m = b1 * state["m"] + (1 - b1) * g
    v = b2 * state["v"] + (1 - b2) * g * g
    mh = m / (1 - b1**(t + 1))
    vh = v / (1 - b2**(t + 1))
    w = w - lr * wd * w
    w = w - lr * mh / (np.sqrt(vh) + eps)
    return w, {"m": m, "v": v}
"""
DECAY = "w = w - lr * wd * w"
ADAMW_FAULTS = (
    Fault("decay left out", DECAY, "w = w"),
    Fault("lr left out of the decay", DECAY, "w = w - wd * w"),
    Fault("decay into the gradient", AM, f"g = g + wd * w\nwd = 0\n{AM}"),
    Fault("decay twice", DECAY, "w = w - 2 * lr * wd * w"),
    Fault("decay added", DECAY, "w = w + lr * wd * w"),
)

RMSPROP = """
def step(w, g, state, t, before, lr, a, eps):
    v = a * state["v"] + (1 - a) * g**2
    w = w - lr * g / (np.sqrt(v) + eps)
    return w, {"v": v}
"""
RV, RW = 'v = a * state["v"] + (1 - a) * g**2', "w = w - lr * g / (np.sqrt(v) + eps)"
RMSPROP_FAULTS = (
    Fault("1 - alpha left out", RV, 'v = a * state["v"] + g**2'),
    Fault("alpha left out", RV, 'v = state["v"] + (1 - a) * g**2'),
    Fault("alpha and 1 - alpha swapped", RV, 'v = (1 - a) * state["v"] + a * g**2'),
    Fault("the square left out", RV, 'v = a * state["v"] + (1 - a) * g'),
    Fault("eps inside", RW, "w = w - lr * g / np.sqrt(v + eps)"),
    Fault("the old v", RW, 'w = w - lr * g / (np.sqrt(state["v"]) + eps)'),
    Fault("the root left out", RW, "w = w - lr * g / (v + eps)"),
    Fault("the wrong sign", RW, "w = w + lr * g / (np.sqrt(v) + eps)"),
    Fault("the gradient before", RW, "w = w - lr * before / (np.sqrt(v) + eps)"),
)


class Written(NamedTuple):
    """A hand-written optimizer, its reference, and the settings that its step takes, in order."""

    source: str
    optimizer: Any
    settings: tuple[float, ...]
    faults: tuple[Fault, ...]


def _at(scale: float) -> Mapping[str, Written]:
    """With settings that depend on the scale, so that a cause can be tried at others."""
    lr, m, b1, b2, eps, wd, a = (scale * c for c in (0.07, 0.9, 0.9, 0.99, 1e-3, 0.03, 0.95))
    return {
        "sgd": Written(PLAIN, SGD(lr, weight_decay=wd), (lr, wd), PLAIN_FAULTS),
        "momentum": Written(MOMENTUM, SGD(lr, momentum=m, weight_decay=wd), (lr, m, wd), MOMENTUM_FAULTS),
        "nesterov": Written(NESTEROV, SGD(lr, momentum=m, nesterov=True), (lr, m), NESTEROV_FAULTS),
        "adam": Written(ADAM, Adam(lr, (b1, b2), eps, wd), (lr, b1, b2, eps, wd), ADAM_FAULTS),
        "adamw": Written(ADAMW, AdamW(lr, (b1, b2), eps, wd), (lr, b1, b2, eps, wd), ADAMW_FAULTS),
        "rmsprop": Written(RMSPROP, RMSprop(lr, a, eps), (lr, a, eps), RMSPROP_FAULTS),
    }


HERE, THERE = _at(1.0), _at(0.83)
