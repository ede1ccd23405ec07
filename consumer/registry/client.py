"""Asks a schema registry: the door to aiohttp for this.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html. Each answer is bounded
in size and time, and a schema in what it refers to.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from consumer.events.formats.schemas import SCHEMA_KINDS, SchemaId, WrittenSchema
from consumer.records.record import UndecodableError
from consumer.registry.source import RegistryAwayError, UnknownSchemaError
from consumer.settings import SchemaRegistrySettings

MAX_SCHEMA_CHARACTERS: Final = 1024 * 1024
"""Of one schema, and of all that it refers to together."""
MAX_REFERENCES: Final = 100
MAX_REFERENCE_DEPTH: Final = 10
_MAX_ANSWER_BYTES: Final = 4 * MAX_SCHEMA_CHARACTERS
"""A schema is text in JSON, in which a character may take more than one."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10.0)
_FETCH_SECONDS: Final = 30.0
"""For a schema with all that it refers to."""
_HEADERS: Final = {
    "Accept": "application/vnd.schemaregistry.v1+json, application/json",
    "Accept-Encoding": "identity",  # a small answer cannot become a large one
    "User-Agent": "hookstream",
}
_NOT_FOUND: Final = frozenset({40401, 40402, 40403})
"""The API's codes for an unknown subject, version and schema. Of another 404 the URL is wrong."""
_IDS_PATH: Final = "/schemas/ids/"
_GUIDS_PATH: Final = "/schemas/guids/"
_TYPES_PATH: Final = "/schemas/types"
"""Any registry with the API answers with a list. https://docs.confluent.io/platform/current/
schema-registry/develop/api.html#get--schemas-types-
"""
_OK: Final = 200
_ABSENT: Final = 404
_REFUSALS: Final = (401, 403)


class RegistryClient:
    """A `SchemaSource` over HTTP."""

    def __init__(self, settings: SchemaRegistrySettings) -> None:
        self.use(settings)
        self._session: aiohttp.ClientSession | None = None

    def use(self, settings: SchemaRegistrySettings) -> None:
        """Use other credentials and authorities from the next question on."""
        self._url = (settings.url or "").rstrip("/")
        self._headers = dict(_HEADERS)
        if settings.username is not None and settings.password is not None:
            secret = f"{settings.username}:{settings.password.get_secret_value()}"
            self._headers["Authorization"] = f"Basic {b64encode(secret.encode()).decode()}"
        self._ca_file = settings.ca_file
        self._ssl: ssl.SSLContext | None = None
        """Made with the first question: it reads files."""

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def fetch(self, schema_id: SchemaId) -> WrittenSchema:
        """See `SchemaSource`."""
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                return await self._fetch(schema_id)
        except TimeoutError:
            raise RegistryAwayError("does not answer in time") from None

    async def _fetch(self, schema_id: SchemaId) -> WrittenSchema:
        path = (_IDS_PATH if isinstance(schema_id, int) else _GUIDS_PATH) + str(schema_id)
        what = f"schema {schema_id}"
        found = await self._ask(path, what)
        schema_kind = found.get("schemaType") or "AVRO"
        for known in SCHEMA_KINDS:
            if known == schema_kind:
                break
        else:
            raise UndecodableError(f"{what} is of an unknown type")
        serialized = "?format=serialized" if known == "PROTOBUF" else ""
        if serialized:
            found = await self._ask(path + serialized, what)
        references = _References(self, serialized)
        await references.add(found, 1)
        text = _text_of(found, what)
        return WrittenSchema(known, text, tuple(references.texts.items()))

    async def reference(self, subject: str, version: int, serialized: str) -> Mapping[str, Any]:
        """A version of a subject, also one that is deleted but referred to."""
        more = f"&{serialized[1:]}" if serialized else ""
        path = f"/subjects/{quote(subject, safe='')}/versions/{version}?deleted=true{more}"
        return await self._ask(path, "a schema that it refers to")

    async def _ask(self, path: str, what: str) -> Mapping[str, Any]:
        status, answer = await self._answer(path)
        if status == _OK:
            if not isinstance(answer, dict):
                raise RegistryAwayError("answers with something else than JSON")
            return answer
        if status == _ABSENT:
            if isinstance(answer, dict) and answer.get("error_code") in _NOT_FOUND:
                raise UnknownSchemaError(f"{what} is not in the registry")
            # Confluent's has these since 8.0. A sender can make one of any bytes.
            if path.startswith(_GUIDS_PATH) and await self._has_api():
                raise UnknownSchemaError(f"{what} is not in the registry, which has no GUIDs")
        raise _away(status)

    async def _has_api(self) -> bool:
        """Whether the API is at the URL."""
        status, answer = await self._answer(_TYPES_PATH)
        return status == _OK and isinstance(answer, list)

    async def _answer(self, path: str) -> tuple[int, Any]:
        """The status and the JSON of an answer; None: it has none."""
        try:
            status, body = await self._get(path)
        except TimeoutError:
            raise RegistryAwayError("does not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise RegistryAwayError(f"cannot be asked: {error}") from None
        try:
            return status, orjson.loads(body)
        except orjson.JSONDecodeError:
            return status, None

    async def _get(self, path: str) -> tuple[int, bytes]:
        if self._ssl is None:
            self._ssl = await asyncio.to_thread(ssl.create_default_context, cafile=self._ca_file)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
            )
        # As it is written: the parts are encoded, and an encoded slash is no slash.
        url = URL(self._url + path, encoded=True)
        async with self._session.get(
            url, headers=self._headers, ssl=self._ssl, allow_redirects=False
        ) as response:
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > _MAX_ANSWER_BYTES:
                    if response.status != _OK:
                        raise _away(response.status)
                    raise UndecodableError(f"its schema is longer than {MAX_SCHEMA_CHARACTERS}")
            return response.status, bytes(body)


