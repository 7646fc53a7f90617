"""The edits that only an optimizer's step allows: of its settings, its corrections, and of the order of its parts.

    settings      left out, 1 - beta for beta, another one in its place, two of them swapped, another number
    corrections   1 - beta^t left out (of m, of v, of both), t one step off
    eps           inside the root, or outside, or before the correction
    decay         coupled for decoupled and back, or after the step
    averages      m and v as people write them (menu_averages.py)
    momentum      Nesterov's for the usual one; lr inside the buffer; the gradient undampened or dampened

Each function takes the case of an update and yields edits.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from torch_mirror.balls.cell import Ball
from torch_mirror.tape.edits.case import Case
from torch_mirror.tape.edits.edit import By, Change, Edit, Here, at_node
from torch_mirror.tape.edits.menu_averages import of_averages

Edits = Iterator[Edit]

EPSILONS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
RATES = tuple(float(f"{digit}e-{k}") for k in range(6) for digit in (1, 2, 3, 5))
BETAS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999)
"""Numbers that people give to a setting; what else is given is found as a factor."""


def of_update(case: Case) -> Edits:
    """Of the whole equation; none for a gradient."""
    if any(node.kind == "forward" for node in case.eq.nodes):
        return
    for family in (_settings, _swapped, _corrections, _steps, _eps, _decay, _order, of_averages):
        yield from family(case)


def _setting_nodes(case: Case) -> list[int]:
    nodes = case.eq.nodes
    return [i for i in sorted(case.shape.live) if nodes[i].kind == "leaf" and case.arrays[i].ndim == 0]


def _named(case: Case, label: str) -> int | None:
    """The leaf or output of that name."""
    return next((i for i, n in enumerate(case.eq.nodes) if n.label == label and i in case.shape.live), None)


def _settings(case: Case) -> Edits:
    """Of every use of a setting, and where it has several of each single one."""
    nodes = _setting_nodes(case)
    for i in nodes:
        name, uses = case.names[i], case.shape.users.get(i, ())
        yield from _setting(case, (Change(i, None, _same),), i, name, nodes)
        for user, which in uses if len(uses) > 1 else ():
            yield from _setting(case, (Change(user, which, _same),), i, f"{name} in {case.names[user]}", nodes)


def _same(h: Here) -> Any:
    return h.x


def _setting(case: Case, where: tuple[Change, ...], i: int, name: str, nodes: list[int]) -> Edits:
    """Nothing is simpler than another eps, in which programs differ.

    Where each step is divided by its own size it is the same as a factor at every gradient, which is told behind it.
    """
    def edit(words: str, cost: int, by: By) -> Edit:
        return Edit(tuple(change._replace(by=by) for change in where), words, cost)

    own, cost = float(case.arrays[i]), 0 if case.eq.nodes[i].label == "eps" else 1
    single = where[0].operand is not None  # of several uses: a number that was written there alone
    betas = [float(case.arrays[k]) for k in nodes if case.eq.nodes[k].label.startswith("beta")]
    for number in _usual(case.eq.nodes[i].label):
        if abs(number - own) > 1e-9 * own and not {number, own} <= {*betas}:  # which is told as beta1 for beta2
            yield edit(f"as if {name} were {number:g}, not {own:g}", cost + single, _number(number, case))
    yield edit(f"{name} left out, as if it were 0", cost, lambda h: h.x * 0.0)
    yield edit(f"{name} left out, as if it were 1", 1, lambda h: h.x * 0.0 + 1.0)
    yield edit(f"1 - {name} for {name}", 2, lambda h: 1.0 - h.x)
    for other in nodes:
        if other != i:
            yield edit(f"{case.names[other]} for {name}", 2, lambda h, k=other: h.at(k))


def _number(c: float, case: Case) -> By:
    """The number in the place of x; where it is float32 that is judged, up to what that rounds of it."""
    narrow = any(x.format.u > np.finfo(np.float32).eps / 4 for x in case.seen.values())
    ball = Ball(np.asarray(c), abs(c - float(np.float32(c))) if narrow else 0.0)
    return lambda h: h.x * 0.0 + (ball if hasattr(h.x, "settled") else c)


def _usual(label: str) -> tuple[float, ...]:
    """What somebody may have given to the setting of this name."""
    return EPSILONS if label == "eps" else RATES[1:] if label in ("lr", "weight decay") else BETAS


def _uses(case: Case, i: int, other: int) -> tuple[Change, ...]:
    """The other value at every use of a node's."""
    return tuple(Change(user, which, lambda h: h.at(other)) for user, which in case.shape.users.get(i, ()))


