"""An optimizer as a user brings it: by protocol, or as a function that updates, in place or not.

    init(p) -> state                                  before the first step; a tree, {} where there is none
    step(p, gradients, state, t, sow) -> (p, state)   pure; t counts from 0

``Own`` makes one of a plain function:

    def update(p, g):
        for name in p:
            p[name] -= 0.1 * g[name]

    Experiment(..., optimizer=Own(update), ...)
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from reference.arrays import Sow, keep
from reference.claim.objective import takes_sow
from reference.claim.tree import Tree, named, zip_with
from reference.errors import InputError

HOME = "reference.optimizers"


class Own(NamedTuple):
    """An optimizer of a function (p, gradients), (p, gradients, state) or (p, gradients, state, t).

    Arguments that have a default, such as ``lr=0.1``, are left at it, but for those called ``state`` and ``t``. The
    function may write to what it is given, which are copies, and return nothing; or return the next p, or p and the
    next state. start: the state before the first step, from p. elementwise: whether each element of a parameter
    is updated from its own gradient alone, which lets more be told of it; before a run it is tried (``rehearsal``).
    """

    update: Callable[..., Any]
    start: Callable[[Tree], Tree] | None = None
    elementwise: bool = False

    def init(self, p: Tree) -> Tree:
        """The state before the first step; its function is given a copy of p."""
        return {} if self.start is None else copied(self.start(copied(p)))

    def step(self, p: Tree, g: Tree, state: Tree, t: Any, sow: Sow = keep) -> tuple[Tree, Tree]:
        """The next parameters and state, sown by their names. Raises InputError for a result of another form."""
        given = list(named(p))
        p, g, state = copied(p), copied(g), copied(state)
        result = self.update(*(p, g, state, t)[: _positional(self.update)])
        if isinstance(result, tuple) and len(result) == 2 and list(named(result[0])) == given:
            p, state = result
        elif result is not None:
            p = result
        _check_names("the parameters", p, given)
        state = zip_with(sow, state)
        return zip_with(sow, p), state

    def checked(self, steps: int) -> "Own":
        """The same. Raises InputError for what is no function of two to four arguments."""
        if not callable(self.update) or not 2 <= _positional(self.update) <= 4 or _keywords(self.update):
            raise InputError("update", "a function (p, gradients), or with state and t behind them", repr(self.update))
        return self


class Sowing(NamedTuple):
    """An optimizer whose step takes no ``sow``: what it returns is sown for it."""

    optimizer: Any

    @property
    def elementwise(self) -> bool:
        """As the optimizer says."""
        return bool(getattr(self.optimizer, "elementwise", False))

    def init(self, p: Tree) -> Tree:
        """The optimizer's own, from a copy of p."""
        return copied(self.optimizer.init(copied(p)))

    def step(self, p: Tree, g: Tree, state: Tree, t: Any, sow: Sow = keep) -> tuple[Tree, Tree]:
        """The optimizer's own step, on copies. Raises InputError for a result of another form."""
        given = list(named(p))
        result = self.optimizer.step(copied(p), copied(g), copied(state), t)
        if not isinstance(result, tuple) or len(result) != 2:
            raise InputError("step of the optimizer", "to return (p, state)", type(result).__name__)
        p, state = result
        _check_names("the parameters", p, given)
        state = zip_with(sow, state)
        return zip_with(sow, p), state


def checked_optimizer(optimizer: Any, steps: int) -> Any:
    """The optimizer with its options checked, in a form that sows. Raises InputError for anything else."""
    if isinstance(optimizer, type) or not all(callable(getattr(optimizer, m, None)) for m in ("init", "step")):
        expected = "an object with init() and step(), such as reference.SGD, or reference.Own(update)"
        raise InputError("optimizer", expected, repr(optimizer))
    check = getattr(optimizer, "checked", None)
    optimizer = optimizer if check is None else check(steps)
    return optimizer if takes_sow(optimizer.step, by_name=True) else Sowing(optimizer)


def declared(optimizer: Any) -> bool:
    """Whether it is somebody's word that each element is updated by itself: of the reference's own, tests show it."""
    if not getattr(optimizer, "elementwise", False):
        return False
    groups = getattr(optimizer, "groups", None)
    if type(optimizer).__module__ == f"{HOME}.groups" and groups is not None:
        return any(declared(own) for _, own in groups)
    return not type(optimizer).__module__.startswith(f"{HOME}.")


def of_parameter(optimizer: Any, name: str) -> Any:
    """The optimizer itself, or of parameter groups that of the parameter's own, to step where the others are not."""
    of = getattr(optimizer, "of", None)
    return optimizer if of is None else of_parameter(of(name), name)


def copied(tree: Tree) -> Tree:
    """The same tree, of copies."""
    return zip_with(lambda _, a: a.copy() if hasattr(a, "copy") else a, tree)


def _check_names(what: str, tree: Tree, given: list[str]) -> None:
    """Raise InputError for a tree that has not the leaves that were given."""
    came = list(named(tree))
    if sorted(came) != sorted(given):
        raise InputError(f"{what} after an update", ", ".join(given), ", ".join(came) or type(tree).__name__)


def _positional(function: Callable[..., Any]) -> int:
    """How many of p, gradients, state and t the function takes by position; more where it asks for more."""
    count = 0
    for p in _arguments(function):
        if p.kind is p.VAR_POSITIONAL:
            return 4
        optional = p.default is not p.empty and p.name not in ("state", "t")
        if p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) or (optional and count >= 2):
            break
        count += 1
    return count


def _keywords(function: Callable[..., Any]) -> bool:
    """True if the function needs an argument by keyword."""
    return any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in _arguments(function))


def _arguments(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The arguments of a function; none where Python does not know them, as of ``int``."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
