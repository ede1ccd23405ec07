"""Why Kafka does not let us in, in sentences for people.

aiokafka says "unable to bootstrap" whatever the reason; so the reason is asked for once more, with
one bare connection to each server.
"""

import asyncio
import ssl
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from consumer.settings import KafkaSettings

REFUSALS = (
    AuthenticationFailedError,
    SaslAuthenticationFailed,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)
"""What no waiting will change."""
_PROBE = 5.0
"""Seconds for each server."""
_NO_RIGHT = "ask for the right to it"


def refusal(error: KafkaError) -> str:
    """The sentence for one of `REFUSALS`."""
    if isinstance(error, AuthenticationFailedError | SaslAuthenticationFailed):
        return "Kafka refuses the credentials: check kafka.sasl_username and kafka.sasl_password"
    what = "group" if isinstance(error, GroupAuthorizationFailedError) else "topic"
    return f"Kafka refuses the {what} {_names(error)}: {_NO_RIGHT}"


async def unreachable(settings: KafkaSettings, options: Mapping[str, Any]) -> str:
    """The sentence for a cluster that no client got into; `options` are a client's own."""
    given = {name: value for name, value in options.items() if name != "bootstrap_servers"}
    for server in settings.bootstrap_servers:
        host, _, port = server.rpartition(":")
        try:
            async with asyncio.timeout(_PROBE):
                connection = await create_conn(host.strip("[]"), int(port), **given)
        except (KafkaError, OSError) as error:  # ssl.SSLError and TimeoutError are OSErrors
            sentence = _reason(error, server, settings)
            if sentence is not None:
                return sentence
        else:
            connection.close()
            return _goes_away(server, settings)
    return (
        f"no Kafka broker answers at {', '.join(settings.bootstrap_servers)}: "
        "start it, or set kafka.bootstrap_servers"
    )


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
        return _goes_away(server, settings)
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
