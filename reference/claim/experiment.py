"""One training run, fully described: network, start, data, loss, optimizer, batches, number of steps."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.arrays import FLOATS, Array
from reference.claim.batches import Batches
from reference.claim.objective import Network, Parameters, with_sow
from reference.claim.tree import named
from reference.errors import InputError
from reference.losses import SquaredError
from reference.optimizers.sgd import SGD


@dataclass(frozen=True, eq=False)
class Experiment:
    """A training run. ``dataclasses.replace(experiment, steps=50)`` makes a variant.

    parameters: the start, a tuple of the network's own Parameters type, in torch's layout;
    x: (samples, in); t: (samples, out). All arrays have one dtype, float32 or float64, which is the
    precision of the run. batches: which samples each step sees; None for all of them at every step.
    Raises InputError when anything does not fit.
    """

    network: Network
    parameters: Parameters
    x: Array
    t: Array
    loss: SquaredError
    sgd: SGD
    steps: int
    name: str = "unnamed"
    seed: int | None = None
    batches: Batches | None = None

    def __post_init__(self) -> None:
        _check_options(self)
        object.__setattr__(self, "network", with_sow(self.network))
        # numbers of a NumPy type would decide the dtype of what they multiply
        object.__setattr__(self, "sgd", _plain_numbers(self.sgd))
        object.__setattr__(self, "loss", self.loss._replace(scale=float(self.loss.scale)))
        if not hasattr(self.parameters, "_fields"):
            raise InputError("parameters", "a NamedTuple of arrays", type(self.parameters).__name__)
        tensors = {"x": self.x, "t": self.t, **named(self.parameters)}
        for name, array in tensors.items():
            _check_array(name, array, self.x.dtype if isinstance(self.x, np.ndarray) else None)
        shapes = self.network.shapes()
        if list(shapes) != list(named(self.parameters)):
            raise InputError("parameters", f"{', '.join(shapes)}", f"{', '.join(named(self.parameters))}")
        for name, shape in shapes.items():
            if tensors[name].shape != tuple(shape):
                raise InputError(f"parameter {name}", f"shape {tuple(shape)}", f"shape {tensors[name].shape}")
        _check_data(self)
        for what, number in (*_numbers(self.sgd), ("loss scale", self.loss.scale)):
            if abs(number) > np.finfo(self.dtype).max:
                raise InputError(what, f"a number that {self.dtype} can hold", repr(number))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The precision of the run."""
        return self.x.dtype

    @property
    def buffers(self) -> list[str]:
        """The names of the momentum buffers: ``v`` and the parameter's; none without momentum."""
        return [f"v{name}" for name in named(self.parameters)] if self.sgd.momentum else []

    def rows(self, step: int) -> slice | Array:
        """The rows of x and t that a step sees: a slice, or (batch,) indices."""
        return slice(None) if self.batches is None else self.batches.rows(step, len(self.x))

    def batch_length(self, step: int) -> int:
        """How many samples a step sees; none sees more than the first."""
        return len(self.x) if self.batches is None else self.batches.length(step, len(self.x))


def _check_options(e: Experiment) -> None:
    if not isinstance(e.steps, (int, np.integer)) or isinstance(e.steps, bool) or e.steps < 0:
        raise InputError("steps", "a whole number, 0 or more", repr(e.steps))
    members = (getattr(e.network, name, None) for name in ("shapes", "forward", "backward"))
    if isinstance(e.network, type) or not all(map(callable, members)):
        raise InputError("network", "an object with shapes(), forward() and backward()", repr(e.network))
    for name in ("inputs", "outputs"):
        if not isinstance(getattr(e.network, name, None), (int, np.integer)):
            came = repr(getattr(e.network, name, "none"))
            raise InputError(f"{name} of the network", f"the number of columns of {'xy'[name == 'outputs']}", came)
    for what, value, kind in (("sgd", e.sgd, SGD), ("loss", e.loss, SquaredError)):
        if not isinstance(value, kind):
            raise InputError(what, f"a {kind.__name__}", repr(value))
    _check_sgd(e.sgd, e.steps)
    _check_batches(e.batches)
    if e.loss.reduction not in ("sum", "mean"):
        raise InputError("loss reduction", "'sum' or 'mean'", repr(e.loss.reduction))
    _check_number("loss scale", e.loss.scale)
    if e.loss.scale == 0:
        raise InputError("loss scale", "a number other than 0", repr(e.loss.scale))


