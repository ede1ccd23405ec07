"""Kafka's Metadata request: one that creates no topics, and one with topic ids (version 10,
KIP-516), since aiokafka's newest version is 5.
"""

from collections.abc import Collection
from io import BytesIO
from uuid import UUID

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest, MetadataRequest_v5
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

NO_TOPIC_ID = UUID(int=0)


def metadata_request(topics: Collection[str] | None) -> MetadataRequest:
    """Make a request for the brokers and `topics` (None: all). It creates no topics, unlike the
    default on brokers with auto.create.topics.enable.
    """
    wanted = None if topics is None else list(topics)
    return MetadataRequest(wanted, allow_auto_topic_creation=False)


class Uuid(AbstractType):  # type: ignore[misc]  # aiokafka has no types
    """Kafka's UUID type: sixteen bytes."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        """Return the UUID's bytes."""
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        """Read sixteen bytes as a UUID."""
        return UUID(bytes=data.read(16))


class _Response(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString()),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _Request(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", Uuid), ("topic", CompactString()), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicIdRequest(Request[MetadataRequest_v5 | _Request]):  # type: ignore[misc]
    """A request for `topics` with their ids if the broker has ids (Kafka 2.8). Creates no topics.

    The answer's `to_object()` is that of `MetadataRequest` with `topic_id` in each topic.
    """

    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        """The request in the newest version that both sides support."""
        create = list_rights = False
        if request_struct_class.API_VERSION < _Request.API_VERSION:
            return request_struct_class(list(self._topics), create)
        tags: dict[int, bytes] = {}
        topics = [(NO_TOPIC_ID, name, tags) for name in self._topics]
        return request_struct_class(topics, create, list_rights, list_rights, tags)
