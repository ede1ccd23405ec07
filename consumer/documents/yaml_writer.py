"""YAML that the reader of definitions reads back as it was, and that other readers understand."""

import re
from collections.abc import Mapping
from typing import Any

from yaml import CSafeDumper, ScalarNode, dump

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_WIDTH_COLUMNS = 2**31 - 1
"""No line is folded: a folded text is harder to compare."""


class _Dumper(CSafeDumper):
    """Writes texts that are integers or booleans without quotes, as a person does, and leaves
    aliases out. All other texts that YAML 1.1 takes for something else (`yes`, `1.10`, `null`) are
    quoted by PyYAML.
    """

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # PyYAML's signature
        """See PyYAML."""
        return True


def _text(dumper: CSafeDumper, text: str) -> ScalarNode:
    if text in {"true", "false"}:
        return dumper.represent_scalar("tag:yaml.org,2002:bool", text)
    if _INTEGER.fullmatch(text):
        return dumper.represent_scalar("tag:yaml.org,2002:int", text)
    # Other styles keep some line ends (U+0085) as they are, and readers fold them into blanks.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


class Quoted(str):
    """A text that is written in quotes, so that no reader takes it for a number or a boolean."""

    __slots__ = ()


def _quoted(dumper: CSafeDumper, text: Quoted) -> ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), '"')


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Quoted, _quoted)


def write_yaml(data: Mapping[str, Any]) -> str:
    """One document. Its scalars are texts, as the reader gives them, but for JSON's numbers and
    booleans where a text means something else.
    """
    text: str = dump(
        data,
        Dumper=_Dumper,
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=False,
        width=_WIDTH_COLUMNS,
    )
    return text
