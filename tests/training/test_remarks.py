"""What a session has that is not judged, or that explains a verdict, stands beside it in words, and nothing else."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference import SGD, Ensemble, Experiment
from tests.training.test_odd_modules import NAMES, WITHIN, Around, layers, run
from torch_mirror import Session, session, verify, verify_ensemble

Using = Callable[[Experiment], Session]


def of(*more: nn.Module, training: bool = True) -> Using:
    return lambda e: session(e, nn.Sequential(*layers(), *more).train(training), NAMES)


def held_by(optimizer: Callable[[nn.Module], torch.optim.Optimizer], states: bool = True) -> Using:  # noqa: FBT001, FBT002 - a case says it by position
    def using(e: Experiment) -> Session:
        module = nn.Sequential(*layers())
        return session(e, module, NAMES, optimizer=optimizer(module), states={"v": "momentum_buffer"} if states else {})

    return using


def misspelt(e: Experiment) -> Session:
    return session(e)._replace(states={"v": "momentum"})


def sgd(weights: Any, lr: float = 0.1, momentum: float = 0.9) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=lr, momentum=momentum)


def twice(module: nn.Module) -> torch.optim.Optimizer:
    weights = list(module.parameters())
    optimizer = sgd(weights)
    optimizer.param_groups[0]["params"].append(weights[0])  # torch's constructor only warns of it
    return optimizer


def scheduled(factors: tuple[float, ...]) -> Callable[[nn.Module], torch.optim.Optimizer]:
    """SGD with torch's own scheduler, which steps behind it."""

    def make(module: nn.Module) -> torch.optim.Optimizer:
        optimizer = sgd(module.parameters(), momentum=0.0)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factors[min(step, len(factors) - 1)])
        optimizer.register_step_post_hook(lambda *_: scheduler.step())
        return optimizer

    return make


class Noisy(Around):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) + 1e-9 * torch.randn(2, dtype=torch.float64)


BUFFERS = "not judged: buffers of the module: 3.running_mean, 3.running_var, 3.num_batches_tracked"
DREW = "torch has drawn random numbers while it trained: with dropout, module.eval() leaves it out"
OWN_RATES = "the optimizer is the session's own, and sets its own learning rates: the schedule was not set for it"
SCHEDULE = run(optimizer=SGD((0.1, 0.05, 0.02)))
FACTORS = (1.0, 0.5, 0.2)

