"""More operations of what people write: ufunc.at, rounding to whole numbers, selections, compositions."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import torch

from reference.arrays import Array
from tests.attack.contractions import FACTORS, TERMS, prefixes
from tests.attack.domains import Operands, last_not_zero, mostly_moderate, often_equal, often_zero
from tests.attack.evaluations import Evaluation
from tests.attack.operation import E, Operation
from tests.attack.oracle import choose, largest, least
from tests.attack.written import FEW, MOVES, each, each_tensor
from torch_mirror.balls.format import Format

# --- ufunc.at ------------------------------------------------------------------------------------------------

INDEX = np.array([0, 2, 0, 0, 2])
TIMES = np.eye(4)[INDEX]


def at(ufunc: np.ufunc) -> Callable[..., Any]:
    """x (cases, 4) with y (cases, 5) at INDEX."""

    def equation(x: Any, y: Any) -> Any:
        x = x.copy()
        where: Any = (slice(None), INDEX)
        ufunc.at(x, where, y)
        return x

    return equation


def scattered(reduce: str, sign: int = 1) -> Callable[..., Any]:
    def in_torch(x: Any, y: Any) -> Any:
        index = torch.tensor(INDEX).expand(len(x), -1)
        return x.scatter_reduce(1, index, sign * y, reduce)

    return in_torch


def one_by_one(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def exact(x: Any, y: Any) -> Any:
        x = np.array(x)
        for k, i in enumerate(INDEX):
            x[:, i] = function(x[:, i], y[:, k])
        return x

    return exact


def parts_first(x: Array, y: Array) -> Array:
    """What goes to each place is added up from the end, and then to x."""
    result = np.zeros_like(x)
    for k in reversed(range(len(INDEX))):
        result[:, INDEX[k]] += y[:, k]
    return np.asarray(x + result)


def factors_first(x: Array, y: Array) -> Array:
    result = np.ones_like(x)
    for k in reversed(range(len(INDEX))):
        result[:, INDEX[k]] *= y[:, k]
    return np.asarray(x * result)


SCATTER: dict[str, Operation] = {
    "add.at": Operation(((4,), (5,)), at(np.add), scattered("sum"), {"parts first": parts_first},
                        exact=one_by_one(lambda a, b: a + b), attained=0.2, **FEW),
    "subtract.at": Operation(((4,), (5,)), at(np.subtract), scattered("sum", -1), {},
                             exact=one_by_one(lambda a, b: a - b), attained=0.2, **FEW),
    "multiply.at": Operation(((4,), (5,)), at(np.multiply), scattered("prod"), {"factors first": factors_first},
                             exact=one_by_one(lambda a, b: a * b), domain=mostly_moderate, attained=0.2, **FEW),
    "maximum.at": Operation(((4,), (5,)), at(np.maximum), scattered("amax"), {}, exact=one_by_one(largest), **MOVES),
    "minimum.at": Operation(((4,), (5,)), at(np.minimum), scattered("amin"), {}, exact=one_by_one(least), **MOVES),
}  # fmt: skip


# --- to whole numbers ----------------------------------------------------------------------------------------


def small(_: Format, __: np.random.Generator, operands: Operands) -> Operands:
    """Numbers that have a fraction, and halves among them."""
    return tuple(np.clip(a, -1e6, 1e6) for a in operands)


def divided(fmt: Format, rng: np.random.Generator, operands: Operands) -> Operands:
    x, y = last_not_zero(fmt, rng, operands)
    return np.clip(x, -1e4, 1e4).astype(x.dtype), (np.sign(y) * np.clip(np.abs(y), 0.01, 100)).astype(y.dtype)


def fraction(x: Any) -> Fraction:
    mantissa, exponent = flint.arb(x).mid().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def by_fractions(function: Callable[..., Fraction | int], n: int) -> Callable[..., Any]:
    """A function of numbers that are exact in binary, as operands are."""

    def one(*operands: Any) -> flint.arb:
        if operands[1:] and flint.arb(operands[1]).is_zero():
            return flint.arb("nan")
        q = Fraction(function(*(fraction(x) for x in operands)))
        return flint.arb(flint.fmpq(q.numerator, q.denominator))

    return np.frompyfunc(one, n, 1)


def stepping(function: Any, in_torch: Any, exact: Callable[[Fraction], int], **others: Evaluation) -> Operation:
    return Operation((E,), function, in_torch, others, exact=by_fractions(exact, 1), domain=small, **MOVES)


def toward_zero(q: Fraction) -> int:
    return int(q)


exact_floor = by_fractions(lambda x, y: x // y, 2)
exact_mod = by_fractions(lambda x, y: x % y, 2)
ROUNDING: dict[str, Operation] = {
    "floor": stepping(np.floor, torch.floor, lambda q: q // 1),
    "ceil": stepping(np.ceil, torch.ceil, lambda q: -(-q // 1)),
    "trunc": stepping(np.trunc, torch.trunc, toward_zero),
    "fix": stepping(np.fix, torch.trunc, toward_zero),
    "rint": stepping(np.rint, torch.round, round),
    "round": stepping(np.round, torch.round, round),
    "around": Operation((E,), lambda x: np.around(x, 2), lambda x: torch.round(x, decimals=2),
                        exact=by_fractions(lambda q: Fraction(round(q * 100), 100), 1), domain=small, **MOVES),
    "floor_divide": Operation((E, E), lambda x, y: x // y, torch.floor_divide, exact=exact_floor, domain=divided,
                              **MOVES),
    "remainder": Operation((E, E), lambda x, y: x % y, torch.remainder, {
        "by the quotient": lambda x, y: x - y * np.floor_divide(x, y),
    }, exact=exact_mod, domain=divided, attained=0.1, share=0.05),
    "divmod": Operation((E, E), lambda x, y: sum(divmod(x, y)),
                        lambda x, y: torch.floor_divide(x, y) + torch.remainder(x, y),
                        exact=lambda x, y: exact_floor(x, y) + exact_mod(x, y), domain=divided, attained=0.1,
                        share=0.05),
}  # fmt: skip


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
    first, second = np.unstack(np.concatenate([top, bottom]))
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

COMPOSED: dict[str, Operation] = {**SCATTER, **ROUNDING, **SELECTIONS, **COMPOSITIONS}
"""All of these."""
