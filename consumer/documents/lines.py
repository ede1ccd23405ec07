"""Short texts that people read in lists, labels of metrics and log lines."""

import unicodedata
from typing import Final

from consumer.errors import InvalidValue

MAX_CHARACTERS: Final = 200
"""Of a name, an owner or a label."""
_BREAKS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters, halves of pairs, and ends of lines and paragraphs."""


def one_line(text: str, max_characters: int = MAX_CHARACTERS) -> str:
    """`text`, which is one short line. Raises `InvalidValue` if it is not."""
    if len(text) > max_characters:
        raise InvalidValue(
            f"has {len(text):,} characters", f"write at most {max_characters} characters"
        )
    if any(unicodedata.category(one) in _BREAKS for one in text):
        raise InvalidValue(
            "holds a line end or a control character", "write one line of printable characters"
        )
    return text
