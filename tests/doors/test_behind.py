"""A second thread that judges: the same certificate, the same errors, and nothing that is left behind."""

import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from reference import SGD, Adam, Own, SquaredError, experiments
from reference.claim.experiment import Experiment
from reference.errors import InputError
from reference.networks import mlp
from reference.optimizers.clipping import ClippedByNorm
from reference.optimizers.groups import Groups
from reference.traces import training as reference_training
from reference.traces.trace import Trace
from tests.unruled import rulings_alone
from torch_mirror import verify
from torch_mirror.doors.behind import in_turn, keeps_nothing, one_behind
from torch_mirror.doors.cli import cli
from torch_mirror.doors.jobs import workers
from torch_mirror.doors.jobs.unit import Answer, Unit, work
from torch_mirror.judge.verdict import Certificate
from torch_mirror.training import loop as torch_training
from torch_mirror.training.session import Session, session

STEPS, SEGMENT = 5, 2
"""So that the last segment is a shorter one, and memory is used again."""


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_training, "SEGMENT_STEPS", SEGMENT)


def told(c: Certificate) -> str:
    """All that a certificate says but the time that it took; a float's repr is its bits, and NaN is NaN."""
    return repr(replace(c, seconds=0.0))


def both(e: Experiment, **more: Any) -> tuple[Certificate, Certificate]:
    one, two = (verify(e, threads=threads, **more) for threads in (1, 2))
    return one, two


# --- the same certificate ------------------------------------------------------------------------


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize(
    ("name", "dtype"), [*zip(experiments.names(), cycle(["float64", "float32"]), strict=False)]
)
def test_the_certificate_is_the_same_to_the_byte(name: str, dtype: str) -> None:
    one, two = both(replace(experiments.load(name, dtype), steps=STEPS), series=name == "mlp-relu")
    assert told(one) == told(two)
    assert one.verdict == "certified"


