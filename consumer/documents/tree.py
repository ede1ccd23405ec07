"""A document that a person wrote, with the line of every value in it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

DocumentPath = tuple[str | int, ...]
"""Keys and indexes from a document's root down to one value."""
Lines = dict[int, list[int]]
"""By the identity of a mapping or sequence: the lines of its keys or items, in order."""


# YAML 1.2, section 10.3.2, without hexadecimal and octal numbers.
RESOLVED: Final = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|true|True|TRUE|false|False|FALSE"
)
"""A scalar without quotes that YAML's core schema takes for a number or a boolean."""


class Unquoted(str):
    """A text that its author wrote without quotes, and that YAML's core schema or JSON takes for a
    number or a boolean. Most fields take it as any other text; a condition tells `1000` from
    `"1000"` by it.
    """

    __slots__ = ()


@dataclass(slots=True)
class Document:
    """The values of one document. Numbers keep their author's spelling (`007` stays `007`, as
    `Unquoted`): the field that receives a value decides on its type, not the file format.
    """

    data: Any
    """dict, list, str, bool (JSON only) or None, nested."""
    line: int
    """1-based line of the root."""
    locate: Callable[[DocumentPath], int]
    """The 1-based line of a value; if it does not exist, of the nearest value around it."""


def without_nulls(data: Any) -> Any:
    """A mapping without its null members: a field that is all commented out is absent."""
    if not isinstance(data, dict):
        return data
    return {key: value for key, value in data.items() if value is not None}


def spelling(path: DocumentPath) -> str:
    """A path as people write it: `headers[0].value`."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(parts).removeprefix(".")
