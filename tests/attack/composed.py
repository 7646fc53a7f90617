"""Operations of what people write: selections, and compositions of other rules."""

from collections.abc import Callable
from typing import Any

import flint
import numpy as np
import torch

from reference.arrays import Array
from tests.attack.domains import last_not_zero, mostly_moderate, often_equal, often_zero
from tests.attack.evaluations import TERMS, Evaluation
from tests.attack.operation import E, Operation
from tests.attack.oracle import choose, largest, least
from tests.attack.statistical import each, each_tensor
from tests.attack.sums import FACTORS, prefixes
from tests.attack.written import FEW, MOVES

# --- selections -----------------------------------------------------------------------------------------------


def close_by(x: Any, y: Any, a: Any, b: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return torch.where(torch.isclose(x, y, 0.25, 0.5), a, b)
    return np.where(np.isclose(x, y, 0.25, 0.5), a, b)


def in_pieces(x: Any) -> Any:
    """By masks that are decided: those of the ranks of the cases, and of what is made of them."""
    halves = np.arange(x.shape[0]) % 2 == 0
    return np.piecewise(x, [halves], [lambda v: 3 * v, lambda v: -v])


def first(x: Any, _: Any) -> Any:
    return x


def steps(x: Any, h: Any) -> Any:
    return choose(x, 0, h, 1)


SELECTIONS: dict[str, Operation] = {
    "fmax": Operation((E, E), np.fmax, torch.fmax, exact=largest, domain=often_equal, **MOVES),
    "fmin": Operation((E, E), np.fmin, torch.fmin, exact=least, domain=often_equal, **MOVES),
    "heaviside": Operation((E, E), np.heaviside, torch.heaviside, exact=steps, domain=often_zero, **MOVES),
    "copysign": Operation((E, E), np.copysign, torch.copysign, exact=lambda x, y: choose(y, -abs(x), x, abs(x)),
                          domain=last_not_zero, **MOVES),
    "nan_to_num": Operation((E,), np.nan_to_num, torch.nan_to_num, exact=lambda x: x, **MOVES),
    "isfinite": Operation((E, E), lambda x, y: np.where(np.isfinite(x) & ~np.isinf(x), x, y), first,
                          exact=first, **MOVES),
    "isclose": Operation((E, E, E, E), close_by, close_by, domain=often_zero, exact=lambda x, y, a, b: choose(
        abs(x - y) - (flint.arb(0.5) + flint.arb(0.25) * abs(y)), a, a, b), **MOVES),
    "select": Operation((E, E, E), lambda x, y, z: np.select([x > 0, y > 0], [y, z], 0.5),
                        lambda x, y, z: torch.where(x > 0, y, torch.where(y > 0, z, 0.5)),
                        exact=lambda x, y, z: choose(x, choose(y, 0.5, 0.5, z), choose(y, 0.5, 0.5, z), y), **MOVES),
    "piecewise": Operation((E,), in_pieces, lambda x: torch.where(torch.arange(len(x)) % 2 == 0, 3 * x, -x),
                           exact=lambda x: np.where(np.arange(len(x)) % 2 == 0, 3 * x, -x), share=0.05),
    "where=": Operation((E, E), lambda x, y: np.multiply(x, y, where=y > 0, out=y.copy()),
                        lambda x, y: torch.where(y > 0, x * y, y), exact=lambda x, y: choose(y, y, y, x * y),
                        domain=mostly_moderate, **FEW),
}  # fmt: skip


# --- compositions ---------------------------------------------------------------------------------------------


def three(subscripts: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return lambda *operands: np.einsum(subscripts, *operands), lambda *operands: torch.einsum(subscripts, *operands)


CHAIN = "...ij,...jk,...kl->...il"
CHAINS: dict[str, Evaluation] = {
    "optimized": lambda x, y, z: np.einsum(CHAIN, x, y, z, optimize=True),
    "from the left": lambda x, y, z: (x @ y) @ z,
    "from the right": lambda x, y, z: x @ (y @ z),
}
ALONE = "...i,...j,...k->..."
FILTER = np.array([0.5, -3.0, 0.3])


def exact_chain(x: Any, y: Any, z: Any) -> Any:
    xy = (x[..., :, :, None] * y[..., None, :, :]).sum(axis=-2)
    return (xy[..., :, :, None] * z[..., None, :, :]).sum(axis=-2)


def exact_convolution(x: Any, y: Any) -> Any:
    result = np.zeros((len(x), x.shape[-1] + y.shape[-1] - 1), object)
    for i in range(x.shape[-1]):
        for j in range(y.shape[-1]):
            result[:, i + j] = result[:, i + j] + x[:, i] * y[:, j]
    return result


def torch_convolution(x: Any, y: Any) -> Any:
    padded = torch.nn.functional.pad(x, (y.shape[-1] - 1,) * 2)
    return (padded.unfold(-1, y.shape[-1], 1) * y.flip(-1)[:, None]).sum(-1)


def exact_gradient(x: Any) -> Any:
    inner = (x[..., 2:] - x[..., :-2]) / 2
    return np.concatenate([x[..., 1:2] - x[..., :1], inner, x[..., -1:] - x[..., -2:-1]], axis=-1)


def split_and_joined(x: Any) -> Any:
    """(cases, 4, 2, 2), through every split, and windows."""
    a, b = np.hsplit(x, 2)
    c, d = (v[0] for v in np.dsplit(np.concatenate([b, a], axis=1)[None], 2))
    top, bottom = np.vsplit(np.stack([c, d])[:, 0], 2)
    both = np.concatenate([top, bottom])
    first, second = np.unstack(both) if hasattr(np, "unstack") else both  # of NumPy 2.1
    return np.append(first, np.block([[second], [first]]), axis=0)


def split_and_joined_exactly(x: Any) -> Any:
    y = np.concatenate([x[:, 2:], x[:, :2]], axis=1)
    first, second = y[0, :2], y[0, 2:]
    return np.concatenate([first, second, first])


def one_case(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: function(x[:1])


def windows(x: Any) -> Any:
    return np.lib.stride_tricks.sliding_window_view(x, 2, axis=-1)


def placed(x: Any, y: Any) -> Any:
    """x (cases, 3, 3): its diagonals are 0.5, one of each row is y (cases, 3), and all of it is padded with 2."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 0)), constant_values=2.0)
    for case in x:
        np.fill_diagonal(case, 0.5)
    np.put_along_axis(x, np.full((len(x), 3, 1), 2), y[..., None], -1)
    return x


def placed_in_torch(x: Any, y: Any) -> Any:
    x = torch.nn.functional.pad(x, (1, 0), value=2.0)
    x[:, range(3), range(3)] = 0.5
    x[:, :, 2] = y
    return x


def placed_exactly(x: Any, y: Any) -> Any:
    x = np.concatenate([np.full((len(x), 3, 1), flint.arb(2), object), x], axis=-1)
    x[:, range(3), range(3)] = flint.arb(0.5)
    x[:, :, 2] = y
    return x


def initial_first(x: Array) -> Array:
    terms = np.concatenate([np.full_like(x[:, :1], 0.3), np.maximum(x, 0)], axis=1)
    return np.cumsum(terms, axis=-1)[..., -1]


def with_identity(x: Any) -> Any:
    made: Any = {} if isinstance(x, np.ndarray) else {"like": x}
    kind = x.dtype
    eye, same, count = (f(3, dtype=kind, **made) for f in (np.eye, np.identity, np.arange))
    return np.real(np.conjugate(x)) * (eye[0] + same[1] * 3 + count)


COMPOSITIONS: dict[str, Operation] = {
    "einsum of 3": Operation(((2, 3), (3, 2), (2, 2)), *three(CHAIN), CHAINS, exact=exact_chain, domain=mostly_moderate,
                             attained=0.05, **FEW),
    "einsum of 3, alone": Operation(((2,), (3,), (2,)), *three(ALONE), {
        "sums first": lambda x, y, z: x.sum(axis=-1) * y.sum(axis=-1) * z.sum(axis=-1),
        "optimized": lambda x, y, z: np.einsum(ALONE, x, y, z, optimize=True),
    }, exact=lambda x, y, z: x.sum(axis=-1) * y.sum(axis=-1) * z.sum(axis=-1), domain=mostly_moderate, attained=0.05,
        **FEW),
    "einsum of 4": Operation((E, E, E, E), *three("...,...,...,...->..."), {
        "backwards": lambda a, b, c, d: d * (c * (b * a))},
                             exact=lambda a, b, c, d: a * b * c * d, domain=mostly_moderate, attained=0.2, **FEW),
    "multi_dot": Operation(((2, 3), (3, 2), (2, 2)), each(lambda x, y, z: np.linalg.multi_dot([x, y, z])),
                           lambda x, y, z: x @ (y @ z), CHAINS, exact=exact_chain, domain=mostly_moderate,
                           attained=0.05, **FEW),
    "diff": Operation(((4,),), lambda x: np.diff(x, n=2, axis=-1), lambda x: torch.diff(x, 2), {}, attained=0.2,
                      exact=lambda x: (x[..., 2:] - x[..., 1:-1]) - (x[..., 1:-1] - x[..., :-2]), **FEW),
    "kron": Operation(((2, 2), (1, 3)), each(np.kron), each_tensor(torch.kron), exact=lambda x, y: (
        x[:, :, None, :, None] * y[:, None, :, None, :]).reshape(-1, 2, 6), **FEW),
    "cross": Operation(((3,), (3,)), np.cross, torch.linalg.cross, exact=lambda x, y: np.stack([
        x[..., i] * y[..., j] - x[..., j] * y[..., i] for i, j in ((1, 2), (2, 0), (0, 1))], axis=-1), attained=0.2,
        **FEW),
    "convolve": Operation(((4,), (3,)), each(np.convolve), torch_convolution, exact=exact_convolution, attained=0.05,
                          **FEW),
    "convolve, same": Operation(((4,), (3,)), each(lambda x, y: np.convolve(x, y, "same")), None,
                                exact=lambda x, y: exact_convolution(x, y)[:, 1:-1], attained=0.05, **FEW),
    "correlate": Operation(((4,), (3,)), each(np.correlate), lambda x, y: (x.unfold(-1, 3, 1) * y[:, None]).sum(-1),
        exact=lambda x, y: exact_convolution(x, y[:, ::-1])[:, 2:4], attained=0.05, **FEW),
    "gradient": Operation(((5,),), lambda x: np.gradient(x, axis=-1), lambda x: torch.gradient(x, dim=-1)[0],
                          exact=exact_gradient, **FEW),
    "cumprod": Operation(((4,),), lambda x: np.cumprod(x, axis=-1), lambda x: torch.cumprod(x, -1),
                         {name: prefixes(lambda v, f=f: f(v)[..., None]) for name, f in FACTORS.items()},
                         domain=mostly_moderate, attained=0.2, **FEW),
    "maximum.accumulate": Operation(((4,),), lambda x: np.maximum.accumulate(x, axis=-1),
                                    lambda x: torch.cummax(x, -1).values,
                                    exact=lambda x: largest.accumulate(x, axis=-1), **MOVES),
    "minimum.accumulate": Operation(((4,),), lambda x: np.minimum.accumulate(x, axis=-1),
                                    lambda x: torch.cummin(x, -1).values,
                                    exact=lambda x: least.accumulate(x, axis=-1), **MOVES),
    "add.accumulate": Operation(((3,),), lambda x: np.add.accumulate(x, axis=-1), lambda x: torch.cumsum(x, -1),
                                {name: prefixes(f) for name, f in TERMS.items()}, attained=0.2, **FEW),
    "multiply.accumulate": Operation(((4,),), lambda x: np.multiply.accumulate(x, axis=-1),
                                     lambda x: torch.cumprod(x, -1),
                                     {name: prefixes(lambda v, f=f: f(v)[..., None]) for name, f in FACTORS.items()},
                                     domain=mostly_moderate, attained=0.2, **FEW),
    "multiply.outer": Operation(((3,), ()), lambda x, y: np.multiply.outer(x, y[:3]), lambda x, y: x[..., None] * y[:3],
                                exact=lambda x, y: x[..., None] * y[:3], **FEW),
    "apply_along_axis": Operation(((3, 2),), lambda x: np.apply_along_axis(np.sum, 1, x), lambda x: x.sum(1),
                                  {name: lambda x, f=f: f(np.swapaxes(x, 1, 2))[..., 0] for name, f in TERMS.items()},
                                  exact=lambda x: x.sum(axis=1), attained=0.2, **FEW),
    "sum, where and initial": Operation(((4,),), lambda x: np.sum(x, axis=-1, where=x > 0, initial=0.3),
                                        lambda x: torch.where(x > 0, x, 0).sum(-1) + 0.3,
                                        {"initial first": initial_first}, attained=0.1,
                                        exact=lambda x: largest(x, 0).sum(axis=-1) + flint.arb(0.3), **FEW),
    "mean, where": Operation(((4,),), lambda x: np.mean(x, axis=-1, where=np.array([True, False, True, True])),
                             lambda x: x[:, [0, 2, 3]].mean(-1), exact=lambda x: (x[:, 0] + x[:, 2] + x[:, 3]) / 3,
                             attained=0.1, **FEW),
    "splits": Operation(((4, 2),), one_case(split_and_joined), one_case(lambda x: torch.cat([
        x[0, 2:], x[0, :2], x[0, 2:]])), exact=one_case(split_and_joined_exactly), **MOVES),
    "windows": Operation(((4,),), windows, lambda x: x.unfold(-1, 2, 1), exact=lambda x: np.stack([
        x[..., :-1], x[..., 1:]], axis=-1), **MOVES),
    "diagflat": Operation(((2,),), each(np.diagflat), torch.diag_embed, exact=each(lambda v: np.array(
        [[v[0], flint.arb(0)], [flint.arb(0), v[1]]], object)), **MOVES),
    "placed": Operation(((3, 3), (3,)), placed, placed_in_torch, exact=placed_exactly, **MOVES),
    "identity": Operation(((3,),), with_identity, lambda x: x * x.new_tensor([1, 4, 2]),
                          exact=lambda x: x * np.array([1, 4, 2]), **MOVES),
}  # fmt: skip

COMPOSED: dict[str, Operation] = {**SELECTIONS, **COMPOSITIONS}
"""All of these."""
