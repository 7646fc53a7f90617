"""Operations of a training step: the loss, its gradient, and the update."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from reference.arrays import Array
from reference.losses import SquaredError
from reference.optimizers.sgd import SGD
from tests.attack.domains import RATES, any_loss, any_sgd, nearly_there, number
from tests.attack.evaluations import Evaluation, fused_multiply_add, fused_update, with_torch
from tests.attack.operation import E, Operation, alone


class One(NamedTuple):
    """The one parameter of an update."""

    w: Any


def sgd_step(w: Any, g: Any, v: Any, sgd: SGD, first: bool) -> Any:  # noqa: FBT001 - a constant among constants
    """The next parameter and, where there is one, its momentum buffer."""
    state = sgd.init(One(w)) if first or not sgd.momentum else {"v": One(v)}
    p, after = sgd.step(One(w), One(g), state, 0 if first else 1)
    return np.stack([p.w, after["v"].w if after else p.w], axis=1)


def torch_step(**implementation: bool) -> Callable[..., Any]:
    """The same by torch.optim.SGD in one of its implementations."""

    def step(w: Any, g: Any, v: Any, sgd: SGD, first: bool) -> Any:  # noqa: FBT001 - the same
        p = torch.nn.Parameter(w.clone())
        p.grad = g.clone()
        optimizer = torch.optim.SGD([p], **sgd._asdict(), **implementation)
        if sgd.momentum and not first:
            optimizer.state[p]["momentum_buffer"] = v.clone()
        optimizer.step()
        return torch.stack([p.detach(), optimizer.state[p]["momentum_buffer"] if sgd.momentum else p.detach()], 1)

    return step


def fused_step(w: Array, g: Array, v: Array, sgd: SGD, first: bool) -> Array:  # noqa: FBT001 - the same
    """The same, each product fused with the addition after it."""
    c = w.dtype.type
    if sgd.maximize:
        g = -g
    if sgd.weight_decay:
        g = fused_multiply_add(c(sgd.weight_decay), w, g)
    if sgd.momentum:
        v = g if first else fused_multiply_add(c(1 - sgd.dampening), g, c(sgd.momentum) * v)
        g = fused_multiply_add(c(sgd.momentum), v, g) if sgd.nesterov else v
    p = fused_update(w, g, sgd.lr)
    return np.stack([p, v if sgd.momentum else p], axis=1)


def torch_loss(y: Any, t: Any, loss: SquaredError) -> Any:
    return torch.func.vmap(lambda a, b: loss.scale * torch.nn.functional.mse_loss(a, b, reduction=loss.reduction))(y, t)


def torch_loss_gradient(y: Any, t: Any, loss: SquaredError) -> Any:
    y.requires_grad_()
    torch_loss(y, t, loss).sum().backward()
    return y.grad


def gradient_as_torch(y: Array, t: Array, loss: SquaredError) -> Array:
    """(2 / N) (y - t) scale, each constant in its own rounding."""
    n = y.shape[-2] * y.shape[-1] if loss.reduction == "mean" else 1
    return y.dtype.type(2 / n) * (y - t) * y.dtype.type(loss.scale)


def gradient_by_autograd(y: Any, t: Any, loss: SquaredError) -> Any:
    """Of one case."""
    y.requires_grad_()
    value: Any = loss.scale * torch.nn.functional.mse_loss(y, t, reduction=loss.reduction)
    value.backward()
    return y.grad


def gradient_of_12(scale: float, others: dict[str, Evaluation]) -> Operation:
    """Of the mean squared error, scaled, over 12 numbers."""
    return alone(((3, 4), (3, 4)), lambda y, t, loss: loss.gradient(y, t), gradient_by_autograd, others,
                 constants=lambda _: (SquaredError("mean", scale),), fractions=True)  # fmt: skip


def updated(w: Any, g: Any, lr: float) -> Any:
    """By torch.optim.SGD as it is called."""
    w = torch.nn.Parameter(w)
    w.grad = g
    torch.optim.SGD([w], lr=lr).step()
    return w.detach()


TRAINING: dict[str, Operation] = {
    "update": Operation((E, E), lambda w, g, lr: w - lr * g, lambda w, g, lr: torch.sub(w, g, alpha=lr),
                        {"fused": fused_update, "torch.optim": with_torch(updated)}, number(*RATES),
                        domain=nearly_there, share=1.2),
    "SGD": Operation((E, E, E), sgd_step, torch_step(foreach=False), {
        "torch, foreach": with_torch(torch_step(foreach=True)),
        "torch, fused": with_torch(torch_step(fused=True)), "fused": fused_step,
    }, any_sgd, domain=nearly_there),
    **{f"loss, {r}": Operation(((3, 2), (3, 2)), lambda y, t, loss: loss.value(y, t), torch_loss, {}, any_loss(r),
                               attained=0.1) for r in ("sum", "mean")},
    **{f"loss gradient, {r}": Operation(((3, 2), (3, 2)), lambda y, t, loss: loss.gradient(y, t), torch_loss_gradient,
                                        {"as torch": gradient_as_torch}, any_loss(r), attained=floor)
       # of the mean's five roundings, four of them for 2 / N in any form, no evaluation makes more than three
       for r, floor in (("sum", 0.4), ("mean", 0.3))},
    "loss of 12": alone(((3, 4), (3, 4)), SquaredError("mean", 1).value, torch.nn.functional.mse_loss, attained=0.1),
    "loss gradient of 12": gradient_of_12(1, {
        "2 / N in its own rounding": lambda y, t, _: (y - t) * y.dtype.type(2 / y.size),
        "divided, doubled": lambda y, t, _: (y - t) / y.size * 2,
    }),
    "scaled loss gradient of 12": gradient_of_12(0.3, {
        "as torch": lambda y, t, loss: y.dtype.type(2 / y.size) * (y - t) * y.dtype.type(loss.scale),
    }),
}  # fmt: skip
