"""Operations of torch that were noted, as plain data: which of them a result rests on, and what they hold at once."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference.arrays import Array


class Look(NamedTuple):
    """A tensor as a look at a storage, which goes by a number."""

    storage: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @property
    def end(self) -> int:
        """Behind the last element of the storage that it sees."""
        last = sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        return self.offset + (last + 1 if 0 not in self.shape else 0)


class Call(NamedTuple):
    """One operation. Looks stand for tensors in its arguments and results.

    changed: the storages of its results, and those that it writes to.
    came: what the results were, of one that draws at random, and of one that has constants alone to go by.
    """

    operation: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: tuple[Look, ...]
    changed: frozenset[int]
    came: tuple[Tensor, ...] = ()
    random: bool = False

    @property
    def looks(self) -> tuple[Look, ...]:
        """All that it sees."""
        return (*looks_in((self.args, self.kwargs)), *self.results)


class Start(NamedTuple):
    """What part of a storage is before anything writes to it: (length,), from the first element that is seen."""

    values: Tensor
    first: int = 0


class Wanted(NamedTuple):
    """A tensor that is asked for; of: from its array, with an axis in front, to the reference's layout."""

    look: Look
    of: Callable[[Array], Array]


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """The tensors among arguments or results."""
    return _leaves(tree, Tensor)


def looks_in(tree: Any) -> Iterator[Look]:
    """The looks among arguments or results."""
    return _leaves(tree, Look)


def _leaves(tree: Any, kind: type) -> Iterator[Any]:
    if isinstance(tree, kind):
        yield tree
    elif isinstance(tree, Mapping):
        for part in tree.values():
            yield from _leaves(part, kind)
    elif isinstance(tree, (tuple, list)):
        for part in tree:
            yield from _leaves(part, kind)


# --- what they rest on, and hold --------------------------------------------------------------------------------------


def needed(calls: Sequence[Call], storages: Iterable[int]) -> list[Call]:
    """Those without which the storages would not end as they do, in order.

    What changes one of them is needed, and so is all that changed what it sees before. A statistic that is watched, or
    a power iteration whose vector nobody asks for, is not.
    """
    wanted, kept = set(storages), []
    for call in reversed(calls):
        if not wanted.isdisjoint(call.changed):
            kept.append(call)
            wanted.update(look.storage for look in looks_in((call.args, call.kwargs)))
    return kept[::-1]


def done_with(calls: Sequence[Call], but: Collection[int]) -> list[set[int]]:
    """Behind each of the calls: the storages, but these, that none of those after it sees."""
    later, done = set(but), []
    for call in reversed(calls):
        here = {look.storage for look in call.looks}
        done.append(here - later)
        later |= here
    return done[::-1]


class Extent(NamedTuple):
    """What looks see of a storage: from the first to behind the last element; width: bytes of one in float64."""

    first: int
    end: int
    width: int

    @property
    def bytes(self) -> int:
        """In float64."""
        return self.width * max(self.end - self.first, 0)


def extents(looks: Iterable[Look]) -> dict[int, Extent]:
    """What is seen of each storage."""
    found: dict[int, Extent] = {}
    for look in looks:
        width = look.dtype.itemsize * (2 if look.dtype in (torch.float32, torch.complex64) else 1)
        before = found.get(look.storage, Extent(look.offset, look.end, width))
        found[look.storage] = Extent(
            min(before.first, look.offset), max(before.end, look.end), max(before.width, width)
        )  # fmt: skip
    return found


def peak(calls: Sequence[Call], seen: Mapping[int, Extent], asked: Collection[int]) -> int:
    """Bytes that are held at once, at most, while the calls are done in float64 and let go of what nothing needs.

    At first that is what no call makes; what is asked for stays. Views take no bytes of their own here.
    """
    made = {look.storage for call in calls for look in call.results}
    held = {here for here in seen if here not in made}
    now = most = sum(seen[here].bytes for here in held)
    for call, done in zip(calls, done_with(calls, asked), strict=True):
        new = {look.storage for look in call.results} - held
        now += sum(seen[here].bytes for here in new)
        held |= new
        most = max(most, now)
        now -= sum(seen[here].bytes for here in done & held)
        held -= done
    return most
