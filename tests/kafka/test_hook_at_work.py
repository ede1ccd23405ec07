"""A hook made in a browser by keyboard alone, at work in a running daemon: the whole way."""

import json
import os
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Locator, Page, async_playwright, expect

from consumer.control.sealed import new_key
from support.daemon import Daemon
from support.find_browser import find_browser
from support.panel import TOKENS, running_panel, token_entries
from support.receiver import Receiver, Reply, response
from support.waiting import wait_until
from support.workspace import Workspace

KEY = "c4nary-api-key"
_MOST_TABS = 120


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page of a browser."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_browser(), args=arguments)
        yield await browser.new_page(locale="en-GB")
        await browser.close()


class Keyboard:
    """A person who has a keyboard and no mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def to(self, target: Locator) -> None:
        """Press Tab until the focus is there."""
        await expect(target).to_be_visible()
        for _ in range(_MOST_TABS):
            if await target.evaluate("one => one === document.activeElement"):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"no Tab leads to {target}")

    async def write(self, label: str, text: str) -> None:
        """Replace the text of a field."""
        await self.to(self.page.get_by_role("textbox", name=label, exact=True))
        await self.page.keyboard.press("ControlOrMeta+a")
        await self.page.keyboard.type(text)

    async def press(self, name: str, role: str = "button") -> None:
        """Press a button, or follow a link."""
        wanted = self.page.get_by_role("link" if role == "link" else "button", name=name)
        await self.to(wanted.locator("visible=true").first)
        await self.page.keyboard.press("Enter")


def _reply(head: bytes) -> Reply:
    return response(404 if head.startswith(b"GET /wrong/") else 200)


async def _produce(workspace: Workspace, event_id: str) -> None:
    data = {"event_key": "product-view", "category": "shoes"}
    event = {"id": event_id, "user": {"id": "u42"}, "data": data}
    await workspace.cluster.produce(workspace.topic("event"), [json.dumps(event).encode()])


@pytest.mark.timeout(300)
async def test_the_seeds_hook_is_made_seen_at_work_broken_and_corrected_by_keyboard_alone(
    workspace: Workspace, page: Page
) -> None:
    """From the empty list a person makes the seed's example hook with a sealed key, without a
    mouse; the next event's request arrives with the category as a header. A wrong URI is seen in
    the log, and a change corrects it.
    """
    public, private = new_key()
    keys = {"seal_public_key": public, "seal_private_key": private}
    panel_settings = {"port": 0, "tokens": token_entries()}
    workspace.write_settings(hooks={"live": True, "path": "", **keys}, panel=panel_settings)
    await workspace.create_topics()
    keyboard = Keyboard(page)
    async with (
        Receiver(otherwise=_reply) as receiver,
        Daemon(workspace.config),
        running_panel(workspace.config) as panel,
    ):
        await page.goto(panel.url)
        await page.keyboard.type(TOKENS["operator"])
        await page.keyboard.press("Enter")
        await keyboard.press("Make a hook", "link")
        await _fill(keyboard, receiver.origin)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text(
            "Make the hook Category views?"
        )
        await keyboard.press("Save")
        await expect(page.get_by_text("The hook is made.")).to_be_visible()
        assert KEY not in await page.content()
        await expect(page.get_by_text("In force on 1 of 1 replica.")).to_be_visible(timeout=20_000)
        await _produce(workspace, "e1")
        await receiver.until(requests=1)
        head = receiver.requests[0]
        assert head.startswith(b"GET /collect/none?uid=u42 ")
        assert b"X-Category: shoes\r\n" in head
        assert f"X-Api-Key: {KEY}\r\n".encode() in head
        await _change_uri(keyboard, f"{receiver.origin}/wrong/{{campaign}}")
        await _produce(workspace, "e2")
        await receiver.until(requests=2)
        await _until_shown(page, f"{panel.url}/deliveries?hook=category-views", "404")
        await expect(page.get_by_text("refused for good")).to_be_visible()
        await page.goto(f"{panel.url}/hooks/category-views")
        await _change_uri(keyboard, f"{receiver.origin}/collect/{{campaign}}")
        await _produce(workspace, "e3")
        await receiver.until(requests=3)
        assert receiver.requests[2].startswith(b"GET /collect/none?uid=u42 ")


async def _fill(keyboard: Keyboard, origin: str) -> None:
    """The seed's example: the category of the viewed product as a header value."""
    page = keyboard.page
    await keyboard.write("Name", "Category views")
    await keyboard.write("URI", f"{origin}/collect/{{campaign}}")
    await expect(page.get_by_role("group", name="{campaign}")).to_be_visible()
    await keyboard.write("Label", "Campaign code")
    await keyboard.write("Default value", "none")
    await keyboard.to(page.get_by_role("combobox", name="Trigger type"))
    await page.keyboard.type("App")
    await keyboard.write("Select events", "product-view")
    await keyboard.press("Add a header")
    await page.keyboard.type("X-Category")
    await page.keyboard.press("Tab")
    await page.keyboard.type("event")
    await page.keyboard.press("Tab")
    await page.keyboard.type("data.category")
    await keyboard.press("Add a header")
    await page.keyboard.type("X-Api-Key")
    await page.keyboard.press("Tab")
    await page.keyboard.type("fixed")
    await page.keyboard.press("Tab")
    await page.keyboard.type(KEY)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await keyboard.press("Add a parameter")
    await page.keyboard.type("uid")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.type("id")


async def _change_uri(keyboard: Keyboard, uri: str) -> None:
    page = keyboard.page
    await keyboard.press("Change", "link")
    await keyboard.write("URI", uri)
    await page.keyboard.press("Enter")
    await keyboard.press("Save")
    await expect(page.get_by_text("In force on 1 of 1 replica.")).to_be_visible(timeout=20_000)


async def _until_shown(page: Page, url: str, text: str) -> None:
    async def is_shown() -> bool:
        await page.goto(url)
        return text in await page.inner_text("main")

    await wait_until(is_shown, f"{text!r} on {url}")
