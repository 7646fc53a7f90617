"""Copies of a module and of its loss that act on nothing of the original's: code is copied with what it reaches.

``copy.deepcopy`` shares functions: a loss ``lambda y, t: mse(y, t) + decay(net)`` would go on with the original net. So
a function is made anew, on copies of what it closes over and of the global variables that it names; what it writes to
is then a copy, too. A method is shared with all objects of its class, and cannot be made anew: NotCopiedError says so
where one reaches what could be changed by it. Sources: Python documentation, copy.deepcopy (memo), types.FunctionType.
"""

import copy
import dis
import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
"""Where a module keeps them."""

OF_A_WEIGHT = ("_backward_hooks", "_post_accumulate_grad_hooks")

PLAIN = (int, float, complex, str, bytes, bool, type(None), type, types.ModuleType, types.BuiltinFunctionType,
         torch.dtype, torch.device)  # fmt: skip
"""What code may reach and cannot change."""

KNOWN = frozenset({"torch", "torch_mirror", "math", "numpy", "functools", "operator", "itertools", "typing"})
"""Packages whose code does nothing on the side."""


class NotCopiedError(Exception):
    """Why something cannot be copied; a clause that follows "because"."""


def copied(module: nn.Module, criterion: Any) -> tuple[nn.Module, Any]:
    """Both, where no memory is shared with them, and no call of the copies shows. Raises NotCopiedError."""
    others = criterion.modules() if isinstance(criterion, nn.Module) else ()
    for m in (*module.modules(), *others):
        _check(m)
    if nn.modules.module._has_any_global_hook():  # type: ignore[no-untyped-call]  # noqa: SLF001 - torch has no other way to ask
        raise NotCopiedError("hooks of all modules are set, which would be called twice")
    memo: dict[int, Any] = {}
    twin = copy.deepcopy(module, memo)
    if twin is module or _memory(module) & _memory(twin):
        raise NotCopiedError("its copy shares memory with it")
    for m in twin.modules():
        for name, value in list(vars(m).items()):
            if isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
                vars(m)[name] = _copy(value, memo)
    return twin, _copy(criterion, memo)


def is_known(f: Any) -> bool:
    """Whether it is code of torch's or of ours."""
    return str(getattr(f, "__module__", "") or "").partition(".")[0] in KNOWN


def _check(m: nn.Module) -> None:
    weights = (*m.parameters(recurse=False), *m.buffers(recurse=False))
    if any(getattr(m, kind, None) for kind in HOOKS) or any(getattr(w, k, None) for w in weights for k in OF_A_WEIGHT):
        raise NotCopiedError(f"{type(m).__name__} has hooks, which would be called twice")
    if isinstance(m, torch.jit.ScriptModule) or hasattr(m, "_orig_mod"):
        raise NotCopiedError(f"{type(m).__name__} is compiled")
    for method in _methods(type(m)):
        _check_reach(method, set())


def _memory(module: nn.Module) -> set[int]:
    held = (*module.parameters(), *module.buffers())
    return {w.untyped_storage().data_ptr() for w in held if w.numel()}


def _copy(value: Any, memo: dict[int, Any]) -> Any:
    """A copy; of a function as well, with what it reaches."""
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, functools.partial):
        return functools.partial(
            _copy(value.func, memo), *(_copy(a, memo) for a in value.args),
            **{name: _copy(a, memo) for name, a in value.keywords.items()},
        )  # fmt: skip
    if isinstance(value, types.MethodType):
        return types.MethodType(_copy(value.__func__, memo), _copy(value.__self__, memo))
    if not inspect.isfunction(value) or is_known(value):
        return copy.deepcopy(value, memo)
    cells = tuple(types.CellType() for _ in value.__closure__ or ())
    around = dict(value.__globals__)
    made = types.FunctionType(value.__code__, around, value.__name__, value.__defaults__, cells)
    made.__kwdefaults__, made.__module__ = copy.deepcopy(value.__kwdefaults__, memo), value.__module__
    memo[id(value)] = made  # before what it reaches, which may be itself
    for cell, own in zip(cells, value.__closure__ or (), strict=True):
        cell.cell_contents = _copy(own.cell_contents, memo)
    for name in names_in(value.__code__) & around.keys():
        if not isinstance(around[name], PLAIN):
            around[name] = _copy(around[name], memo)
    return made


def names_in(code: types.CodeType) -> set[str]:
    """Names of variables and attributes in a function, and in those that are defined in it."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*(names_in(c) for c in inner))


def _methods(cls: type) -> Iterator[Callable[..., Any]]:
    """Those of somebody's own classes."""
    for kind in cls.__mro__:
        if not is_known(kind) and kind is not object:
            yield from (f for f in vars(kind).values() if inspect.isfunction(f))


def _check_reach(f: Any, seen: set[int]) -> None:
    """Raise NotCopiedError where code that is not copied reaches what it may change."""
    if id(f) in seen or is_known(f):
        return
    seen.add(id(f))
    if any(i.opname == "STORE_GLOBAL" for i in dis.get_instructions(f)):
        raise NotCopiedError(f"{f.__name__} writes to a global variable, which would be done twice")
    closed = {n: c.cell_contents for n, c in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)}
    reached = {name: f.__globals__[name] for name in names_in(f.__code__) & f.__globals__.keys()}
    for name, value in {**reached, **closed}.items():
        if inspect.isfunction(value):
            _check_reach(value, seen)
        elif not _is_safe(value):
            said = f"{f.__name__} reaches {name}, which is no part of the module, and may act on it twice"
            raise NotCopiedError(said)


def _is_safe(value: Any) -> bool:
    """Whether code that reaches it changes nothing by that."""
    if isinstance(value, nn.Module):
        held = any(True for _ in (*value.parameters(), *value.buffers()))
        own = all(is_known(type(part)) and not any(getattr(part, k) for k in HOOKS) for part in value.modules())
        return own and not held
    if isinstance(value, (tuple, frozenset)):
        return all(_is_safe(part) for part in value)
    return isinstance(value, PLAIN) or (is_known(value) and not isinstance(value, Tensor))
