"""The operations that the bulk attack knows: each is one entry of ``OPERATIONS``.

An equation takes operands (cases, ...) and constants, and runs on balls, on arrays and, unless ``exact`` stands in
for it, on exact numbers. Every case is one of many along the first axis.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from reference.activations import relu, relu_backward, sigmoid, sigmoid_backward, tanh_backward
from reference.affine import affine
from reference.arrays import Array
from reference.losses import SquaredError
from reference.optimizers.sgd import SGD
from tests.attack.composed import COMPOSED
from tests.attack.contractions import CONTRACTIONS, einsum_affine, with_bias
from tests.attack.domains import (
    RATES,
    any_loss,
    any_sgd,
    large_bias,
    last_not_zero,
    mostly_moderate,
    nearly_there,
    not_negative,
    number,
    often_equal,
    positive,
    within_reach,
)
from tests.attack.evaluations import (
    ORDERS,
    PRODUCTS,
    Evaluation,
    einsum_sum,
    fused_multiply_add,
    fused_update,
    pairwise_sum,
    sum_in_order,
    with_torch,
)
from tests.attack.expressions import OPERANDS, SIDE, drawn, evaluated
from tests.attack.logic import LOGIC
from tests.attack.moves import IN_PLACE, MOVES
from tests.attack.operation import COPIES, E, Operation
from tests.attack.oracle import choose, largest, least
from tests.attack.statistical import STATISTICAL
from tests.attack.stepped import STEPPED
from tests.attack.written import WRITTEN

# --- equations that take more than a line -------------------------------------------------------------------


class One(NamedTuple):
    """The one parameter of an update."""

    w: Any


def sgd_step(w: Any, g: Any, v: Any, sgd: SGD, first: bool) -> Any:  # noqa: FBT001 - a constant among constants
    """The next parameter and, where there is one, its momentum buffer."""
    p, buffer = sgd.step(One(w), One(g), None if first or not sgd.momentum else One(v))
    return np.stack([p.w, p.w if buffer is None else buffer.w], axis=1)


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


def one_by_one(x: Any, W: Any, b: Any) -> Any:
    """nn.Linear's own function, on each case alone."""
    return torch.stack([torch.nn.functional.linear(*one) for one in zip(x, W, b, strict=True)])


def affine_of(terms: int, rows: int = 2, outputs: int = 3, **options: Any) -> Operation:
    return Operation(
        ((rows, terms), (outputs, terms), (outputs,)), affine, one_by_one,
        {**PRODUCTS, "torch.baddbmm": with_bias, "einsum": einsum_affine}, **{"attained": 0.1, **options},
    )  # fmt: skip


def total(x: Any) -> Any:
    return np.sum(x, axis=-1, keepdims=True)


SUMS: dict[str, Evaluation] = {
    **{f"cumsum {name}": sum_in_order(order) for name, order in ORDERS.items()},
    "pairwise": pairwise_sum, "einsum": einsum_sum,
}  # fmt: skip


def sum_of(terms: int, **options: Any) -> Operation:
    return Operation(((terms,),), total, lambda x: x.sum(dim=-1, keepdim=True), SUMS, **options)


def over(reduce: Any) -> Callable[[Array], Array]:
    """The largest or least of exact numbers over the last axis, kept."""
    return lambda x: reduce.reduce(x, axis=-1, keepdims=True)


# --- the table ---------------------------------------------------------------------------------------------

