"""A `SpanSink` that keeps the spans for the test."""

from consumer.tracing.spans import Span


class KeptSpans:
    """Keeps the spans that have ended, in their order."""

    def __init__(self) -> None:
        self.ended: list[Span] = []

    def add(self, span: Span) -> None:
        """Keep one span."""
        self.ended.append(span)

    def close(self, seconds: float) -> None:
        """Do nothing: there is no exporter."""

    @property
    def names(self) -> list[str]:
        """The names of the spans."""
        return [span.name for span in self.ended]

    def parent(self, span: Span) -> Span | None:
        """The span whose child `span` is, if it has ended."""
        trace_id = span.context.trace_id
        return next(
            (
                one
                for one in self.ended
                if (one.context.trace_id, one.context.span_id) == (trace_id, span.parent_id)
            ),
            None,
        )
