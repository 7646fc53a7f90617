"""Attack the judge's radii with exact arithmetic, for as long as is asked for.

    python -m tests.attack.soundness --elements 1e8
    python -m tests.attack.soundness --elements 1e10 --parts 64 -j 8

An element is one comparison of one number of one evaluation (NumPy's, torch's, another order or environment, or
the ball's own centre) with the exact number. Where the radius is infinite there is nothing to compare, which is
counted as vacuous; where the exact number does not exist, as open. Ratio is the largest error / radius with exact
operands, moved that with operands that are moved inside their balls; exact the share of elements of radius 0.

In parts, each of which has a seed of its own, several processes attack at once, or a cluster does.
"""

import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Literal

import click
from tqdm import tqdm

from tests.attack.adversary import FORMATS
from tests.attack.draws import numbered
from tests.attack.operations import OPERATIONS
from tests.attack.strike import Tally, Violation, strike
from torch_mirror.balls.format import Format
from torch_mirror.doors.commands.verify import cluster_of
from torch_mirror.doors.console import bar as bar_of
from torch_mirror.doors.console import errors_without_traceback
from torch_mirror.doors.jobs.tasks import Who

Key = tuple[str, str]
"""The name of an operation and of a dtype."""


def campaign(
    names: tuple[str, ...], formats: tuple[Format, ...], elements: float, seed: int
) -> Iterator[tuple[Key, int, Tally]]:
    """Draws, each with its number, until each format has that many elements, each operation its share of them."""
    for fmt in formats:
        numbers, spent, done = dict.fromkeys(names, 0), dict.fromkeys(names, 0.0), 0
        while done < elements:
            name = min(names, key=spent.__getitem__)
            tally = one(name, fmt, seed, numbers[name])
            spent[name] += (tally.elements + tally.vacuous) / OPERATIONS[name].share
            done += tally.elements
            yield (name, fmt.dtype.name), numbers[name], tally
            numbers[name] += 1


def one(name: str, fmt: Format, seed: int, number: int) -> Tally:
    """Of each operation, format and seed the draws are numbered, and each can be made alone."""
    return strike(OPERATIONS[name], fmt, numbered(name, fmt, seed, number))


def table(tallies: dict[Key, Tally]) -> list[str]:
    """A line for each operation and dtype, and one for each dtype together."""
    together: dict[Key, Tally] = {}
    for (_, dtype), tally in tallies.items():
        together["all", dtype] = together.get(("all", dtype), Tally()) + tally
    head = f"{'operation':22} {'dtype':8} {'elements':>11} {'vacuous':>8} {'exact':>7} {'ratio':>6} {'moved':>6} "
    return [f"{head}{'open':>5} {'violations':>10}"] + [
        f"{name:22} {dtype:8} {t.elements:11} {t.vacuous / max(t.elements + t.vacuous, 1):8.1%} "
        f"{t.exact / max(t.elements, 1):7.1%} {t.ratio:6.3f} {t.moved:6.3f} {t.open:5} {t.violations:10}"
        for (name, dtype), t in [*sorted(tallies.items()), *together.items()]
    ]


def again(key: Key, seed: int, number: int, violation: Violation) -> str:
    """A violation, and the command that shows it."""
    operation, dtype = key
    return (
        f"{operation}, {dtype}: {violation.evaluation} is outside at {list(violation.at)}\n{violation.text}\n"
        f'python -m tests.attack.soundness --operation "{operation}" --dtype {dtype} --seed {seed} --draw {number}'
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, help=__doc__)
@click.option("--elements", type=click.FloatRange(1, 1e15), default=1e6, show_default=True, help="For each dtype.")
@click.option("--dtype", type=click.Choice(["float32", "float64", "both"]), default="both", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--operation", "names", type=click.Choice(list(OPERATIONS)), multiple=True, help="Only these.")
@click.option("--draw", type=click.IntRange(0), help="Only the draw of that number.")
@click.option("--parts", type=click.IntRange(1), help="In so many parts, with seeds that follow the first.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes, of several parts.")
@click.option("--backend", type=click.Choice(["processes", "dask", "ray"]), default="processes", show_default=True)
@click.option("--scheduler", metavar="ADDRESS", help="Of the cluster.")
def main(
    elements: float, dtype: str, seed: int, names: tuple[str, ...], draw: int | None, parts: int | None, jobs: int,
    backend: Literal["processes", "dask", "ray"], scheduler: str | None,
) -> None:  # fmt: skip
    formats = tuple(f for f in FORMATS if dtype in (f.dtype.name, "both"))
    names = names or tuple(OPERATIONS)
    tallies: dict[Key, Tally] = {}
    if parts is None and (jobs > 1 or backend != "processes" or scheduler is not None):
        raise click.UsageError("-j, --backend and --scheduler: expected --parts beside them, which they share out")
    if parts is not None:
        with errors_without_traceback():
            who = Who(jobs, cluster_of(backend, scheduler, jobs))
            _in_parts(names, tuple(f.dtype.name for f in formats), elements, seed, parts, who)
        return
    draws = campaign(names, formats, elements, seed)
    if draw is not None:
        draws = (((n, f.dtype.name), draw, one(n, f, seed, draw)) for f in formats for n in names)
    stopped = False
    try:
        with tqdm(total=int(elements) * len(formats), unit="element", unit_scale=True, disable=None) as bar:
            for key, number, tally in draws:
                before = tallies.get(key, Tally())
                tallies[key] = before + tally
                if tally.first and not before.first:
                    bar.write(again(key, seed, number, tally.first), file=sys.stderr)
                bar.update(tally.elements)
    except KeyboardInterrupt:
        stopped = True
    _end(tallies, stopped=stopped)


def _in_parts(
    names: tuple[str, ...], dtypes: tuple[str, ...], elements: float, seed: int, parts: int, who: Who
) -> None:
    from tests.attack.parts import Found, in_parts, together

    found: Found = {}
    stopped = False
    try:
        with closing(in_parts(names, dtypes, elements, seed, parts, who, partial(bar_of, unit="part"))) as every:
            for part in every:
                found = together(found, part)
    except KeyboardInterrupt:
        stopped = True
    for key, (tally, (own, number)) in found.items():
        if tally.first:
            click.echo(again(key, own, number, tally.first), err=True)
    _end({key: tally for key, (tally, _) in found.items()}, stopped=stopped)


def _end(tallies: dict[Key, Tally], *, stopped: bool) -> None:
    click.echo("\n".join(table(tallies)))
    if any(t.violations for t in tallies.values()):
        sys.exit(1)
    sys.exit(130 if stopped else 0)


if __name__ == "__main__":
    main()
