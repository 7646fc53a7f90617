"""What a session has that is not judged, or that explains what is: told beside the verdict, in words."""

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import nn
from torch.nn.modules import batchnorm, dropout, instancenorm

from reference.claim.experiment import Experiment
from reference.claim.slots import names
from reference.claim.tree import named
from torch_mirror.optimizers import schedule_of
from torch_mirror.training.places import Place, places
from torch_mirror.training.session import Session, module_takes_sow

_OTHERWISE_IN_EVAL = (dropout._DropoutNd, batchnorm._NormBase, instancenorm._InstanceNorm)  # noqa: SLF001 - torch has no other names for the families


def remarks(e: Experiment, using: Session) -> tuple[str, ...]:
    """Of what the session is made of; known before anything is trained."""
    found = places(using.module, using.names, named(e.parameters))
    return (*_unmapped(using.module, found), *_shared(found), *_held(e, using, found), *_in_eval_mode(using.module))


def random_state() -> bytes:
    """That of torch's generator, which is another once something is drawn."""
    return torch.get_rng_state().numpy().tobytes()


def of_the_run(e: Experiment, using: Session, told: Collection[str], *, drew: bool) -> tuple[str, ...]:
    """Of what torch has told of a run, the names of its tensors; drew: whether it has drawn random numbers."""
    words = []
    unseen = [name for name in names(e.slots, "value") if name not in told]
    if unseen and e.steps and using.train_step is None and module_takes_sow(using.module):
        words.append(f"judged through what follows only, as the module does not sow them: {', '.join(unseen)}")
    if drew:
        words.append("torch has drawn random numbers while it trained: with dropout, module.eval() leaves it out")
    return tuple(words)


def _unmapped(module: nn.Module, found: Mapping[str, Place]) -> Iterator[str]:
    known = [place.weight for place in found.values()]
    parameters = [name for name, w in module.named_parameters() if not any(w is one for one in known)]
    buffers = [name for name, _ in module.named_buffers()]
    if parameters:
        yield f"not judged: parameters of the module that no name maps: {', '.join(parameters)}"
    if buffers:
        yield f"not judged: buffers of the module: {', '.join(buffers)}"


def _shared(found: Mapping[str, Place]) -> Iterator[str]:
    first: dict[int, str] = {}
    for name, place in found.items():
        other = first.setdefault(id(place.weight), name)
        if other != name:
            yield f"{other} and {name} are one tensor of the module, {place.name}: its gradient is the sum of both"


def _held(e: Experiment, using: Session, found: Mapping[str, Place]) -> Iterator[str]:
    """What the optimizer does not hold it does not change, unless a train_step does; what it holds twice, twice."""
    times = dict.fromkeys(found, 0)
    for group in using.optimizer.param_groups:
        for name, place in found.items():
            times[name] += sum(w is place.weight for w in group["params"])
    twice = [name for name, count in times.items() if count > 1]
    none = [name for name, count in times.items() if not count and (using.train_step is None or using.states)]
    if none:
        yield f"the optimizer of the session does not hold {_with_places(none, found)}"
    if twice:
        yield f"the optimizer of the session holds {_with_places(twice, found)} more than once"
    if using.train_step is None and using.scheduled is not using.optimizer and schedule_of(e.optimizer) is not None:
        yield "the optimizer is the session's own, and sets its own learning rates: the schedule was not set for it"


def _with_places(some: list[str], found: Mapping[str, Place]) -> str:
    return ", ".join(f"{name} ({found[name].name})" for name in some)


def _in_eval_mode(module: nn.Module) -> Iterator[str]:
    asleep = [(name, m) for name, m in module.named_modules() if isinstance(m, _OTHERWISE_IN_EVAL) and not m.training]
    if asleep:
        shown = ", ".join(f"{name} ({type(m).__name__})" for name, m in asleep)
        yield f"in eval mode, and so not as in training: {shown}"