def _check_sgd(sgd: SGD, steps: int) -> None:
    """What torch.optim.SGD asks of its options, and a learning rate for every step."""
    if isinstance(sgd.lr, Sequence) and not isinstance(sgd.lr, str) and len(sgd.lr) < steps:
        raise InputError("learning rate", f"one for each of {steps} steps", f"{len(sgd.lr)} of them")
    for what, number in _numbers(sgd):
        _check_number(what, number)
        if number < 0 and what != "dampening":
            raise InputError(what, "0 or more, as torch.optim.SGD does", repr(number))
    for what, flag in (("nesterov", sgd.nesterov), ("maximize", sgd.maximize)):
        if not isinstance(flag, (bool, np.bool_)):
            raise InputError(what, "True or False", repr(flag))
    if sgd.nesterov and (sgd.momentum == 0 or sgd.dampening != 0):
        came = f"momentum {sgd.momentum} and dampening {sgd.dampening}"
        raise InputError("nesterov", "a momentum and no dampening, as torch.optim.SGD does", came)


def _numbers(sgd: SGD) -> list[tuple[str, Any]]:
    """The numbers among the options, by what they are called."""
    rates = sgd.lr if isinstance(sgd.lr, Sequence) and not isinstance(sgd.lr, str) else [sgd.lr]
    options = {"momentum": sgd.momentum, "dampening": sgd.dampening, "weight decay": sgd.weight_decay}
    return [*(("learning rate", rate) for rate in rates), *options.items()]


def _plain_numbers(sgd: SGD) -> SGD:
    rates = tuple(float(rate) for rate in sgd.lr) if isinstance(sgd.lr, Sequence) else float(sgd.lr)
    numbers = float(sgd.momentum), float(sgd.dampening), float(sgd.weight_decay)
    return SGD(rates, *numbers, bool(sgd.nesterov), bool(sgd.maximize))


def _check_batches(batches: object) -> None:
    if batches is None:
        return
    if not isinstance(batches, Batches):
        raise InputError("batches", "a Batches or None", repr(batches))
    for what, number, least in (("batch size", batches.size, 1), ("seed of the batches", batches.seed, 0)):
        whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool) and number >= least
        if not whole and not (what != "batch size" and number is None):
            raise InputError(what, f"a whole number, {least} or more", repr(number))


def _check_number(what: str, value: Any) -> None:
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    with np.errstate(all="ignore"):
        held = number and bool(abs(value) <= sys.float_info.max)  # not so NaN, and a whole number beyond all floats
    if not held:
        raise InputError(what, "a finite number", repr(value))


def _check_array(name: str, array: object, dtype: np.dtype[Any] | None) -> None:
    if not isinstance(array, np.ndarray) or isinstance(array, (np.ma.MaskedArray, np.matrix)):  # other products
        raise InputError(f"tensor {name}", "a NumPy array", type(array).__name__)
    if array.dtype not in FLOATS[:2]:
        raise InputError(f"tensor {name}", "dtype float32 or float64", f"dtype {array.dtype}")
    if dtype is not None and array.dtype != dtype:
        raise InputError(f"tensor {name}", f"dtype {dtype}, as x has", f"dtype {array.dtype}")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        where = tuple(int(i) for i in bad[0])
        raise InputError(f"tensor {name}", "finite numbers", f"{array[where]} at {where}")


def _check_data(e: Experiment) -> None:
    if e.x.ndim != 2 or e.x.shape[1] != e.network.inputs:
        raise InputError("tensor x", f"shape (batch, {e.network.inputs})", f"shape {e.x.shape}")
    if len(e.x) == 0:
        raise InputError("tensor x", "at least one sample", "an empty batch")
    if e.t.shape != (len(e.x), e.network.outputs):
        raise InputError(
            "tensor t",
            f"shape {(len(e.x), e.network.outputs)}, that of y (nothing is broadcast)",
            f"shape {e.t.shape}",
        )
