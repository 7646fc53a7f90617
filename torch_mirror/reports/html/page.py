"""The report as one page of HTML. It needs jinja2, the extra ``report``.

Everything that comes from outside is escaped by the template engine, and the page forbids itself every request and
every script but its own (Content-Security-Policy): what a name or a line of source holds stays text.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports.gate.compare import Comparison
from torch_mirror.reports.html import chart
from torch_mirror.reports.html.claims import OVERVIEW, Gradients, Sortable, of_gradients, of_run, verdict_of
from torch_mirror.reports.html.since import since_of, verdict_since
from torch_mirror.visible import visible

HERE = Path(__file__).parent
KINDS = {"right": "right", "suspect": "suspect", "forward": "from the forward pass"}


def document(
    results: Sequence[Certificate | Gradients], versions: Mapping[str, str], threads: Mapping[str, int],
    since: Comparison | None = None,
) -> str:  # fmt: skip
    """The page on certificates and on what check found, in their order; since: what the gate says of them."""
    claims = [of_run(r, i) if isinstance(r, Certificate) else of_gradients(r, i) for i, r in enumerate(results, 1)]
    overview = Sortable(OVERVIEW, tuple(claim.line for claim in claims))
    environment = [*versions.items(), *((f"threads of {name}", n) for name, n in threads.items())]
    verdict = verdict_of(claims)
    if since is not None:
        verdict = verdict_since(since, verdict)
    gate = None if since is None else since_of(since)
    return _rendered(claims=claims, verdict=verdict, overview=overview, environment=environment, since=gate)


def _rendered(**more: Any) -> str:
    script = (HERE / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _template().render(
        kinds=KINDS, laid=chart.laid, in_words=chart.in_words,
        width=chart.WIDTH, height=chart.HEIGHT, left=chart.LEFT, script_hash=f"sha256-{digest}",
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        **more,
    )  # fmt: skip


def _shown(value: Any) -> Any:
    """What is put into the page: of a text what does not show as itself is escaped, but for the lines of a source."""
    if type(value) is not str or value.isprintable():  # Markup is ours
        return value
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in value.split("\n"))


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.FileSystemLoader(HERE), finalize=_shown
    )
    return environment.get_template("page.html.jinja")
