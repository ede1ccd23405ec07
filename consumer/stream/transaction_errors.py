"""Errors of transactions, and their messages with what to grant or to change."""

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidTransactionTimeout,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from consumer.errors import HookstreamError
from consumer.settings import KafkaSettings
from consumer.stream.bootstrap import BootstrapError
from consumer.stream.kafka_errors import REFUSALS, refusal, unreachable

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_FINAL = (
    *REFUSALS,
    *_TOO_LARGE,
    BootstrapError,
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidTransactionTimeout,
    TransactionalIdAuthorizationFailed,
)


class TransactionError(HookstreamError):
    """The step failed before the commit: it is certain that nothing was written."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final
        """Whether another try would fail in the same way."""


class FencedError(TransactionError):
    """Another writer of the same transactional id has begun, or the transaction timed out."""


class CommitUnknownError(HookstreamError):
    """The commit was asked for and not confirmed: it may have happened, or may still happen until
    another `begin` succeeds.
    """


def is_final(error: KafkaError) -> bool:
    """Whether another try would fail in the same way."""
    return isinstance(error, _FINAL)


def problem(error: KafkaError, transactional_id: str, settings: KafkaSettings) -> str:
    """Message for users about a step of a transaction that failed."""
    if isinstance(error, TransactionalIdAuthorizationFailed):
        return (
            f"Kafka refuses the transactional id {transactional_id}: grant this user Write and "
            "Describe on it"
        )
    if isinstance(error, TopicAuthorizationFailedError):
        return f"Kafka refuses to write to the topic {error.args[0]}: grant this user Write on it"
    if isinstance(error, ClusterAuthorizationFailedError):
        return "Kafka refuses idempotent writes: grant this user IdempotentWrite on the cluster"
    if isinstance(error, _TOO_LARGE):
        return (
            "a definition is larger than a topic allows: raise max.message.bytes of "
            f"{settings.own_topics.hooks} and {settings.own_topics.hooks_audit} to 3145728"
        )
    if isinstance(error, (*REFUSALS, KafkaConnectionError)):
        refused = isinstance(error, REFUSALS)
        return refusal(error) if refused else unreachable(error, settings)
    return f"the Kafka broker at {', '.join(settings.bootstrap_servers)} failed: {error!r}"
