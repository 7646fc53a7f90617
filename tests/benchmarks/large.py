"""Networks of the size that people use, and how much memory one run of each takes.

    python -m tests.benchmarks.large "21 million" float64 verify whole      the most memory of that run, in MB

A process knows the most memory that it ever had, and no less: so each run is measured in a process of its own.
"""

import resource
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from reference.claim.batches import Batches
from reference.claim.experiment import Experiment
from reference.losses.cross_entropy import CrossEntropy
from reference.networks import mlp
from reference.optimizers.sgd import SGD
from torch_mirror import verify
from torch_mirror.training.session import Session, session
from torch_mirror.training.threads import one_thread


class Size(NamedTuple):
    """A classifier with ReLUs, and a run of it."""

    widths: tuple[int, ...]
    batch: int
    steps: int
    batches: int = 1  # how many the data have; of one, each step sees all of them


WHOLE = {
    "784-128-64-10": Size((784, 128, 64, 10), 128, 50, 10),
    "1000-1024-1024-10": Size((1000, 1024, 1024, 10), 128, 10),
    "21 million": Size((1024, 4096, 4096, 10), 32, 4),
    "batch 4096": Size((784, 128, 64, 10), 4096, 10),
    "17 layers of 32": Size((32,) * 18, 64, 300),
}

SMALL = {
    "784-128-64-10": Size((20, 12, 8, 4), 16, 3, 2),
    "1000-1024-1024-10": Size((30, 40, 40, 4), 16, 3),
    "21 million": Size((200, 150, 150, 10), 4, 3),
    "batch 4096": Size((12, 8, 6, 4), 512, 3),
    "17 layers of 32": Size((8,) * 18, 16, 3),
}
"""The same in small, for runs whose time nobody takes."""

SIZES = {"whole": WHOLE, "small": SMALL}


def classifier(size: Size, dtype: str) -> Experiment:
    """Weights (out, in) as He et al. draw them, biases 0, normal data (samples, in), and classes that are drawn."""
    draw = np.random.default_rng(0)
    pairs = list(pairwise(size.widths))
    W = tuple((draw.normal(size=(o, i)) * (2 / i) ** 0.5).astype(dtype) for i, o in pairs)
    b = tuple(np.zeros(o, dtype) for _, o in pairs)
    samples = size.batch * size.batches
    x = draw.normal(size=(samples, size.widths[0])).astype(dtype)
    t = draw.integers(size.widths[-1], size=samples)
    return Experiment(
        mlp.MLP(size.widths), mlp.Parameters(W, b), x, t, CrossEntropy("mean"), SGD(0.01), size.steps,
        batches=None if size.batches == 1 else Batches(size.batch, seed=0),
    )  # fmt: skip


def without_sow(e: Experiment) -> Session:
    """A plain nn.Sequential, which tells y and no value before it."""
    layers: list[nn.Module] = []
    names: dict[str, str] = {}
    for l, (i, o) in enumerate(pairwise(e.network.widths)):
        layers += [nn.Linear(i, o, dtype=torch.from_numpy(e.x).dtype), nn.ReLU()]
        names |= {f"W{l + 1}": f"{2 * l}.weight", f"b{l + 1}": f"{2 * l}.bias"}
    return session(e, nn.Sequential(*layers[:-1]), names)


def bare(e: Experiment, using: Callable[[Experiment], Session] = session) -> nn.Module:
    """The training loop that everyone writes: nothing recorded, nothing judged."""
    module, _, criterion, optimizer, *_ = using(e)
    data = torch.tensor(e.x), torch.tensor(e.t)
    for step in range(e.steps):
        x, t = e.seen(data, step)
        optimizer.zero_grad()
        loss = criterion(module(x), t)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimizer.step()
    return module


RUNS: dict[str, Callable[[Experiment], Any]] = {"verify": verify, "bare": bare}


def most_memory(name: str, dtype: str, run: str, size: str) -> float:
    """Run it, and tell the most memory that this process ever had, in MB."""
    with one_thread():
        RUNS[run](classifier(SIZES[size][name], dtype))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts kilobytes


if __name__ == "__main__":
    sys.stdout.write(f"{most_memory(*sys.argv[1:])}\n")
