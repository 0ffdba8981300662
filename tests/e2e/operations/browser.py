"""A browser on the pages of a running product: Debian's Chromium, driven by Playwright, judged by axe-core.

A window fails its test when the page says anything on the console, or asks any other origin for anything.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, Route, expect

from devtools.places import AZURITE

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = AZURITE / "node_modules/axe-core/axe.min.js"
# WCAG 2.2 at level AA, and all that it contains.
AA = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
# Of these the ones that judge colours.
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
PATIENCE_MS = 30_000


def launched(playwright: Playwright) -> Browser:
    """Fails where there is no Chromium: `.ci/run` installs it, and so does `apt install chromium`."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.fail("These tests need Chromium: apt install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    return playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))


class Window(NamedTuple):
    """`console`: the messages and the errors of the page. `strangers`: what it asked of other origins."""

    page: Page
    host: str
    console: list[str]
    strangers: list[str]

    def open(self, path: str) -> Page:
        self.page.goto(self.host + path)
        return self.page

    def violations(self, rules: Mapping[str, Any] = AA) -> list[str]:
        """What axe-core finds, with the elements."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        violations: Any = self.page.evaluate(
            "rules => axe.run(document, {runOnly: rules}).then(result => result.violations)", rules
        )
        return [f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}" for each in violations]

    def is_wider_than_the_screen(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@contextmanager
def window(browser: Browser, host: str, width: int = 1400) -> Iterator[Window]:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="light", reduced_motion="reduce", locale="en-GB"
    )
    context.set_default_timeout(PATIENCE_MS)
    seen = Window(context.new_page(), host, [], [])
    seen.page.on("console", lambda message: seen.console.append(_text_of(message)))
    seen.page.on("pageerror", lambda error: seen.console.append(str(error)))
    seen.page.on("request", lambda request: _note_a_stranger(seen, request))
    try:
        yield seen
        assert seen.console == [], seen.console
        assert seen.strangers == []
    finally:
        context.close()


def _text_of(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text}"


def _note_a_stranger(seen: Window, request: Request) -> None:
    url = urlsplit(request.url)
    if url.scheme not in {"data", "blob"} and f"{url.scheme}://{url.netloc}" != seen.host:
        seen.strangers.append(request.url)


def without_a_key(route: Route, key: str) -> None:
    """Answers as the host does that asks for a key."""
    if route.request.headers.get("x-functions-key") == key:
        route.continue_()
    else:
        route.fulfill(status=401, body="")
