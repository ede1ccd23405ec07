"""The API's routes about replicas, the audit, sessions and the API itself."""

from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError

from consumer.clock import Clock
from consumer.errors import InvalidValue
from consumer.panel import system_models as models
from consumer.panel.api_hooks import revision
from consumer.panel.credentials import Identity
from consumer.panel.gate import Gate
from consumer.panel.problems import invalid_field
from consumer.panel.routes import Answer, Call, Route
from consumer.services import replicas as service
from consumer.services.audit import AuditFilter, read_audit
from consumer.services.hooks import HookService
from consumer.services.times import milliseconds
from consumer.settings import Settings


class SystemApi:
    """Handlers about everything but hooks and deliveries."""

    def __init__(
        self,
        settings: Settings,
        hooks: HookService,
        gate: Gate,
        clock: Clock,
        document: Callable[[], dict[str, Any]],
    ) -> None:
        """`document` makes the OpenAPI document."""
        self._settings = settings
        self._hooks = hooks
        self._gate = gate
        self._clock = clock
        self._document = document

    def routes(self) -> list[Route]:
        """The routes of these handlers."""
        return [
            Route(
                "GET", "/replicas", "viewer", "List the replicas that run",
                {HTTPStatus.OK: models.Replicas}, self.replicas,
            ),
            Route(
                "GET", "/audit", "viewer", "List who changed what",
                {HTTPStatus.OK: models.Audit}, self.audit, query=models.AuditQuery,
            ),
            Route(
                "GET", "/session", "viewer", "Show who is logged in",
                {HTTPStatus.OK: models.Session}, self.session,
            ),
            Route(
                "POST", "/session", None, "Log in with a token",
                {HTTPStatus.OK: models.Session}, self.log_in, (HTTPStatus.UNAUTHORIZED,),
                body=models.LogIn,
            ),
            Route(
                "DELETE", "/session", None, "Log out of the browser's session",
                {HTTPStatus.NO_CONTENT: None}, self.log_out,
            ),
            Route(
                "GET", "/openapi.json", None, "This document", {HTTPStatus.OK: models.Document},
                self.openapi,
            ),
            Route(
                "GET", "/healthz", None, "Whether the process is alive",
                {HTTPStatus.OK: models.Health}, self.health, base="",
            ),
        ]  # fmt: skip

    async def replicas(self, _call: Call) -> Answer:
        """The replicas that run."""
        found = await self._hooks.reader.replicas()
        replicas = [one for one in map(_replica, found) if one is not None]
        return Answer(models.Replicas(replicas=replicas))

    async def audit(self, call: Call) -> Answer:
        """Who changed what."""
        query: models.AuditQuery = call.query
        wanted = AuditFilter(query.hook, query.by, self._since(query.since), query.before)
        await self._hooks.reader.require()
        found = await read_audit(self._settings, wanted, query.limit, self._clock)
        changes = [
            models.AuditEntry(hook=one.change.hook, **revision(one.change, call))
            for one in found.entries
        ]
        return Answer(models.Audit(changes=changes, next=found.next_before))

    async def session(self, call: Call) -> Answer:
        """Who is logged in."""
        return Answer(_session(call.who))

    async def log_in(self, call: Call) -> Answer:
        """Open a session."""
        wanted: models.LogIn = call.body
        cookie, identity = self._gate.log_in(wanted.token, call.caller)
        return Answer(_session(identity), headers={"Set-Cookie": cookie})

    async def log_out(self, call: Call) -> Answer:
        """Close a browser's session."""
        cookie = self._gate.clear_cookie(call.caller)
        return Answer(None, HTTPStatus.NO_CONTENT, {"Set-Cookie": cookie})

    async def openapi(self, _call: Call) -> Answer:
        """The OpenAPI document."""
        return Answer(self._document())

    async def health(self, _call: Call) -> Answer:
        """The process is alive."""
        return Answer(models.Health())

    def _since(self, text: str | None) -> int | None:
        try:
            return milliseconds(text, self._clock) if text is not None else None
        except InvalidValue as invalid:
            raise invalid_field("since", invalid.message, invalid.hint) from None


def _session(identity: Identity) -> models.Session:
    return models.Session(
        name=identity.name,
        role=identity.role,
        how=identity.how,
        csrf_token=identity.csrf or None,
    )


def _replica(found: service.Replica) -> models.Replica | None:
    """A replica; None if another program wrote its status, which is of other types."""
    facts = asdict(found.status)
    try:
        return models.Replica(
            **facts,
            in_force=found.is_current,
            newest_offset=found.newest_offset,
            lag_per_second=dict(found.lag_per_second),
        )
    except ValidationError:
        return None
