"""The site: built strictly, complete, with nothing from another host, and true to the pages."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt

from support.project import ROOT

BLOCKS = ("h1", "h2", "h3", "h4", "li", "ol", "ul", "pre", "td", "th", "blockquote", "img")
SHOWN_FILE = re.compile(r"^\[[^]]+\]\(\S+\.(?:go|java|mjs|py|rb)\)$", re.MULTILINE)
"""A line that is nothing but a link to source text, which the site shows below it."""
LOADS = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
"""By tag, the attribute whose address a browser loads by itself."""


class Built(HTMLParser):
    """What the tests ask of one built page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.blocks: Counter[str] = Counter()
        """The elements of the article, by tag."""
        self.loads: list[str] = []
        self._is_article = False
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count and collect."""
        given = dict(attrs)
        if tag == "article":
            self._is_article = True
        if self._is_article and tag in BLOCKS:
            self.blocks[tag] += 1
        if tag in LOADS and given.get("rel") != "canonical":
            self.loads.append(given.get(LOADS[tag]) or "")

    def handle_endtag(self, tag: str) -> None:
        """Leave the article."""
        if tag == "article":
            self._is_article = False


def build(folder: Path, config: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    """The end of a strict build into a folder; with `--quiet` it would not be strict."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-f", config, "-d", folder],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"NO_MKDOCS_2_WARNING": "1"},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once."""
    folder = tmp_path_factory.mktemp("site")
    ended = build(folder)
    assert ended.returncode == 0, ended.stderr
    assert "WARNING" not in ended.stderr
    return folder


def pages() -> Iterator[tuple[str, Path]]:
    """The place on the site and the source of each page."""
    spec: dict[str, Any] = {"__file__": str(ROOT / "docs" / "site" / "repository.py")}
    text = (ROOT / "docs" / "site" / "repository.py").read_text()
    exec(compile(text, spec["__file__"], "exec"), spec)  # noqa: S102  # as MkDocs loads it
    for path, uri in spec["PAGES"].items():
        yield uri, ROOT / path
    for file in sorted((ROOT / "docs").rglob("*.md")):
        yield str(file.relative_to(ROOT / "docs")), file


def test_every_page_is_on_the_site(site: Path) -> None:
    """Every page of docs/ and the project's pages beside it are on the site and in its navigation:
    a strict build ends with an error for a page that the navigation leaves out.
    """
    for uri, _source in pages():
        assert (site / uri).with_suffix(".html").is_file(), uri


def test_the_site_shows_what_github_shows(site: Path) -> None:
    """Each page has the same headings, lists, tables, code blocks and pictures on the site as
    CommonMark gives it: no list or block is swallowed by the site's older Markdown.
    """
    parser = MarkdownIt("commonmark").enable("table")
    different = {}
    for uri, source in pages():
        shown = Built((site / uri).with_suffix(".html")).blocks
        text = source.read_text()
        wanted = Counter(re.findall(rf"<({'|'.join(BLOCKS)})\b", parser.render(text)))
        wanted["pre"] += len(SHOWN_FILE.findall(text))
        if shown != wanted:
            different[uri] = {"too few": wanted - shown, "too many": shown - wanted}
    assert different == {}


def test_no_page_loads_from_another_host(site: Path) -> None:
    """No page and no style sheet of the site loads anything from another host."""
    foreign = []
    for page in site.rglob("*.html"):
        loads = Built(page).loads
        assert loads
        foreign += [(page.name, url) for url in loads if urlsplit(url).netloc]
    for sheet in site.rglob("*.css"):
        urls = re.findall(r"url\(\s*['\"]?([^)'\"]+)", sheet.read_text())
        foreign += [(sheet.name, url) for url in urls if urlsplit(url).netloc]
        assert "@import" not in sheet.read_text()
    assert foreign == []


def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path) -> None:
    """A link to a page or an anchor that does not exist ends the site's build with an error that
    names it, also if the page lies outside of docs/; and so does a page without a place in the
    navigation.
    """
    extension = tmp_path / "docs" / "site" / "repository.py"
    extension.parent.mkdir(parents=True)
    extension.write_text((ROOT / "docs" / "site" / "repository.py").read_text())
    for uri, file in pages():
        if ROOT / "docs" not in file.parents:
            (tmp_path / file.relative_to(ROOT)).parent.mkdir(exist_ok=True)
            (tmp_path / file.relative_to(ROOT)).write_text(f"# {uri}\n")
    links = "[1](nowhere.md) [2](other.md#nowhere) [3](../ARCHITECTURE.md#nowhere)"
    (tmp_path / "docs" / "other.md").write_text("# Other\n")
    (tmp_path / "docs" / "page.md").write_text(f"# Page\n\n{links}\n")
    config = re.sub(r"(?s)\nnav:.*", "\nnav: [page.md]\n", (ROOT / "mkdocs.yml").read_text())
    config = re.sub(r"(?s)\ntheme:.*?\nvalidation:", "\nplugins: []\nvalidation:", config)
    (tmp_path / "mkdocs.yml").write_text(config)
    ended = build(tmp_path / "built", tmp_path / "mkdocs.yml")
    assert ended.returncode != 0
    for said in (
        "nowhere.md' to link to",
        "'other.md#nowhere'",
        "'project/architecture.md#nowhere'",
        'not included in the "nav"',
    ):
        assert said in ended.stderr
