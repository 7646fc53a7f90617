"""A trace as a notebook shows it: what it holds, a line a tensor. Pure functions."""

import html
from collections.abc import Mapping

from reference.arrays import Array


def as_html(first: int, steps: int, groups: Mapping[str, Mapping[str, Array]]) -> str:
    """Names, shapes, dtypes and the values at the beginning and the end of what is one number a step."""
    last = f" of a run, from step {first} on" if first else ""
    rows = "".join(_row(kind, name, a) for kind, group in groups.items() for name, a in group.items())
    head = "".join(f"<th>{name}</th>" for name in ("", "tensor", "shape", "dtype", "values"))
    return f"<div><p><b>Trace</b>: {steps:,} steps{last}</p><table><tr>{head}</tr>{rows}</table></div>"


def _row(kind: str, name: str, a: Array) -> str:
    values = f"{a[0]:.6g} ... {a[-1]:.6g}" if kind == "tensors" and a.ndim == 1 and len(a) else ""
    cells = kind, name, str(a.shape), str(a.dtype), values
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
