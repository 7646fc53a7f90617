"""The operations of one step of somebody's torch code, noted while it runs: plain data, which can be done once more.

    noted = Noted(step)
    with noted.of([x, t, W]):                    # data and parameters: all else are constants
        ...                                      # forward and backward pass, as they are
    noted.close({"dW": (W.grad, as_it_is)})      # the tensors that are asked for later, by name

The code itself runs once, and is not called again, whatever it does on the side: what is noted is what it asks torch
for, below autograd. So a branch on a number or on the precision is the one that was taken, a mask is the one that was
drawn, and a training step of the user's own, a hook or a custom autograd.Function is noted like any other code.

A tensor is noted as a look at its memory (a *storage*: what several tensors may be views of), by shape, strides and
offset. So writing in place, and to a view, is done to the others as well. What is in a storage before anything is
written to it, is noted, too: its *start*, of parameters, data, buffers, constants.

No tensor of the step is kept alive for being noted, so that the step takes the memory that it takes without. Of what
was noted that is left out in the end from which nothing that is asked for was made. What is copied, and what doing it
once more in float64 would hold at once, is bounded (``most``): beyond it nothing is noted, and the flaw says so.

What cannot be noted is told as a flaw, a clause that follows "because"; the step goes on as if nobody looked.
Sources: torch documentation, torch.utils._python_dispatch.TorchDispatchMode, torch.Tag.nondeterministic_seeded.
"""

import functools
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from reference.arrays import Array
from torch_mirror.training.calls import Call, Look, Start, Wanted, extents, looks_in, needed, peak, tensors_in

NARROW = frozenset(
    dtype for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype) and (dtype.is_floating_point or dtype.is_complex) and dtype.itemsize < 4
)  # fmt: skip
"""Numbers of less than float32."""


READ, LITERAL = torch.ops.aten._local_scalar_dense.default, torch.ops.aten.lift_fresh.default  # noqa: SLF001 - as torch calls it
"""What .item() asks for, and torch.tensor(0.1), and torch.from_numpy as well."""

LITERALS = 16
"""Numbers that somebody writes down: what becomes a tensor with more of them may have been computed by NumPy."""

LEAST, TIMES = 256_000_000, 8
"""Bytes that a step may take beside itself: so many, or so many times those of data, parameters and what is asked for.

In float64 these take twice their bytes, so that six times is left for what lies between."""

CALL = 2000
"""Bytes that an operation takes as a note, about."""


class TooLargeError(Exception):
    """How many bytes are too many; a clause that follows "because"."""

    def __init__(self, taken: int, most: int) -> None:
        super().__init__(
            f"doing its last step once more takes at least {taken / 1e6:,.0f} MB, and at most {most / 1e6:,.0f} MB are "
            "spent on that: a smaller batch takes less, and with formulas=False it is not asked for"
        )



