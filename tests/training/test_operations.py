"""Operations that are noted while they run, and done again: in float64 they give what the module gives there."""

import copy
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference.arrays import Array
from torch_mirror.training import in_float64 as in_float64_module
from torch_mirror.training import operations
from torch_mirror.training.calls import extents, peak
from torch_mirror.training.in_float64 import HALF_ULP, Moved, NoTwinError, constants, in_float64
from torch_mirror.training.operations import LITERALS, Noted, storage_of

Forward = Callable[[nn.Module, Tensor], Tensor]


def as_it_is(a: Any) -> Any:
    return a


def noted(module: nn.Module, x: Tensor, forward: Forward) -> Noted:
    """One forward and backward pass, with its output, and the gradients of the parameters that have one."""
    of = Noted(0)
    with of.of([x, *module.parameters()]):
        y = forward(module, x)
        y.square().sum().backward()  # type: ignore[no-untyped-call]  # untyped in torch
    of.close({"y": (y, as_it_is)} | {n: (p.grad, as_it_is) for n, p in module.named_parameters()})
    return of


def twin(module: nn.Module, x: Tensor, forward: Forward = lambda m, x: m(x), **how: Any) -> dict[str, Array]:
    return in_float64(noted(module, x, forward), **how)


def double(module: nn.Module, x: Tensor, forward: Forward = lambda m, x: m(x)) -> dict[str, Array]:
    """What a copy of the module gives in float64."""
    wide = copy.deepcopy(module).double()
    y = forward(wide, x.double() if x.is_floating_point() else x)
    y.square().sum().backward()  # type: ignore[no-untyped-call]  # untyped in torch
    grads = {n: p.grad for n, p in wide.named_parameters() if p.grad is not None}
    return {name: a.detach().numpy()[None] for name, a in {"y": y, **grads}.items()}


def numbers(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype("f4"))


def rows() -> Tensor:
    return numbers(7, 5)


def in_place(m: nn.Module, x: Tensor) -> Tensor:
    """Writes to a view of a view, where an earlier value has been used."""
    z: Tensor = m(x)
    a = z * 1.0
    a[:, 1:].t()[0].mul_(3.0)
    a[0] = 0.25
    return torch.relu_(a + z)


def of_views(m: nn.Module, x: Tensor) -> Tensor:
    z = m(x)
    left, right = z.split(2, dim=1)
    return torch.cat([left.flip(0), right.t().reshape(right.shape), z[:, None].expand(-1, 3, -1).sum(1)], dim=1)


def chosen(m: nn.Module, x: Tensor) -> Tensor:
    z: Tensor = m(x)
    best = z.max(dim=1)
    kept = z[z > 0]
    picked = z.gather(1, best.indices[:, None])
    return torch.where(z > 0.1, z, -z).sum() + best.values.sum() + picked.sum() + kept.prod()


MODULES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor], Forward]] = {
    "layers": (lambda: nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)), rows, nn.Module.__call__),
    "norms": (
        lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.GELU(), nn.LayerNorm(4), nn.Softplus()),
        rows, nn.Module.__call__,
    ),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 2)
        ),
        lambda: numbers(4, 2, 6, 6), nn.Module.__call__,
    ),
    "channels last": (
        lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.SiLU(), nn.AvgPool2d(2)),
        lambda: numbers(4, 2, 6, 6).to(memory_format=torch.channels_last), nn.Module.__call__,
    ),
    "embedding": (lambda: nn.Embedding(6, 3), lambda: torch.tensor([[0, 2, 5], [2, 2, 1]]), nn.Module.__call__),
    "attention": (
        lambda: nn.MultiheadAttention(4, 2, batch_first=True), lambda: numbers(3, 5, 4),
        lambda m, x: m(x, x, x, need_weights=False)[0],
    ),
    "in place": (lambda: nn.Linear(5, 4), rows, in_place),
    "views": (lambda: nn.Linear(5, 4), rows, of_views),
    "choices": (lambda: nn.Linear(5, 4), rows, chosen),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)), rows, nn.Module.__call__),
    "complex": (lambda: nn.Linear(5, 4), rows, lambda m, x: torch.fft.rfft(m(x)).abs()),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_the_same_operations_in_float64_give_what_the_module_gives_there(name: str) -> None:
    """Bit for bit, as they are the same; in float32 they do not."""
    make, data, forward = MODULES[name]
    torch.manual_seed(1)
    module, x = make(), data()
    expected, found = double(module, x, forward), twin(module, x, forward, moved=Moved(), rounded=False)
    assert {*found} == {*expected}
    for one, a in expected.items():
        assert np.array_equal(found[one], a), one
    assert any(not np.array_equal(a.astype("f4"), a) for a in expected.values())


