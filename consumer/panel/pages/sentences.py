"""Sentences of the services in the language of a page: problems, hints and reasons.

The services write English. A page in another language looks a sentence up by its pattern, whose
`{0}`, `{1}` stand for what differs. In a translation `{0:said}` is a sentence of its own, which is
looked up, too, and a pattern with `{0:known}` is meant only if that is found. What is not found
stays as it is: it is a text from outside, of the operating system, a library or a receiver, which
is quoted, and marked as English for screen readers.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import orjson
from markupsafe import Markup, escape

from consumer.panel.pages.catalogue import Language

FOLDER: Final = Path(__file__).parent.parent / "catalogues"
_VALUE: Final = re.compile(r"\{(\d)\}")
_SLOT: Final = re.compile(r"\{(\d)(?::(said|known))?\}")
_WITH_HINT: Final = re.compile(r"(?P<where>(?:[^ ]+: |hook [^ ]+: )*)(?P<said>.+) \((?P<hint>.+)\)")
"""A `Diagnostic` as text."""
_MAX_CHARACTERS: Final = 2_000
_CACHED: Final = 1_000


class _Pattern(NamedTuple):
    matches: re.Pattern[str]
    translation: str


def sentence(text: str, language: Language) -> Markup:
    """A sentence of a service for a page: translated, or else quoted."""
    if language == "en":
        return escape(text)
    found = translate(text, language)
    return found if found is not None else _quoted(text)


@lru_cache(_CACHED)
def translate(text: str, language: Language) -> Markup | None:
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
            return Markup("{}{} ({})").format(parts["where"], said, hint)
    first, separator, rest = text.partition("); ")
    if not separator:
        return None
    begun, following = translate(f"{first})", language), translate(rest, language)
    if begun is None or following is None:
        return None
    return Markup("{}; {}").format(begun, following)


def _of_pattern(text: str, language: Language) -> Markup | None:
    plain, patterns = _patterns(language)
    if text in plain:
        return escape(plain[text])
    for pattern in patterns:
        if (match := pattern.matches.fullmatch(text)) is not None:
            found = _filled(pattern.translation, match.groups(), language)
            if found is not None:
                return found
    return None


def _filled(translation: str, values: Sequence[str], language: Language) -> Markup | None:
    """A translation with its values, which are texts or sentences; None: one must be known, and is
    not.
    """
    found = Markup("")  # of nothing
    at = 0
    for slot in _SLOT.finditer(translation):
        value = values[int(slot[1])]
        found += escape(translation[at : slot.start()])
        said = _of_pattern(value, language) if slot[2] == "known" else escape(value)
        if said is None:
            return None
        found += _each(value, language) if slot[2] == "said" else said
        at = slot.end()
    return found + escape(translation[at:])


def _each(text: str, language: Language) -> Markup:
    """Sentences with `; ` between them, if all of them are known; else the text, quoted."""
    said = [_of_pattern(one, language) for one in text.split("; ")]
    known = [one for one in said if one is not None]
    return Markup("; ").join(known) if len(known) == len(said) else _quoted(text)


def _quoted(text: str) -> Markup:
    return Markup('<q lang="en">{}</q>').format(text)


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
    return plain, [_Pattern(_expression(text), found[text]) for text in others]


def _expression(text: str) -> re.Pattern[str]:
    """The values of a pattern stand in their order, as in the source."""
    parts = _VALUE.split(text)
    written = ["(.*?)" if index % 2 else re.escape(part) for index, part in enumerate(parts)]
    return re.compile("".join(written), re.DOTALL)
