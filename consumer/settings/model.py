"""Every setting with its default and its bounds. Durations are seconds, once read."""

import ssl
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from consumer.documents.durations import duration
from consumer.documents.files import files
from consumer.errors import InvalidValue
from consumer.events.formats.format import FormatName
from consumer.events.triggers import TRIGGERS, Trigger
from consumer.settings.delivery_log import DeliveryLogSettings
from consumer.settings.fields import (
    EMPTY_IS_NONE,
    LOWER,
    MAPPED,
    UPPER,
    AllowEntry,
    AuthoritiesFile,
    CollectorUrl,
    DottedPath,
    ExistingFile,
    Folder,
    Listed,
    Network,
    NonEmpty,
    Password,
    SecretSource,
    Server,
    Start,
    Topic,
    TopicPrefix,
)
from consumer.settings.panel import PanelSettings
from consumer.settings.schema_registry import SchemaRegistrySettings, require_format
from consumer.settings.section import Section
from consumer.settings.topics import OwnTopics


class RateLimit(Section):
    """`requests` per `per` seconds on average, at most `burst` at once."""

    requests: int = Field(ge=1, le=1_000_000)
    per: Annotated[float, duration("1ms", "24h")] = 1.0
    burst: int = Field(default_factory=lambda data: data.get("requests", 1), ge=1, le=1_000_000)


class KafkaSettings(Section):
    """The cluster, and this installation's names and credentials there."""

    bootstrap_servers: Listed[Server] = Field(default=("localhost:9092",), min_length=1)
    group_id: NonEmpty = "hookstream"
    topic_prefix: TopicPrefix = "hookstream"
    """Begins the name of every topic that hookstream writes."""
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], UPPER
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], UPPER] = "PLAIN"
    sasl_username: NonEmpty | None = None
    sasl_password: Password | None = None
    ssl_cafile: AuthoritiesFile | None = None
    ssl_certfile: ExistingFile | None = None
    ssl_keyfile: ExistingFile | None = None

    @property
    def own_topics(self) -> OwnTopics:
        """The topics that hookstream writes."""
        return OwnTopics(self.topic_prefix)

    @model_validator(mode="after")
    def _credentials_fit_the_protocol(self) -> Self:
        # A credential that the protocol does not use would leave its author feeling safe.
        sasl = self.security_protocol.startswith("SASL")
        for name in ("sasl_username", "sasl_password"):
            if sasl and getattr(self, name) is None:
                raise InvalidValue(
                    f"is missing, but security_protocol is {self.security_protocol}",
                    "add it",
                    path=(name,),
                )
            if not sasl and getattr(self, name) is not None:
                raise InvalidValue(
                    f"is not used with security_protocol {self.security_protocol}",
                    "set security_protocol to SASL_SSL, or take it out",
                    path=(name,),
                )
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
            if getattr(self, name) is not None and not self.security_protocol.endswith("SSL"):
                raise InvalidValue(
                    f"is not used with security_protocol {self.security_protocol}",
                    "set security_protocol to SSL or SASL_SSL, or take it out",
                    path=(name,),
                )
        if self.ssl_keyfile is not None and self.ssl_certfile is None:
            raise InvalidValue("has no certificate", "add ssl_certfile", path=("ssl_keyfile",))
        return self

    @model_validator(mode="after")
    def _key_opens_the_certificate(self) -> Self:
        if self.ssl_certfile is not None:
            try:
                own, read = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files()
                key = read.resolve(self.ssl_keyfile) if self.ssl_keyfile else None
                own.load_cert_chain(read.resolve(self.ssl_certfile), key, password=str)
            except OSError:  # ssl.SSLError is one
                raise InvalidValue(
                    "holds no certificate with its key",
                    "write both in PEM, the key unencrypted and here or in ssl_keyfile",
                    path=("ssl_certfile",),
                ) from None
        return self


class FieldPaths(Section):
    """Dotted paths to the parts of an event in a topic of another shape; None: the path in
    docs/reference/events.md.
    """

    id: DottedPath | None = None
    occurred_at: DottedPath | None = None
    app: DottedPath | None = None
    user_id: DottedPath | None = None
    user_attributes: DottedPath | None = None
    device_id: DottedPath | None = None
    device_attributes: DottedPath | None = None
    notification: DottedPath | None = None
    data: DottedPath | None = None
    subject: DottedPath | None = None


class SourceSettings(Section):
    """One topic to consume."""

    topic: Topic
    trigger: Trigger
    fields: FieldPaths = FieldPaths()
    format: Annotated[FormatName, LOWER] = "json"
    start: Start = "earliest"
    """The start of a group without a committed offset: `earliest`, `latest` or an RFC 3339 time."""


DEFAULT_SOURCES = tuple(
    SourceSettings(topic=facts.default_topic, trigger=trigger)
    for trigger, facts in TRIGGERS.items()
)


