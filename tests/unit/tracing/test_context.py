"""W3C Trace Context: which headers count, and which events are sampled."""

from random import Random

import pytest

from consumer.tracing.context import (
    Sampler,
    SpanContext,
    Traceparent,
    parse_traceparent,
    parse_tracestate,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def _read(header: Traceparent | None) -> tuple[int, int, bool] | None:
    return None if header is None else (header.trace_id, header.span_id, header.is_sampled)


@pytest.mark.parametrize(
    ("header", "is_sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"00-{TRACE}-{SPAN}-02", False),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", True),
    ],
)
def test_a_well_formed_traceparent_is_read(header: str, is_sampled: bool) -> None:
    """Trace, span and the sampled flag are read, other flags and the parts of later versions are
    ignored (W3C Trace Context, section 3.2).
    """
    expected = (int(TRACE, 16), int(SPAN, 16), is_sampled)
    assert _read(parse_traceparent(header.encode())) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-1",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE[1:]}g-{SPAN}-01",
    ],
)
def test_a_malformed_traceparent_is_none(header: str) -> None:
    """A header with a forbidden version, a zero id, capitals, or another length is no context."""
    assert parse_traceparent(header.encode()) is None


def test_a_context_is_written_as_it_is_read() -> None:
    """The header of a span is well-formed and says that the trace is recorded."""
    context = SpanContext(0xAB, 0xCD)
    assert context.traceparent == f"00-{'0' * 30}ab-{'0' * 14}cd-01"
    assert _read(parse_traceparent(context.traceparent.encode())) == (0xAB, 0xCD, True)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (None, ""),
        (b"vendor=1,other=a b", "vendor=1,other=a b"),
        ("vendor=ı".encode(), ""),
        (b"a=" + b"1" * 511, ""),
    ],
)
def test_a_tracestate_is_passed_along(header: bytes | None, text: str) -> None:
    """A `tracestate` is kept as it is, unless it is too long or not ASCII."""
    assert parse_tracestate(header) == text


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_producers_decision_wins(share: float) -> None:
    """A `traceparent` decides alone, whatever the share: a sampled one is continued, one that is
    not sampled is not.
    """
    sampler = Sampler(share, Random(1).getrandbits)  # noqa: S311  # the same each time
    parent = sampler.parent(f"00-{TRACE}-{SPAN}-01".encode())
    assert parent is not None
    assert (parent.trace_id, parent.span_id) == (int(TRACE, 16), int(SPAN, 16))
    for version, flags in [("00", "00"), ("00", "0a"), ("cc", "00"), ("cc", "00-more")]:
        assert sampler.parent(f"{version}-{TRACE}-{SPAN}-{flags}".encode()) is None


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"00-1",
        f"ff-{TRACE}-{SPAN}-00".encode(),
        f"00-{'0' * 32}-{SPAN}-00".encode(),
        f"00-{TRACE}-{'0' * 16}-00".encode(),
        f"00-{TRACE}-{SPAN}-00-more".encode(),
        f"00-{TRACE}-{SPAN}-0G".encode(),
    ],
)
def test_without_a_readable_traceparent_the_share_decides(header: bytes | None) -> None:
    """Events without a `traceparent`, and those with a malformed one, are sampled by the share, and
    each begins a trace of its own.
    """
    none, every = Sampler(0.0, Random(1).getrandbits), Sampler(1.0, Random(1).getrandbits)  # noqa: S311  # the same each time
    assert none.parent(header) is None
    first, second = every.parent(header), every.parent(header)
    assert first is not None
    assert second is not None
    assert first.span_id == 0
    assert first.trace_id != second.trace_id


def test_the_share_is_taken_by_the_trace_id() -> None:
    """A trace id is always decided alike, so that replicas and other samplers with this share
    agree: its last 64 bits are below the share of their range.
    """
    first, below, above = 1 << 36, (1 << 62) - 1, 1 << 62
    for last, is_sampled in [(below, True), (above, False), (0, True)]:
        draws = iter([last, first])
        parent = Sampler(0.25, lambda _count, draws=draws: next(draws)).parent(None)  # type: ignore[misc]
        assert (parent is not None) is is_sampled
        assert parent is None or parent.trace_id == first << 64 | last


def test_the_share_holds_over_many_events() -> None:
    """Of many events about the share is sampled, and a reload changes it."""
    sampler = Sampler(0.1, Random(3).getrandbits)  # noqa: S311  # the same each time
    sampled = sum(sampler.parent(None) is not None for _ in range(20_000))
    assert 1_850 < sampled < 2_150
    sampler.use(0.0)
    assert all(sampler.parent(None) is None for _ in range(1_000))
