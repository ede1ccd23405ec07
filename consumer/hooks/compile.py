"""From a checked definition to the table's immutable form."""

from collections.abc import Collection, Iterator, Sequence

from consumer.documents.validation import Finding
from consumer.hooks.definition import Definition, Entry
from consumer.hooks.table import Hook, RateLimit, UriVariable
from consumer.hooks.template import shown_name


def variable_findings(
    names: Sequence[str], described: Collection[str], parameter_keys: Sequence[str]
) -> Iterator[Finding]:
    """Findings about the URI's brace names, `uri_parameters` and `parameters` that do not fit."""
    for name in dict.fromkeys(names):
        if name not in described:
            yield Finding(
                ("uri",),
                f"{shown_name(name)} has no label",
                f"add `{shown_name(name)[1:-1]}: {{label: ...}}` below uri_parameters",
            )
    for name in described:
        if name not in names:
            yield Finding(
                ("uri_parameters", name),
                "is not a brace of the URI",
                f"write {shown_name(name)} in uri, or take the entry out",
            )
    for index, key in enumerate(parameter_keys):
        if key in names and key in parameter_keys[:index]:
            yield Finding(
                ("parameters", index, "key"),
                f"{key} is given twice, and {{{key}}} takes one value",
                "keep one",
            )


def compile_hook(definition: Definition, file: str, line: int, uri_line: int) -> Hook:
    """The hook of a definition without findings; lines are 1-based in `file`."""
    template = definition.uri
    entries = {entry.key: entry for entry in definition.parameters}
    variables = {
        name: _uri_variable(name, definition, entries.get(name)) for name in template.names
    }
    pieces = (variables[part] if index % 2 else part for index, part in enumerate(template.parts))
    return Hook(
        id=definition.id,
        name=definition.name or definition.id,
        enabled=definition.enabled,
        app=definition.app,
        trigger=definition.trigger,
        select=frozenset(definition.select) if definition.select is not None else None,
        origin=template.origin,
        host_key=template.host_key,
        template_parts=tuple(piece for piece in pieces if piece),
        has_query=template.has_query,
        headers=tuple([entry.header for entry in definition.headers]),
        parameters=tuple(
            [entry.parameter for entry in definition.parameters if entry.key not in variables]
        ),
        when=definition.when,
        rate_limit=_rate_limit(definition),
        timeout=definition.timeout,
        retry_on=frozenset(definition.retry_on),
        order=definition.order,
        signing_keys=definition.signing_secrets,
        needs_composed=any(
            variable.entry is None and variable.default is None for variable in variables.values()
        ),
        file=file,
        line=line,
        uri_line=uri_line,
    )


def _uri_variable(name: str, definition: Definition, entry: Entry | None) -> UriVariable:
    described = definition.uri_parameters[name]
    missing = described.missing or (entry.missing if entry else None) or "reject"
    return UriVariable(
        name, described.label, entry.value if entry else None, described.default, missing
    )


def _rate_limit(definition: Definition) -> RateLimit | None:
    limit = definition.rate_limit
    return RateLimit(limit.requests, limit.per, limit.burst) if limit else None
