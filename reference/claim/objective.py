"""What is descended: a network with a loss, or a function that returns a loss and its gradients.

Three small protocols. Any object with these members will do: a module of functions, a NamedTuple, a frozen dataclass.

    network      forward(p, x, sow) -> (y, cache), backward(p, cache, dy, sow) -> gradients
    loss         value(y, t), gradient(y, t)
    penalty      value(p), gradient(p): what is added to the loss for the parameters' own sake

A function (p, x, t) -> (loss, gradients) takes the place of all three. Where functions do not take ``sow``, the one
hook that is told every value by name, what they return is known of them and nothing in between.

p is a tree of arrays (reference.claim.tree), and the gradients are one with the same leaves: of the same form, or a
dict by their names, ``W1`` or ``dW1``.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np

from reference.arrays import Array, Sow, keep
from reference.claim.tree import Tree, named, rebuild, same_containers_anew, zip_with
from reference.errors import InputError

Parameters: TypeAlias = Tree
Data: TypeAlias = tuple[Tree, ...]
"""x, or x and t; each an array or a tree of arrays."""


class Network(Protocol):
    """A forward pass and its hand-derived backward pass.

    A network may also have ``features(x, sow)``: what it computes from its input once, before the
    first step.
    """

    def forward(self, p: Parameters, x: Any, sow: Sow = keep) -> tuple[Array, Any]:
        """x to y (batch, out), and the cache that backward needs."""

    def backward(self, p: Parameters, c: Any, dy: Array, sow: Sow = keep) -> Parameters:
        """The gradient of each parameter from the upstream gradient dy (batch, out)."""


class Objective(Protocol):
    """What a step descends. ``deferred``: the loss is not sown in a step, but ``loss_of`` tells it from y."""

    @property
    def deferred(self) -> bool: ...

    def prepare(self, data: Data, sow: Sow = keep) -> Data:
        """What every step sees of the data: computed once, before the first one."""

    def gradients(self, p: Parameters, data: Data, sow: Sow = keep) -> Parameters:
        """The gradient of each parameter, sown as ``d<name>``."""

    def loss_of(self, y: Array, data: Data) -> Array:
        """The loss from the output, where it is deferred."""

    def stacked(self, ndim: int, lead: int) -> "Objective":
        """The same for steps stacked along so many axes in front of a step's own; ndim: the axes of y in one step."""


@dataclass(frozen=True)
class Supervised:
    """A network and a loss, with or without a penalty on the parameters."""

    network: Any
    loss: Any
    penalty: Any = None

    @property
    def deferred(self) -> bool:
        return self.penalty is None

    def prepare(self, data: Data, sow: Sow = keep) -> Data:
        x, *rest = data
        return features(self.network, x, sow), *rest

    def gradients(self, p: Parameters, data: Data, sow: Sow = keep) -> Parameters:
        x, t = data
        theirs = p if hasattr(p, "_fields") else same_containers_anew(p)  # a layer object keeps what its backward needs
        y, cache = self.network.forward(theirs, x, sow)  # a pair, as the dry run has seen
        if self.penalty is not None:
            return self._penalised(p, theirs, y, cache, t, sow)
        dy = sow("dy", self.loss.gradient(y, t))
        dp = self.network.backward(theirs, cache, dy, sow)
        return dp if type(dp) is type(p) and hasattr(p, "_fields") else matched(dp, p)

    def _penalised(self, p: Parameters, theirs: Parameters, y: Array, cache: Any, t: Any, sow: Sow) -> Parameters:
        """L + R and dL + dR, whose first parts are sown as ``dW1.data``."""
        sow("loss", self.loss.value(y, t) + self.penalty.value(p))
        dy = sow("dy", self.loss.gradient(y, t))
        own = {f"d{name}" for name in named(p)}
        dp = self.network.backward(theirs, cache, dy, lambda name, v: sow(f"{name}.data" if name in own else name, v))
        added = named(self.penalty.gradient(p))
        return zip_with(lambda name, dw: sow(f"d{name}", dw + added[name] if name in added else dw), matched(dp, p))

    def loss_of(self, y: Array, data: Data) -> Array:
        value: Array = self.loss.value(y, data[1])
        return value

    def stacked(self, ndim: int, lead: int) -> "Supervised":
        loss = self.loss._replace(axes=ndim) if hasattr(self.loss, "axes") else self.loss
        penalty = self.penalty._replace(lead=lead) if hasattr(self.penalty, "lead") else self.penalty
        return replace(self, loss=loss, penalty=penalty)


@dataclass(frozen=True)
class Function:
    """A function (p, x, t) -> (loss, gradients), which may take ``sow`` as well."""

    function: Callable[..., Any]
    sows: bool = False

    deferred = False

    def prepare(self, data: Data, sow: Sow = keep) -> Data:
        return data

    def gradients(self, p: Parameters, data: Data, sow: Sow = keep) -> Parameters:
        sown: set[str] = set()

        def noted(name: str, value: Any, /) -> Any:
            sown.add(name)
            return sow(name, value)

        theirs = same_containers_anew(p)  # layer objects keep values of the forward pass among their attributes
        result = self.function(theirs, *data, sow=noted) if self.sows else self.function(theirs, *data)
        if not isinstance(result, tuple) or len(result) != 2:
            raise InputError("the function", "to return (loss, gradients)", type(result).__name__)
        loss, dp = result[0], matched(result[1], p)
        if "loss" not in sown:
            sow("loss", np.asarray(loss) if isinstance(loss, (int, float)) else loss)
        return zip_with(lambda name, dw: dw if f"d{name}" in sown else sow(f"d{name}", dw), dp)

    def loss_of(self, y: Array, data: Data) -> Array:
        raise InputError("loss of a function", "to be returned by it", f"y {np.shape(y)} and {len(data)} data")

    def stacked(self, ndim: int, lead: int) -> "Function":
        return self


