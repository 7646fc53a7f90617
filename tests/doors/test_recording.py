"""A torch loop that is not ours: recorded as it runs, and certified or refuted like any other trace."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from reference import SGD, Adam, Batches, Experiment, SquaredError, Trace, experiments
from reference.errors import InputError, UnknownNameError
from tests import warm
from torch_mirror import certify, recording, session

NAMES = {"W1": "0.weight", "b1": "0.bias", "W2": "2.weight", "b2": "2.bias"}
STEPS = 6

GRADIENTS = {"dW1", "db1", "dW2", "db2"}

OPTIMIZERS: dict[str, tuple[Any, Callable[[Any], torch.optim.Optimizer]]] = {
    "SGD": (SGD(0.01), lambda p: torch.optim.SGD(p, lr=0.01)),
    "momentum": (SGD(0.01, 0.9), lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)),
    "Adam": (Adam(0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
}


@cache
def experiment(dtype: str = "float64", optimizer: str = "SGD", batches: Batches | None = None) -> Experiment:
    e = experiments.load("mlp-relu", dtype)
    return replace(e, steps=STEPS, optimizer=OPTIMIZERS[optimizer][0], batches=batches, loss=SquaredError("mean"))


def module_of(e: Experiment) -> nn.Sequential:
    inputs, hidden, outputs = e.network.widths
    module = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
    return module.double() if e.dtype == "float64" else module


def started(e: Experiment) -> nn.Sequential:
    """The module with the experiment's start."""
    module = module_of(e)
    session(e, module, NAMES)  # loads it
    return module


Say = Callable[[Tensor], Tensor]
Step = Callable[[Any, torch.optim.Optimizer, Tensor, Tensor, int, Say], None]


def unsaid(loss: Tensor) -> Tensor:
    return loss


def as_always(module: Any, optimizer: Any, x: Tensor, t: Tensor, _step: int, say: Say = unsaid) -> None:
    optimizer.zero_grad()
    loss = say(nn.functional.mse_loss(module(x), t))
    loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
    optimizer.step()


def recorded(e: Experiment, optimizer: str = "SGD", step: Step = as_always, **options: Any) -> Trace:
    module = started(e)
    own = OPTIMIZERS[optimizer][1](module.parameters())
    with recording(module, own, NAMES, **options) as run:
        for i in range(e.steps):
            x, t = (torch.tensor(a) for a in e.seen(e.data, i))
            step(module, own, x, t, i, run.loss)
    return run.trace(e)


def verdict(e: Experiment, trace: Trace) -> tuple[str, str | None]:
    certificate = certify(e, trace)
    return certificate.verdict, certificate.first.tensor if certificate.first else None


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batches", [None, Batches(2, seed=1)])
def test_a_right_loop_is_certified(dtype: str, optimizer: str, batches: Batches | None) -> None:
    e = experiment(dtype, optimizer, batches)
    trace = recorded(e, optimizer, values={"z1": "0", "a1": "1"})
    assert {"y", "dy", "z1", "dz1", "a1", "da1", "loss", "dW1"} <= trace.tensors.keys()
    assert verdict(e, trace) == ("certified", None)


def without_zero_grad(module: Any, optimizer: Any, x: Tensor, t: Tensor, _step: int, say: Say = unsaid) -> None:
    loss = say(nn.functional.mse_loss(module(x), t))
    loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
    optimizer.step()


def clipped_by_hand(module: Any, optimizer: Any, x: Tensor, t: Tensor, step: int, say: Say = unsaid) -> None:
    as_always(module, optimizer, x, t, step, say)
    with torch.no_grad():
        module[2].bias.clamp_(-1e-9, 1e-9)


def at_another_rate(module: Any, optimizer: Any, x: Tensor, t: Tensor, step: int, say: Say = unsaid) -> None:
    optimizer.param_groups[0]["lr"] = 0.01 if step < 3 else 0.01 * (1 + 1e-9)
    as_always(module, optimizer, x, t, step, say)


@pytest.mark.parametrize(
    ("step", "tensor", "at"), [(without_zero_grad, "dW2", 1), (clipped_by_hand, "b2", 0), (at_another_rate, "b2", 3)]
)
def test_a_wrong_loop_is_refuted(step: Step, tensor: str, at: int) -> None:
    e = experiment()
    first = certify(e, recorded(e, step=step)).first
    assert first is not None
    assert (first.tensor, first.step, first.side) == (tensor, at, "torch")


