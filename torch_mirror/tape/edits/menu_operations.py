"""The edits that an operation allows: what people leave out of a product, do to a mask, or take a derivative at.

    a * b        b left out, b twice, divided instead          a - b        b left out
    (z > 0)      inverted, >=, of another value                sum(x)       over all axes, over another one, the mean
    1 - a^2      at z, 1 - a, of another function              sqrt, exp    left out
    softmax      its off-diagonal elements left out            a @ b        in the other order
    E[k]         of equal indices only the last counted

Each function takes the case and the number of a node and yields edits of its value.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from torch_mirror.tape.edits.case import Case
from torch_mirror.tape.edits.edit import Edit, Here, at_node
from torch_mirror.tape.edits.operations import last_put_back, mask, of_sigmoid, of_tanh, repeats, sigmoid, total

Edits = Iterator[Edit]

DERIVATIVES: Mapping[str, Callable[[Any], Any]] = {"tanh'": of_tanh, "sigmoid'": of_sigmoid}
"""Derivatives that are written with the function's value."""

INDICATORS = frozenset({"mask", "number"})


def of_operation(case: Case, i: int) -> Edits:
    """All that the operation of a node allows."""
    operation = case.eq.nodes[i].operation
    if operation in ("multiply", "divide", "add", "subtract"):
        yield from _of_two(case, i)
    if operation in INDICATORS:
        yield from _of_mask(case, i)
    if operation in DERIVATIVES or operation == "mask":
        yield from _elsewhere(case, i)
    if operation in DERIVATIVES:
        yield from _of_derivative(case, i)
    if operation in ("sqrt", "square", "exp", "log", "tanh", "sigmoid", "power", "negative"):
        yield from _left_out(case, i)
    if operation == "matmul":
        yield from _order(case, i)
    if operation == "sum":
        yield from _axes(case, i)
    if operation == "moved back":
        yield from _indices(case, i)
    if operation in ("divide", "multiply"):
        yield from _normalised(case, i)
    yield from _of_softmax(case, i)
    yield from _extra(case, i)


def _indices(case: Case, i: int) -> Edits:
    """Of what an index has looked at several times, as a row of an embedding: d[k] += g keeps one share of it."""
    (g, *_), options = case.eq.nodes[i].operands, case.eq.nodes[i].options
    if repeats(**options):
        words = f"only the last of equal indices in {case.names[i]}: d[k] += ... adds once, np.add.at each time"
        yield at_node(i, words, 1, lambda h: last_put_back(h.at(g), **options))


def _of_two(case: Case, i: int) -> Edits:
    node, name = case.eq.nodes[i], case.names[i]
    product = node.operation in ("multiply", "divide")
    for which in (0, 1):
        kept, other = node.operands[which], node.operands[1 - which]
        fits = case.arrays[kept].shape == case.arrays[i].shape and not (node.operation == "divide" and which == 1)
        if not fits:
            continue
        b = case.names[other]
        if case.eq.nodes[other].operation in INDICATORS:
            yield at_node(i, f"mask {b} left out of {name}", 1, lambda h, k=kept: h.at(k))
        elif not _is_number(case, other):
            what = "factor" if product else "term"
            sign = -1.0 if node.operation == "subtract" and which == 1 else 1.0
            cost = 1 + _is_a_sum(case, other)
            yield at_node(i, f"{what} {b} left out of {name}", cost, lambda h, k=kept, sign=sign: h.at(k) * sign)
        if node.operation == "multiply" and not _is_number(case, other):
            yield at_node(i, f"factor {b} twice in {name}", 3, lambda h, k=other: h.x * h.at(k))
            yield at_node(i, f"divided by {b}, not multiplied, in {name}", 2,
                          lambda h, k=kept, o=other: h.at(k) / h.at(o))  # fmt: skip
        if node.operation == "divide":
            yield at_node(i, f"multiplied by {b}, not divided, in {name}", 2,
                          lambda h, k=kept, o=other: h.at(k) * h.at(o))  # fmt: skip


def _is_a_sum(case: Case, i: int) -> bool:
    """Several terms, which are the derivative by nothing together: one of them alone is less."""
    return case.eq.nodes[i].operation == "add" and not case.eq.nodes[i].of and case.eq.nodes[i].kind == "adjoint"


def _is_number(case: Case, i: int) -> bool:
    """A plain number: what it does is a factor, which is solved for."""
    return case.eq.nodes[i].kind == "constant" and case.arrays[i].ndim == 0


def _of_mask(case: Case, i: int) -> Edits:
    node, name = case.eq.nodes[i], case.names[i]
    yield at_node(i, f"mask {name} inverted", 1, lambda h: 1.0 - h.x)
    if node.operation == "mask":
        a, b = node.operands
        first = node.options["side"] == "first"
        words = "0 for 1" if first else "1 for 0"
        yield at_node(i, f"mask {name} is {words} where both sides are equal, {'>' if first else '>='}", 1,
                      lambda h: mask(h.at(a), h.at(b), "last" if first else "first"))  # fmt: skip


