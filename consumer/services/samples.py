"""The request of a hook as a `curl` command.

Given the same header lines, `curl` writes the same bytes as the daemon's libcurl (`host`,
`accept: */*`, then the lines in their order). `~/.curlrc`, globbing and proxies are switched off.
Dot segments, which it would remove, are in no request.
"""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from secrets import token_hex

from consumer.delivery.http.request import RequestBuilder, delivery_id
from consumer.delivery.http.transport import Request
from consumer.delivery.http.values import RejectedError
from consumer.errors import HookstreamError
from consumer.events.model import Event
from consumer.hooks.table import Header, Hook, UriVariable, Value
from consumer.settings import Settings

_CURL = ("curl", "-q", "-i", "--globoff", "--noproxy", "*")
_WRITTEN_BY_HOOKSTREAM = ("webhook-id", "webhook-timestamp", "webhook-signature")


class NoRequestError(HookstreamError):
    """No request can be made of an event."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A request in a form for people."""

    url: str
    headers: tuple[str, ...]

    def curl(self, settings: Settings) -> str:
        """A command for a POSIX shell, one argument a line."""
        command = [*_CURL]
        if settings.network.ca_file is not None:
            command += ["--cacert", str(settings.network.ca_file)]
        arguments = [shlex.join(command), shlex.quote(self.url)]
        arguments += [f"-H {shlex.quote(_curl_header(line))}" for line in self.headers]
        return " \\\n  ".join(arguments)


def template_sample(hook: Hook, settings: Settings, *, reveal: bool) -> Sample:
    """The request of an unknown event: `<profile city>` stands for a value of the event."""
    placeholders = _Placeholders()

    def known(value: Value) -> Value:
        if value.source != "fixed":
            return placeholders.fixed(f"<{value.source} {value.reference}>")
        return value if reveal or not value.secret else placeholders.fixed(value.reference)

    annotated = replace(hook, headers=tuple(map(_with_encoding, hook.headers)))
    shown = replace(
        _with_values(annotated, known), origin=placeholders.add("${hook.url}"), template_parts=("",)
    )
    empty = Event(
        id="", trigger=hook.trigger, occurred_at=0, app=None, subject=None, notification=None,
        document={},
    )  # fmt: skip
    request = build(shown, empty, settings, now=0)
    return _sample(request, placeholders, {name: f"<{name}>" for name in _WRITTEN_BY_HOOKSTREAM})


def event_sample(
    hook: Hook, event: Event, settings: Settings, now: float, *, reveal: bool
) -> Sample:
    """The request of `event` at `now` (epoch seconds).

    Raises `NoRequestError` if none can be made of the event.
    """
    placeholders = _Placeholders()
    if reveal:
        return _sample(build(hook, event, settings, now), placeholders, {})

    def hidden(value: Value) -> Value:
        return placeholders.fixed(value.reference) if value.secret else value

    request = build(_with_values(hook, hidden), event, settings, now)
    return _sample(request, placeholders, {"webhook-signature": "<webhook-signature>"})


def build(hook: Hook, event: Event, settings: Settings, now: float) -> Request:
    """The request that the daemon would send at `now` (epoch seconds).

    Raises `NoRequestError` if none can be made of the event.
    """
    delivery = settings.delivery
    builder = RequestBuilder(
        hook, timeout=delivery.timeout, connect_timeout=delivery.connect_timeout
    )
    try:
        return builder.build(event, delivery_id(event.id, hook.id), now)
    except RejectedError as error:
        raise NoRequestError(
            f"no request: {error}; the delivery would go to the dead-letter topic as rejected"
        ) from None


@dataclass(slots=True)
class _Placeholders:
    """Random words that a URL or header does not encode. They go through the builder in place of
    texts for people, which replace them afterwards.
    """

    _texts: dict[str, str] = field(default_factory=dict)

    def add(self, text: str) -> str:
        word = f"x{token_hex(16)}x"
        self._texts[word] = text
        return word

    def fixed(self, text: str) -> Value:
        return Value("fixed", text=self.add(text))

    def put_back(self, text: str) -> str:
        for word, shown in self._texts.items():
            text = text.replace(word, shown)
        return text


def _with_encoding(header: Header) -> Header:
    """`header` with its encoding named in its reference, for people."""
    if header.encode is None or header.value.source == "fixed":
        return header
    reference = f"{header.value.reference}, {header.encode}-encoded"
    return replace(header, value=replace(header.value, reference=reference))


def _with_values(hook: Hook, change: Callable[[Value], Value]) -> Hook:
    """A copy of `hook` with `change` applied to all values."""
    return replace(
        hook,
        headers=tuple(replace(header, value=change(header.value)) for header in hook.headers),
        parameters=tuple(replace(one, value=change(one.value)) for one in hook.parameters),
        template_parts=tuple(
            replace(part, entry=change(part.entry))
            if isinstance(part, UriVariable) and part.entry is not None
            else part
            for part in hook.template_parts
        ),
    )


def _sample(request: Request, placeholders: _Placeholders, written: dict[str, str]) -> Sample:
    lines = _replaced((line.decode() for line in request.headers), written)
    return Sample(placeholders.put_back(request.url), tuple(map(placeholders.put_back, lines)))


def _replaced(lines: Iterator[str], written: dict[str, str]) -> Iterator[str]:
    """The header lines, with the values of the headers in `written` replaced."""
    for line in lines:
        name = line.partition(":")[0]
        yield f"{name}: {written[name]}" if name in written else line


def _curl_header(line: str) -> str:
    """A header line in curl's form: `name;` if it has no value, since curl drops `name:`."""
    return line.removesuffix(": ") + ";" if line.index(":") == len(line) - 2 else line
