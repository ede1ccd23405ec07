"""The API, fuzzed from its own document while it runs beside a broker."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from support.panel import Client, PanelProcess, token_entries
from support.workspace import Workspace, hook

EXAMPLES = 8
"""Of each operation, of valid and of wrong data each."""
EXCLUDED = [
    ignored_auth,  # it sends wrong tokens, after which the address must wait
    positive_data_acceptance,  # a schema cannot say all that is wrong with a URI or a time
]


@pytest.fixture
async def panel(workspace: Workspace) -> AsyncIterator[PanelProcess]:
    """A panel on a broker."""
    await workspace.create_live_topics()
    await workspace.create_topics()
    await workspace.create_own_topics()
    workspace.write_settings(hooks={"live": True}, panel={"port": 0, "tokens": token_entries()})
    async with PanelProcess(workspace.config) as panel:
        yield panel


@pytest.mark.timeout(300)  # a thousand requests, each of them drawn from a schema
async def test_no_request_finds_an_undocumented_answer(panel: PanelProcess) -> None:
    """Whatever is sent by the document, or in spite of it, is answered as the document says: no
    other status, no other content, and no failure of the server.
    """
    client = Client(panel.url or "")
    await client("POST", "/hooks", hook("0", "https://a.example.com"))
    document = (await client("GET", "/openapi.json")).json
    statuses = await asyncio.to_thread(_fuzz, document, panel.url or "", client.headers)
    assert (await client("GET", "/healthz")).status == 200
    own = [line for line in panel.lines if '"logger":"aiokafka' not in line]
    assert not [line for line in own if '"level":"error"' in line]
    assert statuses.total() > EXAMPLES * len(document["paths"])
    assert {200, 400, 404, 422} <= {status for _, status in statuses}


def _fuzz(
    document: Mapping[str, object], url: str, headers: Mapping[str, str]
) -> Counter[tuple[str, int]]:
    """Send requests to every operation, and check each answer; how often each had which status."""
    statuses: Counter[tuple[str, int]] = Counter()
    schema = schemathesis.openapi.from_dict(dict(document))
    schema.config.update(base_url=url)
    found = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    # Many failed log-ins hold up all that follow from this address.
    for operation in sorted(found, key=lambda one: one.label == "POST /api/v1/session"):
        for mode in GenerationMode:

            @settings(
                max_examples=EXAMPLES,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def send(case: schemathesis.Case[Any]) -> None:
                answer = case.call_and_validate(headers=dict(headers), excluded_checks=EXCLUDED)
                statuses[case.operation.label, answer.status_code] += 1

            with suppress(Unsatisfiable):  # the operation takes nothing that could be wrong
                send()
    return statuses
