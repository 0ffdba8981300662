"""Pictures of pages and of the terminal, by Chromium without a window."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize, sync_playwright
from rich.console import Console

from devtools.orders.picture import tree
from devtools.pictures.scene import Scene
from devtools.trouble import Trouble

FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
NAMES = ("chromium", "chromium-browser", "google-chrome")
SETTLED_MS = 1500
TERMINAL = "<style>body {{margin: 0; padding: 16px; background: #14161b}} pre {{margin: 0; font-size: 14px}}</style>{}"


def take(host: str, scene: Scene, out: Path) -> Iterator[str]:
    """Write the pictures into a folder; yields the name of each. Raises Trouble without Chromium."""
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        raise Trouble("There is no Chromium: apt install chromium")
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for name, address, width, height in _pages(host, scene):
            _photograph(browser, address, (width, height), out / name)
            yield name
        _photograph_terminal(browser, scene, out / "terminal.png")
        yield "terminal.png"
        browser.close()


def _pages(host: str, scene: Scene) -> Iterator[tuple[str, str, int, int]]:
    """Name, address, width and height of each picture."""
    yield "needs-you.png", f"{host}/api/dashboard", 1100, 540
    yield "orders.png", f"{host}/api/dashboard#/orders", 1100, 610
    yield "timeline.png", f"{host}/api/dashboard#/order/{scene.undone}", 1100, 900
    yield "phone.png", f"{host}/api/dashboard#/order/{scene.parked}", 390, 780
    yield "tracking.png", host + "/api/" + scene.tracking.partition("/api/")[2], 480, 700


def _photograph(browser: Browser, address: str, size: tuple[int, int], file: Path) -> None:
    viewport: ViewportSize = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, color_scheme="light", locale="en-GB")
    page = context.new_page()
    page.goto(address)
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=file)
    context.close()


def _photograph_terminal(browser: Browser, scene: Scene, file: Path) -> None:
    """Photograph the output of `dev.py order show`."""
    console = Console(record=True, width=72, force_terminal=True, file=io.StringIO())
    console.print(f"$ python3 dev.py order show {scene.undone}", style="bold", highlight=False)
    console.print(tree(scene.view))
    page = browser.new_page(viewport={"width": 680, "height": 100})
    shown = console.export_html(inline_styles=True, code_format='<pre style="color: #e7e9ee">{code}</pre>')
    page.set_content(TERMINAL.format(shown))
    page.screenshot(path=file, full_page=True)