class Noted(TorchDispatchMode):  # type: ignore[no-untyped-call]  # untyped in torch
    """Notes what is asked of torch within it; of the step of a run that has this number."""

    def __init__(self, step: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in torch
        self.step = step
        self.calls: list[Call] = []
        self.starts: dict[int, Start] = {}
        self.wanted: dict[str, Wanted] = {}
        self.flaw = ""
        self.reads = False                   # whether a number was read from a tensor of floats, as by .item()
        self.created: set[int] = set()       # storages of what was made of no tensor: torch.zeros, torch.tensor(0.1)
        self.exact: set[int] = set()         # storages of which both sides have the same numbers
        self._varying: set[int] = set()      # storages of what depends on these
        self._numbers: dict[int, tuple[Any, int]] = {}  # by address the storage, held weakly, and its number
        self._reused = 0                     # addresses that were another storage's before
        self._looked: dict[int, Tensor] = {}  # of each storage that nothing here has made a tensor that sees it
        self._given_bytes = self._taken = 0  # of data and parameters; of what is copied or kept for being noted

    def __torch_dispatch__(
        self, func: Any, _: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = None if self.flaw else self._given(func, args, kwargs or {})
        result = func(*args, **(kwargs or {}))
        if given is not None:
            self._done(func, *given, result)
        return result

    def _given(self, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        """The arguments, with looks for tensors; what is written to is copied before."""
        try:
            noted = _mapped(args, self._look), _mapped(kwargs, self._look)
            if _facts(func).written:
                for t in tensors_in((args, kwargs)):
                    self._keep(t)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not the user's
            self._give_up(f"{func} cannot be noted", error)
            return None
        return noted

    def _done(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """With the results, of which those that were drawn are copied."""
        found = tuple(tensors_in(result))
        if func is READ:
            self.reads = self.reads or args[0].dtype.is_floating_point
            return
        try:
            if func is LITERAL or not any(True for _ in looks_in((args, kwargs))):
                made_here = {self._look(t).storage for t in found}
                self._take(sum(t.nbytes for t in found))
                self.created |= made_here if func is not LITERAL or found[0].numel() <= LITERALS else set()
                return
            made = tuple(self._look(t, made=True) for t in found)
            used = [look.storage for look in looks_in((args, kwargs))]
            facts, here = _facts(func), {look.storage for look in made}
            written, varies = _written(facts, args, kwargs), not self._varying.isdisjoint(used)
            random = _draws(facts, args, kwargs)
            if varies and random and not facts.of_shapes and not (written and len(used) == 1):
                raise TypeError("it draws random numbers and computes with them at once")
            if varies:
                self._varying |= here | written
            told = written <= here if written else here.isdisjoint(used)  # by its results, which are no views
            copied = random or (told and not varies)
            self._take(CALL + (sum(t.nbytes for t in found) if copied else 0))
            came = tuple(t.clone() for t in found) if copied else ()
        except Exception as error:  # noqa: BLE001 - as above
            self._give_up(f"{func} cannot be noted", error)
            return
        self.calls.append(Call(func, args, kwargs, made, frozenset(here | written), came, random))

    def _look(self, t: Tensor, *, made: bool = False) -> Look:
        """The tensor as a look. made: whether an operation that is noted has made it."""
        if type(t) not in (Tensor, nn.Parameter):
            raise TypeError(f"a tensor of the class {type(t).__name__}")
        if t.dtype in NARROW:
            raise TypeError(f"numbers of {str(t.dtype).removeprefix('torch.')}")
        look = self._look_at(t)
        if look.storage not in self.starts and look.storage not in self._looked and not made:
            self._looked[look.storage] = t
        elif made and look.storage not in self._looked:
            self.starts.setdefault(look.storage, _nothing(t.dtype))
        return look

    def _look_at(self, t: Tensor) -> Look:
        return Look(self._number(t), t.dtype, tuple(t.shape), t.stride(), int(t.storage_offset()))

    def _number(self, t: Tensor) -> int:
        """That of its storage, which no other has: its address, or where another has died there, a new one below 0."""
        storage, here = t.untyped_storage(), storage_of(t)
        found, number = self._numbers.get(here, (None, here))
        if found is None or found() is not storage:
            if found is not None:
                self._reused += 1
                number = -self._reused
            self._numbers[here] = weakref.ref(storage), number
        return number

    def _keep(self, t: Tensor) -> None:
        """A copy of what is in its storage, where that is not known yet."""
        here = self._number(t)
        if here in self._looked and here not in self.starts:
            self._take(t.untyped_storage().nbytes())
            self.starts[here] = Start(whole(t).clone())

    def _take(self, some: int) -> None:
        """So many bytes more. Raises TooLargeError where they are too many."""
        self._taken += some
        if self._taken > self.most:
            raise TooLargeError(self._taken, self.most)

    def _give_up(self, what: str, error: Exception) -> None:
        """Say so, and let go of all that is noted."""
        self.flaw = self.flaw or (str(error) if isinstance(error, TooLargeError) else f"{what}: {_said(error)}")
        self.calls, self.starts, self.wanted, self._looked, self._numbers = [], {}, {}, {}, {}

    @property
    def most(self) -> int:
        """Bytes that may be spent on it."""
        return max(LEAST, TIMES * self._given_bytes)

    def of(self, exact: Iterable[Tensor]) -> "Noted":
        """Itself, for a step on these data and parameters, of which both sides have the same numbers."""
        some = [*exact]
        self.exact = {self._number(t) for t in some}
        self._given_bytes = sum(t.nbytes for t in some)
        self._varying = set(self.exact)
        return self

    def close(self, wanted: Mapping[str, tuple[Tensor | None, Callable[[Array], Array]]]) -> None:
        """The step is done: note where the tensors are that are asked for, and what the storages started from."""
        try:
            self._close(wanted)
        except Exception as error:  # noqa: BLE001 - as above
            self._give_up("its tensors cannot be found", error)

    def _close(self, wanted: Mapping[str, tuple[Tensor | None, Callable[[Array], Array]]]) -> None:
        if self.flaw:
            return
        known = self.starts.keys() | self._looked.keys()
        for name, (t, of) in wanted.items():
            if t is not None and t.layout is torch.strided and self._number(t) in known:
                self.wanted[name] = Wanted(self._look_at(t), of)
                self._given_bytes += t.nbytes
        self.calls = needed(self.calls, {w.look.storage for w in self.wanted.values()})
        looks = [w.look for w in self.wanted.values()]
        seen = extents([*(look for call in self.calls for look in call.looks), *looks])
        at_once = peak(self.calls, seen, {w.look.storage for w in self.wanted.values()})
        if at_once > self.most:
            raise TooLargeError(at_once, self.most)
        self.starts = {here: start for here, start in self.starts.items() if here in seen}
        for here, t in self._looked.items():
            if here in seen and here not in self.starts:
                first, end = seen[here].first, seen[here].end
                self.starts[here] = Start(whole(t)[first:max(first, end)].clone(), first)
        self._looked = {here: t for here, t in self._looked.items() if here in seen and t.dtype.is_floating_point}

    @property
    def given(self) -> dict[int, Tensor]:
        """Of each storage of floats that no operation has made, a tensor that sees it."""
        return dict(self._looked)


@functools.cache
def _nothing(dtype: torch.dtype) -> Start:
    """Of a storage that an operation has made."""
    return Start(torch.empty(0, dtype=dtype))


def storage_of(t: Tensor) -> int:
    """The address of its storage, which is no other's for as long as that lives."""
    return int(t.untyped_storage()._cdata)  # noqa: SLF001 - an address that is no data's: a storage may be empty


def whole(t: Tensor) -> Tensor:
    """All of the tensor's storage, (length,)."""
    return torch.empty(0, dtype=t.dtype).set_(t.untyped_storage())


def _mapped(tree: Any, f: Callable[[Tensor], Any]) -> Any:
    """The same arguments, with f of each tensor."""
    if isinstance(tree, Tensor):
        return f(tree)
    if isinstance(tree, Mapping):
        return {name: _mapped(part, f) for name, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(_mapped(part, f) for part in tree)
    return tree


class _Facts(NamedTuple):
    """What torch says of an operation."""

    written: tuple[tuple[int, str], ...]  # the arguments that it writes to, by place and name
    draws: bool                           # whether it is one that draws random numbers
    dropout: tuple[int, Any] | None       # the place of its dropout, and what it is by itself
    of_shapes: bool                       # whether what it draws goes by shapes alone, or is of no use but to choose


@functools.cache
def _facts(func: Any) -> _Facts:
    arguments = list(enumerate(func._schema.arguments))  # noqa: SLF001 - torch has no other word for it
    name = str(func).removeprefix("aten.").partition(".")[0]
    return _Facts(
        tuple((i, a.name) for i, a in arguments if a.alias_info is not None and a.alias_info.is_write),
        torch.Tag.nondeterministic_seeded in func.tags,
        next(((i, a.default_value) for i, a in arguments if a.name == "dropout_p"), None),
        name.endswith("_like") or name in ("bernoulli", "multinomial"),
    )


def _draws(facts: _Facts, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether random numbers are drawn: attention with a dropout of 0 draws none."""
    if not facts.draws or facts.dropout is None:
        return facts.draws
    place, given = facts.dropout
    return bool(args[place] if place < len(args) else kwargs.get("dropout_p", given))


def _written(facts: _Facts, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> set[int]:
    """The storages that are written to."""
    to = [kwargs.get(name, args[i] if i < len(args) else None) for i, name in facts.written]
    return {look.storage for look in looks_in(to)}


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
