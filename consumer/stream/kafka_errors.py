"""Why Kafka does not let us in, in sentences for people."""

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
    InconsistentGroupProtocolError: "another program uses the consumer group, in another way: "
    "set kafka.group_id to a name that nothing else uses",
    InvalidGroupIdError: "Kafka takes no consumer group of this name: set kafka.group_id",
    InvalidSessionTimeoutError: "Kafka allows no session time-out of ten seconds: let the brokers' "
    "group.min.session.timeout.ms and group.max.session.timeout.ms include it",
}
REFUSALS = (
    AuthenticationFailedError,
    SaslAuthenticationFailed,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    *_GROUP_REFUSALS,
)
"""What no waiting will change."""
_NO_RIGHT = "ask for the right to it"


def refusal(error: KafkaError) -> str:
    """The sentence for one of `REFUSALS`."""
    if isinstance(error, AuthenticationFailedError | SaslAuthenticationFailed):
        return "Kafka refuses the credentials: check kafka.sasl_username and kafka.sasl_password"
    for kind, sentence in _GROUP_REFUSALS.items():
        if isinstance(error, kind):
            return sentence
    what = "group" if isinstance(error, GroupAuthorizationFailedError) else "topic"
    return f"Kafka refuses the {what} {_names(error)}: {_NO_RIGHT}"


def unreachable(error: KafkaConnectionError, settings: KafkaSettings) -> str:
    """The sentence for a cluster that a client did not get into, or lost."""
    servers = ", ".join(settings.bootstrap_servers)
    if not isinstance(error, BootstrapError):
        return f"the connection to the Kafka broker at {servers} broke: check that it is healthy"
    sentences = (_reason(cause, server, settings) for server, cause in error.causes)
    nothing = f"no Kafka broker answers at {servers}: start it, or set kafka.bootstrap_servers"
    return next(filter(None, sentences), nothing)


def _reason(error: Exception, server: str, settings: KafkaSettings) -> str | None:
    """What a person can do about the failed connection; None where nobody is there at all."""
    if isinstance(error, UnsupportedSaslMechanismError):
        wanted = settings.sasl_mechanism
        return f"the Kafka broker at {server} does not take {wanted}: set kafka.sasl_mechanism"
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
        return problem or _goes_away(server, settings)
    return None


def _goes_away(server: str, settings: KafkaSettings) -> str:
    """Somebody is there, and speaks otherwise than we do, or only with others."""
    sentence = f"the Kafka broker at {server} ends the connection: check kafka.security_protocol"
    if settings.security_protocol.endswith("SSL"):
        return f"{sentence}, and kafka.ssl_certfile if it asks for a certificate"
    return sentence


def _names(error: KafkaError) -> str:
    """Topics or a group, which aiokafka names one or several of."""
    named = error.args[0] if error.args else ""
    if isinstance(named, Collection) and not isinstance(named, str):
        return ", ".join(sorted(map(str, named)))
    return str(named)
