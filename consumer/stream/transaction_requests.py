"""The requests of a transaction to its coordinator, with a bound in time for each step.

aiokafka's transactional producer repeats some requests for ever, and after an error leaves open
which step it belonged to, so these are the requests themselves.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaError,
    NotCoordinatorForGroupError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    OperationNotAttempted,
    for_code,
)
from aiokafka.protocol.transaction import (
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)

from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.settings import KafkaSettings
from consumer.stream.client import connection_options
from consumer.stream.cluster_client import ClusterClient
from consumer.stream.tasks import timeout
from consumer.stream.transaction_errors import (
    CommitUnknownError,
    FencedError,
    TransactionError,
    is_final,
    problem,
)

log = get_logger(__name__)

COMMIT_TIMEOUT_SECONDS: Final = 10.0
_ABORT_TIMEOUT_SECONDS: Final = 2.0
_FIRST_PAUSE_SECONDS: Final = 0.02
"""Between two tries. The end of the transaction before this one takes a few milliseconds."""
_MAX_PAUSE_SECONDS: Final = 0.5

_COORDINATOR_MOVED = (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)
_BUSY = (
    ConcurrentTransactions,
    GroupLoadInProgressError,
    NotEnoughReplicasError,
    NotEnoughReplicasAfterAppendError,
)
_FENCED = (InvalidProducerEpoch, InvalidProducerIdMapping, InvalidTxnState)


class ProducerId(NamedTuple):
    """The identity that the broker gave a writer; `epoch` fences earlier ones."""

    id: int
    epoch: int


class TransactionRequests:
    """The requests of one transactional id."""

    def __init__(
        self, settings: KafkaSettings, transactional_id: str, timeout_seconds: float
    ) -> None:
        """`timeout_seconds`: time after which the broker aborts a dead writer's transaction, if no
        other writer begins.
        """
        self._settings = settings
        self.id = transactional_id
        self._timeout_ms = round(timeout_seconds * 1000)
        self._client: ClusterClient | None = None
        self.producer = ProducerId(-1, -1)
        self._coordinator: int | None = None

    async def connect(self) -> ClusterClient:
        """The client, connected. Raises `HookstreamError`."""
        if self._client is not None:
            return self._client
        client = ClusterClient(**connection_options(self._settings))
        try:
            await client.bootstrap()
        except BaseException:
            await client.close()
            raise
        self._client = client
        self._coordinator = None
        return client

    async def close(self) -> None:
        """Close the connections; an open transaction stays until another writer begins."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def initialise(self) -> None:
        """Fence all other writers of this id, whose open transaction is aborted, or completed if
        its commit was accepted.
        """
        request = InitProducerIdRequest(self.id, self._timeout_ms)
        answer = await self._ask_coordinator(request)
        self._check(answer.error_code)
        self.producer = ProducerId(answer.producer_id, answer.producer_epoch)

    async def add(self, partitions: Mapping[str, Sequence[int]]) -> None:
        """Add partitions, by topic, to the transaction."""
        its = [(topic, list(numbers)) for topic, numbers in partitions.items()]
        request = AddPartitionsToTxnRequest(self.id, *self.producer, its)
        answer = await self._ask_coordinator(request)
        for topic, results in answer.errors:
            for _, code in results:
                if for_code(code) is not OperationNotAttempted:  # another topic's error counts
                    self._check(code, topic)

    async def end(self, *, commit: bool) -> None:
        """Commit or abort."""
        answer = await self._ask_coordinator(EndTxnRequest(self.id, *self.producer, commit))
        self._check(answer.error_code)

    async def commit(self, seconds: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Make all that was sent visible at once. Raises `CommitUnknownError`."""
        try:
            async with timeout(seconds):
                await self.repeat(lambda: self.end(commit=True))
        except (KafkaError, HookstreamError, TimeoutError) as error:
            raise CommitUnknownError(f"the commit was not confirmed: {error!r}") from error

    async def abort(self) -> None:
        """Undo what was sent. If that fails, the next `initialise` does, or the broker in time."""
        try:
            async with timeout(_ABORT_TIMEOUT_SECONDS):
                await self.repeat(lambda: self.end(commit=False))
        except (KafkaError, HookstreamError, TimeoutError) as error:
            log.debug("a transaction was not aborted", error=repr(error))

    async def abort_hanging(self, partitions: Mapping[str, Sequence[int]]) -> None:
        """Abort what an earlier transaction of this id left open in `partitions`, although the
        broker takes that transaction for ended; for use after `initialise`, and before the next.

        A broker that has just started may skip the markers of a transaction whose topics it does
        not know yet (seen with Kafka 4.4): no reader gets past such a transaction. Its producer
        id is this writer's, so an empty transaction of this one ends it.
        """
        await self.repeat(lambda: self.add(partitions))
        await self.repeat(lambda: self.end(commit=False))

    async def repeat(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer to `ask`, repeated after errors that pass; for use under a time limit."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await ask()
            except KafkaError as error:
                if not (getattr(error, "retriable", False) or isinstance(error, _BUSY)):
                    raise
                log.debug("a step of a transaction is repeated", error=repr(error))
            await asyncio.sleep(pause)
            pause = min(_MAX_PAUSE_SECONDS, pause * 1.5)

    @asynccontextmanager
    async def certain(self, what: str, seconds: float) -> AsyncIterator[None]:
        """Raise every failure of the block as `TransactionError`: it comes before the commit."""
        try:
            async with timeout(seconds):
                yield
        except HookstreamError as error:
            raise TransactionError(str(error), is_final=True) from error
        except _FENCED as error:
            raise FencedError("another writer has begun to write") from error
        except KafkaError as error:
            message = problem(error, self.id, self._settings)
            raise TransactionError(message, is_final=is_final(error)) from error
        except TimeoutError as error:
            raise TransactionError(f"Kafka did not {what} within {seconds:.0f} s") from error

    async def _ask_coordinator(self, request: Any) -> Any:
        client = await self.connect()
        if self._coordinator is None:
            self._coordinator = await client.coordinator_lookup(
                CoordinationType.TRANSACTION, self.id
            )
        try:
            return await client.send(self._coordinator, request, group=ConnectionGroup.COORDINATION)
        except KafkaError:
            self._coordinator = None
            raise

    def _check(self, code: int, topic: str = "") -> None:
        """Raise the error of a coordinator's answer."""
        if not code:
            return
        error = for_code(code)
        if issubclass(error, _COORDINATOR_MOVED):
            self._coordinator = None
        raise error(topic or self.id)
