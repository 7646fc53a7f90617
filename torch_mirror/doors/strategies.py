"""Hypothesis strategies for networks and experiments: for this project's suite, and for users' own.

    @given(strategies.experiments(dtypes=["float64"]))
    def test_my_backward(experiment): ...

Hypothesis draws shapes, options and a seed; the numbers come from a NumPy generator of that seed. Drawn
one by one instead (``hypothesis.extra.numpy.arrays``), nearly all numbers of an array are the same one.

Kinds of numbers, all moderate, so that a first step never overflows and a short run rarely does:

    integers    -3 ... 3
    eighths     k / 8, from -2 to 2
    normal      standard normal: every bit in use
    decimals    k / 10, from -2 to 2: never exact in binary
    mixed       normal, times a power of two from 2^-6 to 2: sums of unlike terms

Integers and eighths are DYADIC: sums and products of a few of them are exact in any order, and a
pre-activation is often exactly 0, where a ReLU has its kink. The others are REAL.

Needs hypothesis, which is not among this package's own requirements.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
from hypothesis import strategies as st

from reference.arrays import Array
from reference.claim.batches import Batches
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.claim.tree import named, rebuild
from reference.losses import SquaredError
from reference.networks.cubic import Cubic
from reference.networks.linear_regression import LinearRegression
from reference.networks.mlp import MLP
from reference.networks.two_layer_linear import TwoLayerLinear
from reference.networks.two_layer_relu import TwoLayerReLU
from reference.optimizers.sgd import SGD
from torch_mirror import networks as table
from torch_mirror.doors import claims

Kind: TypeAlias = Literal["integers", "eighths", "normal", "decimals", "mixed"]
DTypeName: TypeAlias = Literal["float32", "float64"]
Start: TypeAlias = Callable[[Any, np.random.Generator, Kind, DTypeName], Any]

DYADIC: tuple[Kind, ...] = ("integers", "eighths")
REAL: tuple[Kind, ...] = ("normal", "decimals", "mixed")

SCALES = (1.0, 0.5, 2.0, 0.3)
EXACT_RATES = (2.0**-3, 2.0**-6, 2.0**-10)
RATES = (2.0**-6, 2.0**-10, 0.01, 0.001, 0.0003)
MOMENTA = (0.0, 0.5, 0.9)
DAMPENINGS = (0.0, 0.25, 0.1)
DECAYS = (0.0, 2.0**-6, 0.01)
"""Of both sorts: powers of two, by which a product is exact, and decimals, which are themselves rounded."""


def generators() -> st.SearchStrategy[np.random.Generator]:
    """NumPy generators, each of a drawn seed."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def draw_array(draws: np.random.Generator, kind: Kind, shape: tuple[int, ...]) -> Array:
    """An array of that kind of numbers, in float64."""
    match kind:
        case "integers":
            return draws.integers(-3, 3, shape, endpoint=True).astype(np.float64)
        case "eighths":
            return draws.integers(-16, 16, shape, endpoint=True) / 8
        case "normal":
            return draws.standard_normal(shape)
        case "decimals":
            return draws.integers(-20, 20, shape, endpoint=True) / 10
        case "mixed":
            return np.ldexp(draws.standard_normal(shape), draws.integers(-6, 1, shape, endpoint=True))


# --- networks ----------------------------------------------------------------------------------


def widths(*, widest: int = 5) -> st.SearchStrategy[int]:
    """The number of neurons of a layer, or of inputs; 1 and equal neighbours are frequent."""
    return st.integers(1, widest)


def cubics() -> st.SearchStrategy[Cubic]:
    """The cubic polynomial, which has no options."""
    return st.just(Cubic())


def linear_regressions(
    *, outputs: Sequence[str] = ("identity", "relu", "sigmoid"), widest: int = 5
) -> st.SearchStrategy[LinearRegression]:
    """Linear regressions with these output activations."""
    width = widths(widest=widest)
    return st.builds(LinearRegression, width, width, st.sampled_from(outputs))


def two_layer_linears(*, biases: Sequence[bool] = (False, True), widest: int = 5) -> st.SearchStrategy[TwoLayerLinear]:
    """Two linear layers, without and with biases."""
    width = widths(widest=widest)
    return st.builds(TwoLayerLinear, width, width, width, st.sampled_from(biases))


def two_layer_relus(*, widest: int = 5) -> st.SearchStrategy[TwoLayerReLU]:
    """Two layers with a ReLU between them."""
    width = widths(widest=widest)
    return st.builds(TwoLayerReLU, width, width, width)