def _elsewhere(case: Case, i: int) -> Edits:
    """The same derivative at another value of the forward pass, and another derivative."""
    node, name, shape = case.eq.nodes[i], case.names[i], case.arrays[i].shape
    for m in _forward_values(case, i, shape):
        if m == node.operands[0]:
            continue
        at_m, more = case.names[m], int(m in case.nameless)
        one = f"({at_m})" if " " in at_m and m in case.nameless else at_m  # a formula, in another one
        if node.operation == "mask":
            yield at_node(i, f"mask of {at_m} for {name}", 2 + more, lambda h, m=m: mask(h.at(m), 0.0, "last"))
            if (case.arrays[m] == 0).any():  # as behind a ReLU
                words = f"mask of {at_m}, where it is not below 0, for {name}"
                yield at_node(i, words, 3 + more, lambda h, m=m: mask(h.at(m), 0.0, "first"))
        else:
            words = f"({at_m} > 0), the derivative of ReLU, for {name}"
            yield at_node(i, words, 3 + more, lambda h, m=m: mask(h.at(m), 0.0, "last"))
        for operation, f in DERIVATIVES.items():
            what = {"tanh'": f"1 - {one}^2", "sigmoid'": f"{one} * (1 - {one})"}[operation]
            cost = more + (2 if operation == node.operation else 3)
            yield at_node(i, f"{what} for {name}", cost, lambda h, m=m, f=f: f(h.at(m)))


def _forward_values(case: Case, at: int, shape: tuple[int, ...]) -> Iterator[int]:
    """Those of a shape; of a loop that goes by here those of the same turn, or of the next or the last one."""
    for i in case.forward.get(shape, ()):
        if abs(case.turn[i] - case.turn[at]) <= 1:
            yield i


def _of_derivative(case: Case, i: int) -> Edits:
    node, name = case.eq.nodes[i], case.names[i]
    a, b = node.operands[0], case.names[node.operands[0]]
    if node.operation == "sigmoid'":
        yield at_node(i, f"factor {b} left out of {name}", 1, lambda h: 1.0 - h.at(a))
        yield at_node(i, f"factor (1 - {b}) left out of {name}", 1, lambda h: h.at(a))
        yield at_node(i, f"the derivative of tanh, 1 - {b}^2, for that of the sigmoid, {name}", 2,
                      lambda h: of_tanh(h.at(a)))  # fmt: skip
        yield at_node(i, f"the sigmoid taken twice in {name}", 2, lambda h: of_sigmoid(sigmoid(h.at(a))))
    else:
        yield at_node(i, f"the square left out of {name}", 1, lambda h: 1.0 - h.at(a))
        yield at_node(i, f"+ for - in {name}", 2, lambda h: 1.0 + h.at(a) * h.at(a))
        yield at_node(i, f"1 - left out of {name}", 2, lambda h: h.at(a) * h.at(a))
        yield at_node(i, f"the derivative of the sigmoid, {b} * (1 - {b}), for that of tanh, {name}", 2,
                      lambda h: of_sigmoid(h.at(a)))  # fmt: skip
        yield at_node(i, f"tanh taken twice in {name}", 2, lambda h: of_tanh(np.tanh(h.at(a))))


def _left_out(case: Case, i: int) -> Edits:
    node = case.eq.nodes[i]
    k = node.operands[0]
    if case.arrays[k].shape == case.arrays[i].shape:
        what = "the square" if node.operation in ("square", "power") else node.operation
        yield at_node(i, f"{what} left out of {case.names[i]}", 2, lambda h: h.at(k))


def _order(case: Case, i: int) -> Edits:
    a, b = case.eq.nodes[i].operands
    m, n = case.arrays[a].shape, case.arrays[b].shape
    if len(m) == len(n) == 2 and m == n[::-1] and m[0] == m[1]:
        words = f"{case.names[b]} @ {case.names[a]} for {case.names[a]} @ {case.names[b]}"
        yield at_node(i, words, 2, lambda h: np.matmul(h.at(b), h.at(a)))


