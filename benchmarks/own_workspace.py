"""A broker and a folder of a benchmark's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from support.broker import KafkaServer
from support.cluster import Cluster
from support.jars import kafka_jars
from support.workspace import Workspace


@contextmanager
def own_workspace(name: str) -> Iterator[Workspace]:
    """A workspace on a broker that runs while this is entered; `name` begins its topics."""
    with TemporaryDirectory() as path:
        folder = Path(path)
        (folder / "broker").mkdir()
        (folder / "daemon").mkdir()
        with KafkaServer(kafka_jars(), folder / "broker") as server:
            yield Workspace(folder / "daemon", Cluster(server.bootstrap), name)