@st.composite
def mlps(
    draw: st.DrawFn,
    *,
    activations: Sequence[str] = ("relu", "sigmoid", "tanh", "identity"),
    outputs: Sequence[str] = ("identity", "sigmoid"),
    biases: Sequence[bool] = (True, False),
    deepest: int = 4,
    widest: int = 5,
) -> MLP:
    """MLPs of 1 to ``deepest`` layers."""
    sizes = draw(st.lists(widths(widest=widest), min_size=2, max_size=deepest + 1))
    activation: Any = draw(st.sampled_from(activations))
    output: Any = draw(st.sampled_from(outputs))
    return MLP(tuple(sizes), activation, output, draw(st.sampled_from(biases)))


DRAWN: Mapping[str, st.SearchStrategy[Any]] = {
    "cubic": cubics(),
    "linear_regression": linear_regressions(),
    "two_layer_linear": two_layer_linears(),
    "two_layer_relu": two_layer_relus(),
    "mlp": mlps(),
}
"""Networks of any widths, by the name of their file; of all others the examples of the table are drawn."""

EVERY: Mapping[str, st.SearchStrategy[Any]] = {
    file: DRAWN[file] if file in DRAWN else st.sampled_from(table.examples(file)) for file in table.NETWORKS
}
"""Every network with all its options, by the name of its file."""

NETWORKS: Mapping[str, st.SearchStrategy[Any]] = {
    file: drawn for file, drawn in EVERY.items() if table.NETWORKS[file].x is table.vectors
}
"""Those that take vectors, (batch, in), as a user's own network mostly does."""


def networks(*, names: Sequence[str] = tuple(NETWORKS)) -> st.SearchStrategy[Any]:
    """Networks of these files, each a name of EVERY."""
    return st.one_of([EVERY[name] for name in names])


# --- experiments -------------------------------------------------------------------------------


def losses(
    *, reductions: Sequence[str] = ("sum", "mean"), scales: Sequence[float] = SCALES
) -> st.SearchStrategy[SquaredError]:
    """Squared errors with these reductions and scales."""
    return st.builds(SquaredError, st.sampled_from(reductions), st.sampled_from(scales), st.none())


def plain_sgds(*, rates: Sequence[float] = RATES) -> st.SearchStrategy[SGD]:
    """Plain gradient descent with these learning rates."""
    return st.sampled_from(rates).map(SGD)


@st.composite
def sgds(
    draw: st.DrawFn,
    *,
    rates: Sequence[float] = RATES,
    momenta: Sequence[float] = MOMENTA,
    dampenings: Sequence[float] = DAMPENINGS,
    decays: Sequence[float] = DECAYS,
) -> SGD:
    """Gradient descent with any options that torch.optim.SGD allows together; plain is frequent."""
    sgd = SGD(draw(st.sampled_from(rates)))
    if draw(st.booleans()):
        return sgd
    momentum = draw(st.sampled_from(momenta))
    nesterov = momentum > 0 and draw(st.booleans())
    return SGD(
        sgd.lr,
        momentum,
        0.0 if nesterov else draw(st.sampled_from(dampenings)),
        draw(st.sampled_from(decays)),
        nesterov,
        draw(st.booleans()),
    )


def exact_sgds() -> st.SearchStrategy[SGD]:
    """Options that are powers of two, so that a step from exact numbers of few bits is exact."""
    return sgds(rates=EXACT_RATES, momenta=(0.0, 0.5), dampenings=(0.0, 0.5), decays=(0.0, 2.0**-3))


def batchings(*, sizes: Sequence[int] = (1, 2, 3)) -> st.SearchStrategy[Batches | None]:
    """All samples at every step, and mini-batches of these sizes, in order or shuffled."""
    seeds = st.one_of(st.none(), st.integers(0, 2**32 - 1))
    return st.one_of(st.none(), st.builds(Batches, st.sampled_from(sizes), seeds, st.just(0)))


def parameters(network: Any, draws: np.random.Generator, kind: Kind, dtype: DTypeName) -> Any:
    """Start parameters of a network of this package, of its own Parameters type.

    Weights are divided by a power of two, at least the root of the number of inputs: values keep their
    size from layer to layer, and what is dyadic stays so.
    """
    values = {name: draw_array(draws, kind, shape) for name, shape in network.shapes().items()}
    return of_own_type(network, _shrunk(network, values, dtype))


def _shrunk(network: Any, values: dict[str, Array], dtype: DTypeName) -> dict[str, Array]:
    """The weights (out, ...) divided as ``parameters`` says, and what else there is, in that dtype."""
    shapes = network.shapes()
    shrink = {n: int(np.ceil(np.log2(math.prod(s[1:])) / 2)) if len(s) > 1 else 0 for n, s in shapes.items()}
    return {name: np.ldexp(a, -shrink[name]).astype(dtype) for name, a in values.items()}


