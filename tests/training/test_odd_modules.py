"""Modules, optimizers and losses as torch lets people make them: a verdict, or an error that names the thing.

An error comes before anything is trained. Where there is a verdict, a fault planted beside the oddity is refuted.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from reference import SGD, Batches, Ensemble, Experiment, InputError, Own, SquaredError
from reference.claim.tree import zip_with
from reference.networks.mlp import MLP, Parameters
from torch_mirror import Session, session, verify, verify_ensemble
from torch_mirror.networks import keep
from torch_mirror.training import vmap

Using = Callable[[Experiment], Session]
NAMES = {"W1": "0.weight", "b1": "0.bias", "W2": "2.weight", "b2": "2.bias"}
WITHIN = {name: f"inside.{own}" for name, own in NAMES.items()}


def run(dtype: str = "float64", optimizer: Any = None, steps: int = 3, batches: Batches | None = None) -> Experiment:
    draws = np.random.default_rng(0)
    W1, W2, b1, b2 = (draws.standard_normal(shape).astype(dtype) for shape in ((4, 3), (2, 4), (4,), (2,)))
    x, t = draws.standard_normal((6, 3)).astype(dtype), draws.standard_normal((6, 2)).astype(dtype)
    p = Parameters((W1, W2), (b1, b2))
    optimizer = SGD(0.1, 0.9) if optimizer is None else optimizer
    return Experiment(MLP((3, 4, 2)), p, x, t, SquaredError("mean"), optimizer, steps, batches=batches)


def layers(dtype: torch.dtype = torch.float64, relu: nn.Module | None = None) -> list[nn.Module]:
    return [nn.Linear(3, 4, dtype=dtype), relu or nn.ReLU(), nn.Linear(4, 2, dtype=dtype)]


class Around(nn.Module):
    """Layers in a row, and a function of what they give."""

    def __init__(self, after: Callable[[Any], Any], dtype: torch.dtype = torch.float64, *more: nn.Module) -> None:
        super().__init__()
        self.inside, self.after = nn.Sequential(*layers(dtype), *more), after

    def forward(self, x: Tensor) -> Any:
        return self.after(self.inside(x))


def of(module: Callable[[], nn.Module], names: dict[str, str] = NAMES, **parts: Any) -> Using:
    return lambda e: session(e, module(), names, **parts)


def stepping(make: Callable[[nn.Module], Any], optimizer: Callable[..., torch.optim.Optimizer], **more: Any) -> Using:
    """A train_step of one's own: ``make(module)`` gives the loss of (x, t) with its gradients taken."""

    def using(e: Experiment) -> Session:
        module = nn.Sequential(*layers(torch.float32 if e.dtype == np.float32 else torch.float64))
        own = optimizer(module.parameters(), **more)
        loss = make(module)

        def closure(x: Tensor, t: Tensor) -> Tensor:
            own.zero_grad()
            value: Tensor = loss(x, t)
            value.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            return value

        def train_step(x: Tensor, t: Tensor) -> Any:
            return own.step(lambda: closure(x, t))  # type: ignore[arg-type,return-value]  # a closure gives a tensor

        return session(e, module, NAMES, nn.functional.mse_loss, own, {"v": "momentum_buffer"}, train_step)

    return using


def mean_square(module: nn.Module) -> Callable[..., Tensor]:
    return lambda x, t: nn.functional.mse_loss(module(x), t)


# --- what cannot be judged ------------------------------------------------------------------------------


def half_inside(x: Tensor, inside: nn.Module) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        y: Tensor = inside(x)
    return y


class Autocast(Around):
    def forward(self, x: Tensor) -> Tensor:
        return half_inside(x, self.inside)


class InPlace(Around):
    def forward(self, x: Tensor, sow: Any = keep) -> Any:
        z1 = sow("z1", self.inside[0](x))
        return sow("y", self.inside[2](sow("a1", z1.relu_())))


class Unsown(Around):
    def forward(self, x: Tensor, sow: Any = keep) -> Any:
        return sow("y", self.inside(x))


def frozen() -> nn.Module:
    module = nn.Sequential(*layers())
    module.get_parameter("0.bias").requires_grad_(False)
    return module


def parametrized() -> nn.Module:
    module = nn.Sequential(*layers())
    parametrizations.weight_norm(module[0])
    return module


def lazy(*more: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*more, nn.LazyLinear(4, dtype=torch.float64))


