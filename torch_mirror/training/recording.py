"""What is kept of a torch training run, and at which cost.

Every forward pass makes new tensors, so a reference to them is enough; only what may be written to again, the
parameters, their gradients and the optimizer's state, is copied. A segment of steps shares one block of memory a
tensor with all others: fresh memory is slow memory.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from reference.arrays import Array
from reference.errors import InputError
from torch_mirror.training.places import Place

HALF = (torch.bfloat16, torch.float16)
"""Precisions of which no radii are known."""


class Parameters:
    """A parameter after each step of a segment; copied by NumPy, for which a small one is a third of torch's work."""

    def __init__(self, place: Place, size: int) -> None:
        self.place = place
        self.weight = place.weight.detach().numpy()  # the same memory, which the optimizer writes to
        self.room = np.empty((size + 1, *self.weight.shape), self.weight.dtype)
        self.slots = [self.room[i, ...] for i in range(size + 1)]

    def keep(self, step: int) -> None:
        self.slots[step][...] = self.weight

    def kept(self, steps: int) -> Array:
        return self.place.of(self.room[: steps + 1])


class State:
    """One tensor of the optimizer's state after each step of a segment; NaN where the optimizer has none.

    before: what it is before the first step, where torch makes it at the first step only; started: that is past.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, place: Place, key: str, before: Array, size: int, *, started: bool
    ) -> None:
        self.optimizer, self.place, self.key = optimizer, place, key
        self.before = torch.from_numpy(np.array(before))
        weight = place.weight
        self.room = _room((size + 1, *(weight.shape if self.before.ndim else ())), weight)
        self.of = place.of if self.before.ndim else lambda value: value  # one number a parameter has no layout
        self.started = started

    def keep(self, step: int) -> None:
        value = self.optimizer.state.get(self.place.weight, {}).get(self.key)
        if value is not None:
            self.room[step] = value
        elif self.started:
            self.room[step] = torch.nan
        else:
            self.of(self.room[step]).copy_(self.before)
        self.started = True

    def kept(self, steps: int) -> Array:
        return self.of(self.room[: steps + 1]).numpy()


Source: TypeAlias = Callable[[Tensor], Tensor | None] | None


class Gradients:
    """The parameters' gradients at each step, copied: whether somebody writes to one later is not known in time.

    source: what a parameter's gradient is read from, where that is not the parameter.
    """

    def __init__(self, of: Mapping[str, Place], size: int, source: Source = None) -> None:
        self.of, self.source = of, source
        self.rooms = {name: _room((size, *place.weight.shape), place.weight) for name, place in of.items()}
        self.weights = [(name, place.weight, list(self.rooms[name].unbind())) for name, place in of.items()]

    def keep(self, rows: Mapping[str, list[Any]], step: int) -> None:
        """Copy those of this step. rows: by name, to which None is added where torch has no gradient."""
        for name, weight, slots in self.weights:
            gradient = weight.grad if self.source is None else self.source(weight)
            if gradient is not None:
                if gradient.layout is not torch.strided:  # as nn.Embedding(sparse=True) has it
                    gradient = gradient.to_dense()
                slots[step].copy_(gradient.detach() if gradient.requires_grad else gradient)
            elif self.source is None and weight.requires_grad:
                slots[step].zero_()  # torch's None where the loss does not depend on a parameter
            else:
                rows[name].append(None)

    def stacked(self, name: str, rows: Sequence[None], steps: int) -> Array:
        """(steps, ...). Raises InputError where one of them is missing, which the rows tell."""
        if rows:
            raise _missing(name)
        return self.of[name].of(self.rooms[name][:steps]).numpy()


def _room(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Memory for numbers such as those of the tensor."""
    return torch.empty(shape, dtype=like.dtype, device=like.device)


