"""A real broker with every security protocol of the settings, and an authorizer."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import trustme
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports in silence
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from support.broker import HOST, KafkaServer, free_port, new_node
from support.waiting import wait_until

PASSWORD = "canary-of-kafka"
CERTIFIED = "certified"
"""The user of a client with our certificate."""
LISTENERS = {"TLS": "SSL", "MUTUAL": "SSL", "SASL": "SASL_PLAINTEXT", "SASLTLS": "SASL_SSL"}
"""The listeners beside the plain one, which is the tests' own and may do everything."""
_MECHANISMS = {
    "SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256,
    "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512,
}
_SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PLAIN_LOGIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    f'user_hookstream="{PASSWORD}";'
)


class SecureBroker:
    """A broker that its block starts; tests use `bootstrap`, daemons use `settings`."""

    def __init__(self, lib: Path, folder: Path) -> None:
        self.folder = folder
        self._ports = {name: free_port() for name in LISTENERS}
        self.authority = authority = trustme.CA()
        """Of its own certificate, and of clients', at first."""
        stranger = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        replace(self.ca_file, authority.cert_pem.bytes())
        self.other_ca_file = str(folder / "other.pem")
        replace(self.other_ca_file, stranger.cert_pem.bytes())
        self.certificate, self.key = str(folder / "own.pem"), str(folder / "own.key")
        self.certify_client(authority)
        self._keystore, self._truststore = str(folder / "broker.pem"), str(folder / "trust.pem")
        self.certify_broker(authority)
        self.trust_clients_of(authority)
        node = new_node()
        self._server = KafkaServer(
            lib, folder / "kafka", node=node, extra=self._properties(node.port)
        )

    @property
    def bootstrap(self) -> str:
        """The plain listener's `host:port`."""
        return self._server.bootstrap

    def start(self) -> None:
        """Start, and wait until it serves."""
        self._server.start()

    def stop(self) -> None:
        """End it."""
        self._server.stop()

    def restart(self) -> None:
        """End it and start it again: it reads its own certificate and authorities anew."""
        self._server.restart()

    def certify_client(self, authority: trustme.CA, **more: Any) -> None:
        """Replace the certificate and key for clients."""
        own = authority.issue_cert("hookstream.test", common_name=CERTIFIED, **more)
        replace(self.key, own.private_key_pem.bytes())
        replace(self.certificate, own.cert_chain_pems[0].bytes())

    def certify_broker(self, authority: trustme.CA) -> None:
        """Have the broker present another certificate from its next start on."""
        replace(self._keystore, _keystore(authority.issue_cert(HOST)))

    def trust_clients_of(self, authority: trustme.CA) -> None:
        """Have it accept certificates of this authority only, from its next start on."""
        replace(self._truststore, authority.cert_pem.bytes())

    def settings(self, listener: str, **more: Any) -> dict[str, Any]:
        """The section `kafka` of a daemon's settings for one listener."""
        return {
            "bootstrap_servers": f"{HOST}:{self._ports[listener]}",
            "security_protocol": LISTENERS[listener],
            **({"ssl_cafile": self.ca_file} if LISTENERS[listener].endswith("SSL") else {}),
            **more,
        }

    def login(
        self, listener: str, mechanism: str = "PLAIN", user: str = "hookstream", **more: Any
    ) -> dict[str, Any]:
        """The section `kafka` with a user's name and password."""
        credentials = {"sasl_mechanism": mechanism, "sasl_username": user}
        return self.settings(listener, **credentials, sasl_password=PASSWORD, **more)

    async def add_user(self, user: str, *mechanisms: str) -> None:
        """A user of the SCRAM mechanisms, with no rights."""
        users: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(
                user, ScramCredentialInfo(_MECHANISMS[mechanism], 4096), PASSWORD.encode()
            )
            for mechanism in mechanisms
        ]
        await self._ask(lambda admin: admin.alter_user_scram_credentials(users))
        # The controller acknowledges; the broker applies it a moment later.
        for mechanism in mechanisms:
            await wait_until(
                lambda: asyncio.to_thread(self._lets_in, user, mechanism),  # noqa: B023  # it is called here
                f"{user} to be let in",
            )

    def _lets_in(self, user: str, mechanism: str) -> bool:
        admin = AdminClient(
            {
                "bootstrap.servers": f"{HOST}:{self._ports['SASL']}",
                "security.protocol": LISTENERS["SASL"],
                "sasl.mechanisms": mechanism,
                "sasl.username": user,
                "sasl.password": PASSWORD,
                "log_level": 0,
            }
        )
        try:
            admin.list_topics(timeout=1)
        except KafkaException:
            return False
        return True

    async def allow(
        self,
        user: str,
        rights: Mapping[str, Iterable[str]],
        *,
        group: str = "",
        transactions: Mapping[str, Iterable[str]] | None = None,
        transactions_below: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        """Grant operations on topics by name (`*` for all), reading of `group`, and operations on
        transactional ids, by id and by the beginning of ids.
        """
        bindings = [
            _binding(user, ResourceType.TOPIC, topic, operation)
            for topic, operations in rights.items()
            for operation in set(operations)
        ]
        bindings += [
            _binding(user, ResourceType.TRANSACTIONAL_ID, name, operation)
            for name, operations in (transactions or {}).items()
            for operation in set(operations)
        ]
        bindings += [
            _binding(
                user, ResourceType.TRANSACTIONAL_ID, name, operation, ResourcePatternType.PREFIXED
            )
            for name, operations in (transactions_below or {}).items()
            for operation in set(operations)
        ]
        if group:
            bindings.append(_binding(user, ResourceType.GROUP, group, "READ"))
        await self._ask(lambda admin: admin.create_acls(bindings))

    async def revoke(self, user: str, topic: str) -> None:
        """Take all rights to a topic away."""
        every = AclBindingFilter(
            ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{user}", "*",
            AclOperation.ANY, AclPermissionType.ANY,
        )  # fmt: skip
        await self._ask(lambda admin: admin.delete_acls([every]))

    async def _ask(self, question: Callable[[AdminClient], Mapping[Any, Any]]) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for future in question(admin).values():
            await asyncio.to_thread(future.result, 30)

    def _properties(self, port: int) -> dict[str, str]:
        places = {"PLAINTEXT": port, **self._ports}
        addresses = ",".join(f"{name}://{HOST}:{place}" for name, place in places.items())
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **LISTENERS}
        controller = free_port()
        extra = {
            "listeners": f"{addresses},CONTROLLER://{HOST}:{controller}",
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            "advertised.listeners": addresses,
            "listener.security.protocol.map": ",".join(map(":".join, protocols.items())),
            "inter.broker.listener.name": "PLAINTEXT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._keystore,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self._truststore,
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.mutual.ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/",
        }
        for name in ("sasl", "sasltls"):
            start = f"listener.name.{name}"
            extra[f"{start}.sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
            extra[f"{start}.plain.sasl.jaas.config"] = _PLAIN_LOGIN
            for mechanism in _MECHANISMS:
                extra[f"{start}.{mechanism.lower()}.sasl.jaas.config"] = _SCRAM_LOGIN
        return extra


def _binding(
    user: str,
    kind: ResourceType,
    name: str,
    operation: str,
    pattern: ResourcePatternType = ResourcePatternType.LITERAL,
) -> AclBinding:
    return AclBinding(
        kind, name, pattern, f"User:{user}", "*",
        AclOperation[operation], AclPermissionType.ALLOW,
    )  # fmt: skip


def _keystore(leaf: trustme.LeafCert) -> bytes:
    """A key store as Kafka wants it: the key in PKCS #8, then the certificates (KIP-651)."""
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem + b"".join(certificate.bytes() for certificate in leaf.cert_chain_pems)


def replace(path: str, content: bytes) -> None:
    """Replace a file at once, by rename."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.rename(file)
