"""A training session is any sequence of actions; both frameworks stay certified through every one of them.

The machine keeps a torch module with its real optimizer, and the reference's parameters, momentum buffers
and accumulated gradients. After each action both are judged, each from its own state before the action:
the equations run on balls of that state, and what the action left must lie within the radii. What an
action must not touch is compared bit for bit.
"""

import copy
import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from reference.arrays import Array
from reference.claim.tree import named, rebuild, zip_with
from reference.losses import SquaredError
from reference.networks import mlp, two_layer_linear, two_layer_relu
from reference.optimizers.sgd import SGD
from tests.steps import gradients
from torch_mirror.balls.cell import Ball
from torch_mirror.doors import strategies
from torch_mirror.doors.strategies import draw_array
from torch_mirror.judge.compare import Where, compare
from torch_mirror.judge.findings import Side
from torch_mirror.networks import mirror_of
from torch_mirror.optimizers import optimizer_of
from torch_mirror.training.places import load, tensor

SAMPLES = 6

LARGE = 1e15
"""What a session may diverge to before its squares overflow in float32."""


class State(NamedTuple):
    """What a session carries from action to action."""

    p: Any
    v: Any = None  # momentum buffers
    g: Any = None  # accumulated gradients


class Batch(NamedTuple):
    x: Array  # (batch, in)
    t: Array  # (batch, out)


class Mistakes(NamedTuple):
    """The parts of a torch program that may be wrong; as they stand they are right. And the options to begin with."""

    optimizer: Callable[[SGD, Any], torch.optim.Optimizer] = optimizer_of
    zero_grad: Callable[[torch.optim.Optimizer], None] = torch.optim.Optimizer.zero_grad
    optimizer_state: Callable[[dict[str, Any]], dict[str, Any]] = lambda saved: saved
    sgds: st.SearchStrategy[SGD] = strategies.sgds()


NETWORKS = (
    two_layer_relu.TwoLayerReLU(3, 4, 2),
    two_layer_linear.TwoLayerLinear(2, 2, 2, bias=True),
    mlp.MLP((3, 2, 1), activation="tanh"),
)


