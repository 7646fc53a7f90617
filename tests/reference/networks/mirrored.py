"""One forward and backward pass of a network and of its mirror, held side by side by the reference's own radii.

The reference runs on exact balls of the parameters and the data: then torch's tensors must lie within the radii,
which hold every admissible evaluation from there on (``end_to_end``). Or every value that it sows is replaced, once it
has been compared, by torch's own (``local``): then each tensor is judged by its own equation only.
The upstream gradient is drawn and handed to both, never ones, which are blind to what is lost on the way.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from reference.arrays import Array, Sow
from reference.claim.objective import features
from reference.claim.tree import named, rebuild, zip_with
from torch_mirror import Ball
from torch_mirror.judge.compare import allowed
from torch_mirror.networks import mirror_of
from torch_mirror.training.places import load

DTypeName = Literal["float32", "float64"]
Kind = Literal["normal", "dyadic"]


class Given(NamedTuple):
    """What one pass starts from."""

    p: Any   # parameters
    x: Array
    dy: Array


def numbers(draws: np.random.Generator, shape: tuple[int, ...], dtype: DTypeName, kind: Kind = "normal") -> Array:
    """Standard normal numbers, or eighths from -2 to 2, of which sums and products are exact."""
    drawn = draws.standard_normal(shape) if kind == "normal" else draws.integers(-16, 17, shape) / 8
    return drawn.astype(dtype)


def parameters(network: Any, draws: np.random.Generator, dtype: DTypeName, kind: Kind = "normal") -> Any:
    """Drawn parameters, in the network's own type."""
    Parameters = sys.modules[type(network).__module__].Parameters
    return Parameters(*(numbers(draws, shape, dtype, kind) for shape in network.shapes().values()))


def reference_pass(network: Any, given: Given, sow: Sow) -> None:
    """Forward and backward; what backward returns is what it has sown."""
    _, cache = network.forward(given.p, features(network, given.x), sow)
    last: dict[str, Any] = {}

    def note(name: str, value: Array, /) -> Array:
        last[name] = sow(name, value)
        return last[name]

    gradients = named(network.backward(given.p, cache, given.dy, note))
    assert all(gradients[name] is last[f"d{name}"] for name in network.shapes())


def reference_s(network: Any, given: Given) -> dict[str, Any]:
    """What the reference sows, by name, from arrays or from balls."""
    sown: dict[str, Any] = {}

    def sow(name: str, value: Any, /) -> Any:
        assert name not in sown
        sown[name] = value
        return value

    with np.errstate(all="ignore"):
        reference_pass(network, given, sow)
    return sown


def torch_s(network: Any, given: Given) -> dict[str, Array]:
    """What the mirror sows, and autograd's gradient of all that and of the parameters."""
    mirror = mirror_of(network)
    module, names = mirror.Module(network, torch.from_numpy(given.dy).dtype), mirror.parameters(network)
    load(module, names, named(given.p))
    sown: dict[str, torch.Tensor] = {}

    def sow(name: str, value: torch.Tensor, /) -> torch.Tensor:
        value.retain_grad()
        sown[name] = value
        return value

    x = torch.tensor(given.x)
    own: Any = getattr(module, "features", None)
    module(x if own is None else own(x), sow).backward(torch.tensor(given.dy))
    of_module = dict(module.named_parameters())
    leaves = sown | {name: of_module[names[name]] for name in names}
    values = sown | {f"d{name}": value.grad for name, value in leaves.items() if value.grad is not None}
    return {name: value.detach().numpy().copy() for name, value in values.items()}


def balls(given: Given) -> Given:
    """The same numbers as exact balls; whole numbers stay as they are."""
    x: Any = Ball(given.x) if given.x.dtype.kind == "f" else given.x
    dy: Any = Ball(given.dy)
    return Given(zip_with(lambda _, a: Ball(a), given.p), x, dy)


def ratio(seen: Array, ball: Any) -> float:
    """The largest error in units of what is allowed; infinite where nothing is, and where shape or dtype differ."""
    if seen.shape != ball.shape or seen.dtype != ball.dtype or not np.isfinite(seen).all():
        return np.inf
    with np.errstate(all="ignore"):  # a radius is evaluated when it is asked for
        error, bound = np.abs(seen - ball.value), allowed(ball)
        return float(np.max(np.where(error == 0, 0, error / bound)))


def bounded(balls: Mapping[str, Any]) -> bool:
    """True if every radius is finite: no element passes for want of one."""
    with np.errstate(all="ignore"):
        return all(np.isfinite(ball.radius).all() for ball in balls.values())


def end_to_end(network: Any, given: Given, seen: Mapping[str, Array]) -> dict[str, float]:
    """The ratio of every tensor, by name, from exact parameters and data."""
    return {name: ratio(seen[name], ball) for name, ball in reference_s(network, balls(given)).items()}


def equations(network: Any, given: Given, seen: Mapping[str, Array]) -> dict[str, Any]:
    """The ball of every tensor, by name, from the operands that ``seen`` has, which are exact."""
    values: dict[str, Any] = {}

    def plant(name: str, value: Any, /) -> Any:
        values[name] = value
        return Ball(seen[name])

    with np.errstate(all="ignore"):
        reference_pass(network, balls(given), plant)
    return values


def local(network: Any, given: Given, seen: Mapping[str, Array]) -> dict[str, float]:
    """The ratio of every tensor, by name, from the operands that ``seen`` has."""
    return {name: ratio(seen[name], ball) for name, ball in equations(network, given, seen).items()}


def outside(ratios: Mapping[str, float]) -> list[str]:
    """The tensors that no rounding explains."""
    return [name for name, r in ratios.items() if not r <= 1]


def assert_mirrored(network: Any, given: Given) -> None:
    """Both have the same tensors, and torch's are within the radii, locally and end to end; all radii are finite."""
    seen = torch_s(network, given)
    whole, each = reference_s(network, balls(given)), equations(network, given, seen)
    assert {*whole, "dy"} == set(seen)
    assert bounded(whole)
    assert bounded(each)
    assert all(a.dtype == given.dy.dtype for a in reference_s(network, given).values())
    assert outside(end_to_end(network, given, seen)) == []
    assert outside(local(network, given, seen)) == []


def assert_stacks(network: Any, givens: Sequence[Given], *, data: bool) -> None:
    """Passes stacked in front give each one's own: NumPy's and torch's within the radii of one and of all.

    data: the data have an axis for the passes as well; else all passes have the data of the first.
    """
    first = givens[0]
    every = [given if data else given._replace(x=first.x) for given in givens]
    p = rebuild(first.p, {name: np.stack([named(g.p)[name] for g in every]) for name in named(first.p)})
    x = np.stack([g.x for g in every]) if data else first.x
    stack = Given(p, x, np.stack([g.dy for g in every]))
    together, together_in_balls = reference_s(network, stack), reference_s(network, balls(stack))
    for i, given in enumerate(every):
        alone = reference_s(network, balls(given))
        seen = torch_s(network, given)
        assert list(alone) == list(together)
        for name, ball in alone.items():
            assert ratio(together[name][i], ball) <= 1, name
            assert ratio(seen[name], together_in_balls[name][i]) <= 1, name
            assert np.array_equal(together_in_balls[name][i].radius == 0, ball.radius == 0), name
