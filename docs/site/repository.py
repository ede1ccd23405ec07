"""MkDocs hooks: pages and files of the repository that lie outside of docs/ become part of the
site, and links mean there what they mean on GitHub.
"""

import posixpath
import re
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_LOG: Final = get_plugin_logger("repository")
ROOT: Final = Path(__file__).parents[2]
PAGES: Final = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "project/architecture.md",
    "CHANGELOG.md": "project/changelog.md",
    "CODE_OF_CONDUCT.md": "project/conduct.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/reporting.md",
    "tests/README.md": "project/tests.md",
}
"""By its path in the repository, the place of a page on the site; all others are below docs/."""
_PLACES: Final = {uri: path for path, uri in PAGES.items()}
_LINK: Final = re.compile(r"(?<=\]\()(?P<path>[^)#:\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
_FENCE: Final = re.compile(r"^ *(```|~~~)")
_WHOLE_FILE: Final = re.compile(r"^\[[^\]]+\]\((?P<path>\S+\.(?P<suffix>go|java|mjs|py|rb))\)$")
"""A paragraph that is nothing but a link to source text."""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages outside of docs/."""
    for path, uri in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the page's links to places on the site, and show source text that a line links to."""
    lines, is_code = [], False
    for line in markdown.splitlines():
        is_fence = _FENCE.match(line) is not None
        is_code ^= is_fence
        if is_code or is_fence:
            lines.append(line)
            continue
        lines.append(_LINK.sub(lambda link: _on_site(link, page.file.src_uri, files, config), line))
        if whole := _WHOLE_FILE.match(line):
            text = (ROOT / repository_path(page.file.src_uri, whole["path"])).read_text()
            lines += ["", f"```{whole['suffix']}", text.rstrip("\n"), "```"]
    return "\n".join(lines)


def repository_path(uri: str, link: str) -> str:
    """The path in the repository to which a relative link of the page at `uri` leads."""
    folder = posixpath.dirname(_PLACES.get(uri, f"docs/{uri}"))
    return posixpath.normpath(posixpath.join(folder, link))


def site_uri(path: str) -> str:
    """The place on the site of a file in the repository."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"


def _on_site(link: re.Match[str], uri: str, files: Files, config: MkDocsConfig) -> str:
    path = repository_path(uri, link["path"])
    if not (ROOT / path).is_file():
        _LOG.warning("'%s': there is no file '%s' to link to", uri, path)  # the end, if strict
        return link[0]
    target = site_uri(path)
    if files.get_file_from_path(target) is None:
        files.append(File.generated(config, target, abs_src_path=str(ROOT / path)))
    return posixpath.relpath(target, posixpath.dirname(uri) or ".") + (link["anchor"] or "")
