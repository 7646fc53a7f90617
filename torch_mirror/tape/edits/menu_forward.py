"""The edits that a value of a forward pass allows: in what two programs of the same layer differ.

    activation   of another kind: leaky ReLU's slopes, ELU, SiLU, softplus, GELU and its tanh approximation, or none
    term         a bias that is left out here
    shape        axes swapped before a reshape, or not swapped
    mean         over another axis
    shares       c and 1 - c swapped, as of a running statistic
    eps          another one, or outside of the root, or left out
    softmax      over another axis
    variance     divided by N - 1 for N, or by N

What more there is (a factor, a transposition, a term left out, a constant in float32) the other menus have. Sources:
torch documentation, torch.nn.LeakyReLU, ELU, SiLU, Softplus, GELU (approximate="tanh"), ReLU6, LayerNorm (eps).
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

from torch_mirror.tape.edits.case import Case
from torch_mirror.tape.edits.edit import Edit, at_node
from torch_mirror.tape.edits.menu_updates import EPSILONS
from torch_mirror.tape.edits.operations import sigmoid

Edits = Iterator[Edit]
Function = Callable[[Any], Any]


def of_forward(case: Case) -> Edits:
    """Of the whole equation; none for a gradient, and none for an update, which starts from p and g."""
    nodes = case.eq.nodes
    labels = {node.label for node in nodes}
    if any(node.kind == "forward" for node in nodes) or {"p", "g"} <= labels:
        return
    for i in sorted(case.shape.live):
        yield from _kinds(case, i)
        yield from _eps(case, i)
        yield from _axes(case, i)
        yield from _variance(case, i)
        yield from _terms(case, i)
        yield from _moves(case, i)
        yield from _shares(case, i)
        yield from _means(case, i)


def leaky(slope: float) -> Function:
    """max(z, slope z)."""
    return lambda z: np.maximum(z, z * slope)


def elu(alpha: float) -> Function:
    """z where it is positive, alpha (e^z - 1) where it is not."""
    return lambda z: np.maximum(z, 0.0) + (np.exp(np.minimum(z, 0.0)) - 1.0) * alpha


def gelu_by_tanh(z: Any) -> Any:
    """z / 2 (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3)))."""
    return z * 0.5 * (np.tanh((z + z * z * z * 0.044715) * np.sqrt(2 / np.pi)) + 1.0)


@cache
def activations() -> Mapping[str, Function]:
    """By what they are called; the exact GELU where SciPy is installed."""
    known: dict[str, Function] = {
        ITSELF: lambda z: z * 1.0,
        "ReLU": lambda z: np.maximum(z, 0.0),
        "tanh": np.tanh,
        "the sigmoid": sigmoid,
        "GELU's tanh approximation": gelu_by_tanh,
        "SiLU": lambda z: z * sigmoid(z),
        "softplus": lambda z: np.log(np.exp(z) + 1.0),
        "ReLU6": lambda z: np.minimum(np.maximum(z, 0.0), 6.0),
    }
    known |= {f"leaky ReLU of slope {slope:g}": leaky(slope) for slope in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)}
    known |= {f"ELU of alpha {alpha:g}": elu(alpha) for alpha in (0.5, 1.0, 2.0)}
    try:
        erf = importlib.import_module("scipy.special").erf  # which is not needed for anything else
    except ImportError:
        return known
    return known | {"GELU": lambda z: z * 0.5 * (erf(z * (1 / np.sqrt(2))) + 1.0)}


LIKE_RELU = frozenset({"ReLU6"})
"""What is ReLU to values that are not large."""

ITSELF = "{} itself"
"""No activation."""

ELEMENTWISE = frozenset({"maximum", "tanh", "sigmoid"})


def _kinds(case: Case, i: int) -> Edits:
    """Another activation: of the operand of a known one; of an output of any value of its shape."""
    nodes, shape = case.eq.nodes, case.arrays[i].shape
    known = list(nodes[i].operands[:1]) if nodes[i].operation in ELEMENTWISE else []
    if i in case.eq.outputs.values():
        known += [k for k in sorted(case.shape.live) if k != i and k not in known]
    for z in known if shape else ():
        if case.arrays[z].shape != shape or nodes[z].kind == "constant":
            continue
        for words, f in activations().items():
            cost = (2 if words in LIKE_RELU else 1) + (z in case.nameless and z not in nodes[i].operands)
            made = words.format(case.names[z]) if words == ITSELF else f"{words} of {case.names[z]}"
            what = f"{made} in the place of {case.names[i]}"
            yield at_node(i, what, cost, lambda h, f=f, z=z: f(h.at(z)))


def _terms(case: Case, i: int) -> Edits:
    """A value that the equation does not have, added to another one: a bias, say."""
    shape, cost = case.arrays[i].shape, 1 if i in case.eq.outputs.values() else 2
    for words, k in case.others.items() if case.eq.nodes[i].kind == "adjoint" else ():
        own = case.arrays[k].shape
        if own and shape[len(shape) - len(own) :] == own:
            yield at_node(i, f"{words} added to {case.names[i]}", cost, lambda h, k=k: h.x + h.at(k))


def _shares(case: Case, i: int) -> Edits:
    """c x + (1 - c) y with c and 1 - c swapped: a running statistic's momentum is the share of the new one in torch."""
    nodes, node = case.eq.nodes, case.eq.nodes[i]
    if node.operation != "add" or any(nodes[k].operation != "multiply" for k in node.operands):
        return
    (c, x), (d, y) = (sorted(nodes[k].operands, key=lambda k: case.arrays[k].ndim) for k in node.operands)
    numbers = all(nodes[k].kind == "constant" and not case.arrays[k].ndim for k in (c, d))
    if numbers and 0 < case.arrays[c] < 1 and abs(case.arrays[c] + case.arrays[d] - 1) < EXACT:
        words = f"{case.names[c]} and 1 - {case.names[c]} swapped in {case.names[i]}"
        yield at_node(i, words, 1, lambda h: h.at(d) * h.at(x) + h.at(c) * h.at(y))


