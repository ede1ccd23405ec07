"""What axe-core finds on a page."""

from playwright.sync_api import Page

_RUN = "axe.run(document, {resultTypes: ['violations']})"
_RUN_CONTRAST = "axe.run(document, {runOnly: ['color-contrast'], resultTypes: ['violations']})"


def violations(page: Page, axe: str) -> list[str]:
    """What axe finds in light, and in dark as far as it depends on colours."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    page.evaluate(axe)
    page.emulate_media(color_scheme="light")
    violations = page.evaluate(_RUN)["violations"]
    page.emulate_media(color_scheme="dark")
    violations += page.evaluate(_RUN_CONTRAST)["violations"]
    return [
        f"{page.url}: {one['id']}: {node['html'][:120]} {node['failureSummary']}"
        for one in violations
        for node in one["nodes"]
    ]