def test_an_evaluation_in_between_is_no_part_of_a_step() -> None:
    def evaluated(module: Any, optimizer: Any, x: Tensor, t: Tensor, step: int, say: Say = unsaid) -> None:
        with torch.no_grad():
            module(x[:1])
        as_always(module, optimizer, x, t, step, say)

    e = experiment()
    trace = recorded(e, step=evaluated)
    assert "y" in trace.tensors
    assert verdict(e, trace) == ("certified", None)


def sum_of(module: nn.Module, x: Tensor, t: Tensor) -> Tensor:
    return nn.functional.mse_loss(module(x), t, reduction="sum")


def test_what_is_computed_twice_in_a_step_is_left_out() -> None:
    """Of a gradient that is accumulated over two halves, y has two values; the gradients are judged all the same."""

    def in_halves(module: Any, optimizer: Any, x: Tensor, t: Tensor, _step: int, say: Say = unsaid) -> None:
        optimizer.zero_grad()
        loss = sum_of(module, x[:1], t[:1]) + sum_of(module, x[1:], t[1:])
        say(loss / t.numel()).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimizer.step()

    e = experiment()
    trace = recorded(e, step=in_halves)
    assert "y" not in trace.tensors
    assert verdict(e, trace) == ("certified", None)


def test_a_parameter_may_be_put_in_the_place_of_one() -> None:
    """Another object with the same numbers, as a loop that prunes or grows a network has it."""

    def replaced(module: Any, optimizer: Any, x: Tensor, t: Tensor, step: int, say: Say = unsaid) -> None:
        if step == 2:
            module[0].weight = nn.Parameter(module[0].weight.detach().clone())
            optimizer.param_groups[0]["params"] = list(module.parameters())
        as_always(module, optimizer, x, t, step, say)

    e = experiment()
    trace = recorded(e, step=replaced)
    assert trace.tensors.keys() >= GRADIENTS
    assert verdict(e, trace) == ("certified", None)


def test_half_precision_is_left_out_and_breaks_no_loop() -> None:
    """Under autocast the products are bfloat16's: they are not judged, and the float32 gradients are refuted."""

    def mixed(module: Any, optimizer: Any, x: Tensor, t: Tensor, _step: int, say: Say = unsaid) -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            y = module(x)
            say(y.sum())
        nn.functional.mse_loss(y.float(), t).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimizer.step()

    e = experiment("float32")
    trace = recorded(e, step=mixed)
    assert not {"y", "dy", "loss"} & trace.tensors.keys()
    assert certify(e, trace).verdict == "refuted"
    half = started(e).bfloat16()
    said = "parameter W1: expected of float32 or float64, whose radii are known, got torch.bfloat16"
    with pytest.raises(InputError, match=said), recording(half, torch.optim.SGD(half.parameters(), lr=0.1), NAMES):
        pass


def test_a_state_that_torch_does_not_have_is_no_number() -> None:
    """SGD without momentum beside one with it: the buffer is missing, and not 0 at every step."""
    e = experiment(optimizer="momentum")
    module = started(e)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    x, t = (torch.tensor(a) for a in e.data)
    with recording(module, optimizer, NAMES, states={"v": "momentum_buffer"}) as run:
        for i in range(STEPS):
            as_always(module, optimizer, x, t, i)
    v = run.trace(e).states["v.W1"]
    assert not v[0].any()
    assert np.isnan(v[1:]).all()


def test_nothing_of_the_loop_s_is_changed() -> None:
    e = experiment()
    module, other = started(e), started(e)
    optimizers = [OPTIMIZERS["Adam"][1](m.parameters()) for m in (module, other)]
    x, t = (torch.tensor(a) for a in e.data)
    with recording(module, optimizers[0], NAMES):
        as_always(module, optimizers[0], x, t, 0)
    as_always(other, optimizers[1], x, t, 0)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), other.parameters(), strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())
    assert not any(w._post_accumulate_grad_hooks for w in module.parameters())
    assert not optimizers[0]._optimizer_step_pre_hooks


