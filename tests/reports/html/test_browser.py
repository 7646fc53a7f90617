"""The page in a browser: silent, by itself, by keyboard, in both themes, on a phone and on paper."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reports.html import made
from tests.reports.html.chromium import Chromium, found
from tests.reports.html.test_page import contrast

PATH = found()
pytestmark = pytest.mark.skipif(PATH is None, reason="no Chromium is installed: apt-get install chromium")

COLUMN = "Array.from(document.querySelectorAll('table')[0].tBodies[0].rows, r => r.cells[{i}].textContent.trim())"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on three claims, as a file."""
    path = tmp_path_factory.mktemp("report") / "page.html"
    path.write_text(made.page(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """One browser for all tests."""
    assert PATH is not None
    with Chromium(PATH) as chromium:
        yield chromium


@pytest.fixture
def tab(browser: Chromium, file: Path) -> Chromium:
    """The browser, with the page as it is opened from the disk."""
    browser.be_wide(1200)
    browser.prefer("light")
    browser.open(file)
    return browser


def test_it_says_nothing_on_the_console_and_requests_itself_alone(tab: Chromium, file: Path) -> None:
    tab.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    for button in range(3):
        tab.run(f"document.querySelectorAll('button')[{button}].click()")
    assert tab.said == []
    assert [url for url in tab.requests if url != "data:,"] == [file.as_uri()]  # the icon is in the page


def test_that_noise_and_requests_would_be_noticed(browser: Chromium, tmp_path: Path) -> None:
    path = tmp_path / "loud.html"
    path.write_text("<img src='other.png'><script>console.error('x'); undefinedName()</script>")
    browser.open(path)
    assert {"Runtime.consoleAPICalled", "Runtime.exceptionThrown"} <= {event["method"] for event in browser.said}
    assert any(url.endswith("other.png") for url in browser.requests)


def test_the_page_forbids_a_script_that_got_into_it(tab: Chromium, tmp_path: Path) -> None:
    path = tmp_path / "broken.html"
    path.write_text(made.page().replace("<main>", "<main><script>window.bad = 1</script><img src='x.png'>"))
    tab.open(path)
    assert tab.run("typeof window.bad") == "undefined"
    assert not any(url.endswith("x.png") and "blocked" not in str(tab.said) for url in tab.requests)
    assert any("Content Security Policy" in str(event) for event in tab.said)


def test_the_table_is_sorted_by_keyboard(tab: Chromium) -> None:
    column = "document.querySelectorAll('table')[0].tHead.rows[0].cells[3]"  # elements, with commas
    tab.press("Tab")  # the theme
    for _ in range(5):  # the table itself, which scrolls, and the heads up to this one
        tab.press("Tab")
    assert tab.run(f"document.activeElement === {column}.firstElementChild")
    tab.press("Enter", "\r")
    numbers = [int(text.replace(",", "")) for text in tab.run(COLUMN.format(i=3))]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 3
    assert tab.run(f"{column}.ariaSort") == "ascending"
    tab.press(" ", " ")
    assert [int(text.replace(",", "")) for text in tab.run(COLUMN.format(i=3))] == numbers[::-1]
    assert tab.run(f"{column}.ariaSort") == "descending"
    assert tab.run("document.querySelectorAll('table')[0].querySelectorAll('[aria-sort=none]').length") == 8


def test_numbers_are_sorted_as_numbers_and_what_is_none_stands_below(tab: Chromium) -> None:
    for column, texts, after in ((3, ["1,200", "30", "≤ 5"], ["≤ 5", "30", "1,200"]),
                                 (4, ["inf", "", "9.5e-3"], ["9.5e-3", "inf", ""])):  # fmt: skip
        tab.run(f"""
            (() => {{
                const table = document.querySelectorAll('table')[0];
                {texts}.forEach((text, i) => {{ table.tBodies[0].rows[i].cells[{column}].textContent = text; }});
                table.tHead.rows[0].cells[{column}].firstElementChild.click();
            }})()
        """)
        assert tab.run(COLUMN.format(i=column)) == after


def test_a_link_to_a_claim_unfolds_it(tab: Chromium) -> None:
    assert not tab.run("document.getElementById('claim-1').open")  # it is certified
    assert tab.run("document.getElementById('claim-2').open")
    tab.run("document.querySelector('a[href=\"#claim-1\"]').click()")
    tab.run("new Promise(done => setTimeout(done, 50))")
    assert tab.run("document.getElementById('claim-1').open")


SEEN = """
(() => {
    const back = (e) => { const c = getComputedStyle(e).backgroundColor; return c !== "rgba(0, 0, 0, 0)" ? c : back(e.parentElement); };
    const texts = Array.from(document.querySelectorAll("body *")).filter((e) => !e.closest("script, svg") && e.checkVisibility()
        && Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.data.trim()));
    return Array.from(new Set(texts.map((e) => getComputedStyle(e).color + "|" + back(e))));
})()
"""  # noqa: E501 - JavaScript
"""The colours of all texts that are seen, each with the one behind it."""


def as_hex(colour: str) -> str:
    """#rrggbb of rgb(r, g, b)."""
    r, g, b = (int(n) for n in colour.removeprefix("rgb(").removesuffix(")").split(","))
    return f"#{r:02x}{g:02x}{b:02x}"


def test_every_text_is_read_in_both_themes_which_a_button_changes(tab: Chromium) -> None:
    grounds = []
    for scheme, clicks in (("light", 0), ("dark", 0), ("dark", 1), ("light", 1)):
        tab.prefer(scheme)
        for _ in range(clicks):  # system to light, and light to dark
            tab.run("document.querySelector('.theme').click()")
        tab.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        pairs = [pair.split("|") for pair in tab.run(SEEN)]
        assert len(pairs) > 5
        assert min(contrast(as_hex(text), as_hex(back)) for text, back in pairs) >= 4.5, (scheme, pairs)
        grounds.append(tab.run("getComputedStyle(document.body).backgroundColor"))
    light, dark = grounds[:2]
    assert light != dark
    assert grounds[2:] == [light, dark]  # whatever the system prefers
    assert tab.run("document.querySelector('.theme').textContent") == "Theme: dark"


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_it_is_as_wide_as_the_device(tab: Chromium, width: int) -> None:
    tab.be_wide(width)
    tab.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert tab.run("document.documentElement.scrollWidth") <= width


def test_it_is_printed_whole_and_light(tab: Chromium) -> None:
    tab.prefer("dark")
    pdf = tab.ask("Page.printToPDF", printBackground=True)["data"]
    assert len(pdf) > 10_000
    assert tab.run("document.getElementById('claim-1').open")  # what was folded is unfolded for it
    tab.ask("Emulation.setEmulatedMedia", media="print")
    assert tab.run("getComputedStyle(document.body).colorScheme") == "light"
    tab.ask("Emulation.setEmulatedMedia", media="")
