"""The arbiter: faults planted on either side, or both, are laid at that side's door.

In the reference: networks whose forward is right and whose backward is wrong in one equation, ``Miswritten``, against
the right module in torch; whether their ruling is right is asked in test_referee.py, beside the other way to come to
it. In torch: the catalogue of faults.py, in test_faults.py, where each is refuted, too.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

import reference
from reference import SGD, Experiment, Groups, Own, SquaredError, Trace, experiments
from reference.arrays import Array, Shapes, Sow, keep
from reference.claim.batches import Batches
from reference.claim.tree import named
from reference.networks import two_layer_relu
from reference.networks.cubic import Cubic
from reference.networks.mlp import MLP
from tests.judge.faults import KINK, affine_gradient, hooked, planted
from tests.readme import ROOT, blocks
from torch_mirror import certify, train, verify
from torch_mirror.balls.exact import Exact
from torch_mirror.doors import strategies
from torch_mirror.doors.strategies import DTypeName
from torch_mirror.judge import ruling as rulings
from torch_mirror.judge.cases import EITHER, UnfitError, _running, backward, case_of, exact, loss_by
from torch_mirror.judge.findings import Check, Finding, Side
from torch_mirror.judge.quotients import differentiate
from torch_mirror.judge.ruling import rule_on
from torch_mirror.judge.verdict import WITHIN, Certificate, Ruling
from torch_mirror.training.session import Session, session

NOT_ITS_OWN = "the reference's backward does not belong to its own forward"

# A fault applies to some draws only, which may take a search, and each is trained several times: an eighth as many do.
SEARCHED = settings(
    max_examples=settings().max_examples // 8 + 1,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)

Values: TypeAlias = Mapping[str, Array]


def ruling(c: Certificate) -> Ruling:
    """The ruling of a refuted run, which is on its first wrong tensor."""
    assert c.first is not None
    assert c.ruling is not None
    assert (c.ruling.tensor, c.ruling.step) == (c.first.tensor, c.first.step)
    return c.ruling


# --- in the reference ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Miswritten:
    """A right forward, and a backward with one equation wrong: ``wrong(values)`` in place of ``tensor``."""

    right: MLP
    tensor: str
    wrong: Callable[[Values], Array]

    @property
    def inputs(self) -> int:
        return self.right.inputs

    @property
    def outputs(self) -> int:
        return self.right.outputs

    def shapes(self) -> Shapes:
        return self.right.shapes()

    def forward(self, p: Any, x: Array, sow: Sow = keep) -> tuple[Array, Any]:
        y, c = self.right.forward(p, x, sow)
        return y, c

    def backward(self, p: Any, c: Any, dy: Array, sow: Sow = keep) -> Any:
        values: dict[str, Array] = {"dy": dy, **named(p), **{f"z{l}": z for l, z in enumerate(c.z, 1)}}
        values |= {f"a{l}": a for l, a in enumerate(c.a)}

        def miswrite(name: str, value: Array, /) -> Array:
            values[name] = sow(name, self.wrong(values) if name == self.tensor else value)
            return values[name]

        return self.right.backward(p, c, dy, miswrite)


class Mistake(NamedTuple):
    """In an equation of an MLP with these options."""

    name: str
    tensor: str
    wrong: Callable[[Values], Array]
    options: dict[str, Any]


def over_all_axes(v: Values) -> Array:
    return np.broadcast_to(v["dz1"].sum(axis=(-2, -1))[..., None], v["b1"].shape)


MISTAKES = (
    Mistake("factor missing", "dW2", lambda v: 0.5 * (v["dy"].mT @ v["a1"]), {"activation": "relu"}),
    Mistake("tanh' at z", "dz1", lambda v: v["da1"] * (1 - v["z1"] * v["z1"]), {"activation": "tanh"}),
    Mistake("sigmoid' without 1 - a", "dz1", lambda v: v["da1"] * v["a1"], {"activation": "sigmoid"}),
    Mistake("output's sigmoid' forgotten", "dz2", lambda v: v["dy"], {"activation": "tanh", "output": "sigmoid"}),
    Mistake("mask missing", "dz1", lambda v: v["da1"], {"activation": "relu"}),
    Mistake("mask of another", "dz1", lambda v: np.where(v["da1"] <= 0, 0, v["da1"]), {"activation": "relu"}),
    Mistake("transposed", "da1", lambda v: v["dy"] @ v["W2"].mT, {"activation": "relu"}),
    Mistake("bias over all axes", "db1", over_all_axes, {"activation": "relu"}),
    Mistake("nothing there", "dW1", lambda v: 0.0 * v["W1"], {"activation": "tanh"}),
)


def right(network: Any) -> MLP:
    assert isinstance(network, Miswritten)
    return network.right


def right_torch(e: Experiment) -> Session:
    return session(replace(e, network=right(e.network)))


def mlps(kind: Any, dtype: DTypeName, **options: Any) -> st.SearchStrategy[Experiment]:
    """Experiments of two square layers."""
    return strategies.experiments(
        networks=st.integers(2, 4).map(lambda n: MLP((3, n, n), **options)),
        dtypes=[dtype], kinds=[kind], optimizers=strategies.plain_sgds(), batches=st.none(), steps=st.integers(1, 3),
    )  # fmt: skip


def miswritten(e: Experiment, mistake: Mistake) -> Experiment:
    return replace(e, network=Miswritten(e.network, mistake.tensor, mistake.wrong))


@given(mlps("normal", "float64", activation="tanh"))
@SEARCHED
def test_that_a_right_backward_is_not_blamed(e: Experiment) -> None:
    """A mistake that is none has nothing to rule on."""
    none = Mistake("none", "dz1", lambda v: v["da1"] * (1 - v["a1"] * v["a1"]), {})
    c = verify(miswritten(e, none), using=right_torch)
    assert (c.first, c.ruling) == (None, None)


class Short(Cubic):
    """A backward that lacks a factor: the radius of its gradient is too small by the same."""

    def backward(self, p: Any, c: Any, dy: Array, sow: Sow = keep) -> Any:
        return super().backward(p, c, dy, lambda name, v: sow(name, v / 2000 if name == "dW" else v))


def test_a_factor_that_shrinks_the_radius_of_the_reference_s_gradient_is_no_excuse() -> None:
    e = replace(experiments.load("cubic-sine"), steps=2)
    r = ruling(verify(replace(e, network=Short()), using=lambda _: session(e)))
    assert (r.verdict, r.tensor) == (NOT_ITS_OWN, "dW")


def test_a_right_reference_of_adam_does_not_stray_beside_amsgrad() -> None:
    """1 - 0.999**t cancels: with its exact value NumPy's own update would be outside its radius."""
    e = replace(experiments.load("digits-softmax"), steps=4)
    right = session(e)
    wrong = right._replace(optimizer=torch.optim.Adam(right.module.parameters(), lr=1e-3, amsgrad=True))
    r = ruling(verify(e, using=lambda _: wrong))
    assert r.verdict == "the mirror strays"


