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
from reference.errors import InputError, TorchMirrorError, UnknownNameError
from reference.losses import SquaredError
from reference.optimizers.sgd import SGD
from reference.traces.trace import Trace
from reference.traces.training import train

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
    "predict",
    "printed",
    "train",
]
