"""Networks, their hand-derived gradients and their training, in NumPy alone.

    experiment = reference.experiments.load("two-layer-linear")
    trace = reference.train(experiment)
    trace["loss"]

The equations of a network are in ``reference.networks``, one file each. Nothing here imports torch.
"""

from reference import experiments, printed
from reference.claim.batches import Batches
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.claim.objective import predict
from reference.claim.update import Own
from reference.errors import InputError, TorchMirrorError, UnknownNameError
from reference.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CrossEntropy,
    Huber,
    SmoothL1,
    SquaredError,
)
from reference.optimizers.adagrad import Adagrad
from reference.optimizers.adam import Adam, AdamW
from reference.optimizers.clipping import ClippedByNorm, ClippedByValue
from reference.optimizers.groups import Groups
from reference.optimizers.rmsprop import RMSprop
from reference.optimizers.sgd import SGD
from reference.penalties import L2
from reference.traces.trace import Trace
from reference.traces.training import train

__all__ = [
    "L2",
    "SGD",
    "AbsoluteError",
    "Adagrad",
    "Adam",
    "AdamW",
    "Batches",
    "BinaryCrossEntropy",
    "BinaryCrossEntropyWithLogits",
    "ClippedByNorm",
    "ClippedByValue",
    "CrossEntropy",
    "Ensemble",
    "Experiment",
    "Groups",
    "Huber",
    "InputError",
    "Own",
    "RMSprop",
    "SmoothL1",
    "SquaredError",
    "TorchMirrorError",
    "Trace",
    "UnknownNameError",
    "experiments",
    "predict",
    "printed",
    "train",
]