REMARKS: dict[str, tuple[Experiment, Using, str, tuple[str, ...]]] = {
    "nothing": (run(), of(), "certified", ()),
    "a layer that no name maps": (
        run(), of(nn.Linear(2, 2, dtype=torch.float64)), "refuted",
        (
            "not judged: parameters of the module that no name maps: 3.weight, 3.bias",
            "trained all the same by the optimizer of the session: 3.weight, 3.bias; map or freeze them",
        ),
    ),
    "a layer that no name maps, frozen": (
        run(), of(nn.Linear(2, 2, dtype=torch.float64).requires_grad_(False)), "refuted",
        ("not judged: parameters of the module that no name maps: 3.weight, 3.bias",),
    ),
    "running statistics": (
        run(), of(nn.BatchNorm1d(2, affine=False, dtype=torch.float64)), "refuted", (BUFFERS,),
    ),
    "running statistics, in eval mode": (
        run(), of(nn.BatchNorm1d(2, eps=0, affine=False, dtype=torch.float64), training=False), "certified",
        (BUFFERS, "in eval mode, and so not as in training: 3 (BatchNorm1d)"),
    ),
    "dropout": (run(), of(nn.Dropout()), "refuted", (DREW,)),
    "dropout of nothing": (run(), of(nn.Dropout(0.0)), "certified", ()),
    "dropout, in eval mode": (
        run(), of(nn.Dropout(), training=False), "certified", ("in eval mode, and so not as in training: 3 (Dropout)",),
    ),
    "a module in eval mode, where that is no matter": (run(), of(training=False), "certified", ()),
    "random numbers": (
        run(), lambda e: session(e, Noisy(lambda y: y), WITHIN), "refuted", (DREW,),
    ),
    "an optimizer of the first layer": (
        run(), held_by(lambda module: sgd(module.get_submodule("0").parameters())), "refuted",
        ("the optimizer of the session does not hold W2 (2.weight), b2 (2.bias)",),
    ),
    "an optimizer of another module": (
        run(), held_by(lambda _: sgd(nn.Linear(3, 4).parameters())), "refuted",
        ("the optimizer of the session does not hold W1 (0.weight), W2 (2.weight), b1 (0.bias), b2 (2.bias)",),
    ),
    "a parameter held twice": (
        run(), held_by(twice), "refuted", ("the optimizer of the session holds W1 (0.weight) more than once",),
    ),
    "a state that is misspelt": (
        run(), misspelt, "refuted",
        ("no momentum in the state of torch's optimizer, for v.W1, v.W2, v.b1, v.b2; it has momentum_buffer",),
    ),
    "a state that the optimizer was not to have": (
        run(), held_by(lambda module: sgd(module.parameters(), momentum=0.0)), "refuted",
        ("no momentum_buffer in the state of torch's optimizer, for v.W1, v.W2, v.b1, v.b2; it has none",),
    ),
    "a schedule": (SCHEDULE, session, "certified", ()),
    "a schedule forgotten": (
        SCHEDULE, held_by(lambda module: sgd(module.parameters(), momentum=0.0), states=False), "refuted", (OWN_RATES,),
    ),
    "a schedule of torch's own": (SCHEDULE, held_by(scheduled(FACTORS), states=False), "certified", (OWN_RATES,)),
    "a wrong schedule of torch's own": (
        SCHEDULE, held_by(scheduled((1.0, 0.5, 0.25)), states=False), "refuted", (OWN_RATES,),
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
@pytest.mark.parametrize("what", REMARKS)
def test_it_is_told(what: str) -> None:
    e, using, verdict, notes = REMARKS[what]
    certificate = verify(e, using=using)
    assert (certificate.verdict, certificate.notes) == (verdict, notes)


def test_a_forgotten_schedule_is_wrong_where_the_rate_first_differs() -> None:
    for ensemble in (False, True):
        using, both = REMARKS["a schedule forgotten"][1], Ensemble.of([SCHEDULE] * 2)
        judged = verify_ensemble(both, using=using) if ensemble else verify(SCHEDULE, using=using)
        assert judged.first is not None
        assert (judged.first.tensor, judged.first.step) == ("W1", 1)
        assert not ensemble or {f.check for f in judged.refutations} == {"end to end", "unbatched"}
    assert verify_ensemble(Ensemble.of([SCHEDULE] * 2)).verdict == "certified"


def test_the_loop_sets_the_rates_of_the_optimizer_that_it_is_told_to() -> None:
    def using(e: Experiment) -> Session:
        one = REMARKS["a schedule forgotten"][1](e)
        return one._replace(scheduled=one.optimizer)

    assert verify(SCHEDULE, using=using).verdict == "certified"


def test_an_ensemble_tells_what_its_module_has() -> None:
    certificate = verify_ensemble(Ensemble.of([run(), run()]), using=of(nn.Linear(2, 2, dtype=torch.float64)))
    assert certificate.notes == REMARKS["a layer that no name maps"][3]


@pytest.fixture
def _seeded() -> Iterator[None]:
    state = torch.get_rng_state()
    yield
    torch.set_rng_state(state)


@pytest.mark.usefixtures("_seeded")
def test_a_seed_that_the_session_sets_is_no_draw() -> None:
    def using(e: Experiment) -> Session:
        torch.manual_seed(1)
        return of()(e)

    assert verify(run(), using=using).notes == ()


def sowing(p: Any, x: Any, t: Any, sow: Any) -> Any:
    z = sow("z", x @ p["W"].mT)             # (..., batch, out)
    a = sow("a", np.tanh(z))                # (..., batch, out)
    da = sow("da", 2 * (a - t))             # (..., batch, out)
    dz = sow("dz", da * (1 - a * a))        # (..., batch, out)
    return ((a - t) * (a - t)).sum(axis=(-2, -1)), {"W": dz.mT @ x}


class Telling(nn.Module):
    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.layer, self.names = nn.Linear(3, 2, bias=False, dtype=torch.float64), names

    def forward(self, x: Tensor, sow: Any) -> Any:
        z = self.layer(x)
        z = sow("z", z) if "z" in self.names else z
        a = torch.tanh(z)
        return sow("a", a) if "a" in self.names else a


@pytest.mark.parametrize(("names", "missing"), [(("z", "a"), ""), (("a",), "z"), (("z",), "a"), ((), "z, a")])
def test_what_a_module_sows_less_than_the_function_is_told(names: tuple[str, ...], missing: str) -> None:
    draws = np.random.default_rng(0)
    x, t = draws.standard_normal((5, 3)), draws.standard_normal((5, 2))
    criterion = nn.MSELoss(reduction="sum")
    for steps in (3, 0):
        e = Experiment(sowing, {"W": draws.standard_normal((2, 3))}, x, t, None, SGD(0.1), steps)
        certificate = verify(e, using=lambda e: session(e, Telling(names), {"W": "layer.weight"}, criterion))
        assert steps == 0 or certificate.verdict == "certified"
        told = f"judged through what follows only, as the module does not sow them: {missing}"
        assert certificate.notes == ((told,) if missing and steps else ())
