"""Faults to plant: the mistakes that hand-written training code makes, as data.

Each fault comes twice: as a program in torch that makes the mistake (``using`` for
``torch_mirror.verify``) and as a sow that makes it in the reference (``plant`` for ``reference.train``).
``tensor`` is the first tensor that is wrong by its own equation, at step ``step`` of the run.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from reference.arrays import Array, Sow
from reference.claim.experiment import Experiment
from reference.claim.tree import named
from torch_mirror.doors.strategies import DTypeName
from torch_mirror.training.session import Session, session

Values: TypeAlias = Mapping[str, Array]
Wrong: TypeAlias = Callable[[Experiment, Array, Values], Array]
"""(experiment, the right value, the latest value of every other tensor) to the wrong value."""


class Fault(NamedTuple):
    """A mistake, where it is made and where it shows."""

    name: str
    network: str                            # file of the network it is planted in
    tensor: str
    wrong: Wrong                            # replaces the tensor's value in the reference
    using: Callable[[Experiment], Session]  # makes the same mistake in torch
    step: int = 0
    dtypes: tuple[DTypeName, ...] = ("float32", "float64")


def sow(fault: Fault, experiment: Experiment) -> Sow:
    """A sow for ``reference.train`` that replaces the fault's tensor at every step from ``fault.step`` on."""
    latest: dict[str, Array] = {"t": experiment.t, "x": experiment.x, **named(experiment.parameters)}
    times = 0

    def plant(name: str, value: Array, /) -> Array:
        nonlocal times
        if name == fault.tensor:
            times += 1
            value = fault.wrong(experiment, value, latest) if times > fault.step else value
        latest[name] = value
        return value

    return plant


# --- in torch ----------------------------------------------------------------------------------


class Planted(torch.autograd.Function):
    """forward(*inputs), with whatever ``backward(dy, *inputs)`` returns for the gradients of the inputs."""

    @staticmethod
    def forward(
        ctx: Any, forward: Callable[..., Tensor], backward: Callable[..., tuple[Tensor, ...]], *inputs: Tensor
    ) -> Tensor:
        ctx.wrong = backward
        ctx.save_for_backward(*inputs)
        return forward(*inputs)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *ctx.wrong(dy, *ctx.saved_tensors))


def planted(forward: Callable[..., Tensor], backward: Callable[..., tuple[Tensor, ...]], *inputs: Tensor) -> Tensor:
    result: Tensor = Planted.apply(forward, backward, *inputs)  # type: ignore[no-untyped-call]  # untyped in torch
    return result