class Training(RuleBasedStateMachine):
    """A session with a torch program and the reference side by side."""

    mistakes = Mistakes()

    @initialize(
        network=st.sampled_from(NETWORKS),
        dtype=st.sampled_from(["float32", "float64"]),
        kind=st.sampled_from(strategies.DYADIC + strategies.REAL),
        draws=strategies.generators(),
        loss=strategies.losses(),
        sgd=st.runner().flatmap(lambda self: self.mistakes.sgds),
    )
    def start(self, network: Any, dtype: Any, kind: Any, draws: Any, loss: SquaredError, sgd: SGD) -> None:
        self.network, self.loss, self.sgd = network, loss, sgd
        self.numpy = State(strategies.parameters(network, draws, kind, dtype))
        shapes = (SAMPLES, network.inputs), (SAMPLES, network.outputs)
        self.data = Batch(*(draw_array(draws, kind, shape).astype(dtype) for shape in shapes))
        self.names = mirror_of(network).parameters(network)
        self.make_module()
        load(self.module, self.names, named(self.numpy.p))
        self.saved: tuple[bytes, State, SGD] | None = None
        self.batch = self.data
        self.same(self.torch().p, self.numpy.p)

    def make_module(self) -> None:
        self.module = mirror_of(self.network).Module(self.network, tensor(self.data.x[:0]).dtype)
        own = dict(self.module.named_parameters())
        self.optimizer = self.mistakes.optimizer(self.sgd, {name: own[self.names[name]] for name in self.names})

    # --- actions ---------------------------------------------------------------------------------

    @rule(start=st.integers(0, SAMPLES - 1), length=st.integers(1, SAMPLES))
    def change_batch(self, start: int, length: int) -> None:
        self.batch = Batch(*(a[start : start + length] for a in self.data))

    @rule()
    def backward(self) -> None:
        """Once more on top of what is there: two in a row accumulate."""
        before = self.torch()
        y = self.module(tensor(self.batch.x))
        loss = self.loss.scale * torch.nn.MSELoss(reduction=self.loss.reduction)(y, tensor(self.batch.t))
        loss.backward()
        self.judge("torch", before._replace(g=self.accumulated(before)), self.torch())
        numpy = self.numpy
        self.numpy = numpy._replace(g=self.accumulated(numpy, np.asarray))
        self.judge("numpy", numpy._replace(g=self.accumulated(numpy)), self.numpy)

    @precondition(lambda self: self.numpy.g is not None)
    @rule()
    def step(self) -> None:
        before = self.torch()
        self.optimizer.step()
        self.judge("torch", self.stepped(before), self.torch())
        numpy = self.numpy
        self.numpy = self.stepped(numpy, np.asarray)
        self.judge("numpy", self.stepped(numpy), self.numpy)

    @rule()
    def zero_grad(self) -> None:
        before = self.torch()
        self.mistakes.zero_grad(self.optimizer)
        self.numpy = self.numpy._replace(g=None)
        self.judge("torch", before._replace(g=None), self.torch())

    @rule(rate=st.sampled_from(strategies.RATES))
    def change_rate(self, rate: float) -> None:
        self.change(lr=rate)

    @rule(momentum=st.sampled_from(strategies.MOMENTA), dampening=st.sampled_from(strategies.DAMPENINGS))
    def change_momentum(self, momentum: float, dampening: float) -> None:
        allowed = not self.sgd.nesterov or (momentum > 0 and dampening == 0)
        self.change(momentum=momentum if allowed else 0.5, dampening=dampening if allowed else 0.0)

    @rule()
    def save(self) -> None:
        file = io.BytesIO()
        torch.save({"module": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}, file)
        self.saved = file.getvalue(), self.numpy._replace(g=None), self.sgd

    @precondition(lambda self: self.saved is not None)
    @rule()
    def load(self) -> None:
        """Into new objects, as a new process would: there are no gradients yet, and the options are the saved ones."""
        assert self.saved is not None
        file, self.numpy, self.sgd = self.saved
        saved = torch.load(io.BytesIO(file))
        self.make_module()
        self.module.load_state_dict(saved["module"])
        self.optimizer.load_state_dict(self.mistakes.optimizer_state(saved["optimizer"]))
        assert (self.torch().v is None) is (self.numpy.v is None)
        assert self.torch().g is None

    def change(self, **options: Any) -> None:
        before = self.torch()
        self.sgd = self.sgd._replace(**options)
        for group in self.optimizer.param_groups:
            group.update(options)
        self.judge("torch", before, self.torch())

    # --- what each action ought to leave ------------------------------------------------------------

    def accumulated(self, state: State, number: Callable[[Array], Any] = Ball) -> Any:
        """The gradients after one more backward pass, from this state."""
        p = zip_with(lambda _, a: number(a), state.p)
        g = gradients(self.network, p, number(self.batch.x), number(self.batch.t), self.loss)
        return g if state.g is None else zip_with(lambda _, old, new: number(old) + new, state.g, g)

    def stepped(self, state: State, number: Callable[[Array], Any] = Ball) -> State:
        p, v, g = (None if a is None else zip_with(lambda _, b: number(b), a) for a in state)
        first = v is None  # the buffer before the first step is 0
        state_before = self.sgd.init(p) if first else {"v": v}
        after, states = self.sgd.step(p, g, state_before, 0 if first else 1)
        return State(after, states.get("v") if self.sgd.momentum else v, state.g)

    def torch(self) -> State:
        """What torch holds, copied."""
        weights = dict(self.module.named_parameters())
        own = {name: weights[self.names[name]] for name in self.names}
        state = self.optimizer.state
        buffers = {name: state.get(w, {}).get("momentum_buffer") for name, w in own.items()}
        return State(*(
            None if any(a is None for a in values.values()) else rebuild(self.numpy.p, arrays(values))
            for values in (own, buffers, {name: w.grad for name, w in own.items()})
        ))  # fmt: skip

    def judge(self, side: Side, expected: State, seen: State) -> None:
        for kind, equations, values in zip(State._fields, expected, seen, strict=True):
            assert (equations is None) is (values is None), f"{side}: {kind} is {values}"
            if equations is None:
                continue
            for name, equation in named(equations).items():
                ball = equation if isinstance(equation, Ball) else Ball(equation)
                where = Where(f"{kind} of {name}", side, "local", stacked=False)
                findings = compare(named(values)[name], ball, where)
                assert findings.refutations == ()
                decides = all(row.decides for row in findings.rows)  # an open branch may hide some elements, not most
                assert decides or np.abs(ball.value).max() > LARGE

    def same(self, one: Any, other: Any) -> None:
        for name, array in named(one).items():
            assert array.tobytes() == named(other)[name].tobytes()