EXACT = 1e-12
"""Two shares add up to 1 but for rounding; what is made of them is proven on balls."""


def _moves(case: Case, i: int) -> Edits:
    """Elements that are not moved before they are put into another shape: the heads of an attention, say."""
    node, name, shape = case.eq.nodes[i], case.names[i], case.arrays[i].shape
    if node.operation in ("look", "transpose") and case.arrays[node.operands[0]].size == case.arrays[i].size:
        axes = "its axes as they are"
        yield at_node(i, f"{axes}, only put into the shape {shape}, in {name}", 2,
                      lambda h, k=node.operands[0]: h.at(k).reshape(h.x.shape))  # fmt: skip
    if node.operation == "reshape":
        x = node.operands[0]
        for a, b in combinations(range(case.arrays[x].ndim), 2):
            words = f"axes {a} and {b} swapped before the shape is {shape}, in {name}"
            yield at_node(i, words, 2, lambda h, k=x, a=a, b=b: _swapped(h.at(k), a, b).reshape(h.x.shape))


def _swapped(x: Any, a: int, b: int) -> Any:
    order = list(range(len(x.shape)))
    order[a], order[b] = b, a
    return np.transpose(x, order)


def _means(case: Case, i: int) -> Edits:
    """A mean over another axis."""
    nodes, node = case.eq.nodes, case.eq.nodes[i]
    if node.operation != "divide" or nodes[node.operands[0]].operation != "sum" or case.arrays[node.operands[1]].ndim:
        return
    total = nodes[node.operands[0]]
    x, axis = total.operands[0], total.options["axis"]
    if not isinstance(axis, int) or not total.options["keepdims"]:
        return
    shape = case.arrays[x].shape
    if float(case.arrays[node.operands[1]]) != shape[axis]:
        return
    for other in range(len(shape)):
        if other != axis % len(shape):
            yield at_node(i, f"the mean over axis {other}, not {axis % len(shape)}, in {case.names[i]}", 1,
                          lambda h, x=x, n=shape[other], axis=other: (
                              np.sum(h.at(x), axis=axis, keepdims=True) / float(n)))  # fmt: skip