class Hooks:
    """Gradients caught as torch accumulates them, for a training step that clears them itself.

    changed: the weights whose gradient was another one when the optimizer stepped, as of a loop that clips or divides:
    which of the two the experiment means nobody can know, so that neither is kept.
    """

    def __init__(self, places: Mapping[str, Place], optimizer: torch.optim.Optimizer) -> None:
        self.caught: dict[Tensor, Tensor] = {}
        self.changed: set[Tensor] = set()
        self.handles = [
            place.weight.register_post_accumulate_grad_hook(self._catch)  # type: ignore[no-untyped-call]  # untyped in torch
            for place in places.values()
            if place.weight.requires_grad
        ]
        self.handles.append(optimizer.register_step_pre_hook(self._compare))

    def _catch(self, weight: Tensor) -> None:
        if weight.grad is not None:
            self.caught[weight] = weight.grad.clone()

    def _compare(self, *_: Any) -> None:
        for weight, caught in self.caught.items():
            if weight.grad is not None and not _same(dense(weight.grad), dense(caught)):
                self.changed.add(weight)

    def unclear(self, of: Mapping[str, Place]) -> set[str]:
        """The names of these gradients that are not kept, as a step of the loop has changed one of them."""
        return {name for name, place in of.items() if place.weight in self.changed}

    def take(self, weight: Tensor) -> Tensor | None:
        """The last gradient of this step."""
        return self.caught.pop(weight, None)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether each number is that of the other, a NaN too: one that a loop makes 0 has been changed."""
    return bool(((a == b) | (a.isnan() & b.isnan())).all())


def dense(a: Tensor) -> Tensor:
    """Without its history; as an ordinary tensor, which nn.Embedding(sparse=True) has no gradient of."""
    return a.detach().to_dense() if a.is_sparse else a.detach()


class Record:
    """What a segment's steps leave: a row of tensors a name. ``retained``: those that are to keep their gradient."""

    def __init__(self, names: Sequence[str], retained: set[str]) -> None:
        self.rows: dict[str, list[Any]] = {name: [] for name in (*names, *retained)}
        self.versions: dict[str, list[int]] = {name: [] for name in self.rows}
        self.retained = retained
        self.step = 0  # of the segment

    def sow(self, name: str, value: Tensor) -> Tensor:
        row = self.rows.get(name)
        if row is not None:
            if not isinstance(value, Tensor):
                expected = "a tensor from the torch module: a module around it may take out what is meant"
                raise InputError(f"tensor {name}", expected, type(value).__name__)
            if len(row) > self.step:
                raise InputError(f"tensor {name}", "to be sown once a step by the torch module", "a second value")
            if value.dtype in HALF:
                expected = "float32 or float64, whose radii are known, from the torch module"
                raise InputError(f"tensor {name}", expected, f"{value.dtype}: is autocast on, or a part of it half?")
            row.append(value)
            self.versions[name].append(value._version)  # noqa: SLF001 - torch's only word for a write in place
            if name in self.retained:
                check_in_graph(name, value)
                value.retain_grad()
        return value

    def gradients_of(self, name: str) -> list[Tensor | None]:
        """Of each step; 0 where torch keeps None: the value is in the graph, and the loss does not depend on it."""
        return [torch.zeros_like(value) if value.grad is None else value.grad for value in self.rows[name]]

    def check_sown(self, shapes: Mapping[str, tuple[int, ...]], *, all_of_them: bool) -> None:
        """Raise InputError where the first step has not sown one of these, or in another shape."""
        for name, shape in shapes.items():
            row = self.rows[name]
            if not row and all_of_them:
                raise InputError(f"tensor {name}", "one value a step from the torch module", "none: is it sown?")
            if row and tuple(row[0].shape) != shape:
                raise InputError(f"tensor {name} of the torch module", f"shape {shape}", f"shape {tuple(row[0].shape)}")

    def finished(self) -> dict[str, list[Any]]:
        """The rows. Raises InputError if a tensor was written to after it was sown, as by nn.ReLU(inplace=True)."""
        for name, seen in self.versions.items():
            for value, version in zip(self.rows[name], seen, strict=False):
                if value._version != version:  # noqa: SLF001 - as above
                    came = "one overwritten in place (nn.ReLU(inplace=True)?): sow a clone of it"
                    raise InputError(f"tensor {name}", "a value that stays as it was sown", came)
        return self.rows


def check_in_graph(name: str, value: Tensor) -> None:
    """Raise InputError for a value whose gradient torch cannot tell."""
    if not value.requires_grad:
        raise InputError(f"tensor {name}", "a value of torch that depends on the parameters", "one detached from them")


def stacked(name: str, rows: Sequence[Tensor | None], room: dict[str, Tensor], size: int, *, copy: bool) -> Array:
    """One array from the tensors of all steps, along a new first axis; smaller batches are filled up with NaN.

    copy: whether a single one is copied as well.
    """
    if not rows:
        raise InputError(f"tensor {name}", "one value a step from the torch module", "none: is it sown?")
    if any(row is None for row in rows):
        raise _missing(name)
    tensors: list[Tensor] = rows  # type: ignore[assignment]  # the None are excluded above
    with torch.no_grad():
        if len(tensors) == 1 and not copy:
            return tensors[0].detach()[None].numpy()
        shape = max(tuple(row.shape) for row in tensors[:2])  # one of two in a row is a whole batch's
        if name not in room:
            room[name] = torch.empty((size, *shape), dtype=tensors[0].dtype, device=tensors[0].device)
        out = room[name][: len(tensors)]
        try:
            return torch.stack(tensors, out=out).numpy()
        except RuntimeError:  # some are smaller
            out.fill_(torch.nan if out.is_floating_point() else 0)
            for space, row in zip(out, tensors, strict=True):
                space[tuple(slice(n) for n in row.shape)] = row
            return out.numpy()


def _missing(name: str) -> InputError:
    return InputError(f"tensor {name}", "a gradient from torch", "None: is it part of the graph?")
