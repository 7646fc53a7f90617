"""A network with a hidden ReLU layer, trained in JAX: one compiled loop, whose every value goes into a trace.

    python examples/jax/train.py run.safetensors float64

tests/foreign/test_jax.py certifies it against the experiment mlp-relu, from which data and start come. The arrays have
the names and the layout that they have here: a kernel is (in, out), where the reference's W is (out, in). The test says
which is which: {"W1": "layer1.kernel.T", ...}.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from reference import Trace, experiments

path, dtype = sys.argv[1:]
jax.config.update("jax_enable_x64", dtype == "float64")

run = experiments.load("mlp-relu", dtype)
x, t = jnp.asarray(run.x), jnp.asarray(run.t)
W1, W2, b1, b2 = (*run.parameters.W, *run.parameters.b)
start = {
    "layer1": {"kernel": jnp.asarray(W1.T), "bias": jnp.asarray(b1)},
    "layer2": {"kernel": jnp.asarray(W2.T), "bias": jnp.asarray(b2)},
}
zeros = {"z1": jnp.zeros((3, 5), dtype), "a1": jnp.zeros((3, 5), dtype), "y": jnp.zeros((3, 1), dtype)}
"""Added to the values, they change nothing; the gradients by them are those by the values."""


def forward(p, added):
    z1 = x @ p["layer1"]["kernel"] + p["layer1"]["bias"] + added["z1"]
    a1 = jax.nn.relu(z1) + added["a1"]
    y = a1 @ p["layer2"]["kernel"] + p["layer2"]["bias"] + added["y"]
    loss = 0.5 * jnp.sum((y - t) ** 2)
    return loss, {"z1": z1, "a1": a1, "y": y}


def step(p, _):
    (loss, values), (dp, dvalues) = jax.value_and_grad(forward, argnums=(0, 1), has_aux=True)(p, zeros)
    new = jax.tree.map(lambda w, dw: w - 0.001 * dw, p, dp)
    return new, (new, {"loss": loss, **values, "grads": dp, **{f"d{name}": dv for name, dv in dvalues.items()}})


@jax.jit
def train(p):
    _, (after, tensors) = jax.lax.scan(step, p, length=run.steps)
    return jax.tree.map(lambda first, others: jnp.concatenate([first[None], others]), p, after), tensors


def by_name(tree):
    """The arrays of nested dicts: layer1.kernel."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {".".join(key.key for key in keys): np.asarray(leaf) for keys, leaf in leaves}


parameters, tensors = train(start)
Trace(run.steps, {"x": run.x, "t": run.t}, by_name(parameters), by_name(tensors)).save(path)
