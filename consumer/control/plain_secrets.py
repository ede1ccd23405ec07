"""Secrets that stand in a definition as they are: found, and hidden from readers; it is pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from consumer.control.difference import FieldChange
from consumer.hooks.secrets import has_reference

HIDDEN: Final = "(hidden)"
"""Stands for a signing secret that a definition has as it is."""
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
    return {**definition, _SIGNING: _hidden(definition[_SIGNING])}


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


def _hidden(value: Any) -> Any:
    if isinstance(value, list):
        return [_hidden(one) for one in value]
    return value if isinstance(value, str) and is_reference(value) else HIDDEN


def _hidden_text(text: str | None) -> str | None:
    """A value of a difference, in which a list is JSON."""
    if text is None or is_reference(text):
        return text
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return HIDDEN
    return orjson.dumps(_hidden(value)).decode() if isinstance(value, list) else HIDDEN