def of_own_type(network: Any, values: Mapping[str, Array]) -> Any:
    """Arrays by name as the Parameters of the network's file, or of the one that it is a variant of.

    What a network does not have is None. Names that are no fields are numbered, W1 of W; so W is a tuple of them.
    """
    files = [sys.modules[base.__module__] for base in type(network).__mro__]
    own = next(file.Parameters for file in files if file.__name__.startswith(f"{table.HOME}."))
    if values.keys() <= set(own._fields):
        return own(*(values.get(field) for field in own._fields))
    layers = [l for l in range(1, len(values) + 1) if f"{own._fields[0]}{l}" in values]
    return own(*(tuple(values.get(f"{field}{l}") for l in layers) for field in own._fields))


@st.composite
def experiments(
    draw: st.DrawFn,
    *,
    networks: st.SearchStrategy[Any] = networks(),  # noqa: B008  # a strategy does not change
    dtypes: Sequence[DTypeName] = ("float64", "float32"),
    kinds: Sequence[Kind] = DYADIC + REAL,
    losses: st.SearchStrategy[Any] = losses(),  # noqa: B008 - a strategy is immutable
    optimizers: st.SearchStrategy[Any] = sgds(),  # noqa: B008 - the same
    samples: Sequence[int] = (1, 2, 3, 4, 7),
    batches: st.SearchStrategy[Batches | None] = batchings(),  # noqa: B008 - the same
    scheduled: st.SearchStrategy[bool] = st.booleans(),  # noqa: B008 - the same
    steps: st.SearchStrategy[int] = st.integers(1, 8),  # noqa: B008 - the same
    start: Start = parameters,
) -> Experiment:
    """Experiments of these networks, with random data and start, all of one kind and dtype.

    losses, optimizers: the squared error and SGD, which are the cheapest; ``claims.losses()`` and
    ``claims.optimizers()`` are all others. A loss that the network does not fit is not drawn (the binary cross-entropy
    of probabilities wants a sigmoid at the output, a cross-entropy two classes); t is such as it takes.
    scheduled: whether each step has a learning rate of its own, a half or a quarter of the drawn one or all of it.
    start: makes the start parameters of networks that are not this package's, from (network, NumPy
    generator, kind, dtype).
    """
    network = draw(networks)
    dtype = draw(st.sampled_from(dtypes))
    kind = draw(st.sampled_from(kinds))
    rows = draw(st.sampled_from(samples))
    generator = draw(generators())
    optimizer, count = draw(optimizers), draw(steps)
    if draw(scheduled):
        optimizer = _scheduled(optimizer, count, generator)
    p = start(network, generator, kind, dtype)
    given = table.input_of(network, rows)
    x = _whole(generator, given) if given.below else draw_array(generator, kind, given.shape)
    t = draw_array(generator, kind, (rows, network.outputs))
    loss = draw(losses.filter(partial(claims.fits, network)))
    t = draw(claims.targets(loss, t, generator))
    return Experiment(
        network, p, _in(dtype, x), _in(dtype, t), loss, optimizer, count, batches=draw(batches),
    )  # fmt: skip


def _whole(draws: np.random.Generator, given: table.Input, *members: int) -> Array:
    """The whole numbers that a network takes; with members, of each in front."""
    return draws.integers(0, given.below or 1, (*members, *given.shape))


def _in(dtype: DTypeName, a: Array) -> Array:
    """Floats in that dtype; whole numbers stay what they are."""
    return a.astype(dtype) if a.dtype.kind == "f" else a


def _scheduled(optimizer: Any, steps: int, draws: np.random.Generator) -> Any:
    """A learning rate for each step: a half or a quarter of the one, or all of it; in groups of each by itself."""
    if hasattr(optimizer, "groups"):
        groups = tuple((members, _scheduled(own, steps, draws)) for members, own in optimizer.groups)
        return optimizer._replace(groups=groups)
    if hasattr(optimizer, "optimizer"):  # which is clipped
        return optimizer._replace(optimizer=_scheduled(optimizer.optimizer, steps, draws))
    return optimizer._replace(lr=tuple((optimizer.lr / draws.choice([1, 2, 4], steps)).tolist()))