def test_the_example_of_the_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    script = next(b.text for b in blocks((ROOT / "docs" / "training.md").read_text()) if "class Mine" in b.text)
    scope: dict[str, Any] = {"__name__": "example", "print": lambda *_, **__: None}
    monkeypatch.setitem(sys.modules, "example", sys)  # where dataclasses look for a class's module
    exec(compile(script, "training.md", "exec"), scope)  # noqa: S102 - the page's own script
    r = ruling(scope["certificate"])
    assert (r.verdict, r.tensor, r.step) == (NOT_ITS_OWN, "dz1", 0)
    assert r.derivative is not None
    assert r.mirror is not None
    assert abs(r.mirror - r.derivative) <= np.spacing(r.derivative)


@given(mlps("normal", "float64", activation="relu"))
@SEARCHED
def test_parameters_alone_show_whose_gradient_is_wrong(e: Experiment) -> None:
    """A trace without gradients is refuted at a parameter: by its derivative the step can be told."""
    wrong = miswritten(e, MISTAKES[0])
    names = list(named(e.parameters))
    of_torch = certify(wrong, train(e, record=names))
    assume(of_torch.first is not None)
    assert (ruling(of_torch).verdict, ruling(of_torch).tensor) == (NOT_ITS_OWN, "W2")
    of_wrong = certify(e, reference.train(wrong, record=names))
    assert (ruling(of_wrong).verdict, ruling(of_wrong).tensor) == ("the mirror strays", "W2")


