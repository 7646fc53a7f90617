"""What a session has that is not judged, or that explains what is: told beside the verdict, in words."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import takewhile

import torch
from torch import nn
from torch.nn.modules import batchnorm, dropout, instancenorm

from reference.claim.experiment import Experiment
from reference.claim.slots import STEP, names
from reference.claim.tree import named
from torch_mirror.optimizers import schedule_of
from torch_mirror.training.places import Place, places
from torch_mirror.training.session import Session, module_takes_sow, state_keys

_OTHERWISE_IN_EVAL = (dropout._DropoutNd, batchnorm._NormBase, instancenorm._InstanceNorm)  # noqa: SLF001 - torch has no other names for the families

DREW = "torch has drawn random numbers while it trained: with dropout, module.eval() leaves it out"
"""The remark on a run that would be another one if it were trained again."""


def remarks(e: Experiment, using: Session) -> tuple[str, ...]:
    """Of what the session is made of; known before anything is trained."""
    found = places(using.module, using.names, named(e.parameters))
    return (*_unmapped(using, found), *_shared(found), *_held(e, using, found), *_in_eval_mode(using.module))


def random_state() -> bytes:
    """That of torch's generator, which is another once something is drawn."""
    return torch.get_rng_state().numpy().tobytes()


def of_the_run(e: Experiment, using: Session, told: Collection[str], *, drew: bool) -> tuple[str, ...]:
    """Of what torch has told of a run, the names of its tensors; drew: whether it has drawn random numbers."""
    words = []
    forward = takewhile(lambda name: e.slots[name].role != "gradient", names(e.slots, *STEP))
    unseen = [name for name in forward if e.slots[name].role == "value" and name not in told]
    if unseen and e.steps and using.train_step is None and module_takes_sow(using.module):
        words.append(f"judged through what follows only, as the module does not sow them: {', '.join(unseen)}")
    words += _without_state(e, using) if e.steps else ()
    if drew:
        words.append(DREW)
    return tuple(words)


def _without_state(e: Experiment, using: Session) -> Iterator[str]:
    """Keys of the session that name nothing: misspelt, or of an option that the optimizer was not given."""
    optimizer, missing = using.optimizer, dict[str, list[str]]()
    found, held = places(using.module, using.names, named(e.parameters)), _held_by(optimizer)
    for name, (of, key) in state_keys(e, using.states).items():
        weight = found[of].weight
        if held[id(weight)] and key not in optimizer.state.get(weight, {}):
            missing.setdefault(key, []).append(name)
    has = sorted({str(key) for state in optimizer.state.values() for key in state})
    for key, of_it in missing.items():
        yield f"no {key} in the state of torch's optimizer, for {', '.join(of_it)}; it has {', '.join(has) or 'none'}"


def _unmapped(using: Session, found: Mapping[str, Place]) -> Iterator[str]:
    known, held = {id(place.weight) for place in found.values()}, _held_by(using.optimizer)
    parameters = {name: w for name, w in using.module.named_parameters() if id(w) not in known}
    buffers = [name for name, _ in using.module.named_buffers()]
    if parameters:
        yield f"not judged: parameters of the module that no name maps: {', '.join(parameters)}"
    trained = [name for name, w in parameters.items() if w.requires_grad and held[id(w)]]
    if trained:
        yield f"trained all the same by the optimizer of the session: {', '.join(trained)}; map or freeze them"
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
    held = _held_by(using.optimizer)
    times = {name: held[id(place.weight)] for name, place in found.items()}
    twice = [name for name, count in times.items() if count > 1]
    none = [name for name, count in times.items() if not count and (using.train_step is None or using.states)]
    if none:
        yield f"the optimizer of the session does not hold {_with_places(none, found)}"
    if twice:
        yield f"the optimizer of the session holds {_with_places(twice, found)} more than once"
    if using.train_step is None and using.scheduled is not using.optimizer and schedule_of(e.optimizer) is not None:
        yield "the optimizer is the session's own, and sets its own learning rates: the schedule was not set for it"


def _held_by(optimizer: torch.optim.Optimizer) -> Counter[int]:
    """How often each tensor, by its id, is in a group of the optimizer's."""
    return Counter(id(w) for group in optimizer.param_groups for w in group["params"])


def _with_places(some: list[str], found: Mapping[str, Place]) -> str:
    return ", ".join(f"{name} ({found[name].name})" for name in some)


def _in_eval_mode(module: nn.Module) -> Iterator[str]:
    asleep = [(name, m) for name, m in module.named_modules() if isinstance(m, _OTHERWISE_IN_EVAL) and not m.training]
    if asleep:
        shown = ", ".join(f"{name} ({type(m).__name__})" for name, m in asleep)
        yield f"in eval mode, and so not as in training: {shown}"
