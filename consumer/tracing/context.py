"""W3C Trace Context: the trace that an event belongs to, and whether it is sampled."""

import re
from collections.abc import Callable
from typing import Final

SAMPLED: Final = 1
"""The bit of the flags that says that the caller records its trace."""
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?",
    re.DOTALL,
)
_LENGTH: Final = 55
"""Of a header without later versions' parts; its last character has the sampled flag."""
_UNSAMPLED: Final = frozenset(b"02468ace")
_FIRST_VERSION: Final = b"00"
_RATIO_RANGE: Final = 1 << 64
"""The share is decided by a trace id's last 64 bits, as in OpenTelemetry's `TraceIdRatioBased`:
other samplers with the same share decide alike."""
_DECISIVE_BITS: Final = 64
MAX_TRACESTATE_BYTES: Final = 512
"""A longer `tracestate` is not passed along (section 3.3.1.5)."""


class SpanContext:
    """The identity of a span that is recorded."""

    __slots__ = ("span_id", "trace_id", "tracestate")

    def __init__(self, trace_id: int, span_id: int, tracestate: str = "") -> None:
        self.trace_id = trace_id
        """128 bits."""
        self.span_id = span_id
        """64 bits; 0: a trace that begins here has no span yet."""
        self.tracestate = tracestate
        """Passed along as the producer wrote it."""

    def __repr__(self) -> str:
        return f"<SpanContext {self.traceparent}>"

    @property
    def traceparent(self) -> str:
        """The header by which the trace goes on (section 3.2)."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-01"


class Traceparent:
    """A well-formed `traceparent` header."""

    __slots__ = ("is_sampled", "span_id", "trace_id")

    def __init__(self, trace_id: int, span_id: int, *, is_sampled: bool) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.is_sampled = is_sampled


def parse_traceparent(value: bytes) -> Traceparent | None:
    """Parse a header (section 3.2); None if it is malformed, which is the same as none.

    A later version may have more parts behind a dash; those of this version are read.
    """
    parts = _parts(value)
    if parts is None:
        return None
    return Traceparent(int(parts[2], 16), int(parts[3], 16), is_sampled=_is_sampled(parts))


def _parts(value: bytes) -> re.Match[bytes] | None:
    parts = _TRACEPARENT.fullmatch(value)
    return None if parts and parts[1] == _FIRST_VERSION and parts[5] is not None else parts


def _is_sampled(parts: re.Match[bytes]) -> bool:
    return bool(int(parts[4], 16) & SAMPLED)


def parse_tracestate(value: bytes | None) -> str:
    """The text of a `tracestate` header; "" for none, and for one that cannot be passed along."""
    if value is None or len(value) > MAX_TRACESTATE_BYTES or not value.isascii():
        return ""
    return value.decode()


class Sampler:
    """Decides which events are recorded: by the producer's decision, else by a share."""

    def __init__(self, share: float, random_bits: Callable[[int], int]) -> None:
        """`share`: from 0 to 1; `random_bits`: a number of so many uniform bits."""
        self.random_bits = random_bits
        self.use(share)

    def use(self, share: float) -> None:
        """Sample this share of the events without a `traceparent` from now on."""
        self._bound = round(share * _RATIO_RANGE)

    def parent(self, traceparent: bytes | None) -> SpanContext | None:
        """The span that an event's own span is a child of; None: nothing is recorded of it."""
        if traceparent is not None and not _seems_unsampled(traceparent):
            parts = _parts(traceparent)
            if parts is not None:
                if not _is_sampled(parts):
                    return None
                return SpanContext(int(parts[2], 16), int(parts[3], 16))
        if not self._bound:
            return None
        decisive = self.random_bits(_DECISIVE_BITS)
        if decisive >= self._bound:
            return None
        # Only now it pays to read a header in full: if it is well-formed, it decides.
        if traceparent is not None and _parts(traceparent) is not None:
            return None
        trace_id = self.random_bits(_DECISIVE_BITS) << _DECISIVE_BITS | decisive
        return SpanContext(trace_id or 1, 0)


def _seems_unsampled(traceparent: bytes) -> bool:
    """Whether the header is not sampled if it is well-formed."""
    return len(traceparent) == _LENGTH and traceparent[_LENGTH - 1] in _UNSAMPLED
