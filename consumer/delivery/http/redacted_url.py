"""The URL of a hook for people who may not see what is sent: without values."""

from consumer.hooks.table import Hook

REDACTED = "REDACTED"
"""In place of a value, as OpenTelemetry's conventions for `url.full` have it."""


def url_template(hook: Hook) -> str:
    """The path, with its variables in braces: `/users/{user}`."""
    return _target(hook, shown=True).partition("?")[0]


def redacted_url(hook: Hook) -> str:
    """The URL without the values of variables in its path and without all values in its query,
    fixed ones too: they may be keys.
    """
    path, has_query, query = _target(hook, shown=False).partition("?")
    pairs = [_redacted_pair(pair) for pair in query.split("&") if pair]
    pairs += [f"{parameter.name}={REDACTED}" for parameter in hook.parameters]
    return hook.origin + path + ("?" if has_query or pairs else "") + "&".join(pairs)


def _target(hook: Hook, *, shown: bool) -> str:
    return "".join(
        part if isinstance(part, str) else (f"{{{part.name}}}" if shown else REDACTED)
        for part in hook.template_parts
    )


def _redacted_pair(pair: str) -> str:
    """A pair of the query without its value; one without a name may be a value."""
    name, has_value, _ = pair.partition("=")
    return f"{name}={REDACTED}" if has_value else REDACTED
