"""From one definition's data to its hook, or to everything that is wrong with it."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from pydantic import ValidationError

from consumer.documents.tree import Document, Unquoted, spelling, without_nulls
from consumer.documents.validation import Finding, findings
from consumer.errors import ConfigError, Diagnostic
from consumer.hooks.compile import compile_hook, variable_findings
from consumer.hooks.definition import Definition
from consumer.hooks.load_context import LoadContext
from consumer.hooks.table import Hook
from consumer.hooks.template import parse_template


def load_definition(data: object, context: LoadContext, name: str) -> Hook:
    """The hook of a definition that has no file: JSON values, numbers among them.

    `name` stands in place of the file: `hookstream.hooks@1234` for a topic and an offset.

    Raises:
        ConfigError: with every problem, as of a definition in a file.
    """
    return load_document(Document(_written(data), 0, lambda _path: 0), context, name)


def load_document(
    document: Document, context: LoadContext, file: str, earlier: Iterable[Finding] = ()
) -> Hook:
    """The hook of a document of `file`; `earlier`: what is known to be wrong with it.

    Raises:
        ConfigError: with every problem, in the order of the lines.
    """
    data = without_nulls(document.data)
    found = list(earlier)
    try:
        definition = Definition.model_validate(data, context=context)
    except ValidationError as error:
        found += findings(error, Definition)
        found += _variable_findings_of(data, found)
    else:
        keys = [entry.key for entry in definition.parameters]
        found += variable_findings(definition.uri.names, definition.uri_parameters, keys)
    if found:
        raise ConfigError(_diagnostics(found, document, file))
    return compile_hook(definition, file, document.line, document.locate(("uri",)))


def hook_id_of(document: Document) -> str:
    """The id that a document's author wrote; empty if it is no text."""
    hook_id = document.data.get("id") if isinstance(document.data, dict) else None
    return hook_id if isinstance(hook_id, str) else ""


def _written(data: Any) -> Any:
    """JSON values as a file's reader gives them: numbers as `Unquoted` text, since the field that
    receives a value decides on its type.
    """
    kind = type(data)
    if kind is dict:
        return {
            key: value if type(value) is str else _written(value) for key, value in data.items()
        }
    if kind is list:
        return [item if type(item) is str else _written(item) for item in data]
    return Unquoted(orjson.dumps(data).decode()) if kind is int or kind is float else data


def _diagnostics(found: list[Finding], document: Document, file: str) -> list[Diagnostic]:
    diagnostics = [
        Diagnostic(
            finding.message,
            finding.hint,
            file=file,
            line=document.locate(finding.path),
            hook=hook_id_of(document),
            field=spelling(finding.path),
        )
        for finding in found
    ]
    return sorted(diagnostics, key=lambda diagnostic: diagnostic.line)


def _variable_findings_of(data: Any, found: list[Finding]) -> Iterator[Finding]:
    """Findings about the braces of a definition that is refused for something else, so that its
    author learns of both at once.
    """
    fields = {finding.path[0] for finding in found if finding.path}
    if not isinstance(data, dict) or not fields.isdisjoint({"uri", "uri_parameters"}):
        return
    yield from variable_findings(
        parse_template(data["uri"]).names, data.get("uri_parameters", {}), []
    )
