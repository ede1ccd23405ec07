"""A double of Confluent's Schema Registry, held to its documented API by their own client, which
registers schemas with it and reads them.
"""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5

from consumer.settings import SchemaRegistrySettings

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


class SchemaRegistryDouble:
    """Schemas in memory, over HTTP on a thread of its own."""

    def __init__(self) -> None:
        self.schemas: list[dict[str, Any]] = []
        """By id, from 1."""
        self.subjects: dict[str, list[int]] = {}
        """By subject, the ids of its versions."""
        self.asked: list[str] = []
        """The paths that were asked for."""
        self.status = 200
        """Every answer's; another one than 200 is all that there is to it."""
        self.message = ""
        """Of an answer with another status."""
        self.has_guids = True
        """False: it is Confluent's before 8.0, or another one, and has no such path."""
        self.password = ""
        """With a user `u`; empty: none is needed."""
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> SchemaRegistrySettings:
        """The settings that name it."""
        return SchemaRegistrySettings(url=self.url)

    def start(self) -> None:
        """Listen; again on the same port."""
        double = self

        class Handler(_Handler):
            registry = double

        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def add(
        self,
        subject: str,
        schema: object,
        kind: str = "AVRO",
        references: Sequence[Mapping[str, Any]] = (),
    ) -> int:
        """Register a schema; returns its id."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        entry = {"schema": text, "schemaType": kind, "references": list(references)}
        if entry not in self.schemas:
            self.schemas.append(entry)
        number = self.schemas.index(entry) + 1
        versions = self.subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: C901, PLR0911  # one for each route
        """The status and the body of an answer."""
        parts = [unquote(part) for part in urlsplit(path).path.strip("/").split("/")]
        query = parse_qs(urlsplit(path).query)
        match method, parts:
            case "GET", ["schemas", "ids", number] if 1 <= int(number) <= len(self.schemas):
                return 200, self._schema(int(number), query)
            case "GET", ["schemas", "types"]:
                return 200, ["JSON", "PROTOBUF", "AVRO"]
            case "GET", ["schemas", "guids", _] if not self.has_guids:
                return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}
            case "GET", ["schemas", "guids", guid] if guid in map(_guid, range(self.count + 1)):
                found = [*map(_guid, range(self.count + 1))].index(guid)
                return 200, {"id": found, **self._schema(found, query)}
            case "GET", ["schemas", *_]:
                return 404, {"error_code": 40403, "message": "Schema not found"}
            case "POST", ["subjects", subject, "versions"]:
                kind = body.get("schemaType", "AVRO")
                self.add(subject, body["schema"], kind, body.get("references") or ())
                return 200, self._registered(subject, len(self.subjects[subject]), query)
            case "GET", ["subjects", subject, "versions", version]:
                versions = self.subjects.get(subject, ())
                wanted = len(versions) if version == "latest" else int(version)
                if 1 <= wanted <= len(versions):
                    return 200, self._registered(subject, wanted, query)
                return 404, {"error_code": 40402, "message": "Version not found."}
            case "POST", ["subjects", subject]:
                for at, one in enumerate(self.subjects.get(subject, ()), 1):
                    if self.schemas[one - 1]["schema"] == body["schema"]:
                        return 200, self._registered(subject, at, query)
                return 404, {"error_code": 40401, "message": "Subject not found."}
            case _:
                return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    @property
    def count(self) -> int:
        """The number of schemas."""
        return len(self.schemas)

    def _registered(self, subject: str, version: int, query: Mapping[str, Any]) -> dict[str, Any]:
        number = self.subjects[subject][version - 1]
        return {
            "subject": subject,
            "version": version,
            "id": number,
            **self._schema(number, query),
        }

    def _schema(self, number: int, query: Mapping[str, Any]) -> dict[str, Any]:
        entry = dict(self.schemas[number - 1])
        if entry["schemaType"] == "AVRO":
            del entry["schemaType"]  # as the registry leaves out its default
        elif entry["schemaType"] == "PROTOBUF" and query.get("format") != ["serialized"]:
            entry["schema"] = f"// the text of {number}"
        return {**entry, "guid": _guid(number)}


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone."""


class _Handler(BaseHTTPRequestHandler):
    registry: SchemaRegistryDouble
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the library's name
        self._answer("GET", None)

    def do_POST(self) -> None:  # likewise
        body = self.rfile.read(int(self.headers["content-length"]))
        self._answer("POST", json.loads(body))

    def _answer(self, method: str, body: Any) -> None:
        registry = self.registry
        registry.asked.append(self.path)
        wanted = b64encode(f"u:{registry.password}".encode()).decode()
        if registry.password and self.headers["authorization"] != f"Basic {wanted}":
            status, answer = 401, {"error_code": 40101, "message": "Unauthorized"}
        elif registry.status != 200:
            status, answer = registry.status, {"error_code": 40403, "message": registry.message}
            if registry.status == 404:  # of a wrong path
                answer = {"error_code": 404}
        else:
            status, answer = registry.answer(method, self.path, body)
        raw = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", MEDIA_TYPE)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _guid(number: int) -> str:
    return str(uuid5(NAMESPACE_URL, str(number)))


@contextmanager
def schema_registry() -> Iterator[SchemaRegistryDouble]:
    """A registry that listens."""
    registry = SchemaRegistryDouble()
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()
