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

What cannot be noted is told as a flaw, a clause that follows "because"; the step goes on as if nobody looked.
Sources: torch documentation, torch.utils._python_dispatch.TorchDispatchMode, torch.Tag.nondeterministic_seeded.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from reference.arrays import Array

NARROW = frozenset(
    dtype for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype) and (dtype.is_floating_point or dtype.is_complex) and dtype.itemsize < 4
)  # fmt: skip
"""Numbers of less than float32."""


READ, LITERAL = torch.ops.aten._local_scalar_dense.default, torch.ops.aten.lift_fresh.default  # noqa: SLF001 - as torch calls it
"""What .item() asks for, and torch.tensor(0.1), and torch.from_numpy as well."""

LITERALS = 16
"""Numbers that somebody writes down: what becomes a tensor with more of them may have been computed by NumPy."""


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

    came: what the results were, of one that draws at random, and of one that has constants alone to go by.
    """

    operation: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: tuple[Look, ...]
    came: tuple[Tensor, ...] = ()
    random: bool = False


class Start(NamedTuple):
    """What part of a storage is before anything writes to it: (length,), from the first element that is seen."""

    values: Tensor
    first: int = 0


class Wanted(NamedTuple):
    """A tensor that is asked for; of: from its array, with an axis in front, to the reference's layout."""

    look: Look
    of: Callable[[Array], Array]


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
        self._alive: list[Tensor] = []       # so that no storage has the number of another
        self._looked: dict[int, Tensor] = {}  # of each storage that nothing here has made a tensor that sees it

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
            self.flaw = self.flaw or f"{func} cannot be noted: {_said(error)}"
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
            came = tuple(t.clone() for t in found) if random or (told and not varies) else ()
        except Exception as error:  # noqa: BLE001 - as above
            self.flaw = self.flaw or f"{func} cannot be noted: {_said(error)}"
            return
        self.calls.append(Call(func, args, kwargs, made, came, random))

    def _look(self, t: Tensor, *, made: bool = False) -> Look:
        """The tensor as a look. made: whether an operation that is noted has made it."""
        if type(t) not in (Tensor, nn.Parameter):
            raise TypeError(f"a tensor of the class {type(t).__name__}")
        if t.dtype in NARROW:
            raise TypeError(f"numbers of {str(t.dtype).removeprefix('torch.')}")
        look = look_at(t)
        if look.storage not in self.starts and look.storage not in self._looked and not made:
            self._looked[look.storage] = t
        elif made and look.storage not in self._looked:
            self.starts.setdefault(look.storage, Start(torch.empty(0, dtype=t.dtype)))
        self._alive.append(t)
        return look

    def _keep(self, t: Tensor) -> None:
        """A copy of what is in its storage, where that is not known yet."""
        here = storage_of(t)
        if here in self._looked and here not in self.starts:
            self.starts[here] = Start(whole(t).clone())

    def of(self, exact: Iterable[Tensor]) -> "Noted":
        """Itself, for a step on these data and parameters, of which both sides have the same numbers."""
        self.exact = {storage_of(t) for t in exact}
        self._varying = set(self.exact)
        return self

    def close(self, wanted: Mapping[str, tuple[Tensor | None, Callable[[Array], Array]]]) -> None:
        """The step is done: note where the tensors are that are asked for, and what the storages started from."""
        try:
            self._close(wanted)
        except Exception as error:  # noqa: BLE001 - as above
            self.flaw = self.flaw or f"its tensors cannot be found: {_said(error)}"

    def _close(self, wanted: Mapping[str, tuple[Tensor | None, Callable[[Array], Array]]]) -> None:
        if self.flaw:
            return
        known = self.starts.keys() | self._looked.keys()
        for name, (t, of) in wanted.items():
            if t is not None and t.layout is torch.strided and storage_of(t) in known:
                self.wanted[name] = Wanted(look_at(t), of)
        seen: dict[int, list[Look]] = {}
        for call in self.calls:
            for look in looks_in((call.args, call.kwargs)):
                seen.setdefault(look.storage, []).append(look)
        for here, t in self._looked.items():
            if here not in self.starts:
                looks = seen.get(here, [look_at(t)])
                first, end = min(look.offset for look in looks), max(look.end for look in looks)
                self.starts[here] = Start(whole(t)[first:max(first, end)].clone(), first)
        self._looked = {here: t for here, t in self._looked.items() if t.dtype.is_floating_point}

    @property
    def given(self) -> dict[int, Tensor]:
        """Of each storage of floats that no operation has made, a tensor that sees it."""
        return dict(self._looked)


def look_at(t: Tensor) -> Look:
    """The tensor as a look."""
    return Look(storage_of(t), t.dtype, tuple(t.shape), t.stride(), int(t.storage_offset()))


def storage_of(t: Tensor) -> int:
    """The number of its storage, for as long as that lives."""
    return int(t.untyped_storage()._cdata)  # noqa: SLF001 - an address that is no data's: a storage may be empty


def whole(t: Tensor) -> Tensor:
    """All of the tensor's storage, (length,)."""
    return torch.empty(0, dtype=t.dtype).set_(t.untyped_storage())


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
