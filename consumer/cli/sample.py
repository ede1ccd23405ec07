"""`hookstream sample`: the request of a hook as a `curl` command.

The command line's curl is the daemon's libcurl in another coat: given the same header lines it
writes the same bytes (`host`, `accept: */*`, then the lines in their order). What it would do of
its own accord is switched off: `~/.curlrc`, globbing, proxies. (Its tidying of dot segments is
not: no request has any.)
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


@dataclass(frozen=True, slots=True)
class Sample:
    """A request as a person may see it."""

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
    """The request of an event that is not known: `<profile city>` stands for what it brings."""
    stand_ins = _StandIns()

    def known(value: Value) -> Value:
        if value.source != "fixed":
            return stand_ins.fixed(f"<{value.source} {value.reference}>")
        return value if reveal or not value.secret else stand_ins.fixed(value.reference)

    told = replace(hook, headers=tuple(map(_with_encoding, hook.headers)))
    shown = replace(
        _with_values(told, known), origin=stand_ins.add("${hook.url}"), template_parts=("",)
    )
    nothing = Event(
        id="", trigger=hook.trigger, occurred_at=0, app=None, subject=None, notification=None,
        document={},
    )  # fmt: skip
    request = build(shown, nothing, settings, now=0)
    return _sample(request, stand_ins, {name: f"<{name}>" for name in _WRITTEN_BY_HOOKSTREAM})


def event_sample(
    hook: Hook, event: Event, settings: Settings, now: float, *, reveal: bool
) -> Sample:
    """The request of `event` at `now` (epoch seconds).

    Raises `HookstreamError` where the event cannot become one.
    """
    stand_ins = _StandIns()
    if reveal:
        return _sample(build(hook, event, settings, now), stand_ins, {})

    def hidden(value: Value) -> Value:
        return stand_ins.fixed(value.reference) if value.secret else value

    request = build(_with_values(hook, hidden), event, settings, now)
    return _sample(request, stand_ins, {"webhook-signature": "<webhook-signature>"})


def build(hook: Hook, event: Event, settings: Settings, now: float) -> Request:
    """The request that the daemon would send at `now` (epoch seconds).

    Raises `HookstreamError` where the event cannot become one.
    """
    delivery = settings.delivery
    builder = RequestBuilder(
        hook, timeout=delivery.timeout, connect_timeout=delivery.connect_timeout
    )
    try:
        return builder.build(event, delivery_id(event.id, hook.id), now)
    except RejectedError as error:
        raise HookstreamError(
            f"no request: {error}; the delivery would go to the dead-letter topic as rejected"
        ) from None


@dataclass(slots=True)
class _StandIns:
    """Random words without a character that a URL or header would encode. They go through the
    builder in the place of texts for people, and are exchanged for those afterwards.
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
    """`header`, whose reference says for people how its value will be encoded."""
    if header.encode is None or header.value.source == "fixed":
        return header
    reference = f"{header.value.reference}, {header.encode}-encoded"
    return replace(header, value=replace(header.value, reference=reference))


def _with_values(hook: Hook, change: Callable[[Value], Value]) -> Hook:
    """A copy of `hook` whose values are changed, wherever they stand."""
    return replace(
        hook,
        headers=tuple(replace(header, value=change(header.value)) for header in hook.headers),
        parameters=tuple(replace(one, value=change(one.value)) for one in hook.parameters),
        template_parts=tuple(
            replace(piece, entry=change(piece.entry))
            if isinstance(piece, UriVariable) and piece.entry is not None
            else piece
            for piece in hook.template_parts
        ),
    )


def _sample(request: Request, stand_ins: _StandIns, written: dict[str, str]) -> Sample:
    lines = _replaced((line.decode() for line in request.headers), written)
    return Sample(stand_ins.put_back(request.url), tuple(map(stand_ins.put_back, lines)))


def _replaced(lines: Iterator[str], written: dict[str, str]) -> Iterator[str]:
    """The lines, with the values in `written` for the headers that it names."""
    for line in lines:
        name = line.partition(":")[0]
        yield f"{name}: {written[name]}" if name in written else line


def _curl_header(line: str) -> str:
    """`name;` is curl's spelling of a header without a value; `name:` would drop it."""
    return line.removesuffix(": ") + ";" if line.index(":") == len(line) - 2 else line
