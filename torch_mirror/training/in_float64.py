"""What operations of float32 give in float64: the same ones, in the same order, on the same numbers.

Every number of float32 is one of float64, so what a step started from is taken as it is; a Python number among the
arguments (0.1, an eps) is what float32 makes of it, as it was in the run. What was drawn at random is what was drawn,
and what was computed of constants alone is what float32 made of them. Whole numbers and masks of other things are
computed anew, by the operations that made them.

Where constants are ``moved``, each is one by itself: to c (1 + u), u half a unit in the last place of float32, of an
array each element up or down, by chance. What is computed of constants alone is then computed in float64. So it shows
what of a result rests on how a constant was rounded, be it by what it cancels with.

What no later operation sees is let go of, so that no more is held at once than a step holds by itself, in float64.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reference.arrays import Array
from torch_mirror.training.calls import Call, Look, Start, done_with, looks_in, tensors_in
from torch_mirror.training.operations import Noted, whole

WIDE = {torch.float32: torch.float64, torch.complex64: torch.complex128}

HALF_ULP = 2.0**-24

MOST = 16
"""Constants that are moved one by one."""


class NoTwinError(Exception):
    """Why a step cannot be told in float64; a clause that follows "because"."""


class Moved(NamedTuple):
    """By how much of themselves constants are moved: those in storages, and numbers among the arguments."""

    storages: Mapping[int, float] = {}
    numbers: Mapping[float, float] = {}


def constants(noted: Noted, storages: Iterable[int]) -> list[Moved]:
    """What may have been rounded to float32, each moved alone; none first, so that constants are computed anew only.

    storages: of constants. Whole numbers were not rounded. More than MOST share a move, up or down by chance.
    """
    some: list[int | float] = [here for here in storages if not _whole(noted.starts[here].values)]
    some += dict.fromkeys(x for call in noted.calls for x in _numbers((call.args, call.kwargs)) if not x.is_integer())
    signs = np.random.default_rng(0).choice((-1.0, 1.0), size=len(some))
    by = {x: HALF_ULP * float(sign) for x, sign in zip(some, signs, strict=True)}
    moves = [some[k::MOST] for k in range(min(MOST, len(some)))]
    return [Moved()] + [
        Moved({x: by[x] for x in m if isinstance(x, int)}, {x: by[x] for x in m if isinstance(x, float)}) for m in moves
    ]


def in_float64(noted: Noted, moved: Moved | None = None, *, rounded: bool = True) -> dict[str, Array]:
    """The tensors that were asked for, by name, each (1, ...), in float64.

    rounded: whether numbers among the arguments are rounded to float32; if not, a cause goes by what is written,
    1 + 1e-6 or N / (N - 1). Raises NoTwinError where the operations do not run so.
    """
    if noted.flaw:
        raise NoTwinError(noted.flaw)
    by = moved or Moved()

    def number(x: float) -> float:
        return (float(np.float32(x)) if rounded else x) * (1 + by.numbers.get(x, 0.0))

    held = {
        here: _widened(start, by.storages.get(here, 0.0)) for here, start in noted.starts.items() if len(start.values)
    }
    asked = {w.look.storage for w in noted.wanted.values()}
    with torch.no_grad():
        for call, done in zip(noted.calls, done_with(noted.calls, asked), strict=True):
            try:
                _again(call, held, number, anew=moved is not None)
            except Exception as error:  # whatever torch raises in float64
                said = " ".join(str(error).split())[:200]
                raise NoTwinError(f"{call.operation} does not run in float64: {said}") from error
            for here in done:
                held.pop(here, None)
        return {name: w.of(_seen(w.look, held)[None].numpy().copy()) for name, w in noted.wanted.items()}


Held = dict[int, Start]
"""What is in each storage now."""


def _again(call: Call, held: Held, number: Callable[[float], float], *, anew: bool) -> None:
    """Do the operation to what is held. anew: what rests on constants alone is computed, and not taken as it was."""
    args, kwargs = (_mapped(tree, held, number) for tree in (call.args, call.kwargs))
    if call.came and (call.random or not anew):
        results = [t.to(WIDE.get(t.dtype, t.dtype)) for t in call.came]
    else:
        results = [*tensors_in(call.operation(*args, **kwargs))]
    used = {held[look.storage].values.data_ptr() for look in looks_in((call.args, call.kwargs)) if look.storage in held}
    for look, result in zip(call.results, results, strict=True):
        _put(look, result, held, used)


def _put(look: Look, result: Tensor, held: Held, used: Collection[int]) -> None:
    """The result is what the look sees from now on. used: where the memory of the arguments begins."""
    if look.storage in held:
        here = _seen(look, held)
        if here.data_ptr() != result.data_ptr() or here.stride() != result.stride():
            here.copy_(result)
        return
    flat = whole(result)
    if (result.stride(), result.storage_offset()) == (look.strides, look.offset) and flat.data_ptr() not in used:
        held[look.storage] = Start(flat)
        return
    held[look.storage] = Start(torch.zeros(look.end, dtype=result.dtype))
    _seen(look, held).copy_(result)


def _seen(look: Look, held: Held) -> Tensor:
    """The tensor that the look is."""
    start = held.get(look.storage) or Start(torch.empty(0, dtype=WIDE.get(look.dtype, look.dtype)))
    flat = start.values.view(WIDE.get(look.dtype, look.dtype))
    return flat.as_strided(look.shape, look.strides, look.offset - start.first)


def _widened(start: Start, by: float) -> Start:
    values = start.values.to(WIDE.get(start.values.dtype, start.values.dtype), copy=True)
    if not by:
        return Start(values, start.first)
    signs = np.random.default_rng(1).choice((-1.0, 1.0), size=len(values)) if len(values) > 1 else np.ones(1)
    moved = values * torch.from_numpy(1 + by * signs)
    return Start(torch.where(values == values.round(), values, moved), start.first)


def _whole(values: Tensor) -> bool:
    return bool((values == values.round()).all())


def _numbers(tree: Any) -> Iterator[float]:
    """The floats among the arguments of an operation."""
    if type(tree) is float:
        yield tree
    elif isinstance(tree, Mapping):
        yield from (x for part in tree.values() for x in _numbers(part))
    elif isinstance(tree, (tuple, list)) and not isinstance(tree, Look):
        yield from (x for part in tree for x in _numbers(part))


def _mapped(tree: Any, held: Held, number: Callable[[float], float]) -> Any:
    """The arguments of an operation, in float64."""
    if isinstance(tree, Look):
        return _seen(tree, held)
    if isinstance(tree, torch.dtype):
        return WIDE.get(tree, tree)
    if type(tree) is float:
        return number(tree)
    if isinstance(tree, Mapping):
        return {name: _mapped(part, held, number) for name, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(_mapped(part, held, number) for part in tree)
    return tree