@st.composite
def ensembles(
    draw: st.DrawFn,
    *,
    members: Sequence[int] = (1, 4, 64),
    networks: st.SearchStrategy[Any] = networks(),  # noqa: B008  # a strategy does not change
    dtypes: Sequence[DTypeName] = ("float64", "float32"),
    kinds: Sequence[Kind] = DYADIC + REAL,
    losses: st.SearchStrategy[Any] = losses(),  # noqa: B008 - a strategy is immutable
    optimizers: st.SearchStrategy[Any] = sgds(),  # noqa: B008 - the same
    samples: Sequence[int] = (1, 2, 3, 4, 7),
    batches: st.SearchStrategy[Batches | None] = batchings(),  # noqa: B008 - the same
    scheduled: st.SearchStrategy[bool] = st.booleans(),  # noqa: B008 - the same
    steps: st.SearchStrategy[int] = st.integers(1, 8),  # noqa: B008 - the same
    start: Start | None = None,
) -> Ensemble:
    """Ensembles of these networks, with random data and start of every member, all of one kind and dtype.

    optimizers: such as update each element by itself, as ``claims.optimizers(clipped=False)`` does.
    members: how many there may be; the first is what a failing example shrinks to, so let it be 1.
    Member 0 has the same numbers however many there are. The other arguments are those of
    ``experiments``; start is called for one member after the other, where it is given.
    """
    network = draw(networks)
    dtype = draw(st.sampled_from(dtypes))
    kind = draw(st.sampled_from(kinds))
    rows = draw(st.sampled_from(samples))
    K = draw(st.sampled_from(members))
    generator = draw(generators())
    optimizer, count = draw(optimizers), draw(steps)
    if draw(scheduled):
        optimizer = _scheduled(optimizer, count, generator)
    loss = draw(losses.filter(partial(claims.fits, network)))
    given = table.input_of(network, rows)
    shapes = {"x": given.shape, "t": (rows, network.outputs)}
    if start is None:
        shapes |= network.shapes()
    texts = generator.spawn(1)[0]  # so that the numbers do not depend on how many whole ones are drawn
    values = _draw_members(generator, kind, K, shapes)
    x, t = values.pop("x"), draw(claims.targets(loss, values.pop("t"), generator))
    x, t = _in(dtype, _whole(texts, given, K) if given.below else x), _in(dtype, t)
    if start is None:
        p = of_own_type(network, _shrunk(network, values, dtype))
    else:
        starts = [start(network, generator, kind, dtype) for _ in range(K)]
        columns = {name: np.stack([named(p)[name] for p in starts]) for name in named(starts[0])}
        p = rebuild(starts[0], columns)
    return Ensemble(network, p, x, t, loss, optimizer, count, batches=draw(batches))


def _draw_members(draws: np.random.Generator, kind: Kind, K: int, shapes: Mapping[str, Any]) -> dict[str, Array]:
    """Arrays (K, ...), one member's numbers drawn after the other's."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    parts = np.split(draw_array(draws, kind, (K, sum(sizes))), np.cumsum(sizes)[:-1], axis=1)
    return {name: a.reshape(K, *shape) for (name, shape), a in zip(shapes.items(), parts, strict=True)}


EXACT: Mapping[str, Callable[[int], st.SearchStrategy[Any]]] = {
    "cubic": lambda _: cubics(),
    "linear_regression": lambda _: linear_regressions(outputs=("identity", "relu"), widest=4),
    "two_layer_linear": lambda _: two_layer_linears(widest=4),
    "two_layer_relu": lambda _: two_layer_relus(widest=4),
    "mlp": lambda deepest: mlps(activations=("relu", "identity"), outputs=("identity",), deepest=deepest, widest=4),
}
"""Networks that need not round, from how deep they may be: such as have no exponential, root or quotient."""


@st.composite
def exact_experiments(
    draw: st.DrawFn,
    *,
    names: Sequence[str] = tuple(EXACT),
    dtypes: Sequence[DTypeName] = ("float64", "float32"),
    optimizers: st.SearchStrategy[SGD] = exact_sgds(),  # noqa: B008 - a strategy is immutable
) -> Experiment:
    """Experiments of one step in which no operation rounds, so that every evaluation gives the same bits.

    All numbers are multiples of powers of two, N, scale and options of the SGD are powers of two, and widths
    and depth are such that no partial sum has more bits than the dtype. The longest is the loss of the
    deepest network: 2^51 units in the last place in float64 (three layers, eighths), 2^23 in float32
    (two layers, integers).
    """
    dtype = draw(st.sampled_from(dtypes))
    deepest, kinds = (3, DYADIC) if dtype == "float64" else (2, DYADIC[:1])
    network = draw(st.one_of([EXACT[name](deepest) for name in names]))
    reductions = ("sum", "mean") if network.outputs in (1, 2, 4) else ("sum",)
    return draw(
        experiments(
            networks=st.just(network),
            dtypes=(dtype,),
            kinds=kinds,
            losses=losses(reductions=reductions, scales=(1.0, 0.5, 2.0)),
            optimizers=optimizers,
            samples=(1, 2, 4),
            batches=batchings(sizes=(1, 2)),
            scheduled=st.just(False),
            steps=st.just(1),
        )
    )
