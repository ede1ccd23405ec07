"""Style sheet, scripts and pictures: read once, under names that change with their content."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

FOLDER: Final = Path(__file__).parent.parent / "static"
PREFIX: Final = "/static/"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    path: str
    content_type: str
    body: bytes
    compressed: bytes


@cache
def assets() -> Mapping[str, Asset]:
    """The files by their name in the folder."""
    return MappingProxyType({one.name: _asset(one) for one in sorted(FOLDER.iterdir())})


@cache
def by_path() -> Mapping[str, Asset]:
    """The files by their path on the server."""
    return MappingProxyType({one.path: one for one in assets().values()})


def _asset(file: Path) -> Asset:
    body = file.read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:12]
    path = f"{PREFIX}{file.stem}.{digest}{file.suffix}"
    return Asset(path, _TYPES[file.suffix], body, gzip.compress(body, 9, mtime=0))