def test_hooks_go_when_the_loop_fails() -> None:
    module = started(experiment())
    optimizer = OPTIMIZERS["SGD"][1](module.parameters())
    with pytest.raises(ZeroDivisionError), recording(module, optimizer, NAMES):
        raise ZeroDivisionError
    assert not module._forward_hooks
    assert not any(w._post_accumulate_grad_hooks for w in module.parameters())
    assert not optimizer._optimizer_step_pre_hooks


def test_names_are_the_module_s_own_by_default() -> None:
    e = experiment()
    mirror = session(e)
    names = {name: name for name, _ in mirror.module.named_parameters()}
    with recording(mirror.module, mirror.optimizer) as run:
        pass
    assert run.steps == 0
    with pytest.raises(UnknownNameError, match="parameter among the names of the recording: 'W1'"):
        run.trace(e)
    assert "layer1.weight" in names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((3, None, None), "module: expected a torch.nn.Module, got int"),
        ((nn.Linear(1, 1), None, None), "optimizer: expected a torch.optim.Optimizer, got NoneType"),
        ((nn.Linear(1, 1), torch.optim.SGD(nn.Linear(1, 1).parameters()), {"W": "w"}), "parameter W: expected one of"),
    ],
)
def test_bad_input(arguments: Any, said: str) -> None:
    with pytest.raises(InputError, match=said), recording(*arguments):
        pass


def test_what_cannot_be_recorded_is_told() -> None:
    e = experiment()
    module = started(e)
    optimizer = OPTIMIZERS["SGD"][1](module.parameters())
    said = "value z: expected the name of a submodule"
    with pytest.raises(InputError, match=said), recording(module, optimizer, NAMES, values={"z": "7"}):
        pass
    with recording(module, optimizer, NAMES) as run:
        with pytest.raises(InputError, match="without a closure"):
            optimizer.step(lambda: 0.0)
        with pytest.raises(InputError, match="trace: expected to be asked for behind the block"):
            run.trace(e)
        with pytest.raises(InputError, match="loss: expected one number"):
            run.loss(torch.zeros(2))
    with recording(module, optimizer, NAMES, values={"z1": "2"}) as run:
        x, t = (torch.tensor(a) for a in e.data)
        as_always(module, optimizer, x, t, 0)
    with pytest.raises(InputError, match="z1 of the recording: expected shape"):
        run.trace(e)


# It ends without its destructors, when the first process is done: a group that DistributedDataParallel still holds at
# the interpreter's end may abort the process there (https://github.com/pytorch/pytorch/issues/190489).
OTHER_PROCESS = """
import os
import sys
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

folder, steps = sys.argv[1], int(sys.argv[2])
torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=1, world_size=2)
x, t, weights = torch.load(f"{folder}/start")
module = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1)).double()
module.load_state_dict(weights)
parallel = DistributedDataParallel(module)
optimizer = torch.optim.SGD(parallel.parameters(), lr=0.01)
for _ in range(steps):
    optimizer.zero_grad()
    nn.functional.mse_loss(parallel(x), t).backward()
    optimizer.step()
sys.stdin.read()
os._exit(0)
"""


def test_two_processes_with_half_a_batch_each(tmp_path: Path) -> None:
    """DistributedDataParallel against the reference, which has the whole batch; half of it is refuted."""
    draws = np.random.default_rng(0)
    e = replace(experiment(), x=draws.normal(size=(4, 3)), t=draws.normal(size=(4, 1)))
    module = started(e)
    (x, t), others = (tuple(torch.tensor(a[rank::2]) for a in e.data) for rank in (0, 1))
    torch.save((*others, module.state_dict()), tmp_path / "start")
    command = [warm.python(), "-c", OTHER_PROCESS, str(tmp_path), str(STEPS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as other:
        torch.distributed.init_process_group("gloo", f"file://{tmp_path}/meeting", rank=0, world_size=2)
        try:
            parallel = DistributedDataParallel(module)
            optimizer = OPTIMIZERS["SGD"][1](parallel.parameters())
            with recording(module, optimizer, NAMES, values={"y": None}) as run:
                for i in range(STEPS):
                    as_always(parallel, optimizer, x, t, i)
        finally:
            torch.distributed.destroy_process_group()
        _, said = other.communicate()
        assert other.returncode == 0, said
    assert run.trace(e).tensors.keys() >= GRADIENTS
    assert verdict(e, run.trace(e)) == ("certified", None)
    half = replace(e, x=e.x[::2], t=e.t[::2])
    assert certify(half, run.trace(half)).verdict == "refuted"
