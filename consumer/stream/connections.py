"""Mends how aiokafka notices, on uvloop, that a broker closed its connection."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError

_Send = Callable[..., Any]


def mend_connections() -> None:
    """Let a write to a closed connection fail as aiokafka expects it. A second call does nothing.

    A closed transport of uvloop raises RuntimeError, where aiokafka counts on OSError
    (aio-libs/aiokafka#1038). Unmended, that ends whichever of its tasks happened to write: without
    the one that refreshes the metadata, a client waits for ever once its broker was restarted.
    """
    for name in ("send", "_send_sasl_token"):
        send = getattr(AIOKafkaConnection, name)
        if not hasattr(send, "__wrapped__"):
            setattr(AIOKafkaConnection, name, _mended(send))


def _mended(send: _Send) -> _Send:
    @wraps(send)
    def mended(self: AIOKafkaConnection, *args: Any, **options: Any) -> Any:
        try:
            return send(self, *args, **options)
        except KafkaError:  # a RuntimeError too
            raise
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            message = f"Connection at {self.host}:{self.port} broken: {error}"
            raise KafkaConnectionError(message) from error

    return mended
