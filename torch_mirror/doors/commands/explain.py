"""torch-mirror explain: what a word of a report means."""

import click
from click.shell_completion import CompletionItem

from torch_mirror.doors.console import BadInput, suggested


def _completed(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from torch_mirror.glossary.find import terms

    return [CompletionItem(term) for term in terms() if term.startswith(incomplete)]


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("term", nargs=-1, shell_complete=_completed)
def explain(term: tuple[str, ...]) -> None:
    """Say in plain words what a term of a report means.

    TERM is a word (radius), a verdict (vacuous), a check (end to end), what the arbiter says, or a cause, as it stands
    in a report. Without a term, all of them are listed. Exit status 2 for a term that is not known.
    """
    from torch_mirror.glossary.find import find, terms, told

    text = " ".join(term)
    entry = find(text)
    if entry is None and term:
        near = suggested(text, terms())
        raise BadInput(f"unknown term {text!r}: {f'{near} ' if near else ''}torch-mirror explain lists all terms")
    for line in _listed() if entry is None else told(entry):
        click.echo(line)


def _listed() -> list[str]:
    from torch_mirror.glossary.find import ENTRIES, TITLES

    lines = []
    for kind, title in TITLES.items():
        lines += [f"{title}:", *(f"  {entry.term}" for entry in ENTRIES if entry.kind == kind)]
    return lines
