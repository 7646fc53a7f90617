"""Networks, their hand-derived gradients and their training, in NumPy alone.

    experiment = reference.experiments.load("two-layer-linear")
    trace = reference.train(experiment)
    trace["loss"]

The equations of a network are in ``reference.networks``, one file each. Nothing here imports torch.
"""

from reference import experiments, figures
from reference.batches import Batches
from reference.ensemble import Ensemble
from reference.errors import InputError, TorchMirrorError, UnknownNameError
from reference.experiment import Experiment
from reference.losses import SquaredError
from reference.network import predict
from reference.sgd import SGD
from reference.trace import Trace
from reference.training import train

__all__ = [
    "SGD",
    "Batches",
    "Ensemble",
    "Experiment",
    "InputError",
    "SquaredError",
    "TorchMirrorError",
    "Trace",
    "UnknownNameError",
    "experiments",
    "figures",
    "predict",
    "train",
]