def _eps(case: Case, i: int) -> Edits:
    """A small constant that is added: another, none, or on the other side of the root."""
    nodes, node = case.eq.nodes, case.eq.nodes[i]
    if node.operation == "sqrt" and (pair := _small(case, node.operands[0])) is not None:
        v, eps = pair
        yield at_node(i, f"{case.names[eps]} outside of the root in {case.names[i]}", 1,
                      lambda h, v=v, eps=eps: np.sqrt(h.at(v)) + h.at(eps))  # fmt: skip
    pair = _small(case, i)
    if pair is None:
        return
    v, eps = pair
    for c in (0.0, *EPSILONS):
        if c != float(case.arrays[eps]):
            yield at_node(i, f"{c:g} for the constant {case.names[eps]} in {case.names[i]}", 1,
                          lambda h, v=v, c=c: h.at(v) + c)  # fmt: skip
    if nodes[v].operation == "sqrt":
        inner = nodes[v].operands[0]
        yield at_node(i, f"{case.names[eps]} inside the root in {case.names[i]}", 1,
                      lambda h, v=inner, eps=eps: np.sqrt(h.at(v) + h.at(eps)))  # fmt: skip


MOST = 0.1
"""A constant above this is no eps."""


def _small(case: Case, i: int) -> tuple[int, int] | None:
    """What is added to which small constant at a node."""
    node = case.eq.nodes[i]
    if node.operation != "add":
        return None
    for v, eps in (node.operands, node.operands[::-1]):
        if case.eq.nodes[eps].kind == "constant" and case.arrays[eps].ndim == 0 and 0 < case.arrays[eps] < MOST:
            return v, eps
    return None


def _axes(case: Case, i: int) -> Edits:
    """Softmax, e / sum(e), over another axis."""
    nodes, node, name = case.eq.nodes, case.eq.nodes[i], case.names[i]
    if node.operation != "divide":
        return
    total = next((k for k in node.operands if nodes[k].operation == "sum"), None)
    if total is None or not isinstance(nodes[total].options["axis"], int):
        return
    x = nodes[total].operands[0]
    shape, own = case.arrays[x].shape, nodes[total].options["axis"] % max(case.arrays[x].ndim, 1)
    others = [axis for axis in range(len(shape)) if axis != own]
    if node.operands == (x, total) and nodes[x].operation == "exp":
        z = nodes[x].operands[0]
        z = nodes[z].operands[0] if nodes[z].operation == "subtract" else z  # softmax(z - c) = softmax(z)
        for axis in others:
            yield at_node(i, f"softmax over axis {axis}, not {own}, in {name}", 1,
                          lambda h, z=z, axis=axis: _softmax(h.at(z), axis))  # fmt: skip


def _variance(case: Case, i: int) -> Edits:
    """Of a sum of squares that is divided by their number N: by N - 1, and the other way round."""
    nodes, node = case.eq.nodes, case.eq.nodes[i]
    if node.operation != "divide" or nodes[node.operands[0]].operation != "sum":
        return
    total, n = node.operands
    squares = nodes[total].operands[0]
    if nodes[squares].operation not in ("square", "power") or nodes[n].kind != "constant" or case.arrays[n].ndim:
        return
    cost = 4 if i in case.eq.outputs.values() else 1  # there it is a factor N / (N - 1), and said so
    count, given = case.arrays[squares].size // case.arrays[total].size, float(case.arrays[n])
    for words, other in (("N - 1 for N", count - 1), ("N for N - 1", count)):
        if given in (count, count - 1) and other not in (given, 0):
            yield at_node(i, f"{words}, {count}, in the variance {case.names[i]}", cost,
                          lambda h, total=total, other=other: h.at(total) / float(other))  # fmt: skip


def _softmax(z: Any, axis: int) -> Any:
    e = np.exp(z)
    return e / np.sum(e, axis=axis, keepdims=True)
