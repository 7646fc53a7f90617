"""A trace's loss as a picture, for a notebook or a file."""

from typing import TYPE_CHECKING, Any

import numpy as np

from reference.errors import InputError
from reference.traces.trace import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_loss(trace: Trace, *others: Trace, ax: Any = None) -> "Figure":
    """The loss of a trace before each update; of several in one picture, which may be of other steps.

    ax: matplotlib axes to draw on; a new figure if None, which ``figure.savefig("loss.png")`` writes. Returns the
    figure. Raises InputError for a trace without ``loss``; ImportError without matplotlib, the extra ``report``.
    """
    losses = [_loss_of(one) for one in (trace, *others)]
    if ax is None:
        from matplotlib.figure import Figure  # noqa: PLC0415 - of an extra

        ax = Figure(figsize=(6, 3.2), layout="constrained").subplots()
    for one, loss, style in zip((trace, *others), losses, ("-", "--", ":", "-.") * len(losses), strict=False):
        steps = np.arange(one.first, one.first + len(loss))
        ax.plot(steps, loss, style, marker="." if len(loss) == 1 else None)
    ax.set_xlabel("training step")
    ax.set_ylabel("loss")
    figure: Figure = ax.figure
    return figure


def _loss_of(trace: object) -> Any:
    if not isinstance(trace, Trace):
        raise InputError("trace", "a reference.Trace", type(trace).__name__)
    if "loss" not in trace.tensors:
        raise InputError("trace", "to hold loss", f"only {', '.join(trace)}")
    return trace.tensors["loss"]