def test_the_run_is_what_it_is_without() -> None:
    module, x = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Dropout(), nn.Linear(4, 3)), numbers(7, 5)
    other = copy.deepcopy(module)
    torch.manual_seed(0)
    noted(module, x, nn.Module.__call__)
    state = torch.get_rng_state()
    torch.manual_seed(0)
    other(x).square().sum().backward()
    assert torch.equal(state, torch.get_rng_state())
    for p, q in zip(module.parameters(), other.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        assert torch.equal(p.grad, q.grad)


class Constants(nn.Module):
    """What rests on constants alone, as a view, written to in place, and by what gives nothing back."""

    def __init__(self) -> None:
        super().__init__()
        self.l = nn.Linear(5, 4)
        self.k: Tensor
        self.register_buffer("k", torch.tensor([0.3, 0.7, 1.1, 1.3]))

    def forward(self, x: Tensor) -> Tensor:
        several = [self.k * 0.1, self.k / 3]
        torch._foreach_mul_(several, 0.7)  # as the optimizers call it
        written = self.k.clone()
        written[1:].mul_(0.3).add_(several[0][1:])
        y: Tensor = self.l(x) * self.k.expand(len(x), -1) + written[None].expand(len(x), 4) - several[1]
        return y


def test_constants_are_looked_at_written_to_and_rounded_as_in_the_run() -> None:
    module, x = Constants(), numbers(7, 5)
    expected = double(module, x)
    found = twin(module, x, moved=Moved(), rounded=False)
    assert all(np.array_equal(found[name], a) for name, a in expected.items())
    apart = np.abs(twin(module, x)["y"] - expected["y"]) / HALF_ULP
    assert 0.1 < apart.max() < 8


def test_what_was_drawn_is_drawn() -> None:
    """The rows that dropout has left out in float32 are left out in float64."""
    module, x = nn.Sequential(nn.Linear(5, 64), nn.Dropout(0.5)), numbers(7, 5)
    of = noted(module, x, nn.Module.__call__)
    first = in_float64(of)["y"]
    assert np.array_equal(first, in_float64(of)["y"])
    assert 0.3 < (first == 0).mean() < 0.7


def test_what_is_overwritten_later_is_taken_as_it_was() -> None:
    """A buffer that the step writes to, and parameters that the optimizer has changed since."""
    module, x = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, momentum=0.5)), numbers(7, 5)
    expected = double(module, x)
    of = noted(module, x, nn.Module.__call__)
    with torch.no_grad():
        for p in module.parameters():
            p.zero_()
    found = in_float64(of, rounded=False)
    assert all(np.array_equal(found[name], a) for name, a in expected.items())


def test_a_batch_that_is_a_view_takes_no_more_memory_than_itself() -> None:
    data = numbers(1000, 5)
    of = noted(nn.Linear(5, 4), data[10:14], nn.Module.__call__)
    assert max(len(start.values) for start in of.starts.values()) == 4 * 5


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.l = nn.Linear(5, 4)
        self.k: Tensor
        self.register_buffer("k", torch.tensor([0.3, 2.0]))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.l(x) * (1 - self.k[0] / 3) * self.k[1] * 0.1
        return y


