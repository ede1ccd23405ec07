"""Sentences of the services in the language of a page: problems, hints and reasons.

The services write English. A page in another language looks a sentence up by its pattern, whose
`{0}`, `{1}` stand for what differs; one that is not found stays English, and is marked as such for
screen readers.
"""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import orjson
from markupsafe import Markup, escape

from consumer.panel.pages.catalogue import Language

FOLDER: Final = Path(__file__).parent.parent / "catalogues"
_VALUE: Final = re.compile(r"\{(\d)\}")
_WITH_HINT: Final = re.compile(r"(?P<where>(?:[^ ]+: |hook [^ ]+: )*)(?P<said>.+) \((?P<hint>.+)\)")
"""A `Diagnostic` as text."""
_INTRODUCED: Final = re.compile(r": \{(\d)\}(?=;|\Z)")
_MAX_CHARACTERS: Final = 2_000
_CACHED: Final = 1_000


class _Pattern(NamedTuple):
    matches: re.Pattern[str]
    translation: str
    introduced: int | None
    """The value behind a colon, which may be other sentences; None: there is none."""


def sentence(text: str, language: Language) -> Markup:
    """A sentence of a service for a page: translated, or else marked as English."""
    if language == "en":
        return escape(text)
    found = translate(text, language)
    return escape(found) if found is not None else Markup('<span lang="en">{}</span>').format(text)


@lru_cache(_CACHED)
def translate(text: str, language: Language) -> str | None:
    """The sentence in a language; None if its pattern is not known. `text` may be a diagnostic with
    its location before and its hint behind it, or several of them.
    """
    if len(text) > _MAX_CHARACTERS:
        return None
    if (whole := _of_pattern(text, language)) is not None:
        return whole
    if (parts := _WITH_HINT.fullmatch(text)) is not None and "; " not in parts["where"]:
        said, hint = _of_pattern(parts["said"], language), _of_pattern(parts["hint"], language)
        if said is not None and hint is not None:
            return f"{parts['where']}{said} ({hint})"
    first, separator, rest = text.partition("); ")
    if not separator:
        return None
    begun, following = translate(f"{first})", language), translate(rest, language)
    return f"{begun}; {following}" if begun is not None and following is not None else None


def _of_pattern(text: str, language: Language) -> str | None:
    plain, patterns = _patterns(language)
    if text in plain:
        return plain[text]
    for pattern in patterns:
        if (match := pattern.matches.fullmatch(text)) is not None:
            values = match.groups()
            if (introduced := pattern.introduced) is not None:
                said = _each(values[introduced], language)
                values = (*values[:introduced], said, *values[introduced + 1 :])
            return "".join(
                values[int(part)] if index % 2 else part
                for index, part in enumerate(_VALUE.split(pattern.translation))
            )
    return None


def _each(text: str, language: Language) -> str:
    """Sentences with `; ` between them, translated if all of them can be."""
    said = [_of_pattern(one, language) for one in text.split("; ")]
    return "; ".join(one for one in said if one is not None) if None not in said else text


@cache
def sentences(language: Language) -> Mapping[str, str]:
    """The patterns of a language with their translations."""
    if language == "en":
        return {}
    found: dict[str, str] = orjson.loads((FOLDER / f"{language}.sentences.json").read_bytes())
    return found


@cache
def _patterns(language: Language) -> tuple[Mapping[str, str], list[_Pattern]]:
    """Those without values by their text, and the others, the longest first: it says most."""
    found = sentences(language)
    plain = {text: said for text, said in found.items() if not _VALUE.search(text)}
    others = sorted(found.keys() - plain.keys(), key=lambda text: (-len(text), text))
    return plain, [_Pattern(_expression(text), found[text], _introduced(text)) for text in others]


def _introduced(text: str) -> int | None:
    match = _INTRODUCED.search(text)
    return int(match[1]) if match is not None else None


def _expression(text: str) -> re.Pattern[str]:
    """The values of a pattern stand in their order, as in the source."""
    parts = _VALUE.split(text)
    written = ["(.*?)" if index % 2 else re.escape(part) for index, part in enumerate(parts)]
    return re.compile("".join(written), re.DOTALL)