def _swapped(case: Case) -> Edits:
    for a, b in combinations(_setting_nodes(case), 2):
        yield Edit((*_uses(case, a, b), *_uses(case, b, a)), f"{case.names[a]} and {case.names[b]} swapped", 3)


def _corrections(case: Case) -> Edits:
    """Both m and v uncorrected; one of them is in the menu of quotients already. The root left out of one."""
    nodes = case.eq.nodes
    divided = [i for i in sorted(case.shape.live) if nodes[i].operation == "divide"]
    corrected = [i for i in divided if _is_correction(case, nodes[i].operands[1])]
    if len(corrected) > 1:
        changes = tuple(Change(i, None, lambda h, k=nodes[i].operands[0]: h.at(k)) for i in corrected)
        yield Edit(changes, "bias correction left out", 1)
    for i in corrected:
        what = f"the root of the correction {case.names[nodes[i].operands[1]]}"
        yield at_node(i, f"{what} for the correction", 2,
                      lambda h, k=nodes[i].operands: h.at(k[0]) / np.sqrt(h.at(k[1])))  # fmt: skip


def _is_correction(case: Case, i: int) -> bool:
    """1 - beta^t, or at the first step 1 - beta."""
    node = case.eq.nodes[i]
    if node.operation != "subtract" or case.arrays[i].ndim:
        return False
    beta = case.eq.nodes[node.operands[1]]
    return beta.operation in ("power", "square") or beta.label.startswith("beta")


def _steps(case: Case) -> Edits:
    """beta^t with t one more or less: of each, and of all."""
    nodes = case.eq.nodes
    raised = [i for i in sorted(case.shape.live) if nodes[i].operation in ("power", "square")]
    powers = [i for i in raised if case.arrays[i].ndim == 0]
    for by in (1, -1):
        changes = [Change(i, None, _times_the(nodes[i].operands[0], by)) for i in powers]
        words = f"t {'+' if by > 0 else '-'} 1 for t, the number of the step"
        if changes:
            yield Edit(tuple(changes), f"{words}, in the bias correction", 2)
        if len(changes) > 1:
            for change in changes:
                yield Edit((change,), f"{words}, in {case.names[change.node]}", 3)


def _times_the(beta: int, by: int) -> By:
    """beta^t beta, and beta^t / beta: the same function at every step, so that a later one may have it, too."""
    return lambda h: h.x * h.at(beta) if by > 0 else h.x / h.at(beta)


def _eps(case: Case) -> Edits:
    """sqrt(v) + eps, sqrt(v + eps), with a correction on either side."""
    nodes, eps = case.eq.nodes, _named(case, "eps")
    if eps is None:
        return
    name = case.names[eps]
    for i in sorted(case.shape.live):
        if nodes[i].operation == "add" and nodes[i].operands[1] == eps:
            yield from _eps_moved(case, i, nodes[i].operands[0], eps)
        if nodes[i].operation == "sqrt" and nodes[nodes[i].operands[0]].operands[1:] == (eps,):
            inner = nodes[nodes[i].operands[0]].operands[0]
            yield at_node(i, f"{name} outside of the root", 1, lambda h, k=inner: np.sqrt(h.at(k)) + h.at(eps))


