"""Errors of publishing that the outbox and a replay tell from all others."""


class TooLargeError(Exception):
    """The record is larger than the topic allows."""


class BatchTooLargeError(Exception):
    """The batch is larger than the topic allows; the next ones for it will be smaller."""


class NoLeaderError(Exception):
    """The only partition that will do has no leader, so nothing was sent."""