@dataclass(frozen=True)
class Silent:
    """A network whose forward and backward take no ``sow``: what they return is sown for them, and nothing else."""

    network: Any

    def __getattr__(self, name: str) -> Any:
        if name == "network" or name.startswith("__"):  # while it is copied or unpickled there is no network yet
            raise AttributeError(name)
        return getattr(self.network, name)

    def forward(self, p: Parameters, x: Any, sow: Sow = keep) -> tuple[Array, Any]:
        y, cache = checked_output(self.network.forward(p, x))
        return sow("y", y), cache

    def backward(self, p: Parameters, c: Any, dy: Array, sow: Sow = keep) -> Parameters:
        return zip_with(lambda name, dw: sow(f"d{name}", dw), matched(self.network.backward(p, c, dy), p))


def objective_of(network: Any, loss: Any, penalty: Any = None) -> Objective:
    """The objective of a network and a loss; or of a function, which has both in it.

    Raises InputError for what is neither, and for a loss or penalty that lacks a member of its protocol.
    """
    if not isinstance(network, type) and all(callable(getattr(network, m, None)) for m in ("forward", "backward")):
        for what, part in (("loss", loss), ("penalty", penalty)):
            needed = what == "loss" or part is not None
            if needed and (isinstance(part, type) or not _has(part, ("value", "gradient"))):
                raise InputError(what, "an object with value() and gradient()", repr(part))
        return Supervised(with_sow(network), loss, penalty)
    if callable(network) and not isinstance(network, type):
        if loss is not None or penalty is not None:
            came = repr(penalty if loss is None else loss)
            raise InputError("loss and penalty", "None, as the function has them in it", came)
        return Function(network, takes_sow(network, by_name=True))
    expected = "an object with forward() and backward(), or a function (p, x, t) -> (loss, gradients)"
    raise InputError("network", expected, repr(network))


def _has(part: Any, members: tuple[str, ...]) -> bool:
    return all(callable(getattr(part, member, None)) for member in members)


def step(
    objective: Objective, p: Parameters, data: Data, optimizer: Any, state: Tree, t: Any, sow: Sow = keep
) -> tuple[Parameters, Tree]:
    """One training step: the next parameters and state of the optimizer. t: its number, from 0."""
    result: tuple[Parameters, Tree] = optimizer.step(p, objective.gradients(p, data, sow), state, t, sow)
    return result


def matched(dp: Any, p: Parameters) -> Parameters:
    """The gradients in the form of the parameters. Raises InputError where one is missing, or of another shape."""
    if type(dp) is type(p) and hasattr(p, "_fields"):
        return dp
    wanted, came = named(p), named(dp)
    if list(came) == list(wanted) and type(dp) is type(p):
        return dp
    found: dict[str, Any] = {}
    for name in wanted:
        both = [other for other in {name: 0, f"d{name}": 0, _with_d(name): 0} if other in came]
        if len(both) != 1:
            expected = f"a gradient of each parameter by its name: {', '.join(wanted)}"
            raise InputError("gradients", expected, ", ".join(came) or type(dp).__name__)
        found[name] = came[both[0]]
    return rebuild(p, found)


def _with_d(name: str) -> str:
    """``layers.0.dW`` for ``layers.0.W``."""
    *above, last = name.split(".")
    return ".".join([*above, f"d{last}"])


def checked_output(result: Any) -> tuple[Array, Any]:
    """What forward returned. Raises InputError for anything but a pair."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise InputError("forward of the network", "to return (y, cache)", type(result).__name__)
    return result


def takes_sow(function: Callable[..., Any], *, by_name: bool = False) -> bool:
    """True if the function has a parameter ``sow``, or takes any; by_name: if it has one of that name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # no signature is known: it is called as the protocol says
        return not by_name
    if any(p.name == "sow" for p in parameters):
        return True
    return not by_name and any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def with_sow(network: Any) -> Network:
    """The network, or its ``Silent`` form if its functions take no ``sow``."""
    silent = not (takes_sow(network.forward) and takes_sow(network.backward))
    return Silent(network) if silent else network


def features(network: Any, x: Any, sow: Sow = keep) -> Any:
    """What ``network.forward`` takes: the network's features of x, or x itself."""
    own = getattr(network, "features", None)
    if own is None:
        return x
    return own(x, sow) if takes_sow(own) else own(x)


def predict(network: Any, parameters: Parameters, x: Array) -> Array:
    """The network's output y for x, as forward takes it. Raises InputError where they do not fit each other."""
    if isinstance(network, type) or not _has(network, ("forward", "backward")):
        raise InputError("network", "an object with forward() and backward()", repr(network))
    x = np.asarray(x)
    inputs = getattr(network, "inputs", None)
    if inputs is not None and x.dtype.kind == "f" and (x.ndim < 2 or x.shape[-1] != inputs):
        raise InputError("tensor x", f"shape (..., batch, {inputs})", f"shape {x.shape}")
    try:
        y, _ = checked_output(with_sow(network).forward(parameters, features(network, x), keep))
    except InputError:
        raise
    except Exception as error:
        came = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError("the network", "to run on the parameters and x that were given", came) from error
    return y
