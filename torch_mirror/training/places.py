"""Where the reference's parameters are in a torch module: by name, in the layout that it tells, never by guess."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from reference.arrays import Array
from reference.claim.tree import zip_with
from reference.errors import InputError, UnknownNameError
from reference.layouts import AXES, LAYOUTS

COMPILED = "_orig_mod."
"""What torch.compile puts before the names of the module that it wraps."""


class Place(NamedTuple):
    """Where a reference parameter is in the module."""

    weight: nn.Parameter
    name: str         # in the state dict
    layout: str = ""  # of LAYOUTS; "" for torch's own

    def of(self, value: Any) -> Any:
        """A tensor or array of the module's shape, with any axes in front, as the reference has it."""
        return LAYOUTS[self.layout].view(value) if self.layout else value


def places(module: nn.Module, names: Mapping[str, str], wanted: Mapping[str, Any]) -> dict[str, Place]:
    """The module's parameter for each of the reference's. Raises InputError for a name that it does not have."""
    own = dict(module.named_parameters(remove_duplicate=False))  # a shared one may be told by any of its names
    for name in names:
        if name not in wanted:
            raise UnknownNameError("parameter among the names of the session:", name, list(wanted))
    found: dict[str, Place] = {}
    for name in wanted:
        told = names.get(name, name)
        if not isinstance(told, str):
            raise InputError(f"name of parameter {name}", "one of the module's state dict, as text", repr(told))
        where, layout = parted(told, own)
        if where not in own:
            raise _unknown(name, told, where, module)
        found[name] = Place(own[where], where, layout)
    return found


def parted(told: str, own: Iterable[str]) -> tuple[str, str]:
    """``0.weight.T`` as the module's own name, of those given, and the layout; a name that is none as it was told."""
    layout = next((suffix for suffix in LAYOUTS if told.endswith(suffix)), "")
    where, names = told.removesuffix(layout), list(own)
    compiled = (other for other in names if other.replace(COMPILED, "") == where)
    return (where if where in names else next(compiled, where)), layout


def load(module: nn.Module, names: Mapping[str, str], values: Mapping[str, Array]) -> dict[str, Place]:
    """Copy arrays into the module's parameters, bit for bit, and say where these are; no memory is shared with them.

    Raises InputError for another shape or dtype, and where two parameters are one tensor of the module but do not have
    the same numbers; nothing is transposed unless its name says so.
    """
    found = fitting(module, names, values)
    for name, place in found.items():
        with torch.no_grad():
            place.of(place.weight).copy_(tensor(values[name]))
    for name, place in found.items():
        if not np.array_equal(place.of(place.weight).detach().numpy(), values[name]):
            others = [other for other, at in found.items() if at.weight is place.weight and other != name]
            expected = f"the numbers of {', '.join(others)}, as all of them are {place.name} of the module"
            raise InputError(f"parameter {name}", expected, "others")
    return found


def fitting(module: nn.Module, names: Mapping[str, str], values: Mapping[str, Array]) -> dict[str, Place]:
    """Where the parameters are in the module. Raises InputError for another shape, dtype or device than the arrays'."""
    check_module(module)
    found = places(module, names, values)
    for name, place in found.items():
        value, target = values[name], place.weight
        if place.layout and target.ndim != LAYOUTS[place.layout].axes:
            axes = AXES[LAYOUTS[place.layout].axes]
            came = f"{place.layout} for one of shape {tuple(target.shape)}"
            raise InputError(f"name of parameter {name}", f"no {place.layout} where there {axes}", came)
        shape = tuple(place.of(target).shape)
        if shape != value.shape:
            hint = layout_hint(target, place.name, value.shape)
            raise InputError(f"parameter {name}", f"shape {shape}", f"shape {value.shape}{hint}")
        if target.dtype != tensor(value[..., :0] if value.ndim else value).dtype:
            cast = {"float64": "double", "float32": "float"}.get(str(value.dtype), "to")
            expected = f"dtype {value.dtype}, the precision of the run (module.{cast}())"
            raise InputError(f"parameter {name} of the module", expected, f"dtype {target.dtype}")
    return found


def check_trained(module_places: Iterable[tuple[str, Place]]) -> None:
    """Raise InputError for a parameter of the reference whose tensor in the module has no gradient."""
    for name, place in module_places:
        if not place.weight.requires_grad:
            expected = "one that is trained (requires_grad_()), or is no parameter of the reference either"
            raise InputError(f"parameter {name} of the module", expected, f"{place.name}, which is frozen")


def check_module(module: nn.Module) -> None:
    """Raise InputError for a module with a tensor that nothing can be computed with here.

    Such as one of a lazy layer that has no shape yet, or one on another device than the CPU, whose rounding is not
    the one that is judged.
    """
    parameters, buffers = module.named_parameters(remove_duplicate=False), module.named_buffers(remove_duplicate=False)
    for what, named in (("parameter", parameters), ("buffer", buffers)):
        for name, value in named:
            if nn.parameter.is_lazy(value):
                expected = "a shape: call the module once, on a first x, before the session"
                raise InputError(f"{what} {name} of the module", expected, "none yet, as its layer is lazy")
            if value.device.type != "cpu":
                way_out = "module.to_empty(device='cpu')" if value.is_meta else "module.cpu()"
                expected = f"one on the CPU ({way_out})"
                raise InputError(f"{what} {name} of the module", expected, f"one on {value.device}")


def tensor(array: Array) -> Tensor:
    """A copy of the array on the CPU; torch.from_numpy alone would share its memory, and not every layout will do.

    Whole numbers become int64, as torch wants its labels and indices.
    """
    dtype = np.int64 if array.dtype.kind in "iu" else array.dtype
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise InputError("an array of whole numbers", "numbers that torch's int64 can hold", str(array.max()))
    return torch.from_numpy(np.array(array, dtype, order="C"))


def tensors(tree: Any) -> Any:
    """A tree of arrays as one of tensors."""
    return zip_with(lambda _, a: tensor(a), tree)


def _unknown(name: str, told: str, where: str, module: nn.Module) -> InputError:
    """The error for a name that no parameter of the module has; another tensor may."""
    own = [other for other, _ in module.named_parameters(remove_duplicate=False)]
    above, _, last = where.rpartition(".")
    try:
        value = getattr(module.get_submodule(above), last)
    except AttributeError:
        value = None
    if isinstance(value, Tensor):
        expected = f"one of the module's {', '.join(own)}"
        came = f"{told}: a buffer, or computed of others at each step, as weight_norm does; map those others, or take"
        return InputError(f"parameter {name}", expected, f"{came} that off (parametrize.remove_parametrizations)")
    return InputError(f"parameter {name}", f"one of the module's {', '.join(own)}", told)


def layout_hint(weight: Tensor, name: str, shape: tuple[int, ...]) -> str:
    """The layout in which the module's parameter would have that shape, as a question; nothing if there is none."""
    fit = [suffix for suffix, layout in LAYOUTS.items() if weight.ndim == layout.axes]
    fit = [suffix for suffix in fit if tuple(LAYOUTS[suffix].view(weight).shape) == shape]
    fit = [""] if tuple(weight.shape) == shape else fit
    return f" (is it {name}{fit[0]}?)" if fit else ""
