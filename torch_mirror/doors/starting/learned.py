"""What a loop learns: which names, or which entries of a dict, are its parameters, and which are their gradients."""

import ast
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from torch_mirror.doors.starting.effects import keyed, read, stored
from torch_mirror.doors.starting.gradients import leaf_of
from torch_mirror.doors.starting.products import INSIDE
from torch_mirror.doors.starting.source import INPUTS, TARGETS, keys_in
from torch_mirror.doors.starting.turns import shown


class Learned(NamedTuple):
    """gradients: by parameter, W2: dW2, or params["W2"]: grads["W2"] with INSIDE before the key; dicts: their names."""

    gradients: dict[str, str]
    dicts: frozenset[str] = frozenset()

    @property
    def leaves(self) -> list[str]:
        """The names that the parameters have in p."""
        return [_key(leaf) for leaf in self.gradients]

    @property
    def roots(self) -> set[str]:
        """The names that stand for parameters in the code: W2, or params."""
        return {leaf.partition(INSIDE)[0] for leaf in self.gradients}


def learned(known: Collection[str], lines: list[ast.stmt]) -> Learned:
    """The most parameters of these names that the lines make gradients of, in the order of ``known``, or of a dict."""
    made = list(dict.fromkeys(name for line in lines for name in sorted(stored(line))))
    names = [name for name in known if name not in INPUTS | TARGETS]
    ways = [Learned(_by_leaf(names, [(name, name) for name in made], ""))]
    ways += [_of_dict(name, made, lines) for name in names]
    return max(ways, key=lambda way: len(way.gradients))


def _by_leaf(leaves: list[str], made: Iterable[tuple[str, str]], of: str) -> dict[str, str]:
    """made: what a gradient is called, and where it is."""
    found = {leaf: where for name, where in made if (leaf := name if of and name in leaves else leaf_of(name, leaves))}
    return {f"{of}{INSIDE}{leaf}" if of else leaf: found[leaf] for leaf in leaves if leaf in found}


def _of_dict(name: str, made: list[str], lines: list[ast.stmt]) -> Learned:
    """Of a dict by this name whose entries the lines read before they set them; its gradients are in another, or names.

    None where it is asked for more than has gradients: a dict of what is between the layers is.
    """
    leaves = [leaf for leaf in _asked(lines, name) if leaf not in INPUTS | TARGETS]
    if not leaves:
        return Learned({})
    ways = [Learned(_by_leaf(leaves, [(one, one) for one in made], name), frozenset({name}))]
    for other in made:
        entries = [(key, f"{other}{INSIDE}{key}") for key in _keys(lines, other)] if other != name else []
        ways.append(Learned(_by_leaf(leaves, entries, name), frozenset({name, other})))
    best = max(ways, key=lambda way: len(way.gradients))
    return best if len(best.gradients) == len(leaves) else Learned({})


def _asked(lines: list[ast.stmt], name: str) -> list[str]:
    """The keys of params["W"]; none where a line sets one before any line reads it."""
    keys, ready = list[str](), set[str]()
    for line in keyed(lines, [name]):
        of = [n for n in read(line) if n.startswith(name + INSIDE)]
        if {n for n in stored(line) if n.startswith(name + INSIDE)} - {*of} - ready:
            return []
        ready |= {*of}
        keys += [_key(n) for n in of]
    return list(dict.fromkeys(keys))


def _keys(lines: list[ast.stmt], name: str) -> list[str]:
    """The keys of a dict that the lines make: grads = {"W": a}, grads["b"] = c."""
    return list(dict.fromkeys(_keys_of(lines, name)))


def _keys_of(lines: list[ast.stmt], name: str) -> Iterator[str]:
    for line in lines:
        for node in ast.walk(line):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                yield from keys_in(node.value)
    for line in keyed(lines, [name]):
        yield from sorted(_key(n) for n in stored(line) if n.startswith(name + INSIDE))


def _key(name: str) -> str:
    return name.rpartition(INSIDE)[2]


# --- lines of the written function --------------------------------------------------------------------


def takes(found: Learned, added: Collection[str]) -> list[str]:
    """What takes the parameters out of p, and starts gradients that are added up over the turns."""
    names = [*found.gradients]
    lines = [f"{', '.join(names)}{',' if len(names) == 1 else ''} = p.values()"] if not found.dicts else [
        f"{name} = p" for name in sorted(found.roots) if name != "p"
    ]  # fmt: skip
    of_dicts = dict[str, list[str]]()
    for leaf, slope in found.gradients.items():
        root, inside, key = slope.partition(INSIDE)
        ones = f"np.ones(np.shape({shown(leaf)}))"
        if inside:
            of_dicts.setdefault(root, []).append(f'"{key}": {ones}')
        elif slope in added:
            lines.append(f"{slope} = {ones}  # what the turns before leave in it")
    started = {slope.partition(INSIDE)[0] for slope in added}
    ones_of = {root: f"{root} = {{{', '.join(parts)}}}" for root, parts in of_dicts.items() if root in started}
    return [*lines, *(f"{line}  # what the turns before leave in it" for line in ones_of.values())]


def gives(found: Learned) -> str:
    """The dict of gradients that is returned."""
    return "{" + ", ".join(f'"{_key(leaf)}": {shown(slope)}' for leaf, slope in found.gradients.items()) + "}"
