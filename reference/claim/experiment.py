"""One training run, fully described: what is descended, start, data, optimizer, batches, number of steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from reference.arrays import FLOATS, Array
from reference.claim.accumulation import accumulated
from reference.claim.batches import Batches
from reference.claim.objective import Data, Objective, objective_of
from reference.claim.rehearsal import rehearse
from reference.claim.slots import Slots
from reference.claim.tree import Tree, named, rebuild, zip_with
from reference.claim.update import checked_optimizer
from reference.errors import InputError
from reference.options import whole

MOST_STEPS = 2**53
"""Up to which number every whole number is a float64; a year of the fastest steps is less than 10^14 of them."""


@dataclass(frozen=True, eq=False)
class Experiment:
    """A training run. ``dataclasses.replace(experiment, steps=50)`` makes a variant.

    network: forward and backward, with a ``loss``; or a function (p, x, t) -> (loss, gradients), with None for the
    loss. parameters: the start, a tree of float32 or float64 arrays of one dtype, which is the precision of the run.
    x, t: an array each, or a tree of arrays; floats have the dtype of the parameters, whole numbers and bools stay
    what they are; t is None where the function takes none. loss, penalty: see ``reference.claim.objective``.
    optimizer: ``init(p) -> state`` and ``step(p, gradients, state, t, sow) -> (p, state)``. batches: which samples
    (along the first axis, or the one that they name) each step sees; None for all of them at every step. accumulate: in
    how many parts a step goes through its samples, whose gradients add up (``reference.claim.accumulation``).
    Raises InputError when anything does not fit.
    """

    network: Any
    parameters: Tree
    x: Tree
    t: Tree
    loss: Any
    optimizer: Any
    steps: int
    name: str = "unnamed"
    seed: int | None = None
    batches: Batches | None = None
    penalty: Any = None
    accumulate: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", whole("steps", self.steps))
        if self.steps > MOST_STEPS:
            raise InputError("steps", f"2^53 ({MOST_STEPS}) at most, as floats count no further", repr(self.steps))
        objective = self.objective  # whose protocols are checked before anything that they compute with
        if hasattr(objective, "network"):
            object.__setattr__(self, "network", objective.network)
        object.__setattr__(self, "optimizer", checked_optimizer(self.optimizer, self.steps))
        object.__setattr__(self, "batches", _checked_batches(self.batches))
        given = self._checked_arrays()
        if hasattr(self.penalty, "checked"):
            self.penalty.checked(self.parameters)
        _check_shapes(self, given)
        _check_numbers(self)
        least = min((self.batch_length(t) for t in range(min(self.steps, self.samples))), default=self.accumulate)
        if least < self.accumulate:
            raise InputError("accumulate", f"{least} parts at most, as a batch has so many samples", self.accumulate)

    # --- what it descends --------------------------------------------------------------------------------

    @cached_property
    def objective(self) -> Objective:
        """The loss and gradients of a step."""
        parts = [part.validated() if hasattr(part, "validated") else part for part in (self.loss, self.penalty)]
        objective = objective_of(self.network, *parts)
        return objective if self.accumulate == 1 else accumulated(objective, self.accumulate)

    @cached_property
    def slots(self) -> Slots:
        """Every tensor of the run by name. Raises InputError where the user's code falls short: see ``rehearse``."""
        return rehearse(self)

    def stacked(self, lead: int = 1) -> Objective:
        """The objective for steps stacked along so many axes in front."""
        ndim = len(self.slots["y"].shape) if "y" in self.slots else 0
        return self.objective.stacked(ndim, lead)

    # --- arrays by name ----------------------------------------------------------------------------------

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The precision of the run."""
        dtype: np.dtype[Any] = next(iter(named(self.parameters).values())).dtype
        return dtype

    @property
    def data(self) -> Data:
        """x and t; x alone where there is no t."""
        return (self.x,) if self.t is None else (self.x, self.t)

    @cached_property
    def named_data(self) -> Mapping[str, Array]:
        """The arrays of x and t by name: ``x``, or ``x.ids`` for one of several."""
        return named_parts(self.data)

    def data_of(self, values: Mapping[str, Any]) -> Data:
        """x and t of these values, by name, in the form of the experiment's."""
        parts = zip("xt", self.data, strict=False)
        return tuple(
            rebuild(part, {n: values[what if n == "p" else f"{what}.{n}"] for n in named(part)}) for what, part in parts
        )

    def parameters_of(self, values: Mapping[str, Any]) -> Tree:
        """The parameters of these values, by name, in the form of the experiment's."""
        return rebuild(self.parameters, values)

    # --- which samples -----------------------------------------------------------------------------------

    @cached_property
    def samples(self) -> int:
        """How many samples there are, along the axis of the batches or the first; 1 where the data have none."""
        first = next(iter(self.named_data.values()))
        return first.shape[0 if self.batches is None else self.batches.axis] if first.ndim else 1

    def rows(self, step: int) -> slice | Array:
        """The rows of x and t that a step sees: a slice, or (batch,) indices."""
        return slice(None) if self.batches is None else self.batches.rows(step, self.samples)

    def seen(self, data: Any, step: int) -> Any:
        """What a step sees of x and t, or of what was prepared of them: its rows, of arrays or of tensors."""
        if self.batches is None:
            return data
        of, rows = self.batches.of, self.rows(step)
        return tuple(zip_with(lambda _, a: of(a, rows), part) for part in data)

    def batch_length(self, step: int) -> int:
        """How many samples a step sees; none sees more than the first."""
        return self.samples if self.batches is None else self.batches.length(step, self.samples)

    def _checked_arrays(self) -> dict[str, Array]:
        parameters = named(self.parameters)
        if not parameters:
            raise InputError("parameters", "a tree of arrays", type(self.parameters).__name__)
        dtype: np.dtype[Any] | None = None
        for name, a in parameters.items():
            check_array(name, a)
            if a.dtype not in FLOATS[:2]:
                raise InputError(f"tensor {name}", "dtype float32 or float64", f"dtype {a.dtype}")
            dtype = dtype or a.dtype
            if a.dtype != dtype:
                raise InputError(f"tensor {name}", f"dtype {dtype}, as the first parameter has", f"dtype {a.dtype}")
        for what, part in zip("xt", self.data, strict=False):
            if not named(part):
                raise InputError(f"tensor {what}", "a NumPy array", type(part).__name__)
        for name, a in self.named_data.items():
            check_array(name, a)
            if a.dtype != dtype and a.dtype.kind not in "iub":
                raise InputError(
                    f"tensor {name}", f"dtype {dtype}, as the parameters have, or whole numbers", f"dtype {a.dtype}"
                )
        both = {*parameters} & {*self.named_data}
        if both:
            raise InputError(f"tensor {min(both)}", "a name that nothing else has", "a second tensor of that name")
        return {**self.named_data, **parameters}


