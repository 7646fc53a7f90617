"""A certificate as a notebook shows it: the verdict, and a table of the rows. Pure functions."""

import html
from typing import TYPE_CHECKING

from torch_mirror.visible import visible

if TYPE_CHECKING:
    from torch_mirror.judge.findings import Row
    from torch_mirror.judge.verdict import Certificate

COLOURS = {"certified": "#1b6e3c", "refuted": "#b00020", "vacuous": "#8a5a00", "doubted": "#8a5a00"}


def as_html(c: "Certificate") -> str:
    """Its verdict first; ``--report`` has more."""
    head = (
        f"<p><b>{_escaped(c.experiment)}</b>, {_escaped(c.dtype)}, {int(c.steps):,} steps: "
        f'<b style="color:{COLOURS[c.verdict]}">{c.verdict}</b> ({int(c.judged):,} elements judged)</p>'
    )
    names = ("tensor", "check", "side", "judged", "vacuous", "worst error / radius", "resolution", "")
    columns = "".join(f"<th>{name}</th>" for name in names)
    told = [*c.why, *c.idle, *c.notes]
    below = f"<pre>{chr(10).join(map(_escaped, told))}</pre>" if told else ""
    return f"<div>{head}<table><tr>{columns}</tr>{''.join(map(_row, c.rows))}</table>{below}</div>"


def _escaped(text: str) -> str:
    return html.escape(visible(text))


def _row(row: "Row") -> str:
    f = row.first
    wrong = "" if f is None else f"wrong from step {int(f.step)}: {f.seen:.6g}, not {f.expected:.6g}"
    worst = "" if row.worst is None else f"{max(row.worst.ratio, row.under):.3g}"
    resolution = "" if row.resolution is None else f"{row.resolution:.2g}"
    cells = (row.tensor, row.check, row.side, f"{int(row.judged):,}", f"{int(row.vacuous):,}", worst, resolution, wrong)
    colour = f' style="color:{COLOURS["refuted"]}"' if wrong else ""
    return f"<tr{colour}>{''.join(f'<td>{_escaped(cell)}</td>' for cell in cells)}</tr>"
