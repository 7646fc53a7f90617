"""What operations of float32 give in float64: the same ones, in the same order, on the same numbers.

Every number of float32 is one of float64, so what a step started from is taken as it is; a Python number among the
arguments (0.1, an eps) is what float32 makes of it, as it was in the run. What was drawn at random is what was drawn.
Whole numbers and masks are computed anew, by the operations that made them.

``by`` moves constants: each that is no whole number to c (1 + u) or c (1 - u), u half a unit in the last place of
float32, at random. So it shows what of a result rests on how a constant was rounded, be it by what it cancels with.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reference.arrays import Array
from torch_mirror.training.operations import Call, Look, Noted, Start, looks_in, whole

WIDE = {torch.float32: torch.float64, torch.complex64: torch.complex128}

HALF_ULP = 2.0**-24


class NoTwinError(Exception):
    """Why a step cannot be told in float64; a clause that follows "because"."""


def in_float64(noted: Noted, constants: Collection[int] = (), seed: int | None = None) -> dict[str, Array]:
    """The tensors that were asked for, by name, each (1, ...), in float64.

    constants: the storages of which the numbers are moved, with all numbers among the arguments, if there is a seed.
    Raises NoTwinError where the operations do not run so.
    """
    if noted.flaw:
        raise NoTwinError(noted.flaw)
    by = None if seed is None else _moving(seed)
    held = {
        here: _widened(start, by if here in constants else None) for here, start in noted.starts.items() if len(start.values)
    }
    with torch.no_grad():
        for call in noted.calls:
            try:
                _again(call, held, by)
            except Exception as error:  # whatever torch raises in float64
                said = " ".join(str(error).split())[:200]
                raise NoTwinError(f"{call.operation} does not run in float64: {said}") from error
        return {
            name: w.of(_seen(w.look, held)[None].numpy().copy()) for name, w in noted.wanted.items()
        }


Held = dict[int, Start]
"""What is in each storage now."""


def _again(call: Call, held: Held, by: Callable[[Tensor], Tensor] | None) -> None:
    """Do the operation to what is held."""
    args, kwargs = (_mapped(tree, held, by) for tree in (call.args, call.kwargs))
    if call.drawn:
        results: tuple[Tensor, ...] = tuple(t.to(WIDE.get(t.dtype, t.dtype)) for t in call.drawn)
    else:
        came = call.operation(*args, **kwargs)
        results = tuple(t for t in (came if isinstance(came, (tuple, list)) else (came,)) if isinstance(t, Tensor))
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


def _widened(start: Start, by: Callable[[Tensor], Tensor] | None) -> Start:
    values = start.values.to(WIDE.get(start.values.dtype, start.values.dtype), copy=True)
    return Start(by(values) if by is not None and values.is_floating_point() else values, start.first)


def _mapped(tree: Any, held: Held, by: Callable[[Tensor], Tensor] | None) -> Any:
    """The arguments of an operation, in float64."""
    if isinstance(tree, Look):
        return _seen(tree, held)
    if isinstance(tree, torch.dtype):
        return WIDE.get(tree, tree)
    if type(tree) is float:
        rounded = torch.tensor(float(np.float32(tree)), dtype=torch.float64)
        return float(rounded if by is None else by(rounded))
    if isinstance(tree, Mapping):
        return {name: _mapped(part, held, by) for name, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(_mapped(part, held, by) for part in tree)
    return tree


def _moving(seed: int) -> Callable[[Tensor], Tensor]:
    """What moves numbers that are not whole by half a unit in the last place, up or down, in an order of its own."""
    draw = np.random.default_rng(seed)

    def moved(values: Tensor) -> Tensor:
        signs = torch.from_numpy(draw.choice((-1.0, 1.0), size=tuple(values.shape)))
        return torch.where(values == values.round(), values, values * (1 + HALF_ULP * signs))

    return moved
