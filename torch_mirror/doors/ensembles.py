"""Ensembles: one shape verifies many networks at once, on the real module under torch.vmap.

    ensemble = Ensemble(TwoLayerReLU(5, 4, 2), starts, x, t, SquaredError("mean"), SGD(0.1), steps=20)
    certificate = verify_ensemble(ensemble)
    certificate.first.member

Small networks are all overhead: nearly all the time of a test goes into drawing a shape, building a module
and calling small operations. So torch trains all members in one loop: the module itself is called through
torch.func.functional_call on stacked parameters under torch.vmap, with the real criterion, and the real
optimizer steps on the stacked parameters, which is the same as one optimizer each, since SGD is
elementwise. Batched kernels are others than those of a module called by itself, so the first member is
trained once more without vmap and judged as well.

Source: torch.func (documentation: functional_call, vmap, "Model ensembling").
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from reference.arrays import Array
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment
from reference.claim.objective import takes_sow
from reference.claim.rehearsal import stacking_flaw
from reference.claim.tree import named
from reference.errors import InputError
from reference.traces.trace import Trace
from torch_mirror.judge.findings import merge
from torch_mirror.judge.members import idle, judge_members
from torch_mirror.judge.verdict import Certificate, still
from torch_mirror.networks import keep
from torch_mirror.training import loop
from torch_mirror.training.loop import Session, gradients_on, session, set_rate, tensor
from torch_mirror.training.memory import keep_freed_memory
from torch_mirror.training.threads import one_thread


def verify_ensemble(ensemble: Ensemble, using: Callable[[Experiment], Session] = session) -> Certificate:
    """Certify torch's free run of every member, each step end to end from torch's own parameters before it.

    Judged are loss, parameter gradients, momentum buffers and parameters of every step and member, and once
    more of member 0 trained by itself (check "unbatched"). A finding's ``member`` says whose it is.
    using: makes the torch module, loss and optimizer of one member; the optimizer that steps on the stacked
    parameters is another of its class with its defaults. The certificate is vacuous where no member could have
    failed. Raises InputError when the equations do not leave leading axes alone, or when the torch module does
    not offer what they name or cannot be batched.
    """
    started = time.perf_counter()
    e = ensemble
    keep_freed_memory()
    with one_thread(), gradients_on():
        flaw = stacking_flaw(e.first)
        if flaw is not None:
            raise InputError("network", "equations that stack (x @ W.mT, b[..., None, :], sum(axis=-2))", flaw)
        one = using(e.first)  # for both: in vmap the module has other parameters than its own
        run = train(e, one)
        findings = merge([judge_members(e, run, "end to end"), judge_members(e, _alone(e, one), "unbatched")])
    return Certificate(
        e.name, str(e.dtype), e.seed, e.steps, findings.rows, idle(run),
        seconds=time.perf_counter() - started, notes=still(findings, named(e.parameters)),
    )  # fmt: skip


def train(ensemble: Ensemble, using: Session | None = None) -> Trace:
    """Train all members of the ensemble in torch, at once.

    using: the module, loss and optimizer of one member, in place of the mirror's; none of them is changed.

    The trace has an axis of the members behind that of the steps: parameters and momentum buffers
    (steps + 1, K, ...), ``loss`` (steps, K), the parameters' gradients (steps, K, ...); intermediate
    values are not among them, as they exist within vmap only. Raises InputError when the module has no
    such parameter, or no gradient for one, or cannot be batched.
    """
    e = ensemble
    with gradients_on():
        module, names, criterion, like = using or session(e.first)
        stacked = {name: nn.Parameter(tensor(a)) for name, a in named(e.parameters).items()}
        optimizer = type(like)(stacked.values(), **like.defaults)
        weights = {names[name]: weight for name, weight in stacked.items()}
        x, t = tensor(e.x), tensor(e.t)
        constants = {"x": x.numpy().copy(), "t": t.numpy().copy()}
        features: Any = getattr(module, "features", None)
        x = x if features is None else _batched(lambda x: features(x, keep))(x)
        sow = (keep,) if takes_sow(module.forward) else ()
        loss_of = _batched(lambda p, x, t: criterion(functional_call(module, p, (x, *sow)), t))
        parameters = {name: _room(weight, e.steps + 1) for name, weight in stacked.items()}
        gradients = {name: _room(weight, e.steps) for name, weight in stacked.items()}
        buffers = {name: _room(stacked[name[1:]], e.steps + 1) for name in e.buffers}
        losses = x.new_empty((e.steps, e.members))
        one = x.new_ones(e.members)  # dL/dL of every member
        for name, weight in stacked.items():
            parameters[name][0] = weight.detach()
        for s in range(e.steps):
            rows = slice(None) if e.batches is None else e.batches.rows(s, e.x.shape[1])
            if not isinstance(e.sgd.lr, float):
                set_rate(optimizer, e.sgd.lr[s])
            optimizer.zero_grad()
            loss = loss_of(weights, x[:, rows], t[:, rows])
            loss.backward(one)  # type: ignore[no-untyped-call]  # untyped in torch
            losses[s] = loss.detach()
            for name, weight in stacked.items():
                if weight.grad is None:
                    raise InputError(f"tensor d{name}", "a gradient from torch", "None: is it part of the graph?")
                gradients[name][s] = weight.grad
            optimizer.step()
            for name, weight in stacked.items():
                parameters[name][s + 1] = weight.detach()
            for name, room in buffers.items():
                buffer = optimizer.state.get(stacked[name[1:]], {}).get("momentum_buffer")
                room[s + 1] = torch.nan if buffer is None else buffer
        return Trace(
            e.steps,
            constants,
            _arrays(parameters),
            {"loss": losses.numpy(), **{f"d{name}": a for name, a in _arrays(gradients).items()}},
            buffers=_arrays(buffers),
        )


def _alone(e: Ensemble, one: Session) -> Trace:
    """The first member's run by torch_mirror.training.loop, as an ensemble's of one."""
    names = list(named(e.parameters))
    run = loop.train(e.first, ["loss", *(f"d{name}" for name in names), *names, *e.buffers], one)

    def of_one(group: Mapping[str, Array]) -> dict[str, Array]:
        return {name: a[:, None] for name, a in group.items()}

    constants = {name: run.constants[name][None] for name in ("x", "t")}
    return Trace(run.steps, constants, of_one(run.parameters), of_one(run.tensors), buffers=of_one(run.buffers))


def _batched(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """torch.vmap, whose complaint about what it cannot batch is an InputError."""
    batched = vmap(function)

    def call(*arguments: Any) -> Tensor:
        try:
            result: Tensor = batched(*arguments)
        except (RuntimeError, ValueError) as error:
            raise InputError("torch module", "one that torch.vmap can batch", str(error)) from error
        return result

    return call


def _room(like: Tensor, entries: int) -> Tensor:
    """Memory for a tensor at every step; NaN where nothing is written."""
    return torch.full((entries, *like.shape), torch.nan, dtype=like.dtype)


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: a.numpy() for name, a in tensors.items()}