ASSUMED: Any = {"attained": 0.1}
"""What every library must reach. 8 u of the result are allowed to exp, log and tanh, and a result just above a power of
two that is rounded correctly is up to 1 u off, which is 1/8 of that: with enough elements the largest error / radius is
near it or above. Of the 2 u of sqrt it is 1/2."""
OPERATIONS: dict[str, Operation] = {
    "add": Operation((E, E), lambda x, y: x + y, torch.add, domain=often_equal),
    "subtract": Operation((E, E), lambda x, y: x - y, torch.sub, domain=often_equal),
    "multiply": Operation((E, E), lambda x, y: x * y, torch.mul),
    "divide": Operation((E, E), lambda x, y: x / y, torch.div, domain=last_not_zero),
    "divide by a number": Operation((E,), lambda x, n: x / n, lambda x, n: x * (1 / n), {
        "times reciprocal": lambda x, n: x * x.dtype.type(1 / n),
        "times 2 / n, halved": lambda x, n: x * x.dtype.type(2 / n) * x.dtype.type(0.5),
    }, number(3.0, 6.0, 10.0, 442.0, 4.0, 0.3), share=4),
    "scale": Operation((E,), lambda x, c: c * x, lambda x, c: c * x, {}, number(0.3, 3.0, 1e-3, 0.25)),
    "square": Operation((E,), np.square, torch.square),
    "cube": Operation((E,), lambda x: x**3, lambda x: x**3, {"by products": lambda x: x * x * x},
                      exact=lambda x: x * x * x, attained=0.3),
    "fifth power": Operation((E,), lambda x: x**5, lambda x: x**5, {"by products": lambda x: x * x * x * x * x},
                             exact=lambda x: x * x * x * x * x),
    "reciprocal": Operation((E,), np.reciprocal, torch.reciprocal, exact=lambda x: 1 / x, domain=last_not_zero),
    "negative": Operation((E,), np.negative, torch.neg, **COPIES),
    "abs": Operation((E,), np.abs, torch.abs, **COPIES),
    "fabs": Operation((E,), np.fabs, torch.abs, exact=np.abs, share=0.3, **COPIES),
    "sign": Operation((E,), np.sign, torch.sign, exact=lambda x: choose(x, -1, 0, 1), **COPIES),
    "exp": Operation((E,), np.exp, torch.exp, domain=within_reach, **ASSUMED),
    "tanh": Operation((E,), np.tanh, torch.tanh, domain=within_reach, **ASSUMED),
    "sigmoid": Operation((E,), sigmoid, torch.sigmoid, exact=lambda x: 1 / (1 + np.exp(-x)), domain=within_reach,
                         **ASSUMED),
    "log": Operation((E,), np.log, torch.log, domain=positive, **ASSUMED),
    "sqrt": Operation((E,), np.sqrt, torch.sqrt, domain=not_negative),
    "tanh backward": Operation((E, E), lambda da, a: tanh_backward(da, a, a), torch.ops.aten.tanh_backward, {
        "fused": lambda da, a: da * fused_multiply_add(-a, a, np.ones_like(a)),
    }),
    "sigmoid backward": Operation((E, E), lambda da, a: sigmoid_backward(da, a, a),
                                  torch.ops.aten.sigmoid_backward),
    "relu": Operation((E,), relu, torch.relu, exact=lambda x: largest(x, 0), **COPIES),
    "relu backward": Operation((E, E), lambda da, z: relu_backward(da, z, z),
                               lambda da, z: torch.where(z <= 0, 0, da),
                               exact=lambda da, z: choose(z, 0, 0, da), **COPIES),
    "mask as a factor": Operation((E, E), lambda da, z: da * (z > 0), lambda da, z: da * (z > 0),
                                  exact=lambda da, z: choose(z, 0, 0, da), **COPIES),
    "maximum": Operation((E, E), np.maximum, torch.maximum, exact=largest, domain=often_equal, **COPIES),
    "minimum": Operation((E, E), np.minimum, torch.minimum, exact=least, domain=often_equal, **COPIES),
    "clip": Operation((E, E), lambda x, y: np.clip(x, -0.25, y), lambda x, y: torch.minimum(torch.clamp(x, -0.25), y),
                      exact=lambda x, y: least(largest(x, -0.25), y), **COPIES),
    "sum of 2": sum_of(2),
    "sum of 4": sum_of(4),
    "sum of 50": sum_of(50, attained=0.02, share=0.2),
    "sum of 40000": sum_of(40_000, attained=0.0, share=1e-4),
    "mean": Operation(((5,),), lambda x: np.mean(x, axis=-1), lambda x: x.mean(-1), {
        f"sum {name}, times reciprocal": lambda x, f=f: f(x)[..., 0] * x.dtype.type(1 / 5) for name, f in SUMS.items()
    }, attained=0.2),
    "max": Operation(((4,),), lambda x: np.max(x, axis=-1, keepdims=True), lambda x: torch.amax(x, -1, keepdim=True),
                     exact=over(largest), **COPIES),
    "min": Operation(((4,),), lambda x: np.min(x, axis=-1, keepdims=True), lambda x: torch.amin(x, -1, keepdim=True),
                     exact=over(least), **COPIES),
    "outer": Operation(((3,), (4,)), lambda x, y: x[..., :, None] * y[..., None, :],
                       lambda x, y: torch.einsum("ni,nj->nij", x, y)),
    "maximum.reduce": Operation(((4,),), lambda x: np.maximum.reduce(x, axis=-1, keepdims=True),
                                lambda x: torch.amax(x, -1, keepdim=True), exact=over(largest), share=0.3, **COPIES),
    "minimum.reduce": Operation(((4,),), lambda x: np.minimum.reduce(x, axis=-1, keepdims=True),
                                lambda x: torch.amin(x, -1, keepdim=True), exact=over(least), share=0.3, **COPIES),
    "numpy.outer": Operation(((), ()), lambda x, y: np.outer(x, y[:4]), lambda x, y: torch.outer(x, y[:4])),
    "numpy.dot": Operation(((5,), (5,)), lambda x, w: np.dot(x, w[:4].mT), lambda x, w: x @ w[:4].mT,
                           attained=0.1),
    "matmul": Operation(((2, 5), (5, 3)), lambda x, w: x @ w, torch.matmul, {
        name: lambda x, w, f=f: f(x, np.swapaxes(w, -1, -2)) for name, f in PRODUCTS.items() if "last" in name
    }, attained=0.1),
    "affine of 1": affine_of(1),
    "affine of 2": affine_of(2),
    "affine of 5": affine_of(5),
    "affine of 16": affine_of(16, share=4),
    "affine, large bias": affine_of(16, domain=large_bias),
    "affine of 300": affine_of(300, 24, 20, attained=0.0, share=0.02),
    "update": Operation((E, E), lambda w, g, lr: w - lr * g, lambda w, g, lr: torch.sub(w, g, alpha=lr),
                        {"fused": fused_update}, number(*RATES), domain=nearly_there),
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
    **CONTRACTIONS,
    **LOGIC,
    **MOVES,
    **IN_PLACE,
    **WRITTEN, **STATISTICAL, **STEPPED, **COMPOSED,
    "drawn expression": Operation(((SIDE, SIDE),) * OPERANDS, evaluated("equation"), evaluated("torch"),
                                  {"otherwise": evaluated("other")}, drawn, evaluated("exact"),
                                  domain=mostly_moderate, share=8),
}  # fmt: skip