def _checked_batches(batches: object) -> Batches | None:
    if batches is None:
        return None
    if not isinstance(batches, Batches):
        raise InputError("batches", "a Batches or None", repr(batches))
    return batches.checked()


def named_parts(data: Data) -> dict[str, Array]:
    """The arrays of x and t by name."""
    return {
        what if name == "p" else f"{what}.{name}": a
        for what, part in zip("xt", data, strict=False)
        for name, a in named(part).items()
    }


def checked_experiment(experiment: object) -> Experiment:
    """The experiment. Raises InputError for anything else."""
    if not isinstance(experiment, Experiment):
        raise InputError("experiment", "a reference.Experiment", type(experiment).__name__)
    return experiment


def check_array(name: str, array: object) -> None:
    """Raise InputError unless it is an ordinary array of finite numbers."""
    if not isinstance(array, np.ndarray) or isinstance(array, (np.ma.MaskedArray, np.matrix)):  # other products
        raise InputError(f"tensor {name}", "a NumPy array", type(array).__name__)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"tensor {name}", "finite numbers", f"{array[where]} at {where}")


def _check_shapes(e: Experiment, given: Mapping[str, Array]) -> None:
    """What the network says of its own shapes, where it does; and as many samples everywhere for batches."""
    _check_parameters(e)
    inputs = getattr(e.network, "inputs", None)
    x = given.get("x")
    columns = e.batches is not None and e.batches.axis == -1
    rows = isinstance(inputs, (int, np.integer)) and x is not None and x.dtype.kind == "f" and x.ndim <= 2
    if rows and not columns and x is not None and (x.ndim < 2 or x.shape[1] != inputs):
        raise InputError("tensor x", f"shape (batch, {inputs})", f"shape {x.shape}")
    for name, a in e.named_data.items():
        if a.ndim and len(a) == 0:
            raise InputError(f"tensor {name}", "at least one sample", "an empty batch")
        if e.batches is not None and (a.ndim == 0 or a.shape[e.batches.axis] != e.samples):
            along = "its last axis" if columns else "its first axis: Batches(size, axis=-1) takes the last"
            raise InputError(f"tensor {name}", f"{e.samples} samples along {along}", f"shape {a.shape}")
    if columns and e.accumulate != 1:
        raise InputError("accumulate", "1 where samples are columns, as its parts are of rows", e.accumulate)


def _check_parameters(e: Experiment) -> None:
    """Their shapes beside those that the network says, where it does."""
    own: Any = getattr(e.network, "shapes", None)
    shapes = own() if callable(own) else {}
    if not isinstance(shapes, Mapping):
        raise InputError("shapes() of the network", "a dict of each parameter's shape by name", repr(shapes))
    parameters = named(e.parameters)
    if shapes and list(shapes) != list(parameters):
        raise InputError("parameters", f"{', '.join(map(str, shapes))}", f"{', '.join(parameters)}")
    for name, shape in shapes.items():
        if not isinstance(shape, (tuple, list)):
            raise InputError(f"shapes() of the network for {name}", "a tuple of whole numbers", repr(shape))
        if parameters[name].shape != tuple(shape):
            raise InputError(f"parameter {name}", f"shape {tuple(shape)}", f"shape {parameters[name].shape}")


def _check_numbers(e: Experiment) -> None:
    """Options that the precision of the run cannot hold."""
    for what, part in (("", e.optimizer), ("loss ", e.loss), ("penalty ", e.penalty)):
        for field in getattr(part, "_fields", ()):
            value = getattr(part, field)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, float) and abs(number) > np.finfo(e.dtype).max:
                    name = "learning rate" if field == "lr" else f"{what}{field}".replace("_", " ")
                    raise InputError(name, f"a number that {e.dtype} can hold", repr(number))
