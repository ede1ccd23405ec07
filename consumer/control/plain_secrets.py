"""Secrets that stand in a definition as they are: found, and hidden from readers; it is pure.

A signing secret is not shown again once it is written. An editor gets a mark in its place, so that
the definition can be written back: the mark is looked up in the definition in force.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from consumer.control.difference import FieldChange, as_written, difference
from consumer.errors import ConfigError, Diagnostic
from consumer.hooks.secrets import has_reference

HIDDEN: Final = "(hidden)"
"""Stands for a signing secret that a definition has as it is."""
_MARKED: Final = re.compile(r"\(hidden ([0-9a-f]{16})\)")
_MARK_CHARACTERS: Final = 16
_SIGNING: Final = "signing_secrets"
_WHOLE_REFERENCE: Final = re.compile(r"(whsec_)?\$\{(env|file|sealed):[^}]+\}")
_CREDENTIAL: Final = re.compile(
    r"authori[sz]ation|api[-_. ]?key|token|secret|passw(or)?d|credential", re.IGNORECASE
)


def is_reference(text: str) -> bool:
    """Whether a text is one reference to a secret, and nothing else."""
    return _WHOLE_REFERENCE.fullmatch(text) is not None


def without_signing_secrets(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A definition for readers: signing secrets that are no references are hidden. Definitions that
    the loader refuses are taken as well.
    """
    if definition.get(_SIGNING) is None:
        return dict(definition)
    return {**definition, _SIGNING: _hidden(definition[_SIGNING], lambda _: HIDDEN)}


def marked_signing_secrets(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A definition as `without_signing_secrets` makes it, for editors: `unmarked_signing_secrets`
    brings back each secret that is a text.
    """
    if definition.get(_SIGNING) is None:
        return dict(definition)
    marked = _hidden(definition[_SIGNING], lambda text: f"(hidden {mark(text)})")
    return {**definition, _SIGNING: marked}


def unmarked_signing_secrets(
    definition: Mapping[str, Any], in_force: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A definition with the signing secrets that its marks stand for in the one in force; None:
    there is none.

    Raises:
        ConfigError: with each mark that stands for no secret there.
    """
    known, problems, found = secrets_by_mark(in_force), list[Diagnostic](), list[Any]()
    for index, text in enumerate(_list(definition.get(_SIGNING))):
        if not is_hidden(text):
            found.append(text)
            continue
        match = _MARKED.fullmatch(text)
        if match is not None and match[1] in known:
            found.append(known[match[1]])
            continue
        problems.append(
            Diagnostic(
                "stands for a secret that this hook does not have",
                "write the secret itself, or load the hook again",
                field=f"{_SIGNING}[{index}]",
            )
        )
    if problems:
        raise ConfigError(problems)
    return {**definition, _SIGNING: found} if found else dict(definition)


def has_hidden_secrets(definition: Mapping[str, Any]) -> bool:
    """Whether something stands in the place of a signing secret."""
    return any(map(is_hidden, _list(definition.get(_SIGNING))))


def is_hidden(text: Any) -> bool:
    """Whether a text stands in the place of a signing secret."""
    return isinstance(text, str) and (text == HIDDEN or _MARKED.fullmatch(text) is not None)


def secrets_by_mark(definition: Mapping[str, Any] | None) -> dict[str, str]:
    """The signing secrets of a definition in their written form, by their marks."""
    found = as_written((definition or {}).get(_SIGNING))
    return {mark(text): text for text in _list(found) if isinstance(text, str)}


def mark(text: str) -> str:
    """Stands for a signing secret. It gives nothing away: a key that signs has at least 192 random
    bits.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_CHARACTERS]


def shown_difference(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[FieldChange]:
    """What differs between two definitions, for readers; see `difference`."""
    return without_signing_secrets_in(difference(before, after))


def without_signing_secrets_in(fields: Iterable[FieldChange]) -> list[FieldChange]:
    """Differences for readers: they tell that a signing secret has changed, and not to what."""
    return [
        replace(one, before=_hidden_text(one.before), after=_hidden_text(one.after))
        if re.split(r"[.\[]", one.field, maxsplit=1)[0] == _SIGNING
        else one
        for one in fields
    ]


def plain_secrets(definition: Mapping[str, Any]) -> Iterator[str]:
    """The paths of texts that look like secrets and are no references: signing secrets, and fixed
    values whose key sounds like a credential.
    """
    for name in ("headers", "parameters"):
        for index, entry in enumerate(_list(definition.get(name))):
            if isinstance(entry, Mapping) and _is_plain_credential(entry):
                yield f"{name}[{index}].value"
    for index, text in enumerate(_list(definition.get(_SIGNING))):
        if isinstance(text, str) and not is_reference(text):
            yield f"{_SIGNING}[{index}]"


def _is_plain_credential(entry: Mapping[str, Any]) -> bool:
    key, value = entry.get("key"), entry.get("value")
    return (
        entry.get("source") == "fixed"
        and isinstance(key, str)
        and isinstance(value, str)
        and bool(value)
        and _CREDENTIAL.search(key) is not None
        and not has_reference(value)
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _hidden(value: Any, stand_in: Callable[[str], str]) -> Any:
    """`value` with what stands in the place of a text; other things cannot be looked up again."""
    if isinstance(value, list):
        return [_hidden(one, stand_in) for one in value]
    if not isinstance(value, str):
        return HIDDEN
    return value if is_reference(value) else stand_in(value)


def _hidden_text(text: str | None) -> str | None:
    """A value of a difference, in which a list is JSON."""
    if text is None or is_reference(text):
        return text
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return HIDDEN
    hidden = _hidden(value, lambda _: HIDDEN)
    return orjson.dumps(hidden).decode() if isinstance(value, list) else HIDDEN
