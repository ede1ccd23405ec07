"""Error messages for refused and failed Kafka connections, with the setting to change."""

import ssl
from collections.abc import Collection

from aiokafka.errors import (
    AuthenticationFailedError,
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from consumer.settings import KafkaSettings
from consumer.stream.bootstrap import BootstrapError
from consumer.stream.tls import tls_files

_GROUP_REFUSALS = {
    InconsistentGroupProtocolError: "another program uses the consumer group in another way: "
    "set kafka.group_id to a name that nothing else uses",
    InvalidGroupIdError: "Kafka accepts no consumer group of this name: set kafka.group_id",
    InvalidSessionTimeoutError: "Kafka allows no session timeout of ten seconds: let the brokers' "
    "group.min.session.timeout.ms and group.max.session.timeout.ms include it",
}
REFUSALS = (
    AuthenticationFailedError,
    SaslAuthenticationFailed,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    *_GROUP_REFUSALS,
)
"""Errors that no retry can fix."""
_GRANT_HINT = "ask for access to it"


def refusal(error: KafkaError) -> str:
    """Message for one of `REFUSALS`."""
    if isinstance(error, AuthenticationFailedError | SaslAuthenticationFailed):
        return "Kafka refuses the credentials: check kafka.sasl_username and kafka.sasl_password"
    for kind, message in _GROUP_REFUSALS.items():
        if isinstance(error, kind):
            return message
    what = "group" if isinstance(error, GroupAuthorizationFailedError) else "topic"
    return f"Kafka refuses the {what} {_names(error)}: {_GRANT_HINT}"


def unreachable(error: KafkaConnectionError, settings: KafkaSettings) -> str:
    """Message for a failed or lost connection to the cluster."""
    servers = ", ".join(settings.bootstrap_servers)
    if not isinstance(error, BootstrapError):
        return f"the connection to the Kafka broker at {servers} was lost: check that it is healthy"
    reasons = (_reason(cause, server, settings) for server, cause in error.causes)
    no_answer = f"no Kafka broker answers at {servers}: start it, or set kafka.bootstrap_servers"
    return next(filter(None, reasons), no_answer)


def _reason(error: Exception, server: str, settings: KafkaSettings) -> str | None:
    """The cause of a failed connection, with a hint; None if no server answers."""
    if isinstance(error, UnsupportedSaslMechanismError):
        wanted = settings.sasl_mechanism
        return f"the Kafka broker at {server} does not accept {wanted}: set kafka.sasl_mechanism"
    if isinstance(error, REFUSALS):
        return refusal(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of the Kafka broker at {server} is not accepted "
            f"({error.verify_message}): set kafka.ssl_cafile to its authority's"
        )
    if isinstance(error, KafkaError | ssl.SSLError | ConnectionResetError):
        tls = tls_files(settings)
        problem = tls.certificate_problem(error) if tls is not None else None
        return problem or _connection_ended(server, settings)
    return None


def _connection_ended(server: str, settings: KafkaSettings) -> str:
    """Message for a server that ends the connection: another protocol, or no client certificate."""
    message = f"the Kafka broker at {server} ends the connection: check kafka.security_protocol"
    if settings.security_protocol.endswith("SSL"):
        return f"{message}, and kafka.ssl_certfile if it asks for a certificate"
    return message


def _names(error: KafkaError) -> str:
    """The topics or the group in an error: aiokafka passes one name or a collection."""
    named = error.args[0] if error.args else ""
    if isinstance(named, Collection) and not isinstance(named, str):
        return ", ".join(sorted(map(str, named)))
    return str(named)