def arrays(tensors: Mapping[str, Any]) -> dict[str, Array]:
    return {name: value.detach().numpy().copy() for name, value in tensors.items()}


QUICK = settings(
    max_examples=settings().max_examples,
    stateful_step_count=20,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def test_every_session_is_certified() -> None:
    run_state_machine_as_test(Training, settings=QUICK)


# --- planted mistakes ---------------------------------------------------------------------------------


class ByHand(torch.optim.SGD):
    """torch's algorithm written out, with one part of it replaced."""

    fault = ""

    @torch.no_grad()
    def step(self, _closure: Any = None) -> None:  # type: ignore[override]  # nobody passes a closure here
        for group in self.param_groups:
            for w in group["params"]:
                self.update(w, SGD(*(group[option] for option in SGD._fields)))

    def update(self, w: Any, sgd: SGD) -> None:
        g = -w.grad if sgd.maximize else w.grad
        late = self.fault == "weight decay after momentum"
        if not late:
            g = g.add(w, alpha=sgd.weight_decay)
        if sgd.momentum:
            old = self.state[w].get("momentum_buffer")
            if old is None:
                damped = self.fault == "dampening on the first step"
                v = g * (1 - sgd.dampening) if damped else g.clone()
            else:
                v = sgd.momentum * old + (1 - sgd.dampening) * g
            self.state[w]["momentum_buffer"] = v
            of = old if self.fault == "Nesterov with the old buffer" and old is not None else v
            g = g.add(of, alpha=sgd.momentum) if sgd.nesterov else v
        if late:
            g = g.add(w, alpha=sgd.weight_decay)
        w.add_(g, alpha=-sgd.lr)


def by_hand(fault: str, shows: Callable[[SGD], object] = lambda _: True) -> Mistakes:
    kind = type("Faulty", (ByHand,), {"fault": fault})
    return Mistakes(
        lambda sgd, weights: kind(weights.values(), sgd.lr, *sgd[1:5], maximize=sgd.maximize),
        sgds=strategies.sgds().filter(shows),
    )


def without_buffers(saved: dict[str, Any]) -> dict[str, Any]:
    return {**copy.deepcopy(saved), "state": {}}


FAULTS = {
    "buffers lost on load": Mistakes(
        optimizer_state=without_buffers, sgds=strategies.sgds().filter(lambda sgd: sgd.momentum)
    ),
    "zero_grad forgotten": Mistakes(zero_grad=lambda _: None),
    **{
        name: by_hand(name, shows)
        for name, shows in (
            ("dampening on the first step", lambda sgd: sgd.momentum and sgd.dampening),
            ("Nesterov with the old buffer", lambda sgd: sgd.nesterov),
            ("weight decay after momentum", lambda sgd: sgd.momentum and sgd.weight_decay),
        )
    },
}
"""Each begins with options on which it shows: what is searched for is the sequence of actions."""


def machine(mistakes: Mistakes) -> Any:
    return type("Mistaken", (Training,), {"mistakes": mistakes})


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mistake_is_found(fault: str) -> None:
    search = settings(QUICK, max_examples=2000, phases=[Phase.generate], database=None)
    with pytest.raises(AssertionError), np.errstate(all="ignore"):  # a mistake may diverge before it is found
        run_state_machine_as_test(machine(FAULTS[fault]), settings=search)


def test_the_algorithm_written_out_without_a_mistake_is_certified() -> None:
    run_state_machine_as_test(machine(by_hand("")), settings=QUICK)