def test_numbers_are_what_float32_makes_of_them_and_constants_what_it_makes_of_those() -> None:
    module, x = Scaled(), numbers(7, 5)
    of = noted(module, x, nn.Module.__call__)
    z = module.l.double()(x.double()).detach().numpy()
    factor = float(1 - np.float32(0.3) / 3) * 2 * float(np.float32(0.1))
    ratio = in_float64(of)["y"][0] / (z * factor)
    assert (np.abs(ratio - 1) < 2.0**-48).all()
    assert (np.abs(in_float64(of, Moved())["y"][0] / (z * factor) - 1) > 2.0**-28).all()  # 1 - 0.3f / 3 in float64


def test_each_constant_is_moved_by_half_a_unit_alone() -> None:
    """Of 0.3, 2 and 0.1 two, as 2 was not rounded: 1 - 0.3 / 3 changes by 0.1 / 0.9 of it."""
    of = noted(Scaled(), numbers(7, 5), nn.Module.__call__)
    given = of.given.keys() - of.exact
    base, *moved = (in_float64(of, by)["y"] for by in constants(of, given))
    changes = sorted(float(np.abs(y / base - 1).max()) / HALF_ULP for y in moved)
    assert [round(change, 3) for change in changes] == [0.111, 1.0]


def test_many_constants_share_moves() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        y: Tensor = m(x)
        for k in range(40):
            y = y * (1.005 + k / 100)
        return y

    of = noted(nn.Linear(5, 4), numbers(7, 5), forward)
    assert len(constants(of, [])) == 17
    assert sum(len(by.numbers) for by in constants(of, [])) == 40


# --- how much memory it takes ----------------------------------------------------------------------------------------


def watched_turns(turns: int, alive: list[int]) -> Forward:
    """A loop without autograd, of which nobody asks for anything; alive: how many of its tensors are, at each turn."""

    def forward(m: nn.Module, x: Tensor) -> Tensor:
        y: Tensor = m(x)
        with torch.no_grad():
            z, storages = y, []
            for _ in range(turns):
                z = torch.tanh(z)
                storages.append(weakref.ref(z.untyped_storage()))
                alive.append(sum(storage() is not None for storage in storages))
        return y

    return forward


def test_no_tensor_is_kept_alive_and_what_nobody_asks_for_is_not_done_again() -> None:
    """Addresses are used again, and yet each storage has a number of its own."""
    alive: list[int] = []
    module, x = nn.Linear(5, 4), rows()
    of = noted(module, x, watched_turns(50, alive))
    assert max(alive) <= 2
    assert not any("tanh" in str(call.operation) for call in of.calls)
    expected, found = double(module, x), in_float64(of, rounded=False)
    assert all(np.array_equal(found[name], a) for name, a in expected.items())


def chain(m: nn.Module, x: Tensor) -> Tensor:
    """Of 100 tensors one after another, each of which is needed, and two of which are alive at once."""
    with torch.no_grad():
        for _ in range(100):
            x = torch.tanh(x)
    y: Tensor = m(x)
    return y


def test_what_no_later_operation_sees_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    def again(call: Any, now: Any, *args: Any, **kwargs: Any) -> None:
        plain(call, now, *args, **kwargs)
        held.append(sum(start.values.numel() for start in now.values()))

    plain = in_float64_module._again
    monkeypatch.setattr(in_float64_module, "_again", again)
    module, x = nn.Linear(5, 4), numbers(1000, 5)
    of = noted(module, x, chain)
    expected, found = double(module, x, chain), in_float64(of, rounded=False)
    assert all(np.array_equal(found[name], a) for name, a in expected.items())
    assert sum("tanh" in str(call.operation) for call in of.calls) == 100
    assert max(held) < 5 * x.numel()
    asked = {w.look.storage for w in of.wanted.values()}
    seen = extents(look for call in of.calls for look in call.looks)
    assert max(held) * 8 <= peak(of.calls, seen, asked) < 5 * x.numel() * 8


