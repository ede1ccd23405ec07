"""`hookstream check`: a table of the hooks that the daemon would read."""

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from consumer.cli.console import output, print_note
from consumer.configuration import Config
from consumer.delivery.egress.network import guard_policy, refused_uris
from consumer.documents.durations import format_duration
from consumer.errors import ConfigError
from consumer.hooks.table import Hook, RateLimit, UriVariable

_MAX_SHOWN_SUBJECTS = 3
_MAX_SHOWN_HOOKS = 3


def show(config: Config) -> None:
    """Print the hooks in use, and warnings about them on standard error.

    Raises:
        ConfigError: the guard would refuse the URIs of some hooks.
    """
    refused = list(refused_uris(config.definitions.hooks.values(), guard_policy(config.settings)))
    if refused:
        raise ConfigError(refused)
    hooks = config.definitions.hooks.values()
    console = output()
    console.print(_table(config))
    settings, count = config.settings, len(hooks)
    folder = settings.hooks.path or "no file"
    topics = ", ".join(source.topic for source in settings.sources)
    console.print(
        Text.assemble(
            ("ok ", "bold green"),
            f"{count} hook{'s' if count != 1 else ''} from {folder}, fed by {topics}",
        )
    )
    for note in _warnings(config):
        print_note(note)


def _table(config: Config) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("hook", "trigger", "select", "URI"):
        table.add_column(heading, overflow="fold")
    for heading in ("rate", "timeout"):
        table.add_column(heading, no_wrap=True)
    for hook in config.definitions.hooks.values():
        table.add_row(
            Text(hook.id, style="bold" if hook.enabled else "dim"),
            hook.trigger,
            Text(_selection(hook)),
            Text(uri(hook)),
            _rate(hook.rate_limit),
            format_duration(hook.timeout or config.settings.delivery.timeout),
        )
    return table


def uri(hook: Hook) -> str:
    """The URI template of `hook`: `https://host/collect/{campaign}`."""
    parts = (f"{{{p.name}}}" if isinstance(p, UriVariable) else p for p in hook.template_parts)
    return hook.origin + "".join(parts)


def _selection(hook: Hook) -> str:
    if not hook.enabled:
        return "nothing (not enabled)"
    subjects = sorted(hook.select or ())
    lines = subjects[:_MAX_SHOWN_SUBJECTS] or ["everything"]
    if len(subjects) > len(lines):
        lines.append(f"and {len(subjects) - len(lines)} more")
    if hook.app is not None:
        lines.append(f"in app {hook.app}")
    return "\n".join(lines)


def _rate(limit: RateLimit | None) -> str:
    return f"{limit.requests} / {format_duration(limit.per)}" if limit is not None else ""


def _warnings(config: Config) -> Iterator[str]:
    if config.settings.hooks.live:
        yield "live definitions are not looked at here: `hookstream hooks list` shows them"
    fed = {source.trigger for source in config.settings.sources}
    for hook in config.definitions.hooks.values():
        if hook.enabled and hook.trigger not in fed:
            yield f"hook {hook.id} never fires: no source has the trigger {hook.trigger}"
    ordered = sorted(hook.id for hook in config.definitions.hooks.values() if hook.order)
    if ordered:
        named = ", ".join(ordered[:_MAX_SHOWN_HOOKS])
        more = f" and {len(ordered) - _MAX_SHOWN_HOOKS} more" if ordered[_MAX_SHOWN_HOOKS:] else ""
        yield (
            f"order: user holds within a partition of the source topic: key its events by user "
            f"({named}{more})"
        )
