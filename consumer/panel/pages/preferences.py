"""How a person wants the pages: language and theme, kept in cookies; it is pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar, get_args

from consumer.panel.pages.catalogue import LANGUAGES, Language

Theme = Literal["light", "dark"]
THEMES: Final[tuple[Theme, ...]] = get_args(Theme)
LANGUAGE_COOKIE: Final = "hookstream_language"
THEME_COOKIE: Final = "hookstream_theme"
_Choice = TypeVar("_Choice", bound=str)
_SECONDS: Final = 365 * 24 * 3600
_MAX_RANGES: Final = 20
"""Of `Accept-Language` that are looked at."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """How the pages look."""

    language: Language
    theme: Theme | None
    """None: as the person's system has it."""


def preferences(cookies: Mapping[str, Sequence[str]], accept_language: str) -> Preferences:
    """What the cookies say, else what the browser asks for, else English."""
    language = _one_of(LANGUAGES, cookies.get(LANGUAGE_COOKIE, ()))
    theme = _one_of(THEMES, cookies.get(THEME_COOKIE, ()))
    return Preferences(language or _accepted(accept_language), theme)


def set_cookie(name: str, value: str, *, secure: bool) -> str:
    """A `Set-Cookie` of a preference; an empty value takes it back."""
    seconds = _SECONDS if value else 0
    end = "; Secure" if secure else ""
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{end}"


def _one_of(choices: Sequence[_Choice], given: Sequence[str]) -> _Choice | None:
    return next((one for one in choices if list(given) == [one]), None)


def _accepted(header: str) -> Language:
    """The language that a browser prefers among those that there are."""
    best: tuple[float, Language] = (0.0, LANGUAGES[0])
    for entry in header.split(",")[:_MAX_RANGES]:
        name, _, weight = entry.partition(";")
        tag = name.strip().lower().partition("-")[0]
        found = next((one for one in LANGUAGES if one == tag), None)
        if found is not None and (quality := _quality(weight)) > best[0]:
            best = quality, found
    return best[1]


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0
