"""The sentences of the pages, in each language."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

import orjson
from markupsafe import Markup, escape

Language = Literal["en", "tr"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
LANGUAGE_NAMES: Final[Mapping[Language, str]] = {"en": "English", "tr": "Türkçe"}
_FOLDER: Final = Path(__file__).parent.parent / "catalogues"


class Catalogue:
    """The messages of one language, by key."""

    def __init__(self, language: Language, messages: Mapping[str, str]) -> None:
        self.language = language
        self.messages = messages

    def text(self, key: str, /, **values: object) -> Markup:
        """The message with its `{names}` replaced; values are escaped. Raises `KeyError`."""
        return escape(self.messages[key]).format(**values)

    def count(self, key: str, number: int, /, **values: object) -> Markup:
        """The message of `key.one` or `key.other`; `values` has the number as people read it."""
        return self.text(f"{key}.one" if number == 1 else f"{key}.other", **values)


@cache
def catalogue(language: Language) -> Catalogue:
    """The catalogue of a language."""
    return Catalogue(language, orjson.loads((_FOLDER / f"{language}.json").read_bytes()))
