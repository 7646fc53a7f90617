"""Recorded loops that change their gradients between backward() and the step: right ones are certified all the same."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from reference import SGD, ClippedByNorm, ClippedByValue, Experiment, Trace
from tests.doors.test_recording import GRADIENTS, NAMES, OPTIMIZERS, experiment, recorded, started, verdict
from torch_mirror import certify, recording
from torch_mirror.reports.text import details

LARGEST = 0.01
Change = Callable[[Any], Any]
"""What a loop does to the gradients of its module between backward() and the step."""


def by_norm(module: Any) -> None:
    nn.utils.clip_grad_norm_(module.parameters(), LARGEST)


def by_value(module: Any) -> None:
    nn.utils.clip_grad_value_(module.parameters(), LARGEST)


def by_hand(module: Any) -> None:
    for w in module.parameters():
        w.grad = w.grad.clamp(-LARGEST, LARGEST)  # another tensor, and not the same one with other numbers


def by_hook(module: Any) -> None:
    for w in module.parameters():
        w.register_hook(lambda g: g.clamp(-LARGEST, LARGEST))


def by_another_hook(module: Any) -> None:
    def clip(w: Any) -> None:
        w.grad.clamp_(-LARGEST, LARGEST)

    for w in module.parameters():
        w.register_post_accumulate_grad_hook(clip)


def changing(between: Change, *, said: bool = False, scale: int = 1) -> Callable[[Any, Experiment], Trace]:
    """A right loop with a change of its gradients before the step; said: run.gradients() stands before the change."""

    def recorded_with(optimizer: Any, e: Experiment) -> Trace:
        module = started(e)
        own = optimizer(module.parameters())
        x, t = (torch.tensor(a) for a in e.data)
        if between in (by_hook, by_another_hook):
            between(module)
        with recording(module, own, NAMES) as run:
            for _ in range(e.steps):
                own.zero_grad()
                for _ in range(scale):
                    nn.functional.mse_loss(module(x), t).backward()  # type: ignore[no-untyped-call]  # untyped in torch
                for gradient in [w.grad for w in module.parameters() if w.grad is not None]:
                    gradient.div_(scale)
                if said:
                    run.gradients()
                if between not in (by_hook, by_another_hook):
                    between(module)
                own.step()
        return run.trace(e)

    return recorded_with


def nothing(_module: Any) -> None:
    pass


NORM, VALUE = (partial(kind, largest=LARGEST) for kind in (ClippedByNorm, ClippedByValue))


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize(
    ("loop", "clips"),
    [
        (changing(by_norm), NORM),
        (changing(by_norm, said=True), NORM),
        (changing(by_norm, scale=2), NORM),  # neither what backward() left nor what the step takes is the gradient
        (changing(by_norm, said=True, scale=2), NORM),
        (changing(by_value), VALUE),
        (changing(by_hand), VALUE),
        (changing(by_hook), VALUE),
        (changing(by_another_hook), VALUE),
        (changing(nothing, scale=2), lambda o: o),
        (changing(nothing, said=True, scale=2), lambda o: o),
    ],
)
def test_a_right_loop_that_changes_its_gradients_is_certified(loop: Any, clips: Any, optimizer: str) -> None:
    own, of_torch = OPTIMIZERS[optimizer]
    e = replace(experiment(optimizer=optimizer), optimizer=clips(own))
    trace = loop(of_torch, e)
    assert trace.parameters["W1"].any()
    assert verdict(e, trace) == ("certified", None)


@pytest.mark.parametrize("said", [False, True])
def test_a_right_loop_that_scales_its_loss_is_certified(*, said: bool) -> None:
    """As torch.amp.GradScaler does: the gradients of values are multiples then."""
    e = experiment()
    module = started(e)
    own = OPTIMIZERS["SGD"][1](module.parameters())
    x, t = (torch.tensor(a) for a in e.data)
    with recording(module, own, NAMES, values={"z1": "0"}) as run:
        for _ in range(e.steps):
            own.zero_grad()
            (1024 * nn.functional.mse_loss(module(x), t)).backward()  # type: ignore[no-untyped-call]  # untyped in torch
            for gradient in [w.grad for w in module.parameters() if w.grad is not None]:
                gradient.div_(1024)
            if said:
                run.gradients()
            own.step()
    trace = run.trace(e)
    assert "z1" in trace.tensors
    assert verdict(e, trace) == ("certified", None)


def test_a_changed_gradient_is_judged_by_itself_where_the_loop_says_which_it_is() -> None:
    of_torch = OPTIMIZERS["SGD"][1]
    e = replace(experiment(), optimizer=ClippedByNorm(SGD(0.01), LARGEST))
    assert not GRADIENTS & changing(by_norm)(of_torch, e).tensors.keys()
    assert changing(by_norm, said=True)(of_torch, e).tensors.keys() >= GRADIENTS
    assert changing(nothing)(of_torch, e).tensors.keys() >= GRADIENTS  # nothing changes them: nothing is to be said


@pytest.mark.parametrize("said", [False, True])
def test_a_clipping_that_the_experiment_does_not_have_is_refuted(*, said: bool) -> None:
    e, of_torch = experiment(), OPTIMIZERS["SGD"][1]
    certificate = certify(e, changing(by_norm, said=said)(of_torch, e))
    first = certificate.first
    assert first is not None
    assert e.slots[first.tensor].role == "parameter"
    assert certificate.verdict == "refuted"
    words = "cause: none is sought, as the trace does not hold dW1, dW2, db1, db2"
    assert said or words in "\n".join(details(certificate))


def test_a_right_reference_does_not_stray_where_its_gradient_is_left_out() -> None:
    """Adam's 1 - 0.999**t cancels: Python rounds it in the equation and in its radius, so in what is exact as well."""

    def doubled_rate(module: Any, optimizer: Any, x: Any, t: Any, step: int, _: Any) -> None:
        optimizer.param_groups[0]["lr"] = 0.01 if step < 4 else 0.02
        optimizer.zero_grad()
        (2 * nn.functional.mse_loss(module(x), t)).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        for gradient in [w.grad for w in module.parameters() if w.grad is not None]:
            gradient.div_(2)
        optimizer.step()

    e = experiment(optimizer="Adam")
    certificate = certify(e, recorded(e, "Adam", doubled_rate))
    assert certificate.first is not None
    assert certificate.first.step == 4
    assert certificate.ruling is not None
    assert certificate.ruling.verdict == "the mirror strays"


def test_another_clipping_is_laid_at_the_update() -> None:
    """The optimizer's clipping takes all gradients together: that is said, and not how ``Own`` would say otherwise."""
    e = replace(experiment(), optimizer=ClippedByNorm(SGD(0.01), 2 * LARGEST))
    certificate = certify(e, changing(by_norm, said=True)(OPTIMIZERS["SGD"][1], e))
    assert certificate.verdict == "refuted"
    assert certificate.ruling is not None
    assert "an update by ClippedByNorm" in certificate.ruling.note
    assert "Own" not in certificate.ruling.note
