"""The optimizers with their options, one row each; wrong ones beside right ones; and the run that checks take.

Those with rows of their own here have many options together. Of any other in the table there is one as it is by
default, one with the last value of each option, and a wrong one whose rate is off.
"""

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from reference import experiments
from reference.claim.batches import Batches
from reference.claim.experiment import Experiment
from reference.losses import SquaredError
from reference.networks.mlp import MLP
from reference.optimizers.adagrad import Adagrad
from reference.optimizers.adam import Adam, AdamW
from reference.optimizers.clipping import ClippedByNorm, ClippedByValue
from reference.optimizers.groups import Groups
from reference.optimizers.rmsprop import RMSprop
from reference.optimizers.sgd import SGD
from tests.conformance.cases import DTypeName
from tests.sample import THOROUGH
from torch_mirror import optimizers
from torch_mirror.by_name import class_of, file_of
from torch_mirror.doors.strategies import of_own_type

STEPS = 20
SCHEDULE = tuple(0.1 / (1 + step) for step in range(STEPS))


def biases(name: str) -> bool:
    return name.startswith("b")


def all_others(_name: str) -> bool:
    return True


SGDS: list[Any] = [
    SGD(0.1),
    SGD(0.1, weight_decay=0.1, maximize=True),
    SGD(0.05, 0.9),
    SGD(SCHEDULE, 0.5, 0.25, 0.1),
    SGD(SCHEDULE, 0.9, nesterov=True),
]
ADAMS: list[Any] = [
    adam._replace(amsgrad=amsgrad, maximize=maximize)
    for amsgrad, maximize in ((False, False), (True, False), (True, True))
    for adam in (
        Adam(0.1),
        Adam(0.1, (0.5, 0.9), 1e-3),
        Adam(0.1, (0.3, 0.25), weight_decay=0.1),
        Adam(SCHEDULE, (0.0, 0.999)),
        AdamW(0.1),
        AdamW(SCHEDULE, (0.875, 0.96875), weight_decay=0.3),
    )
]
RMSPROPS: list[Any] = [
    RMSprop(lr, alpha, 1e-8, decay, momentum, centered, maximize)
    for lr, alpha, decay in ((0.01, 0.99, 0.0), (SCHEDULE, 0.9, 0.1), (0.01, 0.25, 0.0))
    for momentum, centered, maximize in ((0.0, False, False), (0.9, False, True), (0.0, True, True), (0.9, True, False))
]
ADAGRADS: list[Any] = [
    Adagrad(lr, lr_decay, weight_decay, value, 1e-10, maximize)
    for lr, lr_decay in ((0.1, 0.0), (0.1, 0.3), (SCHEDULE, 0.1))
    for weight_decay, value, maximize in ((0.0, 0.0, False), (0.1, 0.3, True))
]
AROUND: list[Any] = [
    ClippedByNorm(SGD(0.1, 0.9), 0.5),
    ClippedByNorm(Adam(0.1), 0.5),
    ClippedByNorm(Adagrad(0.1, weight_decay=0.1), 5.0),
    ClippedByValue(RMSprop(SCHEDULE, momentum=0.9), 0.3),
    ClippedByValue(ClippedByNorm(Adam(0.1), 0.5), 0.2),
    ClippedByNorm(ClippedByValue(Adam(0.1), 0.2), 0.5),
    Groups(((biases, SGD(SCHEDULE, 0.9)), (all_others, SGD(0.05, weight_decay=0.1)))),
    Groups(((biases, AdamW(0.1, weight_decay=0.0)), (all_others, AdamW(SCHEDULE)))),
    Groups(((biases, RMSprop(0.1)), (["W1"], RMSprop(0.01, momentum=0.9)), (all_others, RMSprop(0.1, centered=True)))),
    Groups(((biases, ClippedByNorm(Adam(0.1), 0.5)), (all_others, Adam(0.01, amsgrad=True)))),
    ClippedByNorm(Groups(((biases, Adagrad(0.1)), (all_others, Adagrad(0.2, 0.1)))), 1.0),
]


def name_of(optimizer: Any) -> str:
    """Its repr, the same in every process."""
    return re.sub(r"<function (\w+) at \w+>", r"\1", str(optimizer).replace(str(SCHEDULE), "SCHEDULE"))


HERE: list[Any] = [*SGDS, *ADAMS, *RMSPROPS, *ADAGRADS]
HAVE_ROWS = {file_of(optimizers.HOME, type(row)) for row in HERE}
OTHERS: dict[str, list[Any]] = {
    file: [
        class_of(optimizers.HOME, file)(0.1, **options)
        for options in ({}, *({option: values[-1]} for option, values in row.drawn.items()))
    ]
    for file, row in optimizers.OPTIMIZERS.items()
    if file not in HAVE_ROWS
}

