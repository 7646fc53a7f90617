"""Parameter groups: an optimizer for each group of parameters, as in torch.optim (``param_groups``).

    Groups((({"b1", "b2"}, AdamW(1e-3, weight_decay=0)), (lambda name: True, AdamW(1e-3))))

A parameter belongs to the first group whose names hold it, or whose function says so of its name. What the
groups do does not depend on each other: they step one after the other, each as it would alone.
Source: torch.optim (documentation, "Per-parameter options").
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeAlias

from reference.arrays import Sow, keep
from reference.claim.tree import named, zip_with
from reference.claim.update import checked_optimizer
from reference.errors import InputError

Members: TypeAlias = Collection[str] | Callable[[str], bool]
"""The names of a group's parameters, or a function that says of a name whether it is one of them."""


class Groups(NamedTuple):
    """Pairs of a group's members and its optimizer."""

    groups: tuple[tuple[Members, Any], ...]

    @property
    def elementwise(self) -> bool:
        """Whether each group's optimizer updates each element of a parameter from its own gradient alone."""
        return all(getattr(optimizer, "elementwise", False) for _, optimizer in self.groups)

    def parts(self, names: Collection[str]) -> list[list[str]]:
        """The names in each group. Raises InputError where a parameter is in none, or a named one is not there."""
        homes = {name: self._home(name) for name in names}
        for members, _ in self.groups:
            for name in () if callable(members) else members:
                if name not in homes:
                    raise InputError("a parameter group", f"names among {', '.join(names)}", name)
        return [[name for name, home in homes.items() if home == i] for i in range(len(self.groups))]

    def of(self, name: str) -> Any:
        """The optimizer of a parameter's group. Raises InputError where the parameter is in none."""
        return self.groups[self._home(name)][1]

    def init(self, p: Any) -> dict[str, Any]:
        """The state before the first step, in trees like p: None where a parameter's group has no such state."""
        leaves = named(p)
        parts = self.parts(leaves)
        states = [
            optimizer.init({name: leaves[name] for name in part})
            for part, (_, optimizer) in zip(parts, self.groups, strict=True)
            if part
        ]
        return _merged(states, p)

    def step(self, p: Any, g: Any, state: dict[str, Any], t: Any, sow: Sow = keep) -> tuple[Any, dict[str, Any]]:
        """The next parameters and state. Sown as each group's optimizer sows, group by group."""
        leaves, gradients = named(p), named(g)
        trees = {key: named(tree) for key, tree in state.items()}
        values: dict[str, Any] = {}
        states: list[dict[str, Any]] = []
        for part, (_, optimizer) in zip(self.parts(leaves), self.groups, strict=True):
            if not part:
                continue
            own = {key: {name: tree[name] for name in part if name in tree} for key, tree in trees.items()}
            own = {key: tree for key, tree in own.items() if tree}
            q, dq = {name: leaves[name] for name in part}, {name: gradients[name] for name in part}
            q, after = optimizer.step(q, dq, own, t, sow)
            values |= q
            states.append(after)
        return zip_with(lambda name, _: values[name], p), _merged(states, p)

    def checked(self, steps: int) -> "Groups":
        """The groups with plain numbers. Raises InputError where one of the optimizers does, or there is no group."""
        groups = self.groups
        if not isinstance(groups, (tuple, list)) or len(groups) == 0:
            came = "none" if isinstance(groups, (tuple, list)) else repr(groups)
            raise InputError("parameter groups", "at least one", came)
        for group in groups:
            if not isinstance(group, (tuple, list)) or len(group) != 2 or not _are_members(group[0]):
                raise InputError("a parameter group", "a set of names or a function, and its optimizer", repr(group))
        return self._replace(groups=tuple((members, checked_optimizer(own, steps)) for members, own in groups))

    def _home(self, name: str) -> int:
        for i, (members, _) in enumerate(self.groups):
            if members(name) if callable(members) else name in members:
                return i
        raise InputError(f"parameter {name}", "a group that it belongs to: lambda name: True takes all others", "none")


def _are_members(members: object) -> bool:
    """True for names, or a function; a text by itself would hold each part of it."""
    return callable(members) or (isinstance(members, Collection) and not isinstance(members, (str, bytes)))


def _merged(states: list[dict[str, Any]], p: Any) -> dict[str, Any]:
    """One state of all groups': each tree in p's shape, None where a group has no such state."""
    trees: dict[str, dict[str, Any]] = {}
    for state in states:
        for key, tree in state.items():
            trees.setdefault(key, {}).update(tree)
    return {key: zip_with(lambda name, _, tree=tree: tree.get(name), p) for key, tree in trees.items()}