class _References:
    """Collects the schemas that one refers to, the innermost first."""

    def __init__(self, client: RegistryClient, serialized: str) -> None:
        self._client = client
        self._serialized = serialized
        self.texts: dict[str, str] = {}
        self._seen: set[str] = set()
        self._characters = 0

    async def add(self, schema: Mapping[str, Any], depth: int) -> None:
        """Add those of `schema`."""
        references = schema.get("references") or ()
        if not isinstance(references, list | tuple):
            raise RegistryAwayError("answers with references that are none")
        for reference in references:
            name, subject, version = _reference(reference)
            if name in self._seen:
                continue
            self._seen.add(name)
            if len(self._seen) > MAX_REFERENCES:
                raise UndecodableError(f"its schema refers to more than {MAX_REFERENCES} others")
            if depth > MAX_REFERENCE_DEPTH:
                raise UndecodableError(
                    f"its schema's references are deeper than {MAX_REFERENCE_DEPTH}"
                )
            found = await self._client.reference(subject, version, self._serialized)
            await self.add(found, depth + 1)
            self.texts[name] = text = _text_of(found, "a schema that it refers to")
            self._characters += len(text)
            if self._characters > MAX_SCHEMA_CHARACTERS:
                raise UndecodableError(
                    f"its schema's references are longer than {MAX_SCHEMA_CHARACTERS} characters"
                )


def _away(status: int) -> RegistryAwayError:
    if status in _REFUSALS:
        return RegistryAwayError(f"refuses the credentials: it answers {status}")
    return RegistryAwayError(f"answers {status}")


def _reference(reference: Any) -> tuple[str, str, int]:
    match reference:
        case {"name": str(name), "subject": str(subject), "version": int(version)}:
            return name, subject, version
        case _:
            raise RegistryAwayError("answers with a reference that is none")


def _text_of(schema: Mapping[str, Any], what: str) -> str:
    text = schema.get("schema")
    if not isinstance(text, str):
        raise RegistryAwayError("answers without a schema")
    if len(text) > MAX_SCHEMA_CHARACTERS:
        raise UndecodableError(f"{what} is longer than {MAX_SCHEMA_CHARACTERS} characters")
    return text
