"""torch-mirror explain: what a word of a report means."""

import difflib

import click
from click.shell_completion import CompletionItem

from torch_mirror.doors.console import BadInput
from torch_mirror.glossary.find import ENTRIES, TITLES, find, terms, told


def _completed(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(term) for term in terms() if term.startswith(incomplete)]


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("term", nargs=-1, shell_complete=_completed)
def explain(term: tuple[str, ...]) -> None:
    """Say in plain words what a term of a report means.

    TERM is a word (radius), a verdict (vacuous), a check (end to end), what the arbiter says, or a cause, as it stands
    in a report. Without a term, all of them are listed. Exit status 2 for a term that is not known.
    """
    text = " ".join(term)
    entry = find(text)
    if entry is None and term:
        raise BadInput(f"unknown term {text!r}: {_nearest(text)}torch-mirror explain lists all terms")
    for line in _listed() if entry is None else told(entry):
        click.echo(line)


def _nearest(text: str) -> str:
    near = difflib.get_close_matches(text, terms(), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}? " if near else ""


def _listed() -> list[str]:
    lines = []
    for kind, title in TITLES.items():
        lines += [f"{title}:", *(f"  {entry.term}" for entry in ENTRIES if entry.kind == kind)]
    return lines