def _eps_moved(case: Case, i: int, root: int, eps: int) -> Edits:
    """Of sqrt(v) + eps, or sqrt(v / c) + eps."""
    nodes, name = case.eq.nodes, case.names[eps]
    if nodes[root].operation != "sqrt":
        return
    v = nodes[root].operands[0]
    yield at_node(i, f"{name} inside the root", 1, lambda h: np.sqrt(h.at(v) + h.at(eps)))
    if nodes[v].operation == "divide":
        raw, correction = nodes[v].operands
        yield at_node(i, f"{name} inside the root, before the correction", 2,
                      lambda h: np.sqrt((h.at(raw) + h.at(eps)) / h.at(correction)))  # fmt: skip
        yield at_node(i, f"{name} before the correction", 1,
                      lambda h: (np.sqrt(h.at(raw)) + h.at(eps)) / np.sqrt(h.at(correction)))  # fmt: skip


def _decay(case: Case) -> Edits:
    """g + decay p for p (1 - lr decay), and back; and a decay where there should be none."""
    p, g, decay, lr = (_named(case, name) for name in ("p", "g", "weight decay", "lr"))
    after = case.eq.outputs.get("p")
    if p is None or g is None or lr is None or after is None:
        return
    nodes, uses = case.eq.nodes, case.shape.users[g]
    if decay is not None:
        live = sorted(case.shape.live)
        for i in (i for i in live if nodes[i].operation == "add" and nodes[i].operands[0] == g):
            off = Change(after, None, lambda h: h.x - h.at(lr) * h.at(decay) * h.at(p))
            yield Edit((Change(i, None, lambda h: h.at(g)), off), "weight decay decoupled from the gradient", 1)
            late = Change(after, None, lambda h: h.x * (1.0 - h.at(lr) * h.at(decay)))
            words = "weight decay decoupled from the gradient, and after the step"
            yield Edit((Change(i, None, lambda h: h.at(g)), late), words, 1)
        for i in (i for i in live if nodes[i].operation == "multiply" and nodes[i].operands[0] == p):
            added = tuple(Change(user, which, lambda h: h.x + h.at(decay) * h.at(p)) for user, which in uses)
            yield Edit((Change(i, None, lambda h: h.at(p)), *added), "weight decay added to the gradient", 1)
            yield at_node(i, f"lr left out of the decay, {case.names[i]}", 2, lambda h: h.at(p) * (1.0 - h.at(decay)))
            if nodes[after].operation == "subtract" and nodes[after].operands[0] == i:
                late = Change(after, 1, lambda h, k=nodes[i].operands[1]: h.x * h.at(k))
                yield Edit((late,), "weight decay after the step, not before it", 1)
    used = tuple(Change(user, which, lambda h: h.x + h.at(p) * h.c) for user, which in uses)
    yield Edit(used, "a term {} * p too many in g, a weight decay", 2, "term")
    yield Edit((Change(after, None, lambda h: h.x + h.at(p) * h.c),), "a term {} * p too many in p'", 3, "term")


def _order(case: Case) -> Edits:
    """What is done to the buffer v of momentum, and when."""
    momentum, lr, g = (_named(case, name) for name in ("momentum", "lr", "g"))
    buffer, after = case.eq.outputs.get("v", case.eq.outputs.get("b")), case.eq.outputs.get("p")
    if momentum is None or lr is None or g is None or buffer is None or after is None:
        return
    nodes = case.eq.nodes
    update = nodes[after].operands[1] if nodes[after].operation == "subtract" else None
    if nodes[buffer].operation != "add" or update is None or nodes[update].operation != "multiply":
        return
    fresh, moved = nodes[buffer].operands[1], nodes[update].operands[1]
    words = "lr inside the buffer, which is then taken off p as it is"
    scaled, taken = Change(buffer, 1, lambda h: h.x * h.at(lr)), Change(update, None, lambda h: h.at(moved))
    yield Edit((scaled, taken), words, 1)
    if moved == buffer:
        ahead = Change(update, 1, lambda h: h.at(fresh) + h.at(momentum) * h.x)
        yield Edit((ahead,), "Nesterov's momentum for the usual one", 1)
    yield at_node(buffer, "the gradient dampened by 1 - momentum", 1,
                  lambda h: h.at(nodes[buffer].operands[0]) + (1.0 - h.at(momentum)) * h.at(fresh))  # fmt: skip