class Keeping:
    """tanh(x W) V: its backward pass needs what its forward pass kept, as classes by hand have it."""

    def gradients(self, p: Any, x: Any, t: Any) -> Any:
        self.p, self.h = p, np.tanh(x @ p["W"])
        d = self.h @ self.p["V"] - t
        dz = 2 * d @ self.p["V"].T * (1 - self.h**2)
        return (d**2).sum(), {"W": x.T @ dz, "V": self.h.T @ (2 * d)}


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.W, self.V = (torch.nn.Parameter(torch.zeros(*shape)) for shape in ((60, 60), (60, 2)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ self.W) @ self.V


def by_net(e: Experiment) -> Session:
    module = Net().double()
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    return session(e, module, {name: name for name in "WV"}, torch.nn.MSELoss(reduction="sum"), optimizer)


def of_ones_own(network: Any, steps: int = 60) -> Experiment:
    draws = np.random.default_rng(0)
    p = {"W": draws.normal(size=(60, 60)) / 8, "V": draws.normal(size=(60, 2)) / 8}
    return Experiment(network, p, draws.normal(size=(4, 60)), draws.normal(size=(4, 2)), None, SGD(1e-3), steps)


@pytest.mark.usefixtures("short_segments")
def test_a_network_that_keeps_something_between_its_calls_is_judged_in_turn() -> None:
    e = of_ones_own(Keeping().gradients)
    one, two = both(e, using=by_net)
    assert told(one) == told(two)
    assert one.verdict == "certified"


@pytest.mark.usefixtures("short_segments")
def test_who_says_that_it_keeps_nothing_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def network(p: Any, x: Any, t: Any) -> Any:
        seen.add(threading.current_thread().name)
        return Keeping().gradients(p, x, t)

    seen = set[str]()
    e = of_ones_own(network, STEPS)
    verify(e, using=by_net, threads=2)
    assert len(seen) == 1
    monkeypatch.setattr(network, "pure", True, raising=False)
    assert verify(e, using=by_net, threads=2).verdict == "certified"
    assert len(seen) == 2


@pytest.mark.parametrize(("part", "nothing"), [
    (None, True), (SGD(0.1), True), (mlp.MLP((2, 3, 1), "tanh"), True), (SquaredError("mean"), True),
    (Groups((({"b"}, SGD(0.1)), ({"W"}, Adam(0.1)))), True), (ClippedByNorm(SGD(0.1), 1.0), True),
    (Groups((({"b"}, SGD(0.1)), ({"W"}, Own(print)))), False), (ClippedByNorm(Own(print), 1.0), False),
    (Groups(((lambda _: True, SGD(0.1)),)), False), (Keeping(), False), (Keeping().gradients, False),
])  # fmt: skip
def test_what_keeps_nothing(part: Any, *, nothing: bool) -> None:
    assert keeps_nothing(part) == nothing


@pytest.mark.parametrize("name", experiments.names())
def test_no_network_of_ours_is_judged_in_turn(name: str) -> None:
    e = experiments.load(name)
    assert all(map(keeps_nothing, (e.network, e.loss, e.penalty, e.optimizer)))


def wrong_from(step: int) -> Callable[[Experiment], Session]:
    """A torch side whose loss, and with it each gradient, is too large from this step on."""

    def using(e: Experiment) -> Session:
        right, calls = session(e), iter(range(e.steps))

        def criterion(y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return right.criterion(y, t) * (1.001 if next(calls) >= step else 1)

        return right._replace(criterion=criterion)

    return using


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("step", [0, 3, STEPS - 1])
def test_so_is_a_refuted_one(step: int) -> None:
    with rulings_alone():
        one, two = both(replace(experiments.load("mlp-relu"), steps=STEPS), using=wrong_from(step))
    assert told(one) == told(two)
    assert one.verdict == "refuted"
    assert one.refutations[0].step == step


@pytest.mark.usefixtures("short_segments")
def test_what_is_told_along_the_way_is_the_same() -> None:
    e = replace(experiments.load("two-layer-linear"), steps=STEPS)
    seen: dict[int, list[Any]] = {1: [], 2: []}

    def note(threads: int, torch: Trace, numpy: Trace) -> None:
        seen[threads].append([trace[name].tobytes() for trace in (torch, numpy) for name in trace])

    for threads, told_of in seen.items():
        verify(e, told_of.append, threads=threads, observe=partial(note, threads))
    assert seen[1] == seen[2]
    assert seen[1][1::2] == [2, 2, 1]


# --- memory --------------------------------------------------------------------------------------


def segments_of(side: str, e: Experiment, rooms: int) -> Iterator[Trace]:
    module = torch_training if side == "torch" else reference_training
    made: Iterator[Trace] = module.segments(e, size=SEGMENT, rooms=rooms)
    return made


@pytest.mark.parametrize("side", ["torch", "numpy"])
@pytest.mark.parametrize("name", ["mlp-relu", "digits-softmax", "conv-digits"])
def test_a_segment_stays_as_it_was_while_the_next_one_is_made(name: str, side: str) -> None:
    """And with room for one alone it does not, so that this test would see it."""
    e = replace(experiments.load(name), steps=STEPS)
    changed = {}
    for rooms in (1, 2):
        made = segments_of(side, e, rooms)
        before, changed[rooms] = next(made), False
        was = {n: before[n].copy() for n in before}
        for after in made:
            changed[rooms] |= any(before[n].tobytes() != was[n].tobytes() for n in was)
            before = after
            was = {n: before[n].copy() for n in before}
    assert changed == {1: True, 2: False}


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("threads", [1, 2])
def test_verify_makes_room_for_both(threads: int) -> None:
    """In one thread the next segment has the memory of the one before; with two it must not."""
    seen: list[Trace] = []
    e = replace(experiments.load("mlp-relu"), steps=STEPS)
    verify(e, threads=threads, observe=lambda torch, numpy: seen.extend((torch, numpy)))
    first, second = seen[:2], seen[2:4]
    shared = [np.shares_memory(a[n], b[n]) for a, b in zip(first, second, strict=True) for n in a.parameters]
    assert set(shared) == {threads == 1}


class Reusing(torch.nn.Module):
    """Its output is in memory of its own, which each forward pass writes to again."""

    def __init__(self, like: torch.nn.Module) -> None:
        super().__init__()
        self.like = like
        self.room = torch.zeros(3, 1, dtype=torch.float64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.like(x, lambda _, value: value)
        with torch.no_grad():
            self.room.copy_(y)
        return _Through.apply(y, self.room)  # type: ignore[no-untyped-call]  # untyped in torch


class _Through(torch.autograd.Function):
    """The second, whose gradient is that of the first."""

    @staticmethod
    def forward(_: Any, y: torch.Tensor, room: torch.Tensor) -> torch.Tensor:
        return room.view_as(y)

    @staticmethod
    def backward(_: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None]:
        return dy, None


def test_one_step_s_tensors_are_copied_where_the_next_step_may_write_to_them() -> None:
    e = replace(experiments.load("mlp-relu"), steps=3)
    one = session(e)
    using = one._replace(module=Reusing(one.module), names={n: f"like.{m}" for n, m in one.names.items()})
    made = torch_training.segments(e, size=1, using=using, rooms=2)
    first = next(made)
    was = first["y"].copy()
    next(made)
    assert first["y"].tobytes() == was.tobytes()


def test_so_are_those_of_numpy_s() -> None:
    e, room = replace(experiments.load("mlp-relu"), steps=3), np.empty((3, 1))

    def plant(name: str, value: Any) -> Any:
        if name != "y":
            return value
        room[...] = value
        return room

    made = reference_training.segments(e, size=1, plant=plant, rooms=2)
    first = next(made)
    was = first["y"].copy()
    next(made)
    assert first["y"].tobytes() == was.tobytes()


# --- errors, and what a thread has for itself ----------------------------------------------------


def made_until(error: BaseException, count: int) -> Iterator[int]:
    yield from range(count)
    raise error


def judge_until(one: int, end: int) -> None:
    if one == end:
        raise InputError("judging", "nothing", one)


def test_what_judging_raises_comes_before_what_making_the_next_one_raises() -> None:
    for way in (in_turn, one_behind):
        seen: list[int] = []
        with pytest.raises(InputError, match="judging"):
            seen += way(made_until(ZeroDivisionError(), 2), partial(judge_until, end=1))
        with pytest.raises(ZeroDivisionError):
            seen += way(made_until(ZeroDivisionError(), 1), partial(judge_until, end=1))


def test_everything_that_was_judged_before_an_error_is_handed_out() -> None:
    for way in (in_turn, one_behind):
        seen: list[int] = []
        with pytest.raises(InputError):
            seen.extend(way(range(9), partial(judge_until, end=2)))
        assert seen == [0, 1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_ends_it_and_no_thread_is_left(error: type[BaseException]) -> None:
    before, judged = {*threading.enumerate()}, list[int]()
    with pytest.raises(error):
        list(one_behind(made_until(error(), 2), judged.append))
    assert judged == [0, 1]
    assert {*threading.enumerate()} <= before


def test_a_run_that_is_left_leaves_no_thread() -> None:
    before = {*threading.enumerate()}  # of which some may end meanwhile: those of other tests
    runs = one_behind(iter(range(9)), lambda one: one)
    assert next(runs) == 0
    assert len({*threading.enumerate()} - before) == 1
    runs.close()
    assert {*threading.enumerate()} <= before


def test_each_is_judged_while_the_next_one_is_made_and_never_two_at_once() -> None:
    here, beside = threading.get_ident(), set()
    makes, judges = threading.Event(), []

    def made() -> Iterator[int]:
        for one in range(4):
            if one:
                assert makes.wait(60), "the one before is being judged"
                makes.clear()
            assert threading.get_ident() == here
            yield one

    def judge(one: int) -> None:
        beside.add(threading.get_ident())
        judges.append(one)
        makes.set()

    assert list(one_behind(made(), judge)) == judges == [0, 1, 2, 3]
    assert here not in beside
    assert len(beside) == 1


def test_the_thread_has_the_context_of_the_caller() -> None:
    mode: ContextVar[str] = ContextVar("mode", default="default")
    token = mode.set("the caller's")
    seen = []

    def judge(_one: int) -> None:
        seen.append((mode.get(), np.geterr()["over"]))

    try:
        with np.errstate(all="ignore"):
            list(one_behind(iter(range(2)), judge))
    finally:
        mode.reset(token)
    assert seen == [("the caller's", "ignore")] * 2


def test_the_pools_are_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    import threadpoolctl

    from torch_mirror.training.threads import VARIABLES

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    inside: list[set[int]] = []

    def pools() -> list[int]:
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]

    before = pools(), torch.get_num_threads()
    list(one_behind(iter(range(2)), lambda _: inside.append({*pools()})))
    assert inside == [{1}, {1}]
    assert (pools(), torch.get_num_threads()) == before


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("more", [(), ("-j", "2")])
def test_the_command(threads: str, more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    judging: list[int] = []

    def here(units: Sequence[Unit], _: int) -> Generator[tuple[int, Answer], None, None]:
        yield from ((place, work(unit)) for place, unit in enumerate(units))

    def counted(made: Any, judge: Any) -> Generator[Any, None, None]:
        judging.append(1)
        return one_behind(made, judge)

    monkeypatch.setattr(workers, "by_processes", here)
    monkeypatch.setattr("torch_mirror.doors.verify.one_behind", counted)
    line = ["verify", "linear-neuron", "linear-batch", "--dtype", "float64", "--steps", "3", *more]
    result = CliRunner().invoke(cli, [*line, "--threads", threads], env=dict(os.environ))
    assert result.exit_code == 0, result.output
    assert len(judging) == (2 if threads == "2" else 0)
    assert result.stdout == CliRunner().invoke(cli, line, env=dict(os.environ)).stdout


@pytest.mark.parametrize("threads", [0, 3, -1, "2", None])
def test_a_number_of_threads_that_there_is_not(threads: Any) -> None:
    with pytest.raises(InputError, match="threads: expected 1, or 2"):
        verify(experiments.load("linear-neuron"), threads=threads)
