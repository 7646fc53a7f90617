"""Every command and every output in README.md and docs/ is real, and the site of docs/ is built without a warning."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from .readme import LANGUAGES, ROOT, Block, blocks, check

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OF_PAGE = {page.name: blocks(page.read_text()) for page in PAGES}
README = OF_PAGE["README.md"]
FIRST = next(block for block in README if block.language == "python")
ALL = [pytest.param(block, id=f"{page}, line {block.line}") for page, some in OF_PAGE.items() for block in some]
EACH_WAY = pytest.mark.parametrize("fresh", [False, True], ids=["here", "fresh"])


@pytest.mark.parametrize("block", ALL)
def test_a_block_is_true(block: Block, tmp_path: Path) -> None:
    """The first script is run as a reader runs it, with nothing imported before."""
    check(block, tmp_path, fresh=block is FIRST)


def test_the_readme_starts_with_the_two_commands() -> None:
    assert README[0].language == "sh"
    assert [line.split("#")[0].strip() for line in README[0].text.splitlines()] == ["make verify", "make test"]


@pytest.mark.parametrize(
    "markdown",
    [
        "```console\n$ echo one\none\n```\n",
        "```console\n$ echo one; false\none\n$ echo $?\n1\n```\n",
        "```console\n$ echo one \\\n> two\none two\n```\n",
        "```console\n$ echo took 0.31 seconds, all well\ntook ... seconds, all well\n```\n",
        "```console\n$ torch-mirror --version\ntorch-mirror ...\n```\n",
        "```console\n$ echo oops >&2\noops\n```\n",
        "```sh\n# a comment\nmake verify  # and another\ngit clone somewhere\ntrue\n```\n",
        "```python\nprint(1 + 1)\n```\n\n```text\n2\n```\n",
        "```python\n>>> 1 + 1\n2\n```\n",
    ],
)
@EACH_WAY
def test_that_a_true_block_passes(markdown: str, tmp_path: Path, *, fresh: bool) -> None:
    for block in blocks(markdown):
        check(block, tmp_path, fresh=fresh)


@pytest.mark.parametrize(
    "markdown",
    [
        "```console\n$ echo one\ntwo\n```\n",
        "```console\n$ echo one\n```\n",
        "```console\n$ true\none\n```\n",
        "```console\n$ echo one; false\none\n$ echo $?\n0\n```\n",
        "```console\n$ echo took 0.31 seconds, all ill\ntook ... seconds, all well\n```\n",
        "```console\n$ make verify\nall is well\n```\n",
        "```console\n$ make no-such-target\n```\n",
        "```console\ntorch-mirror --version\n```\n",
        "```sh\nmake no-such-target\n```\n",
        "```sh\nfalse\n```\n",
        "```python\nraise SystemExit(1)\n```\n",
        "```python\nassert 1 + 1 == 3\n```\n",
        "```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n",
        "```python\n>>> 1 + 1\n3\n```\n",
        "```bash\ntrue\n```\n",
        "```\ntrue\n```\n",
    ],
)
@EACH_WAY
def test_that_a_false_block_is_noticed(markdown: str, tmp_path: Path, *, fresh: bool) -> None:
    def check_all() -> None:
        for block in blocks(markdown):
            check(block, tmp_path, fresh=fresh)

    with pytest.raises(AssertionError):
        check_all()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_that_no_block_is_overlooked(page: Path) -> None:
    fences = sum(line.lstrip().startswith("```") for line in page.read_text().splitlines())
    assert fences == 2 * len(OF_PAGE[page.name])
    assert {block.language for block in OF_PAGE[page.name]} <= set(LANGUAGES)


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """mkdocs in its strict mode: every link leads somewhere, every page is in the menu."""
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {f"{page.stem}/index.html" for page in PAGES[1:] if page.stem != "index"} <= {
        str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*.html")
    }


def linked(texts: Mapping[str, str]) -> set[str]:
    """The pages that a reader of README.md comes to, from link to link."""
    seen, ahead = set[str](), ["README.md"]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        links = re.findall(r"\]\((?:docs/)?(\w+\.md)(?:#[\w-]*)?\)", texts.get(page, ""))
        ahead += [link for link in dict.fromkeys(links) if link not in seen]
    return seen


def test_every_page_is_reached_from_the_readme_and_stands_in_the_index() -> None:
    texts = {page.name: page.read_text() for page in PAGES}
    assert sorted({*texts} - linked(texts) - {"index.md"}) == []
    assert [name for name in texts if f"({name})" not in texts["index.md"]] == ["README.md", "index.md"]
    alone = {**texts, "README.md": texts["README.md"].replace("](docs/tolerances.md)", ""), "index.md": ""}
    orphan = {name: text.replace("(tolerances.md", "(nowhere.md") for name, text in alone.items()}
    assert sorted({*texts} - linked(orphan)) == ["index.md", "tolerances.md"]


def test_that_an_open_block_is_noticed() -> None:
    with pytest.raises(AssertionError, match="line 3: this block is never closed"):
        blocks("text\n\n```sh\ntrue\n")
