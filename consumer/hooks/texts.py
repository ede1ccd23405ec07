"""The texts of a definition."""

import re
from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator

from consumer.documents.lines import MAX_CHARACTERS, one_line
from consumer.documents.validation import Scalar, as_text
from consumer.errors import InvalidValue
from consumer.hooks.secrets import has_reference

HOOK_ID: Final = r"[a-z0-9-]{1,64}"
"""Pattern of a hook's id."""
_HOOK_ID: Final = re.compile(HOOK_ID)


def is_hook_id(text: str) -> bool:
    """Whether `text` may be a hook's id."""
    return _HOOK_ID.fullmatch(text) is not None


def text_of(raw: Any) -> str:
    """A text. Raises `InvalidValue`, as all below."""
    text: Any = raw if type(raw) is str else as_text(raw)
    if not isinstance(text, str):
        raise InvalidValue("is not text", "write one text")
    return text if type(text) is str else str(text)


def without_secrets(raw: Any) -> str:
    """A text without references to secrets."""
    text = text_of(raw)
    if has_reference(text):
        raise InvalidValue(
            "holds ${, but secrets cannot stand here",
            "put ${...} into a header or parameter with `source: fixed`",
        )
    return text


def plain(raw: Any) -> str:
    """A text without references to secrets, which is not empty."""
    text = without_secrets(raw)
    if not text:
        raise InvalidValue("is empty", "write at least one character, or take it out")
    return text


def _line(raw: Any) -> str:
    return one_line(plain(raw))


PlainText = Annotated[str, PlainValidator(plain, json_schema_input_type=Scalar)]
LineText = Annotated[
    str,
    PlainValidator(
        _line, json_schema_input_type=Annotated[Scalar, Field(max_length=MAX_CHARACTERS)]
    ),
]
"""One short line: what lists show."""