@dataclass(frozen=True)
class Textbook:
    """Equations that do not stack, and tell nothing; ``slope`` is tanh' by its activation."""

    slope: Callable[[Array], Array]
    inputs: int = 3
    outputs: int = 3

    def shapes(self) -> Shapes:
        return {"W1": (3, 3), "b1": (3,)}

    def forward(self, p: Any, x: Array) -> tuple[Array, Any]:
        y = np.tanh(x.dot(p.W1.T) + p.b1)
        return y, (x, y)

    def backward(self, p: Any, c: Any, dy: Array) -> Any:
        x, y = c
        dz = dy * self.slope(y)
        return type(p)(dz.T.dot(x), dz.sum(axis=0))


class Layer(NamedTuple):
    W1: Array
    b1: Array


@pytest.mark.parametrize("batches", [None, Batches(3, seed=1)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equations_that_do_not_stack(dtype: str, batches: Batches | None) -> None:
    """End to end, at the gradient of a parameter: of a network that tells nothing else."""
    draw = np.random.default_rng(0)
    W, b, x, t = (draw.normal(size=shape).astype(dtype) for shape in ((3, 3), 3, (7, 3), (7, 3)))
    networks: list[Any] = [Textbook(lambda a: 1 - a), Textbook(lambda a: 1 - a * a)]
    e = Experiment(
        networks[0], Layer(W, b), x, t, SquaredError("mean"), SGD(0.1, 0.9), 3, batches=batches
    )

    def using(e: Experiment) -> Session:
        module = torch.nn.Sequential(torch.nn.Linear(3, 3, dtype=torch.from_numpy(e.x).dtype), torch.nn.Tanh())
        return session(e, module, {"W1": "0.weight", "b1": "0.bias"})

    r = ruling(verify(e, using=using))
    assert (r.verdict, r.tensor) == (NOT_ITS_OWN, "dW1")
    right = replace(e, network=networks[1])
    assert verify(right, using=using).verdict == "certified"
    r = ruling(certify(right, disturbed(right, "dW1", lambda e: train(e, using=using(e)))))
    assert (r.verdict, r.tensor, r.step) == ("the mirror strays", "dW1", 2)


# --- on both sides, and at kinks -------------------------------------------------------------------



def tripled(_e: Experiment, dz: Tensor, x: Tensor, W: Tensor) -> tuple[Tensor, ...]:
    return dz @ W, 3 * dz.mT @ x, dz.sum(dim=-2)


def halved_slope(_e: Experiment, _m: Any, z: Tensor, _out: Tensor) -> Tensor:
    return planted(torch.sigmoid, lambda da, z: (da * torch.sigmoid(-z) / 2,), z)


def on_the_right(using: Callable[[Experiment], Session]) -> Callable[[Experiment], Session]:
    return lambda e: using(replace(e, network=right(e.network)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("mistake", "using"),
    [(MISTAKES[0], affine_gradient("layer2", tripled)), (MISTAKES[2], hooked("activation1", halved_slope))],
    ids=["dW2", "dz1"],
)
@given(data=st.data())
@SEARCHED
def test_both_wrong_in_different_ways(mistake: Mistake, using: Any, dtype: DTypeName, data: st.DataObject) -> None:
    e = miswritten(data.draw(mlps("normal", dtype, **mistake.options)), mistake)
    c = verify(e, using=on_the_right(using))
    assume(c.first is not None and c.first.tensor == mistake.tensor)
    r = ruling(c)
    assert r.verdict == "no ruling"  # a surrogate on both sides would look the same
    assert r.note.startswith("neither the reference nor the mirror has the derivative")


def at_a_kink() -> Experiment:
    """z1 = (0, 1), y = 3 a1 . (1, 1) = 3, dy = 2 (3 - 1) = 4: da1 = (12, 12)."""
    p = two_layer_relu.Parameters(np.array([[0.0], [1.0]]), np.array([[3.0, 3.0]]))
    network = two_layer_relu.TwoLayerReLU(1, 2, 1)
    return Experiment(network, p, np.ones((1, 1)), np.ones((1, 1)), SquaredError("sum"), SGD(0.125), 1)


def test_at_a_kink_there_are_two_derivatives() -> None:
    r = ruling(verify(at_a_kink(), using=KINK[0].using))
    assert (r.verdict, r.tensor, r.index) == ("no derivative exists there", "dz1", (0, 0))
    assert (r.left, r.right, r.reference, r.mirror, r.derivative) == (0, 12, 0, 12, None)


def test_a_kink_is_passed_over_for_an_element_that_has_a_derivative() -> None:
    e = at_a_kink()
    trace = train(e)
    trace.tensors["dz1"][0] = [[1e9, 13.0]]
    r = ruling(certify(e, trace))
    assert certify(e, trace).first.index == (0, 0)  # type: ignore[union-attr]  # refuted
    assert (r.verdict, r.index, r.derivative, r.reference, r.mirror) == ("the mirror strays", (0, 1), 12, 12, 13)


def test_the_kink_is_where_the_trace_has_it() -> None:
    """0.1 + 0.2 - 0.3 is 2^-54 in one order of summation, where the mirror has it: a derivative exists there."""
    e = at_a_kink()
    trace = train(e)
    trace.tensors["z1"][0, 0, 0] = trace.tensors["a1"][0, 0, 0] = 2.0**-54
    finding = Finding(9.0, 0, "dz1", "torch", "local", (0, 0), 0.0, 12.0, 0.0, 9.0)
    r = rule_on(e, trace, finding)
    assert (r.verdict, r.reference, r.mirror) == ("the mirror strays", r.derivative, 0)


# --- in NumPy's own run, and where nothing strays ----------------------------------------------------


def finding(tensor: str, check: Check = "local", side: Side = "torch", index: tuple[int, ...] = (0, 0)) -> Finding:
    return Finding(9.0, 0, tensor, side, check, index, 2.0, 1.0, 0.0, 9.0)


@pytest.mark.parametrize("tensor", ["z1", "a1", "y", "loss", "dz1", "dW1", "W2"])
@pytest.mark.parametrize("check", ["local", "end to end"])
def test_a_finding_that_is_none_is_not_confirmed(tensor: str, check: Check) -> None:
    e = replace(experiments.load("mlp-relu"), steps=1)
    r = rule_on(e, train(e), finding(tensor, check, index=() if tensor == "loss" else (0, 0)))
    assert r.verdict == "exact arithmetic does not confirm it"


def disturbed(e: Experiment, tensor: str, run: Callable[[Experiment], Trace] = train) -> Trace:
    """A right trace, in one element of one tensor of the last step wrong."""
    trace = run(e)
    array = trace.tensors.get(tensor, trace.parameters.get(tensor))
    assert array is not None
    last = array[-1:]
    last.flat[0] = last.flat[0] * 1.5 + 0.25
    return trace


@pytest.mark.parametrize("options", [{"activation": "tanh"}, {"activation": "sigmoid", "output": "sigmoid"}])
@given(data=st.data())
@SEARCHED
def test_an_element_disturbed(options: dict[str, Any], data: st.DataObject) -> None:
    e = replace(data.draw(mlps("normal", "float64", **options)), steps=1)
    trace = train(e)
    tensor = data.draw(st.sampled_from([*trace.tensors, *trace.parameters]))
    r = ruling(certify(e, disturbed(e, tensor)))
    forward = tensor in ("z1", "a1", "z2", "y", "loss")
    assert (r.verdict, r.tensor) == ("forwards differ" if forward else "the mirror strays", tensor)


@pytest.mark.parametrize("tensor", ["loss", "dW1", "db2"])
def test_findings_end_to_end(tensor: str) -> None:
    e = replace(experiments.load("mlp-relu"), steps=1)
    index = {"loss": (), "dW1": (0, 0), "db2": (0,)}[tensor]
    r = rule_on(e, disturbed(e, tensor), finding(tensor, "end to end", "both", index))
    assert r.verdict == ("forwards differ" if tensor == "loss" else "the mirror strays")


@pytest.mark.parametrize("side", ["numpy", "torch"])
def test_a_run_that_started_elsewhere(side: Side) -> None:
    e = replace(experiments.load("mlp-relu"), steps=1)
    elsewhere = train(replace(e, parameters=e.parameters._replace(b=(np.ones(5), np.ones(1)))))
    r = ruling(certify(e, elsewhere, side))
    assert (r.verdict, r.tensor) == ("the run did not start from the given values", "b1")
    assert r.note == {"numpy": "NumPy has another b1", "torch": "the mirror has another b1"}[side]


def test_a_run_of_no_step_that_started_elsewhere() -> None:
    e = replace(experiments.load("mlp-relu"), steps=0)

    def using(e: Experiment) -> Session:
        return session(replace(e, parameters=e.parameters._replace(b=(np.ones(5), np.ones(1)))))

    assert ruling(verify(e, using=using)).verdict == "the run did not start from the given values"


def test_a_distance_is_not_ruled_on() -> None:
    e = replace(experiments.load("mlp-relu"), steps=1)
    r = rule_on(e, train(e), finding("parameters", "trajectory", "both", ()))
    assert (r.verdict, r.mirror, r.note) == ("no ruling", None, "a distance between two runs is no tensor of either")


def test_momentum_buffers_and_batches() -> None:
    """From the second step on, in the smaller batch of an epoch: the buffer is the mirror's to get right."""
    e = replace(experiments.load("mlp-relu"), optimizer=SGD(0.01, 0.9, nesterov=True), steps=4, batches=Batches(2))

    def using(e: Experiment) -> Session:
        usual = session(e)
        parameters = usual.module.parameters()
        return usual._replace(optimizer=torch.optim.SGD(parameters, lr=0.01, momentum=0.8, nesterov=True))

    r = ruling(verify(e, using=using))
    assert (r.verdict, r.note) == ("the mirror strays", "its update is not the reference's")
    r = ruling(certify(e, disturbed(e, "dz1")))
    assert (r.verdict, r.tensor, r.step) == ("the mirror strays", "dz1", 3)


# --- updates of the user's own ------------------------------------------------------------------------------------


def line(p: Any, x: Array, t: Array) -> Any:
    d = x @ p["W"] - t
    return np.mean(d * d), {"W": 2 * x.T @ d / d.size}


def of_line(optimizer: Any, **record: Any) -> tuple[Experiment, Callable[[Experiment], Trace]]:
    """Least squares by that optimizer, and how torch trains it, by SGD with lr = 0.1."""
    draw = np.random.default_rng(0)
    x, t = draw.normal(size=(5, 3)), draw.normal(size=(5, 2))
    e = Experiment(line, {"W": draw.normal(size=(3, 2))}, x, t, None, optimizer, 2)

    def trained(e: Experiment) -> Trace:
        module = torch.nn.Linear(3, 2, bias=False, dtype=torch.float64)
        sgd = torch.optim.SGD(module.parameters(), lr=0.1)
        return train(e, using=session(e, module, {"W": "weight.T"}, torch.nn.MSELoss(), sgd), **record)

    return e, trained


def by_rate(rate: float) -> Callable[[Any, Any], Any]:
    return lambda p, g: {name: w - rate * g[name] for name, w in p.items()}


class Protocol(NamedTuple):
    """An optimizer of somebody's own, which does not sow."""

    elementwise: bool = True

    def init(self, _: Any) -> Any:
        return {}

    def step(self, p: Any, g: Any, state: Any, _t: Any) -> Any:
        return by_rate(0.3)(p, g), state


class Derived(SGD):
    """A class of the user's own by name, whatever it inherits."""


OWN = Own(by_rate(0.3), elementwise=True)


@pytest.mark.parametrize("flint", [True, False])
@pytest.mark.parametrize(
    ("optimizer", "differs"),
    [
        (OWN, True), (Protocol(), True), (Derived(0.3), True), (Groups((({"W"}, OWN),)), True),
        (Groups((({"W"}, SGD(0.3)), (lambda _: True, OWN))), False), (SGD(0.3), False),
    ],
    ids=["own", "protocol", "derived", "group", "another group", "the reference's"],
)  # fmt: skip
def test_of_an_update_of_the_user_s_own_no_side_is_taken(
    optimizer: Any, differs: bool, flint: bool, monkeypatch: pytest.MonkeyPatch  # noqa: FBT001 - cases
) -> None:
    """torch's rate may be the one that is meant, as it is beside a bug of the user's."""
    e, trained = of_line(optimizer)
    trace = trained(e)
    if not flint:
        monkeypatch.setattr(rulings, "_exactly", lambda _: (_ for _ in ()).throw(ImportError()))
    r = ruling(certify(e, trace))
    expected = ("updates differ", EITHER) if differs else ("the mirror strays", "its update is not the reference's")
    assert (r.verdict, r.note) == (expected[0], expected[1] + ("" if flint else " (python-flint is missing)"))
    assert (r.tensor, r.mirror == trace.parameters["W"][1][r.index]) == ("W", True)


def test_where_numpy_s_own_numbers_stray_from_the_user_s_update_it_is_said() -> None:
    def update(p: Any, g: Any) -> Any:
        after = by_rate(0.1)(p, g)
        plain = isinstance(after["W"], np.ndarray) and after["W"].dtype == np.float64
        return {"W": after["W"].astype(np.float32).astype(np.float64)} if plain else after

    e, trained = of_line(Own(update, elementwise=True))
    assert ruling(certify(e, reference.train(e), "numpy")).verdict == "the reference strays"
    assert rule_on(e, trained(e), finding("W")).verdict == "the reference strays"


@pytest.mark.parametrize("flint", [True, False])
def test_where_the_gradient_is_not_held_it_may_be_that(flint: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a case
    if not flint:
        monkeypatch.setattr(rulings, "_exactly", lambda _: (_ for _ in ()).throw(ImportError()))
    e, trained = of_line(OWN, record=["W"])
    r = ruling(certify(e, trained(e)))
    told = "torch has another gradient of W, which the trace does not hold, or another update than your own: "
    assert (r.verdict, r.note) == ("no ruling", f"{told}either may be meant")
    usual = replace(e, optimizer=SGD(0.3))
    assert ruling(certify(usual, trained(usual))).verdict == "the mirror strays"
    wrong = replace(e, network=lambda p, x, t: (line(p, x, t)[0], {"W": 2 * line(p, x, t)[1]["W"]}))
    assert ruling(certify(wrong, trained(wrong))).note == r.note  # both off, which may be the update alone
    right = replace(wrong, optimizer=OWN._replace(update=by_rate(0.1)))
    assert ruling(certify(right, trained(right))).verdict == NOT_ITS_OWN  # torch has this update of the derivative


def test_an_update_that_does_not_say_that_it_is_elementwise_is_told_so_with_the_way_out() -> None:
    e, trained = of_line(OWN._replace(elementwise=False))
    r = ruling(certify(e, trained(e)))
    assert (r.verdict, r.tensor) == ("no ruling", "W")
    assert r.note.startswith("exact arithmetic looks at one element of an update, and yours does not say that each")
    assert r.note.endswith("if it is, write Own(update, elementwise=True)")
    e, trained = of_line(Protocol(elementwise=False))
    note = ruling(certify(e, trained(e))).note
    assert "and Protocol does not say that each element is updated from its own gradient alone" in note
    assert note.endswith("give it elementwise = True")


@dataclass(frozen=True)
class Cast:
    """A hidden cast of NumPy arrays, of which the equations know nothing."""

    inputs: int = 3
    outputs: int = 2

    def shapes(self) -> Shapes:
        return {"W": (2, 3)}

    def forward(self, p: Any, x: Array, sow: Sow = keep) -> tuple[Array, Any]:
        y = x @ p.W.mT
        if isinstance(y, np.ndarray) and y.dtype == np.float64:
            y = y.astype(np.float32).astype(np.float64)
        return sow("y", y), x

    def backward(self, p: Any, x: Array, dy: Array, sow: Sow = keep) -> Any:
        return type(p)(sow("dW", dy.mT @ x))


def test_a_hidden_cast_in_the_reference() -> None:
    draw = np.random.default_rng(0)
    x, t = draw.normal(size=(5, 3)), draw.normal(size=(5, 2))
    e = Experiment(Cast(), Weights(draw.normal(size=(2, 3))), x, t, SquaredError("sum"), SGD(0.1), 1)

    def using(e: Experiment) -> Session:
        class Module(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = torch.nn.Linear(3, 2, bias=False, dtype=torch.float64)

            def forward(self, x: Tensor, sow: Any = lambda _name, value: value) -> Any:
                return sow("y", self.layer(x))

        return session(e, Module(), {"W": "layer.weight"})

    r = ruling(verify(e, using=using))
    assert (r.verdict, r.tensor, r.mirror) == ("the reference strays", "y", None)
    trace = train(e, using=using(e))
    note = "NumPy's own evaluation of the equation is outside its radius"
    assert rule_on(e, trace, finding("y"))[::9] == ("the reference strays", note)
    assert rule_on(e, disturbed(e, "y", lambda e: train(e, using=using(e))), finding("y"))[::9] == ("both stray", note)


# --- what cannot be ruled on -------------------------------------------------------------------------


def test_without_python_flint_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    e = replace(experiments.load("sigmoid-output"), steps=1)
    trace = disturbed(e, "dW1")
    assert ruling(certify(e, trace)).verdict == "the mirror strays"
    monkeypatch.setitem(sys.modules, "flint", None)
    r = ruling(certify(e, disturbed(e, "y")))
    assert (r.verdict, r.derivative) == ("forwards differ", None)
    assert r.note == "by wider floats (python-flint is missing)"
    r = rule_on(e, train(e), finding("y"))  # which nothing speaks against
    assert r.verdict == "needs python-flint"
    assert "pip install 'torch-mirror[exact]'" in r.note
    r = ruling(certify(e, trace))
    assert r.verdict == "the mirror strays"  # a gradient, by a derivative with a radius
    assert r.note.endswith("(python-flint is missing)")
    relu = replace(experiments.load("mlp-relu"), steps=1)
    assert ruling(certify(relu, disturbed(relu, "dW1"))).verdict == "the mirror strays"


def large(samples: int) -> Experiment:
    draws = np.random.default_rng(0)
    p = two_layer_relu.Parameters(draws.standard_normal((20, 30)) / 5, draws.standard_normal((5, 20)) / 4)
    network = two_layer_relu.TwoLayerReLU(30, 20, 5)
    x, t = draws.standard_normal((samples, 30)), draws.standard_normal((samples, 5))
    return Experiment(network, p, x, t, SquaredError("mean"), SGD(0.01), 1)


def test_above_the_limit_exact_arithmetic_is_not_even_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a tenth of the size: that of two samples is just below this limit. The limit itself is 300,000."""
    with monkeypatch.context() as patch:
        patch.setattr(rulings, "LIMIT", 31_600)
        assert ruling(certify(large(2), disturbed(large(2), "dW1"))).verdict == "the mirror strays"
    monkeypatch.setattr(rulings, "Exact", None)  # which could not be called
    r = ruling(certify(large(20), disturbed(large(20), "dW1")))
    assert r.verdict == "the mirror strays"  # by a derivative with a radius
    assert r.note.endswith("(too large for exact arithmetic: about 308,000 operations, 300,000 at most)")
    monkeypatch.setattr(rulings, "LIMIT", 2_000)
    r = ruling(certify(large(2), disturbed(large(2), "y")))
    assert r.verdict == "forwards differ"  # by wider floats, which have no limit of this kind
    assert r.note == "by wider floats (too large for exact arithmetic: about 2,800 operations, 2,000 at most)"


def test_the_operations_are_counted_while_they_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one weight a sample the estimate falls short: sums and squares of the loss are not in it."""
    e = replace(experiments.load("cubic-sine"), steps=1)
    monkeypatch.setattr(rulings, "LIMIT", 20_000)
    assert rulings._operations(case_of(e, train(e), finding("loss", index=()))) < 20_000
    r = ruling(certify(e, disturbed(e, "loss")))
    assert r.verdict == "forwards differ"
    assert r.note == "by wider floats (too large for exact arithmetic: more than 20,000 operations)"


def test_an_update_is_ruled_on_at_any_size() -> None:
    e = replace(experiments.load("two-layer-relu"), steps=1)
    r = ruling(certify(e, disturbed(e, "W1")))
    assert (r.verdict, r.note) == ("the mirror strays", "its update is not the reference's")


@dataclass(frozen=True)
class Rooted:
    """y = exp(max(x W^T, 0)): a plain 0 among exact numbers, of which NumPy asks the exponential."""

    inputs: int = 2
    outputs: int = 2

    def shapes(self) -> Shapes:
        return {"W": (2, 2)}

    def forward(self, p: Any, x: Array, sow: Sow = keep) -> tuple[Array, Any]:
        z = sow("z", x @ p.W.mT)
        a = np.exp(np.maximum(z, 0))
        return sow("y", a), (x, z, a)

    def backward(self, p: Any, c: Any, dy: Array, sow: Sow = keep) -> Any:
        x, z, a = c
        dz = sow("dz", dy * a * (z > 0))
        return type(p)(sow("dW", dz.mT @ x))


class Weights(NamedTuple):
    W: Array


def test_equations_that_exact_numbers_do_not_fit() -> None:
    e = Experiment(Rooted(), Weights(-np.eye(2)), np.eye(2), np.eye(2), SquaredError("sum"), SGD(0.1), 1)
    trace = reference.train(e)
    trace.tensors["y"][0, 0, 0] += 1
    r = ruling(certify(e, trace))
    assert r.verdict == "forwards differ"
    assert r.note.startswith("by wider floats (its equations do not run in exact arithmetic: ")


def test_operands_that_are_not_finite() -> None:
    e = replace(experiments.load("mlp-relu"), steps=1)
    trace = train(e)
    trace.tensors["a1"][0] = np.nan
    assert ruling(certify(e, trace)).verdict == "forwards differ"
    r = rule_on(e, trace, finding("y"))
    told = "its equations do not run in exact arithmetic: nan is not a finite number"
    assert (r.verdict, r.note) == ("no ruling", f"wider floats do not confirm it ({told})")


@pytest.mark.parametrize("error", [AttributeError("'int' object has no attribute 'expm1'", name="expm1", obj=3)])
def test_an_error_of_pythons_is_no_reason(error: Exception) -> None:
    """What is told is the operation, and no class of ours that has not got it."""

    def equations() -> Any:
        raise TypeError("loop of ufunc does not support argument 0") from error

    with pytest.raises(UnfitError, match="they call expm1, which numbers of it do not have") as told:
        _running(equations)
    assert "object" not in str(told.value)


@dataclass(frozen=True)
class Thirds:
    """A constant that forward and backward round in different ways."""

    inputs: int = 40
    outputs: int = 2

    def shapes(self) -> Shapes:
        return {"W": (2, 40)}

    def forward(self, p: Any, x: Array, sow: Sow = keep) -> tuple[Array, Any]:
        return sow("y", x @ p.W.mT / 3), x

    def backward(self, p: Any, x: Any, dy: Array, sow: Sow = keep) -> Any:
        return type(p)(sow("dW", (dy * (1 / 3)).mT @ x))


def test_constants_that_the_network_rounds_are_no_fault() -> None:
    """Far off, the mirror strays; just outside its local radius there is no telling which of the two it is."""
    draw = np.random.default_rng(0)
    x, t = draw.normal(size=(5, 40)), draw.normal(size=(5, 2))
    e = Experiment(Thirds(), Weights(draw.normal(size=(2, 40))), x, t, SquaredError("sum"), SGD(0.1), 1)
    trace = reference.train(e)
    assert certify(e, trace).verdict == "certified"
    trace.tensors["dW"][0, 0, 0] += 1
    far = certify(e, trace)
    assert far.first is not None
    assert (ruling(far).verdict, ruling(far).tensor) == ("the mirror strays", "dW")
    trace.tensors["dW"][0, 0, 0] = far.first.expected + 1.5 * far.first.radius
    near = ruling(certify(e, trace))
    assert (near.verdict, near.note) == ("no ruling", WITHIN)


# --- the derivative of every network is its backward -------------------------------------------------


@given(data=st.data())
@SEARCHED
def test_every_backward_belongs_to_its_forward(data: st.DataObject) -> None:
    """At any element of any gradient, with what the forward sows taken from the run or not."""
    e = replace(data.draw(strategies.experiments(dtypes=["float64"], kinds=["normal", "decimals"])), steps=1)
    trace = reference.train(e)
    tensor = data.draw(st.sampled_from([name for name in trace.tensors if name.startswith("d")]))
    check: Check = data.draw(st.sampled_from(["local", "end to end"]))
    case = case_of(e, trace, finding(tensor, check))
    at = tuple(data.draw(st.integers(0, n - 1)) for n in case.seen.shape)
    by = Exact(400)
    with by.precision():
        gradient = by.number(backward(case, tensor[1:], exact(by), keep)[at])
        d = differentiate(loss_by(case, tensor[1:], at, by))
        assume(d.exists)
        assert not (d.value - gradient).magnitude().certainly_exceeds(d.error)