def loss_gradient(change: Callable[[Experiment, Tensor], Tensor]) -> Callable[[Experiment], Session]:
    """A hand-written loss: the right value, and ``change`` made to its gradient."""

    def using(e: Experiment) -> Session:
        right = session(e)

        def backward(upstream: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            d = y - t
            dy = 2 * e.loss.scale * d / (d.numel() if e.loss.reduction == "mean" else 1)
            return upstream * change(e, dy), torch.zeros_like(t)

        return right._replace(criterion=lambda y, t: planted(right.criterion, backward, y, t))

    return using


def hooked(layer: str, change: Callable[[Experiment, nn.Module, Tensor, Tensor], Tensor]) -> Callable[..., Session]:
    """The right module with the output of one layer replaced by ``change(e, layer, input, output)``."""

    def using(e: Experiment) -> Session:
        right = session(e)
        right.module.get_submodule(layer).register_forward_hook(lambda m, a, out: change(e, m, a[0], out))
        return right

    return using


def relu_gradient(backward: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Session]:
    """A hand-written ReLU: dz = backward(da, z)."""
    return hooked("relu", lambda _e, _m, z, _out: planted(torch.relu, lambda da, z: (backward(da, z),), z))


def affine_gradient(
    layer: str, backward: Callable[[Experiment, Tensor, Tensor, Tensor], tuple[Tensor, ...]]
) -> Callable[..., Session]:
    """A hand-written affine layer: the gradients of x, W and b by ``backward(e, dz, x, W)``."""

    def change(e: Experiment, m: nn.Module, x: Tensor, _out: Tensor) -> Tensor:
        inputs = (x, *m.parameters())

        def wrong(dz: Tensor, x: Tensor, W: Tensor, *_b: Tensor) -> tuple[Tensor, ...]:
            return backward(e, dz, x, W)[: len(inputs)]

        return planted(nn.functional.linear, wrong, *inputs)

    return hooked(layer, change)


def optimizer(make: Callable[[Experiment, list[nn.Parameter]], torch.optim.Optimizer]) -> Callable[..., Session]:
    """The right module with another optimizer."""

    def using(e: Experiment) -> Session:
        right = session(e)
        return right._replace(optimizer=make(e, list(right.module.parameters())))

    return using


class ForgetfulSGD(torch.optim.SGD):
    """Nobody calls zero_grad; here, calling it does nothing."""

    def zero_grad(self, set_to_none: bool = True) -> None:  # noqa: FBT001, FBT002  # torch's own signature
        pass


def transposed(_e: Experiment, dz: Tensor, x: Tensor, W: Tensor) -> tuple[Tensor, ...]:
    return dz @ W.mT, dz.mT @ x


def summed_over_all(_e: Experiment, dz: Tensor, x: Tensor, W: Tensor) -> tuple[Tensor, ...]:
    return dz @ W, dz.mT @ x, dz.sum().expand(dz.shape[-1])


def updated_early(e: Experiment, dz: Tensor, x: Tensor, W: Tensor) -> tuple[Tensor, ...]:
    dW = dz.mT @ x
    return dz @ W.sub_(e.optimizer.lr * dW), dW, dz.sum(dim=-2)


def single(z: Array) -> Array:
    return z.astype(np.float32).astype(z.dtype)


def in_single(rate: float) -> float:
    return float(np.float32(rate))


# --- in the reference --------------------------------------------------------------------------


def without_mean(e: Experiment, dy: Array, _: Values) -> Array:
    return dy * dy.size if e.loss.reduction == "mean" else dy


def with_transposed_W2(_e: Experiment, da: Array, v: Values) -> Array:
    square = v["W2"].shape[0] == v["W2"].shape[1]
    return v["dy"] @ v["W2"].mT if square else da


def with_W2_stored_transposed(_e: Experiment, y: Array, v: Values) -> Array:
    square = v["W2"].shape[0] == v["W2"].shape[1]
    return v["a1"] @ v["W2"] if square else y


def with_early_W2(e: Experiment, _da: Array, v: Values) -> Array:
    return v["dy"] @ (v["W2"] - e.optimizer.lr * v["dW2"])


def with_stale(gradient: str) -> Wrong:
    return lambda _e, value, v: value + v[gradient]


def with_rate(parameter: str, rate: Callable[[float], float]) -> Wrong:
    return lambda e, _after, v: v[parameter] - rate(e.optimizer.lr) * v[f"d{parameter}"]


def with_all_axes(upstream: str) -> Wrong:
    return lambda _e, db, v: np.full_like(db, v.get(upstream, v["dy"]).sum())  # no dz without an output activation


# --- the catalogue -----------------------------------------------------------------------------

halved = loss_gradient(lambda _e, dy: dy / 2)
unaveraged = loss_gradient(lambda e, dy: dy * dy.numel() if e.loss.reduction == "mean" else dy)
negated = loss_gradient(lambda _e, dy: -dy)
unmasked = relu_gradient(lambda da, _z: da)
clamped = hooked("relu", lambda _e, _m, z, _out: z.clamp(min=0))  # whose gradient at 0 is 1
backwards = affine_gradient("layer2", transposed)
misread = hooked("layer2", lambda _e, m, a, _out: a @ dict(m.named_parameters())["weight"])  # as torch.vmap has it, too
lumped1 = affine_gradient("layer1", summed_over_all)
lumped2 = affine_gradient("layer2", summed_over_all)
early = affine_gradient("layer2", updated_early)
cast = hooked("layer1", lambda _e, _m, _x, z: z.float().to(z.dtype))
ascending = optimizer(lambda e, weights: torch.optim.SGD(weights, lr=e.optimizer.lr, maximize=True))
forgetful = optimizer(lambda e, weights: ForgetfulSGD(weights, lr=e.optimizer.lr))
rounded = optimizer(lambda e, weights: torch.optim.SGD(weights, lr=in_single(e.optimizer.lr)))

DOUBLE: tuple[DTypeName, ...] = ("float64",)

STRUCTURAL = (
    Fault("factor 2 missing", "cubic", "dy", lambda _e, dy, _v: dy / 2, halved),
    Fault("factor 2 missing", "two_layer_relu", "dy", lambda _e, dy, _v: dy / 2, halved),
    Fault("1/N missing", "linear_regression", "dy", without_mean, unaveraged),
    Fault("1/N missing", "mlp", "dy", without_mean, unaveraged),
    Fault("sign of the loss", "two_layer_linear", "dy", lambda _e, dy, _v: -dy, negated),
    Fault("sign of the update", "cubic", "W", with_rate("W", lambda lr: -lr), ascending),
    Fault("mask missing", "two_layer_relu", "dz1", lambda _e, _dz, v: v["da1"], unmasked),
    Fault("weight transposed, backward", "two_layer_relu", "da1", with_transposed_W2, backwards),
    Fault("weight transposed, forward", "two_layer_relu", "y", with_W2_stored_transposed, misread),
    Fault("bias summed over all axes", "linear_regression", "db", with_all_axes("dz"), lumped1),
    Fault("bias summed over all axes", "two_layer_linear", "db1", with_all_axes("dh"), lumped1),
    Fault("bias summed over all axes", "two_layer_linear", "db2", with_all_axes("dy"), lumped2),
    Fault("W2 updated before it is used", "two_layer_relu", "da1", with_early_W2, early),
    Fault("W2 updated before it is used", "two_layer_linear", "dh", with_early_W2, early),
)
"""Wrong by far where they are wrong: on exact data, and on real data."""

KINK = (
    Fault(">= in the mask", "two_layer_relu", "dz1", lambda _e, _dz, v: np.where(v["z1"] < 0, 0, v["da1"]), clamped),
)
"""Wrong where a pre-activation is exactly 0: on exact data."""

REAL = (
    Fault("gradients not zeroed", "cubic", "dW", with_stale("dW"), forgetful, step=1),
    Fault("gradients not zeroed", "two_layer_relu", "dW2", with_stale("dW2"), forgetful, step=1),
    Fault("hidden float32 cast", "two_layer_relu", "z1", lambda _e, z, _v: single(z), cast, dtypes=DOUBLE),
    Fault("hidden float32 cast", "two_layer_linear", "h", lambda _e, z, _v: single(z), cast, dtypes=DOUBLE),
    Fault("lr rounded to float32", "cubic", "W", with_rate("W", in_single), rounded, dtypes=DOUBLE),
    Fault("lr rounded to float32", "two_layer_relu", "W1", with_rate("W1", in_single), rounded, dtypes=DOUBLE),
)
"""Wrong by little, or from the second step on: on real data."""