def in_turn(rows: Sequence[Any], width: int) -> Sequence[Any]:
    """The black fields of a board so many columns wide, on which each option stands; all rows in make thorough."""
    return [row for i, row in enumerate(rows) if THOROUGH or (i + i // width) % 2 == 0]


OPTIMIZERS: dict[str, Any] = {name_of(row): row for row in (*HERE, *chain(*OTHERS.values()), *AROUND)}

SOME: list[str] = [
    *map(name_of, (*SGDS, *in_turn(ADAMS, 6), *in_turn(RMSPROPS, 4), *in_turn(ADAGRADS, 2))),
    *map(name_of, (*chain(*OTHERS.values()), *AROUND)),
]
"""Those that make test takes."""

PLAIN, ADAM, RMS, ADA = SGD(0.1), Adam(0.1), RMSprop(0.01), Adagrad(0.1)
WRONG: dict[str, tuple[Any, Any, str, int]] = {
    # the right one, the wrong one, the first tensor outside, and the step from which on
    "SGD's rate by 1 %": (PLAIN, SGD(0.101), "W1", 0),
    "momentum moved": (SGD(0.1, 0.9), SGD(0.1, 0.89), "v.W1", 1),
    "dampening dropped": (SGD(0.1, 0.9, 0.1), SGD(0.1, 0.9), "v.W1", 1),
    "SGD's weight decay dropped": (SGD(0.1, weight_decay=0.1), PLAIN, "W1", 0),
    "a schedule dropped": (SGD(SCHEDULE), PLAIN, "W1", 1),
    "the rate": (ADAM, Adam(0.2), "W1", 0),
    "the rate by 1 %": (ADAM, Adam(0.101), "W1", 0),
    "Adam's bias correction dropped": (ADAM, Adam(0.1, bias_correction=False), "W1", 0),
    "Adam's betas swapped": (ADAM, Adam(0.1, (0.999, 0.9)), "m.W1", 0),
    "beta1 of 0.9 in float32": (ADAM, Adam(0.1, (float(np.float32(0.9)), 0.999)), "m.W1", 0),
    "beta2 moved": (ADAM, Adam(0.1, (0.9, 0.99)), "v.W1", 0),
    "eps moved": (ADAM, Adam(0.1, eps=1e-7), "W1", 0),
    "eps inside the root": (ADAM, Adam(0.1, eps_inside=True), "W1", 0),
    "maximised": (ADAM, Adam(0.1, maximize=True), "m.W1", 0),
    "L2 for AdamW's decay": (AdamW(0.1), Adam(0.1, weight_decay=0.01), "m.W1", 0),
    "AdamW's decay for L2": (Adam(0.1, weight_decay=0.01), AdamW(0.1), "m.W1", 0),
    "AdamW's decay dropped": (AdamW(0.1), ADAM, "W1", 0),
    "AMSGrad dropped": (Adam(0.1, (0.9, 0.5), amsgrad=True), Adam(0.1, (0.9, 0.5)), "W1", 1),
    "weight decay dropped": (RMSprop(0.01, weight_decay=0.1), RMS, "v.W1", 0),
    "alpha moved": (RMS, RMSprop(0.01, 0.9), "v.W1", 0),
    "RMSprop's eps moved": (RMS, RMSprop(0.01, eps=1e-7), "W1", 0),
    "RMSprop's eps inside the root": (RMS, RMSprop(0.01, eps_inside=True), "W1", 0),
    "RMSprop's momentum moved": (RMSprop(0.01, momentum=0.9), RMSprop(0.01, momentum=0.89), "b.W1", 1),
    "not centred": (RMSprop(0.01, centered=True), RMS, "W1", 0),
    "Adagrad's decay of the rate dropped": (Adagrad(0.1, 0.1), ADA, "W1", 1),
    "Adagrad's eps moved": (ADA, Adagrad(0.1, eps=1e-8), "W1", 0),
    "Adagrad's weight decay dropped": (Adagrad(0.1, weight_decay=0.1), ADA, "s.W1", 0),
    "clipping dropped": (ClippedByNorm(ADAM, 0.5), ADAM, "m.W1", 0),
    "the norm by 1 %": (ClippedByNorm(ADAM, 0.5), ClippedByNorm(ADAM, 0.505), "m.W1", 0),
    "the value for the norm": (ClippedByNorm(ADAM, 0.5), ClippedByValue(ADAM, 0.5), "m.W1", 0),
    "the order of two clippings": (
        ClippedByValue(ClippedByNorm(ADAM, 0.5), 0.2), ClippedByNorm(ClippedByValue(ADAM, 0.2), 0.5), "m.W1", 0,
    ),
    "the norm of each group": (
        ClippedByNorm(Groups(((biases, ADAM), (all_others, ADAM))), 0.5),
        Groups(((biases, ClippedByNorm(ADAM, 0.5)), (all_others, ClippedByNorm(ADAM, 0.5)))), "m.b1", 0,
    ),
    "decay on the biases": (
        Groups(((biases, AdamW(0.1, weight_decay=0.0)), (all_others, AdamW(0.1)))), AdamW(0.1), "b1", 0,
    ),
    **{f"the rate of {file} by 1 %": (row[0], type(row[0])(0.101), "W1", 0) for file, row in OTHERS.items()},
}  # fmt: skip
"""On a run of 20 steps, with torch's optimizer or with gradients of any size: tests/reference/optimizers has those."""


def run(
    optimizer: Any, dtype: DTypeName, *, steps: int = STEPS, batches: Batches | None = None, seed: int = 0
) -> Experiment:
    """A small perceptron of five samples, whose gradients are not small at first."""
    draws = np.random.default_rng(seed)
    network = MLP((3, 4, 2), "tanh")
    p = of_own_type(network, {name: draws.normal(size=shape) for name, shape in network.shapes().items()})
    x, t = draws.normal(size=(5, 3)), draws.normal(size=(5, 2))
    e = Experiment(network, p, x, t, SquaredError("mean"), optimizer, steps, batches=batches)
    return experiments.rounded(e, dtype)