def kept(m: nn.Module, x: Tensor) -> Tensor:
    """100 tensors that the backward pass needs: all are held at once."""
    y: Tensor = m(x)
    for _ in range(100):
        y = torch.tanh(y)
    return y


def drawn(m: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = m(x)
    for _ in range(100):
        y = nn.functional.dropout(y, 0.01)
    return y


def made(m: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = m(x)
    return y + sum(torch.ones(len(x), 4) for _ in range(100))


@pytest.mark.parametrize("forward", [kept, drawn, made, watched_turns(100, [])])
def test_what_would_take_too_much_memory_is_not_done_again(forward: Forward, monkeypatch: pytest.MonkeyPatch) -> None:
    """1000 x 4 numbers a hundred times, or a hundred notes, where room is for ten times 1000 x 4."""
    module, x = nn.Linear(5, 4), numbers(1000, 5)
    monkeypatch.setattr(operations, "LEAST", 160_000)
    monkeypatch.setattr(operations, "TIMES", 2)
    of = noted(module, x, nn.Module.__call__)
    assert not of.flaw
    of = noted(module, x, forward)
    assert not of.calls
    assert not of.starts
    with pytest.raises(NoTwinError, match=r"takes at least [\d,]+ MB, .* formulas=False"):
        in_float64(of)


def test_the_room_grows_with_what_is_given_and_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64 alone these take twice their bytes: a large network is looked at as a small one is."""
    monkeypatch.setattr(operations, "LEAST", 0)
    of = noted(nn.Linear(5, 4), numbers(10_000, 5), nn.Module.__call__)
    assert not of.flaw
    assert of.most >= 8 * 10_000 * (5 + 4) * 4


# --- what cannot be told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forward", "because"),
    [
        (lambda m, x: m(x) + x.half().sum().float(), "float16"),
        (lambda m, x: m(x) + x.to_sparse().sum(), "cannot be noted"),
        (lambda m, x: m(x) + torch.normal(m(x).detach(), 1.0), "draws random numbers and computes"),
        (lambda m, x: nn.functional.rrelu(m(x), training=True), "draws random numbers and computes"),
    ],
)
def test_what_cannot_be_noted_is_told_and_the_step_goes_on(forward: Forward, because: str) -> None:
    of = noted(nn.Linear(5, 4), numbers(7, 5), forward)
    with pytest.raises(NoTwinError, match=because):
        in_float64(of)


def test_operations_that_do_not_run_in_float64_are_told() -> None:
    """Where another number of elements is chosen there, by what float32 rounds."""

    def kept(m: nn.Module, x: Tensor) -> Tensor:
        same = x * 10.0 * 0.1 == x
        y: Tensor = m(x)
        return y.sum() + (x[same] * torch.ones(int(same.sum()))).sum()

    with pytest.raises(NoTwinError, match="does not run in float64"):
        twin(nn.Linear(5, 4), numbers(70, 5), kept)


@pytest.mark.parametrize(("length", "literal"), [(LITERALS, True), (LITERALS + 1, False)])
def test_a_few_numbers_are_written_down_and_many_come_from_elsewhere(length: int, *, literal: bool) -> None:
    values: list[Tensor] = []

    def forward(m: nn.Module, x: Tensor) -> Tensor:
        values.append(torch.from_numpy(np.ones(length, "f4")))
        y: Tensor = m(x) + values[0].sum()
        return y

    of = noted(nn.Linear(5, 4), numbers(7, 5), forward)
    assert (storage_of(values[0]) in of.created) is literal


def test_a_number_that_is_read_is_noticed() -> None:
    assert not noted(nn.Linear(5, 4), numbers(7, 5), lambda m, x: m(x)).reads
    assert not noted(nn.Linear(5, 4), numbers(7, 5), lambda m, x: m(x) if bool((x > 9).any()) else m(x) * 2).reads
    assert noted(nn.Linear(5, 4), numbers(7, 5), lambda m, x: m(x) * x.max().item()).reads
