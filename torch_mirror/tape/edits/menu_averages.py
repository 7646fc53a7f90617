"""The edits that a running average allows: m' = beta m + (1 - beta) z, as people write it, m += (1 - beta) * (z - m).

    the two shares swapped        m += beta * (z - m)
    + for -                       m += (1 - beta) * (z + m)
    what is kept is all of it     m += (1 - beta) * z
    the share of another average  v += (1 - beta1) * (z - v)
    of g - v the square           v += (1 - beta2) * (g - v)**2, for g**2 - v
    the square of g - m           v += (1 - beta2) * ((g - m)**2 - v), as of AdaBelief

In this form one slip is made in one place; in that of the equation it is two, and no edit of a single value gives it.
Source: Kingma & Ba, Adam, ICLR 2015, algorithm 1; Zhuang et al., AdaBelief, NeurIPS 2020, algorithm 2.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch_mirror.tape.edits.case import Case
from torch_mirror.tape.edits.edit import Edit, at_node


class Average(NamedTuple):
    """Nodes: after = beta * before + share * of. share: 1 - beta."""

    after: int
    before: int
    beta: int
    share: int
    of: int


def of_averages(case: Case) -> Iterator[Edit]:
    """Of each running average that a step carries on as its state."""
    found = [a for name, i in case.eq.outputs.items() if name != "p" and (a := _average(case, i)) is not None]
    for a in found:
        yield from _of_one(case, a)
        yield from _of_squares(case, a, found)
        for other in found:
            if other.beta != a.beta:
                words = f"{case.names[other.beta]} for {case.names[a.beta]} in {case.names[a.after]}"
                yield at_node(a.after, words, 1, lambda h, a=a, o=other: _mixed(h, o.beta, a.before, o.share, a.of))


def _of_one(case: Case, a: Average) -> Iterator[Edit]:
    beta, before, after, of = (case.names[i] for i in (a.beta, a.before, a.after, a.of))
    yield at_node(a.after, f"{beta} and 1 - {beta} swapped in {after}", 1,
                  lambda h: _mixed(h, a.share, a.before, a.beta, a.of))  # fmt: skip
    yield at_node(a.after, f"+ for - in {after} = {before} + (1 - {beta}) * ({of} - {before})", 2,
                  lambda h: h.at(a.before) + h.at(a.share) * (h.at(a.of) + h.at(a.before)))  # fmt: skip


def _of_squares(case: Case, a: Average, every: Sequence[Average]) -> Iterator[Edit]:
    if case.eq.nodes[a.of].operation != "square":
        return
    (g,) = case.eq.nodes[a.of].operands
    name, beta, before, after = (case.names[i] for i in (g, a.beta, a.before, a.after))
    words = f"({name} - {before})^2 for {name}^2 - {before} in {after} = {before} + (1 - {beta}) * ..."
    yield at_node(a.after, words, 2, lambda h: h.at(a.before) + h.at(a.share) * _square(h.at(g) - h.at(a.before)))
    for other in every:
        if other.of == g:
            words = f"({name} - {case.names[other.after]})^2 for {name}^2 in {after}"
            yield at_node(a.of, words, 2, lambda h, m=other.after: _square(h.at(g) - h.at(m)))


def _mixed(h: Any, kept: int, before: int, share: int, of: int) -> Any:
    return h.at(kept) * h.at(before) + h.at(share) * h.at(of)


def _square(x: Any) -> Any:
    return x * x


def _average(case: Case, i: int) -> Average | None:
    """The average that a node is, by its form and its settings' names; None where it is another thing."""
    nodes = case.eq.nodes
    if i not in case.shape.live or nodes[i].operation != "add":
        return None
    kept, fresh = (nodes[k] for k in nodes[i].operands)
    if not kept.operation == fresh.operation == "multiply":
        return None
    (beta, before), (share, of) = kept.operands, fresh.operands
    shared = nodes[share].operation == "subtract" and nodes[share].operands[1] == beta
    return Average(i, before, beta, share, of) if shared and nodes[beta].kind == "leaf" else None
