"""A page as its elements, by Python's own parser."""

from html.parser import HTMLParser
from typing import NamedTuple

VOID = {"meta", "link", "path", "circle", "rect"}
"""Elements without an end: those of HTML, and the shapes of SVG, which end in themselves."""

OPTIONAL = {"td", "th", "tr", "tbody", "thead"}
"""Elements whose end may be left out: their parent's ends them."""


class Element(NamedTuple):
    """One element, with all text in it."""

    tag: str
    attributes: dict[str, str]
    text: list[str]

    @property
    def words(self) -> str:
        """Its text, with single spaces."""
        return " ".join("".join(self.text).split())


class Page(HTMLParser):
    """All elements of a page. Raises AssertionError where an end is missing that may not be left out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"td", "th"}:
            self._leave({"td", "th"})
        if tag in {"tr", "tbody"}:
            self._leave({"td", "th"}, {"tr"}, {"thead"} if tag == "tbody" else set())
        element = Element(tag, {name: value or "" for name, value in attrs}, [])
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        while self._open[-1].tag in OPTIONAL - {tag}:
            self._open.pop()
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text.append(data)

    def _leave(self, *levels: set[str]) -> None:
        for tags in levels:
            if self._open and self._open[-1].tag in tags:
                self._open.pop()

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """The elements of a tag that have these attributes; class_ for class."""
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [e for e in self.elements if e.tag == tag and wanted.items() <= e.attributes.items()]