class HooksSettings(Section):
    """The folder of the definitions, and the secrets that they may name."""

    path: Annotated[Folder | None, EMPTY_IS_NONE] = Path("config/hooks")
    """Without one in the settings file: `hooks` beside that file. None: all are live."""
    live: bool = False
    """Whether definitions also live in the topic `OwnTopics.hooks`."""
    secrets: Listed[SecretSource] = ()
    """Environment names (`*` and `?` as in file names) and directories: nothing else is read."""
    seal_public_key: NonEmpty | None = None
    """Secrets are sealed for it."""
    seal_private_key: Listed[Password] = ()
    """One key, or several while keys are exchanged: any of them may open a sealed secret."""

    @model_validator(mode="after")
    def _definitions_are_somewhere(self) -> Self:
        if self.path is None and not self.live:
            raise InvalidValue(
                "is empty, so there would be no definition",
                "name the folder of the definitions, or set hooks.live to true",
                path=("path",),
            )
        return self


TransportName = Literal["curl", "aiohttp"]
"""The HTTP clients; `factories.make_transport` makes each."""


class DeliverySettings(Section):
    """How requests are sent and bounded."""

    transport: TransportName = "curl"
    concurrency: int = Field(default=256, ge=1, le=10_000)
    """In all. A hook may hold no more places than are left free, so some always are."""
    per_host_concurrency: int = Field(default=128, ge=1, le=10_000)
    per_hook_concurrency: int = Field(default=64, ge=1, le=10_000)
    host_rate_limit: Annotated[RateLimit, MAPPED] | None = None
    timeout: Annotated[float, duration("100ms", "5m")] = 10.0
    connect_timeout: Annotated[float, duration("100ms", "1m")] = 3.0
    quick_attempts: int = Field(default=3, ge=1, le=10)
    """Attempts in process before a delivery goes to a retry topic: one and its quick repeats."""
    expire_after: Annotated[float, duration("1s", "720h")] = 86_400.0
    shutdown_grace: Annotated[float, duration("0s", "1h")] = 25.0


class RetrySettings(Section):
    """The durable retries, one topic for each delay."""

    delays: Annotated[
        Listed[Annotated[float, duration("1s", "24h")]], Field(min_length=1, max_length=20)
    ] = (10.0, 60.0, 600.0, 3_600.0, 21_600.0)
    max_attempts: int = Field(default=12, ge=1, le=1_000)
    """Attempts in all, the quick ones included."""

    @model_validator(mode="after")
    def _delays_rise(self) -> Self:
        if any(
            later <= earlier for earlier, later in zip(self.delays, self.delays[1:], strict=False)
        ):
            raise InvalidValue("do not rise", "sort them and keep each once", path=("delays",))
        return self


class NetworkSettings(Section):
    """Exceptions to the rule that only public addresses are dialled."""

    allow: Listed[AllowEntry] = ()
    deny: Listed[Network] = ()
    ca_file: AuthoritiesFile | None = None


class AdminSettings(Section):
    """The HTTP server for probes and metrics."""

    host: Listed[NonEmpty] = Field(default=("127.0.0.1",), min_length=1)
    """One or several, all with the same port."""
    port: int = Field(default=9464, ge=0, le=65_535)
    """0: the system picks a free one."""
    token: Password | None = None
    """For endpoints beyond `/healthz`, `/readyz` and `/metrics`; none exists so far."""


class TracingSettings(Section):
    """Traces of events, by OTLP over HTTP."""

    endpoint: Annotated[CollectorUrl | None, EMPTY_IS_NONE] = None
    """None: nothing is traced."""
    sample: float = Field(default=0.0, ge=0.0, le=1.0)
    """The share that is traced of the events without a `traceparent`; for the others their producer
    has decided."""


class LogSettings(Section):
    """The lines that are written to standard error."""

    format: Annotated[Literal["json", "text"], LOWER] = "json"
    level: Annotated[Literal["debug", "info", "warning", "error"], LOWER] = "info"


class Settings(Section):
    """Every setting of the daemon, built by `load_settings`."""

    kafka: KafkaSettings = KafkaSettings()
    sources: Annotated[Listed[SourceSettings], Field(min_length=1)] = DEFAULT_SOURCES
    hooks: HooksSettings = HooksSettings()
    delivery: DeliverySettings = DeliverySettings()
    retry: RetrySettings = RetrySettings()
    delivery_log: DeliveryLogSettings = DeliveryLogSettings()
    network: NetworkSettings = NetworkSettings()
    schema_registry: SchemaRegistrySettings = SchemaRegistrySettings()
    admin: AdminSettings = AdminSettings()
    panel: PanelSettings = PanelSettings()
    tracing: TracingSettings = TracingSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _topics_are_distinct(self) -> Self:
        seen: set[str] = set()
        for index, source in enumerate(self.sources):
            path = ("sources", index, "topic")
            if source.topic in seen:
                raise InvalidValue(f"{source.topic} is already a source", "keep one", path=path)
            if source.topic in self.kafka.own_topics:
                raise InvalidValue(
                    f"{source.topic} is a topic that hookstream itself writes",
                    "name the topic of the events, or set another kafka.topic_prefix",
                    path=path,
                )
            seen.add(source.topic)
        return self

    @model_validator(mode="after")
    def _formats_can_be_read(self) -> Self:
        for index, source in enumerate(self.sources):
            require_format(source.format, self.schema_registry, ("sources", index, "format"))
        return self