def with_buffer(device: str) -> nn.Module:
    module = nn.Sequential(*layers())
    module.register_buffer("seen", torch.zeros(2, device=device))
    return module


def weights_of_two(module: nn.Linear) -> nn.Module:
    return nn.Sequential(module, nn.ReLU(), module)


TOLD: dict[str, tuple[str, Using, str]] = {
    "autocast": (
        "float32", of(lambda: Autocast(abs, torch.float32), WITHIN),
        r"tensor y: expected float32 or float64, .* got torch\.bfloat16: is autocast on",
    ),
    "y in bfloat16": (
        "float32", of(lambda: Around(Tensor.bfloat16, torch.float32), WITHIN),
        r"tensor y: expected float32 or float64, .* got torch\.bfloat16",
    ),
    "y in float16": ("float64", of(lambda: Around(Tensor.half), WITHIN), r"tensor y: .* got torch\.float16"),
    "a module in bfloat16": (
        "float32", of(lambda: nn.Sequential(*layers(torch.bfloat16))),
        r"parameter W1 of the module: expected dtype float32, .* \(module\.float\(\)\), got dtype torch\.bfloat16",
    ),
    "a module in float16": (
        "float64", of(lambda: nn.Sequential(*layers(torch.float16))),
        r"parameter W1 of the module: expected dtype float64, .* \(module\.double\(\)\), got dtype torch\.float16",
    ),
    "LBFGS in the loop": (
        "float64", lambda e: (s := session(e))._replace(optimizer=torch.optim.LBFGS(s.module.parameters())),
        "optimizer of the session: expected one whose step takes no closure; .* a train_step of your own, got LBFGS",
    ),
    "a ReLU in place of what was sown": (
        "float64", of(lambda: InPlace(abs), WITHIN), "tensor z1: .* got one overwritten in place .*: sow a clone of it",
    ),
    "a pair": (
        "float64", of(lambda: Around(lambda y: (y, y)), WITHIN),
        "tensor y: expected a tensor .*: a module around it may take out what is meant, got tuple",
    ),
    "y in another shape": (
        "float64", of(lambda: Around(torch.flatten), WITHIN, criterion=lambda y, t: (y - t.flatten()).square().mean()),
        r"tensor y of the torch module: expected shape \(6, 2\), got shape \(12,\)",
    ),
    "a loss of each sample": (
        "float64", of(lambda: nn.Sequential(*layers()), criterion=nn.MSELoss(reduction="none")),
        r"criterion: expected to return a tensor of one number, got shape \(6, 2\)",
    ),
    "a module without memory": (
        "float64", of(lambda: nn.Sequential(*layers()).to("meta")),
        r"parameter 0\.weight of the module: expected one on the CPU \(module\.to_empty\(device='cpu'\)\), got .* meta",
    ),
    "a buffer without memory": (
        "float64", of(lambda: with_buffer("meta")), "buffer seen of the module: expected one on the CPU .* on meta",
    ),
    "a weight that is computed": (
        "float64", of(parametrized), r"parameter W1: expected one of .*original1.* got 0\.weight: a buffer, or comp",
    ),
    "a frozen parameter": (
        "float64", of(frozen), r"parameter b1 of the module: expected one that is trained .* got 0\.bias, which",
    ),
    "a lazy layer": (
        "float64", of(lazy()), r"parameter 0\.weight of the module: expected a shape: call the module once, .* is lazy",
    ),
    "a lazy layer that nobody maps": (
        "float64", of(lazy(*layers())), r"parameter 3\.weight of the module: expected a shape: call the module once",
    ),
    "a name that is not sown": (
        "float64", of(lambda: Unsown(abs), WITHIN), "tensor z1: expected one value a step from the torch module",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TOLD)
def test_what_cannot_be_judged_is_told_before_anything_is_trained(what: str) -> None:
    dtype, using, told = TOLD[what]
    e = run(dtype)
    steps: list[int] = []

    def watched(e: Experiment) -> Session:
        one = using(e)
        one.optimizer.register_step_post_hook(lambda *_: steps.append(1))
        return one

    with pytest.raises(InputError, match=told):
        verify(e, using=watched)
    assert steps == []
    assert verify(e).verdict == "certified"


@pytest.mark.parametrize("what", ["a pair", "a loss of each sample", "a frozen parameter", "a lazy layer"])
def test_an_ensemble_tells_the_same(what: str) -> None:
    dtype, using, told = TOLD[what]
    told = "output of the torch module: expected a tensor, .* got tuple" if what == "a pair" else told
    members = Ensemble.of([run(dtype), run(dtype)])
    with pytest.raises(InputError, match=f"^{told}"):
        vmap.train(members, using(members.first))  # before a member is trained by itself


def test_autocast_around_a_run_is_told() -> None:
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(InputError, match=r"torch\.autocast: expected off"):
        verify(run("float32"))


def test_two_parameters_that_are_one_tensor_must_start_alike() -> None:
    draws = np.random.default_rng(0)
    W, b, x, t = (draws.standard_normal(shape) for shape in ((3, 3), (3,), (5, 3), (5, 3)))

    def tied(W2: Any) -> Experiment:
        p = Parameters((W, W2), (b, b.copy()))
        return Experiment(MLP((3, 3, 3)), p, x, t, SquaredError("mean"), SGD(0.1), 2)

    using = of(lambda: weights_of_two(nn.Linear(3, 3, dtype=torch.float64)))
    with pytest.raises(InputError, match=r"parameter W1: expected the numbers of W2, as all of them are 0\.weight"):
        verify(tied(W + 1), using=using)
    certificate = verify(tied(W.copy()), using=using)  # whose gradients the reference does not add
    assert certificate.first is not None
    assert (certificate.verdict, certificate.first.tensor) == ("refuted", "dW2")
    assert "W1 and W2 are one tensor of the module, 2.weight: its gradient is the sum of both" in certificate.notes


# --- what has a verdict ---------------------------------------------------------------------------------


def own_lbfgs(p: Any, g: Any) -> Any:
    """The first step of torch.optim.LBFGS: along the gradient, min(1, 1 / |g|_1) lr."""
    size = sum(np.abs(dw).sum() for part in g for dw in part)
    factor = np.minimum(1.0, 1.0 / size) * 0.1
    return zip_with(lambda _, w, dw: w - factor * dw, p, g)


def compiled(module: nn.Module) -> nn.Module:
    result: Any = torch.compile(module, backend="eager")
    return result


def under_two_names() -> nn.Module:
    module = Around(lambda y: y)
    module.add_module("too", module.inside)
    return module


def mean_of_squares(y: Tensor, t: Tensor) -> Tensor:
    """Whatever the precision of y: nn.MSELoss has its gradient in that of t."""
    return ((y - t) ** 2).mean()


VERDICTS: dict[str, tuple[Experiment, Using, Using]] = {  # the run, a right session, and one with a fault
    "torch.compile, by the names within": (
        run(), of(lambda: compiled(nn.Sequential(*layers()))),
        of(lambda: compiled(nn.Sequential(*layers(relu=nn.Tanh())))),
    ),
    "torch.compile, by its own names": (
        run(), of(lambda: compiled(nn.Sequential(*layers())), {w: f"_orig_mod.{own}" for w, own in NAMES.items()}),
        of(lambda: compiled(Around(lambda y: 2 * y)), WITHIN),
    ),
    "a ReLU in place of what is not sown": (
        run(), of(lambda: nn.Sequential(*layers(relu=nn.ReLU(inplace=True)))),
        of(lambda: nn.Sequential(*layers(relu=nn.ELU(inplace=True)))),
    ),
    "LBFGS, by a train_step": (
        run(optimizer=Own(own_lbfgs), steps=1), stepping(mean_square, torch.optim.LBFGS, lr=0.1, max_iter=1),
        stepping(mean_square, torch.optim.LBFGS, lr=0.2, max_iter=1),
    ),
    "a frozen parameter that nobody maps": (
        run(), of(lambda: nn.Sequential(*layers(), nn.LayerNorm(2).requires_grad_(requires_grad=False))[:3]),
        of(lambda: nn.Sequential(*layers(), nn.LayerNorm(2, dtype=torch.float64).requires_grad_(requires_grad=False))),
    ),
    "a parameter of two names": (
        run(), of(under_two_names, WITHIN | {"W1": "too.0.weight"}), of(lambda: Around(torch.neg), WITHIN),
    ),
    "y in more digits": (
        run("float32"), of(lambda: Around(Tensor.double, torch.float32), WITHIN, criterion=mean_of_squares),
        of(lambda: Around(lambda y: 1.001 * y.double(), torch.float32), WITHIN, criterion=mean_of_squares),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", VERDICTS)
def test_what_can_be_judged_is(what: str) -> None:
    e, right, wrong = VERDICTS[what]
    certificate = verify(e, using=right)
    assert certificate.verdict == "certified"
    assert [note for note in certificate.notes if not note.startswith("judged one step at a time")] == []
    assert verify(e, using=wrong).verdict == "refuted"


def test_autocast_within_a_step_of_one_s_own_is_refuted() -> None:
    def cast(module: nn.Module) -> Callable[..., Tensor]:
        return lambda x, t: nn.functional.mse_loss(half_inside(x, module).float(), t)

    first = verify(run("float32"), using=stepping(cast, torch.optim.SGD, lr=0.1, momentum=0.9)).first
    assert first is not None
    assert (first.tensor, first.step) == ("loss", 0)
    right = stepping(mean_square, torch.optim.SGD, lr=0.1, momentum=0.9)
    assert verify(run("float32"), using=right).verdict == "certified"


def test_gradients_that_torch_has_as_sparse_are_judged() -> None:
    def loss(p: Any, x: Any, t: Any, factor: float = 2) -> Any:
        error, dE = p["E"][x] - t, np.zeros_like(p["E"])
        np.add.at(dE, x, factor * error / error.size)
        return np.mean(error * error), {"E": dE}

    for rows in (5, 4000):  # of few numbers, and of so many that they are copied at once
        draws = np.random.default_rng(0)
        start = {"E": draws.standard_normal((rows, 3))}
        x, t = draws.integers(0, 5, 7), draws.standard_normal((7, 3))
        e = Experiment(loss, start, x, t, None, SGD(0.1), 2)
        embedding = partial(nn.Embedding, rows, 3, sparse=True, dtype=torch.float64)
        right = of(embedding, {"E": "weight"}, criterion=nn.MSELoss())
        assert verify(e, using=right).verdict == "certified"
        wrong = Experiment(lambda p, x, t: loss(p, x, t, 3), start, x, t, None, SGD(0.1), 2)
        assert verify(wrong, using=right).verdict == "refuted"


@pytest.mark.parametrize("factor", [1, 1 + 2.0**-20])
def test_a_weight_that_is_computed_is_judged_by_what_it_is_computed_of(factor: float) -> None:
    """Weight normalisation, W = g v / |v| in each row, whose g and v are what torch trains."""

    def loss(p: Any, x: Any, t: Any) -> Any:
        norm = np.sqrt((p["v"] * p["v"]).sum(axis=1, keepdims=True))     # (out, 1)
        unit = p["v"] / norm                                             # (out, in)
        error = x @ (p["g"] * unit).T + p["b"] - t                       # (batch, out)
        dy = 2 * error / error.size                                      # (batch, out)
        dW = dy.T @ x                                                    # (out, in)
        dg = (dW * unit).sum(axis=1, keepdims=True)                      # (out, 1)
        dv = factor * p["g"] / norm * (dW - unit * dg)                   # (out, in)
        return np.mean(error * error), {"g": dg, "v": dv, "b": dy.sum(axis=0)}

    draws = np.random.default_rng(0)
    start = {"g": draws.standard_normal((2, 1)), "v": draws.standard_normal((2, 3)), "b": np.zeros(2)}
    x, t = draws.standard_normal((5, 3)), draws.standard_normal((5, 2))
    own = "parametrizations.weight.original"
    using = of(
        lambda: parametrizations.weight_norm(nn.Linear(3, 2, dtype=torch.float64)),
        {"g": f"{own}0", "v": f"{own}1", "b": "bias"}, criterion=nn.MSELoss(),
    )  # fmt: skip
    certificate = verify(Experiment(loss, start, x, t, None, SGD(0.1), 3), using=using)
    assert certificate.verdict == ("certified" if factor == 1 else "refuted")
    assert not [note for note in certificate.notes if "not judged" in note]


@pytest.fixture
def _elsewhere() -> Iterator[None]:
    with torch.device("meta"):
        yield


@pytest.mark.usefixtures("_elsewhere")
def test_where_torch_makes_tensors_by_default_is_no_matter() -> None:
    with torch.device("cpu"):
        own = stepping(mean_square, torch.optim.SGD, lr=0.1, momentum=0.9)(run())
    assert verify(run(), using=lambda _: own).verdict == "certified"
    assert verify(run()).verdict == "certified"
    assert verify_ensemble(Ensemble.of([run(), run()])).verdict == "certified"
