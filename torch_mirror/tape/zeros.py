"""Why a derivative is 0 at every element: the loss is not made of it, or is, and all its derivatives are 0."""

from torch_mirror.balls.number import Number
from torch_mirror.balls.recording import Kind, Node
from torch_mirror.tape import naming
from torch_mirror.tape.graph import made_of, needed
from torch_mirror.tape.told import Line

FLAT = (Kind.ZERO, Kind.DECISION)


def why_zero(loss: Number, leaf: Number, *, at_a_kink: bool = False) -> str:
    """In words, of a variable by which the derivative of the loss is 0 throughout.

    at_a_kink: whether the loss has one here, so that the derivative is that of one of its sides
    """
    if ends := flat_behind(loss, leaf):
        shown = ", ".join(dict.fromkeys(_told(node) for node in ends[:2]))
        return f"what leads to the loss goes through {shown}, of which the derivative is 0"
    if not _of(loss, leaf):
        return "the loss does not depend on it"
    if at_a_kink:
        return (
            "the loss depends on it, and all its derivatives are 0 on the side of the kinks that is taken here, as "
            "behind a ReLU at 0; on the other side they need not be, and yours fits neither"
        )
    return (
        "the loss depends on it, and all its derivatives are 0 at this point, as behind a ReLU at 0 in every sample; "
        "other numbers may tell more"
    )


def flat_behind(loss: Number, leaf: Number) -> list[Node]:
    """The steps, np.sign and kin, or held values, through which alone the loss is made of a variable.

    None if it is made of it by others too. Of several behind one another the last, next to the loss.
    """
    if leaf.node is None or any(x.node is leaf.node for x in made_of(loss)):
        return []
    of_leaf = _of(loss, leaf)
    ends: dict[int, Node] = {}
    todo = [loss.node] if loss.node is not None else []
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if node.number in seen or node.number not in of_leaf:
            continue
        seen.add(node.number)
        if node.adjoint in FLAT:
            ends[node.number] = node
        else:
            todo += [a.node for a in node.operands if a.node is not None]
    return [ends[n] for n in sorted(ends)]


def _of(loss: Number, leaf: Number) -> set[int]:
    """What the loss is made of that is made of the variable, itself included, by number."""
    found: set[int] = set()
    for x in needed([loss]):
        if x.node is leaf.node or any(a.node is not None and a.node.number in found for a in x.node.operands):
            found.add(x.node.number)
    return found


def _told(node: Node) -> str:
    """``np.sign(z) (nn.py:12)``."""
    if node.place is None:
        return node.operation
    return f"{naming.written(node.place) or node.operation} ({Line(node.place.file, node.place.line).place})"
