"""A twin of somebody's torch module in float64, run for one step: what its formulas give where float32 hides nothing.

    one = twin_step(session, e64, step)        # a Trace of one step: values, loss, gradients, in float64

Float32 is exact in float64, so the twin starts from the very numbers of the run. It is a copy (copied.py), and the
module that it was copied from is not called: no hook of its fires again, no attribute or buffer of it is written to.
What its code does to a class, a default argument, a file or a setting of the process is done once more.

A twin tells nothing where it is not the same program in another precision. NoTwinError says so, and why:

    it cannot be copied, or a hook or code that is not copied would act twice
    it has a training step of its own
    any number of less than float64 that an operation takes or gives, as of h.float() or torch.tensor(0.1)
    numbers drawn at random, which in float64 are others
    torch.finfo, by which a formula depends on the precision

Sources: torch documentation, torch.utils._python_dispatch.TorchDispatchMode (sees every operation, of the backward pass
as well), torch.random.fork_rng.
"""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from reference.claim.experiment import Experiment
from reference.traces.trace import Trace, gather
from torch_mirror.training.copied import NotCopiedError, copied, is_known, names_in
from torch_mirror.training.loop import segments
from torch_mirror.training.session import Session, session

NARROW = frozenset(
    dtype for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype) and (dtype.is_floating_point or dtype.is_complex)
) - {torch.float64, torch.complex128}  # fmt: skip
"""Numbers of less than float64."""


class NoTwinError(Exception):
    """Why the formulas of a module cannot be told in float64; a clause that follows "because"."""


def twin_step(using: Session, e: Experiment, step: int, *, watched: bool = False) -> Trace:
    """The trace of one step of the twin. e: in float64, of one step, at the point where the twin is to be.

    step: what the step is called in the trace. watched: whether every operation is asked for its precision, which
    takes as long again, and is needed only before something is said against the module. Raises NoTwinError.
    """
    if using.train_step is not None:
        raise NoTwinError("its training step is code of its own, which would train twice")
    try:
        twin = _twin(using, e)
        state = torch.get_rng_state()
        watch = _InFloat64() if watched else nullcontext()  # type: ignore[no-untyped-call]  # untyped in torch
        with torch.random.fork_rng(devices=[]), redirect_stdout(StringIO()), watch:
            trace = gather(1, segments(e, using=twin))
            drew = not torch.equal(state, torch.get_rng_state())
    except NoTwinError:
        raise
    except NotCopiedError as error:
        raise NoTwinError(str(error)) from error
    except Exception as error:  # whatever somebody's code raises in float64
        said = " ".join(str(error).split())
        raise NoTwinError(f"its copy in float64 ends in {type(error).__name__}: {said[:200]}") from error
    if drew:
        raise NoTwinError("it draws random numbers, which in float64 are others")
    return replace(trace, first=step)


def _twin(using: Session, e: Experiment) -> Session:
    """The session with a copy of its module and of its loss, in float64, at the start of e."""
    criterion = using.criterion
    own = not isinstance(criterion, nn.Module) and is_known(criterion) and inspect.isfunction(criterion)
    _check_finfo(using)
    module, other = copied(using.module, None if own else criterion)
    for part in (module, other):
        if isinstance(part, nn.Module):
            part.double()
    if own and str(criterion.__module__).startswith("torch."):  # F.mse_loss, which is nobody's closure
        other = criterion
    return session(e, module, using.names, other)


def _check_finfo(using: Session) -> None:
    """Raise NoTwinError where a formula asks for its precision: what is said by name."""
    kinds = {kind for m in using.module.modules() for kind in type(m).__mro__ if not is_known(kind)}
    own = [f for kind in kinds for f in vars(kind).values() if inspect.isfunction(f)]
    for f in [*own, *([using.criterion] if inspect.isfunction(using.criterion) else [])]:
        if not is_known(f) and "finfo" in names_in(f.__code__):
            raise NoTwinError(f"{f.__name__} asks for torch.finfo, so that its formula depends on the precision")


class _InFloat64(TorchDispatchMode):  # type: ignore[no-untyped-call]  # untyped in torch
    """Within it every operation of torch has to compute in float64: the first that does not raises NoTwinError."""

    def __torch_dispatch__(
        self, func: Any, _: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for a in _tensors((args, tuple((kwargs or {}).values()), result)):
            if a.dtype in NARROW:
                name = str(func).removeprefix("aten.")
                raise NoTwinError(f"{name} computes with {str(a.dtype).removeprefix('torch.')} in it")
        return result


def _tensors(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for part in tree:
            yield from _tensors(part)
