"""``python -m torch_mirror.figures``: fixed tolerances beside the radius, as a table and as a picture.

``tolerances`` says what is measured, and ``drawing``, which alone needs matplotlib, draws it. Exit status 2 for bad
usage or input, as the command ``torch-mirror`` has it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import click
import numpy as np

from reference import experiments
from reference.errors import InputError
from reference.files import check_writable, write_whole
from torch_mirror.doors.console import DTYPES, bar, errors_without_traceback, say
from torch_mirror.figures.measure import RTOLS, Error, Measured, measure, radii
from torch_mirror.interrupt import raise_as_usual

FORMATS: tuple[Literal["png", "svg"], ...] = ("png", "svg")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--experiment", "name", default="two-layer-relu", show_default=True, help="What is trained.")
@click.option("--dtype", type=click.Choice([*DTYPES, "both"]), default="both", show_default=True, help="Precision.")
@click.option("--steps", type=click.IntRange(min=1), help="Steps of training.  [default: the experiment's own]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of what is random.")
@click.option(
    "--output", "path", type=click.Path(path_type=Path), metavar="PATH", help="Draw a picture: PATH is .png or .svg."
)
def figures(
    name: str, dtype: Literal["float64", "float32", "both"], steps: int | None, seed: int, path: Path | None
) -> None:
    """Measure what fixed tolerances do to correct code.

    The experiment is trained by NumPy and by PyTorch from the same weights. A row is a tensor and a tolerance:

    \b
    elements       of the tensor at one step
    radius/value   relative radius: the median element's at the median step
    error/radius   the worst of all steps and elements, on the same operands
    rtol           assert_allclose(torch, NumPy, rtol, atol=0)
    in radii       how many radii rtol is wide, where the radius is that median
    local          NumPy evaluates the equation on torch's own operands
    free           NumPy's own run
    steps          on which an element fails rtol
    elements       that fail it, on all steps together
    times          the largest error over its tolerance
    """  # noqa: D301 - click wants the control character
    with errors_without_traceback():
        raise_as_usual()
        dtypes = DTYPES if dtype == "both" else (dtype,)
        runs = {d: experiments.load(name, dtype=d, seed=seed) for d in dtypes}
        if steps is not None:
            runs = {d: replace(e, steps=steps) for d, e in runs.items()}
        draw = None if path is None else _drawing(path)
        found: dict[str, Mapping[str, Measured]] = {}
        for d, e in runs.items():
            with bar(e.steps, f"{name} {d}") as advance:
                found[d] = measure(e, advance)
            say("\n".join(table(name, d, found[d])))
        if path is not None and draw is not None:
            write_whole("--output", path, draw(name, found))


def _drawing(path: Path) -> Callable[[str, Mapping[str, Mapping[str, Measured]]], bytes]:
    """What draws the file at that path. Raises InputError if it cannot be drawn or written."""
    kind = next((kind for kind in FORMATS if path.suffix.lower() == f".{kind}"), None)
    if kind is None:
        raise InputError("--output", "a path that ends in .png or .svg", repr(str(path)))
    check_writable("--output", path)
    try:
        from torch_mirror.figures import drawing  # noqa: PLC0415 - of use only with the extra `plot`, which may be missing
    except ModuleNotFoundError as error:
        expected = "matplotlib to draw with (pip install 'torch-mirror[plot]')"
        raise InputError("--output", expected, f"no module {error.name}") from error
    return lambda name, found: drawing.draw(name, found, kind)


def table(name: str, dtype: str, found: Mapping[str, Measured]) -> list[str]:
    """The numbers of one run: lines of plain text."""
    steps = len(next(iter(found.values())).share)
    rows = [_HEAD, *(row for tensor, m in found.items() for row in _rows(tensor, m))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return [
        f"{name}  {dtype}  {steps} steps: assert_allclose(torch, NumPy, rtol, atol=0) on correct code",
        *(line.rstrip() for line in text),
        "",
    ]


_HEAD = (
    "tensor", "elements", "radius/value", "error/radius", "rtol", "in radii",
    "local: steps", "elements", "times", "free: steps", "elements", "times",
)  # fmt: skip


def _rows(tensor: str, m: Measured) -> list[Sequence[str]]:
    once = (tensor, str(m.elements.max()), _number(np.median(m.radius_median)), f"{m.share.max():.3g}")
    return [
        (
            *(once if i == 0 else [""] * len(once)),
            _number(rtol), _number(radii(m, rtol)),
            *_failures(m.local, i), *_failures(m.free, i),
        )
        for i, rtol in enumerate(RTOLS)
    ]  # fmt: skip


def _failures(error: Error, i: int) -> tuple[str, str, str]:
    """On how many steps and elements the i-th tolerance fails, and how many times it is exceeded at worst."""
    return (
        str(np.count_nonzero(error.failing[i])), str(error.failing[i].sum()), _number(error.worst.max() / RTOLS[i])
    )  # fmt: skip


def _number(number: float) -> str:
    """Two digits, or three before the point, without the zeros of an exponent."""
    text = f"{number:.0f}" if 100 <= number < 1000 else f"{number:.2g}"
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")

