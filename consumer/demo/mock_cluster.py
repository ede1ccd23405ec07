"""librdkafka's mock cluster, with topics of a chosen number of partitions.

confluent_kafka can start a mock cluster by a setting, but its topics then have four partitions, and
definitions need one. So the cluster is started by librdkafka's own functions (`rdkafka_mock.h`),
which confluent_kafka's extension module is linked with.
"""

import ctypes
from typing import Final

from confluent_kafka import cimpl

_PRODUCER: Final = 0
_ERROR_BYTES: Final = 512
_REPLICAS: Final = 1


class MockCluster:
    """A cluster of one broker on this machine, which lives as long as the process."""

    def __init__(self) -> None:
        """Raises `RuntimeError` if it does not start."""
        self._library = _library()
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        settings = self._library.rd_kafka_conf_new()
        # Silent: it would warn that it has no brokers, and it is used for nothing but the cluster.
        self._library.rd_kafka_conf_set(settings, b"log_level", b"0", error, _ERROR_BYTES)
        client = self._library.rd_kafka_new(_PRODUCER, settings, error, _ERROR_BYTES)
        self._cluster = self._library.rd_kafka_mock_cluster_new(client, 1) if client else None
        if not self._cluster:
            raise RuntimeError(f"the mock cluster did not start: {error.value.decode()}")

    @property
    def bootstrap(self) -> str:
        """Its `host:port`."""
        address: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return address.decode()

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic. Raises `RuntimeError` if that fails, as if it exists already."""
        error = self._library.rd_kafka_mock_topic_create(
            self._cluster, name.encode(), partitions, _REPLICAS
        )
        if error:
            raise RuntimeError(f"the mock cluster did not create {name}: error {error}")


def _library() -> ctypes.CDLL:
    """The functions of librdkafka, which a lookup in the extension module finds."""
    library = ctypes.CDLL(cimpl.__file__)
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_conf_set.argtypes = (
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t,
    )  # fmt: skip
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_new.argtypes = (
        ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t,
    )  # fmt: skip
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = (ctypes.c_void_p,)
    library.rd_kafka_mock_topic_create.restype = ctypes.c_int
    library.rd_kafka_mock_topic_create.argtypes = (
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int,
    )  # fmt: skip
    return library