def _axes(case: Case, i: int) -> Edits:
    node, name = case.eq.nodes[i], case.names[i]
    k, options = node.operands[0], node.options
    shape = case.arrays[k].shape
    if case.arrays[k].size > case.arrays[i].size:
        yield at_node(i, f"mean for sum in {name}", 1, lambda h: h.x / (h.at(k).size / h.x.size))
    for axis in options["axis"] if isinstance(options["axis"], tuple) else ():
        if shape[axis] > 1:
            words = f"mean for sum over axis {axis % len(shape)} in {name}"
            yield at_node(i, words, 1, lambda h, axis=axis: h.x / float(h.at(k).shape[axis]))
    if len(shape) != 2 or options["axis"] is None:
        return
    yield at_node(i, f"{name} summed over all axes", 2, lambda h: np.broadcast_to(np.sum(h.at(k)), h.x.shape))
    yield at_node(i, f"mean over all axes for the sum in {name}", 3,
                  lambda h: np.broadcast_to(np.sum(h.at(k)) / float(h.at(k).size), h.x.shape))  # fmt: skip
    if shape[0] == shape[1]:
        axis = 1 - options["axis"] % 2 if isinstance(options["axis"], int) else 1
        yield at_node(i, f"{name} summed over axis {axis}", 2,
                      lambda h: total(h.at(k), axis).reshape(h.x.shape))  # fmt: skip
    if case.arrays[i].shape[-1:] == shape[1:]:
        yield at_node(i, f"only the first row of {case.names[k]} in {name}", 3,
                      lambda h: h.at(k)[0].reshape(h.x.shape))  # fmt: skip


def _normalised(case: Case, i: int) -> Edits:
    """g / s where y = (z - m) / s with m and s that are given: as if they were mean and deviation of z itself.

    (g - mean(g) - y mean(g y)) / s, as of batch norm in training (Ioffe & Szegedy, 2015, section 3). The root of a
    variance with an eps in it changes y^2 by as little, and then this is not the one.
    """
    node, nodes = case.eq.nodes[i], case.eq.nodes
    y = node.back
    if node.kind != "adjoint" or y is None or nodes[y].operation != node.operation or not case.arrays[y].ndim:
        return
    z, s = nodes[y].operands
    g = next((k for k in node.operands if nodes[k].kind == "adjoint"), None)
    if g is None or nodes[z].operation != "subtract" or not case.arrays[s].ndim or _varies(case, s):
        return
    for axis, n in enumerate(case.arrays[y].shape):
        if n > 1:
            words = f"the terms of a mean and a variance over axis {axis}, which are given here, too many in"
            yield at_node(i, f"{words} {case.names[i]}", 2, lambda h, axis=axis, n=n: h.x - _spread_over(h, y, axis, n))


def _varies(case: Case, i: int) -> bool:
    """Whether a value is made of a variable."""
    todo = [i]
    while todo:
        node = case.eq.nodes[todo.pop()]
        if node.kind == "leaf":
            return True
        todo += node.operands
    return False


def _spread_over(h: Here, y: int, axis: int, n: int) -> Any:
    """mean(x) + y mean(x y) over the axis, x being g / s, with an s that has one value along it."""
    x, z = h.x, h.at(y)
    return np.sum(x, axis=axis, keepdims=True) / float(n) + z * (np.sum(x * z, axis=axis, keepdims=True) / float(n))


def _of_softmax(case: Case, i: int) -> Edits:
    """y (g - sum(g y)), and q - y sum(q): with the diagonal of y_i (delta_ij - y_j) alone, and without any of it."""
    nodes, node, name = case.eq.nodes, case.eq.nodes[i], case.names[i]
    words = f"the off-diagonal elements of softmax's derivative left out of {name}"
    without = f"softmax's derivative left out of {name}"
    if node.operation == "multiply" and nodes[node.operands[0]].operation == "subtract":
        y, (g, inner) = node.operands[1], nodes[node.operands[0]].operands
        if nodes[inner].operation == "sum" and set(nodes[nodes[inner].operands[0]].operands) == {g, y}:
            yield at_node(i, words, 1, lambda h: h.at(g) * of_sigmoid(h.at(y)))
            yield at_node(i, without, 1, lambda h: h.at(g))
    if node.operation == "subtract" and nodes[node.operands[1]].operation == "multiply":
        q, (y, inner) = node.operands[0], nodes[node.operands[1]].operands
        if nodes[inner].operation == "sum" and nodes[inner].operands[0] == q:
            yield at_node(i, words, 1, lambda h: h.at(q) * (1.0 - h.at(y)))
            yield at_node(i, without, 1, lambda h: h.at(q) / h.at(y))


def _extra(case: Case, i: int) -> Edits:
    """A derivative's factor too many."""
    node, name, shape = case.eq.nodes[i], case.names[i], case.arrays[i].shape
    if node.kind != "adjoint" or not node.of or not shape:
        return
    for m in _forward_values(case, i, shape):
        b, cost = case.names[m], 3 + (m in case.nameless)
        yield at_node(i, f"a factor {b} * (1 - {b}) too many in {name}", cost, lambda h, m=m: h.x * of_sigmoid(h.at(m)))
        yield at_node(i, f"a factor 1 - {b}^2 too many in {name}", cost, lambda h, m=m: h.x * of_tanh(h.at(m)))
        yield at_node(i, f"a mask ({b} > 0) too many in {name}", cost, lambda h, m=m: h.x * mask(h.at(m), 0.0, "last"))
        yield at_node(i, f"a factor {b} too many in {name}", cost, lambda h, m=m: h.x * h.at(m))
