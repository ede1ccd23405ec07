"""What a person does in a browser before and on each page of the panel."""

from typing import Final

from playwright.sync_api import Page

from support.panel import TOKENS

PATHS: Final = {
    "hooks": "/hooks",
    "new hook": "/new-hook",
    "copy of a hook": "/new-hook?from=click-analytics",
    "change of a hook": "/hooks/click-analytics/edit",
    "hook that a file has": "/hooks/purchase-feed/edit",
    "deletion of a hook": "/hooks/store-visit/delete",
    "hook": "/hooks/click-analytics",
    "hook that was changed": "/hooks/click-analytics?done=rollback",
    "pause": "/hooks/click-analytics/pause",
    "rollback": "/hooks/click-analytics/rollback?revision=1",
    "hook with an open circuit": "/hooks/store-visit",
    "deliveries": "/deliveries",
    "deliveries with mistakes": "/deliveries?since=yesterday&status=foo",
    "delivery": "/delivery?id=e7:store-visit&hook=store-visit",
    "reports": "/reports",
    "reports of a hook": "/reports?hook=store-visit",
    "dead letters": "/dead-letters",
    "replay": "/dead-letters/replay",
    "events": "/events?trigger=push_click",
    "event": "/event?trigger=push_click&ref=push-click/0/99",
    "compose": "/compose?trigger=push_click&subject=spring-sale",
    "compose nothing": "/compose?trigger=geofence",
    "replicas": "/replicas",
    "audit": "/audit",
    "problem": "/nothing",
}
"""Every page of a full installation."""


def log_in(page: Page, url: str, role: str = "operator") -> None:
    """Log in by the form, as far as the list of hooks."""
    page.goto(url)
    page.get_by_label("Token").fill(TOKENS[role])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{url}/hooks")
