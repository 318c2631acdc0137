"""A real browser for tests of the page: Debian's Chromium, driven by Playwright, with axe-core to judge what it shows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe_playwright_python  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, sync_playwright

from compose.browser import find_browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
TIMEOUT_MS = 15_000
MAX_TABS = 200


@contextmanager
def running_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # As root, as in containers, Chromium has no sandbox.
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


class Visitor:
    """Somebody at the page. Whatever the page does that it must not, such as an error on the console or a request to another server, is kept in `faults`."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.context = context
        self.faults: list[str] = []
        self.urls: list[str] = []
        context.set_default_timeout(TIMEOUT_MS)
        self.page = self.open_tab()

    def open_tab(self) -> Page:
        page = self.context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on("request", self._on_request)
        return page

    def _on_console(self, message: ConsoleMessage) -> None:
        # The browser itself notes each answer that is a failure; those are expected, and the page says what they mean.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        self.urls.append(request.url)
        if urlsplit(request.url).scheme not in {"blob", "data"} and not request.url.startswith(self.url):
            self.faults.append(f"request to another server: {request.url}")

    def visit(self, path: str) -> None:
        self.page.goto(self.url + path)
        self.page.wait_for_selector("h1")

    def send(self, path: Path) -> None:
        self.page.locator("input[type=file][multiple]").set_input_files(path)

    def by_role(self, role: Any, name: str, *, exact: bool = False) -> Locator:
        return self.page.get_by_role(role, name=name, exact=exact)

    def check(self) -> None:
        """Raise `AssertionError` if axe finds any violation in what is shown now, or if the page is wider than its window."""
        self.page.evaluate(AXE + "; null")
        found = self.page.evaluate("async () => (await axe.run()).violations.map((each) => each.id + ': ' + each.nodes.map((node) => node.html).join(' | '))")
        assert found == [], "\n".join(found)
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the page is {wide} px wider than its window"

    def tab_to(self, target: Locator) -> None:
        """Press Tab until `target` has the focus, as somebody without a mouse does."""
        for _ in range(MAX_TABS):
            self.page.keyboard.press("Tab")
            if target.evaluate("(element) => element === document.activeElement"):
                return
        raise AssertionError(f"{target} cannot be reached by keyboard")


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Iterator[Visitor]:
    """Open a window on the page; at the end, raise `AssertionError` if it did what it must not."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "accept_downloads": True, **options})
    visitor = Visitor(context, url)
    try:
        yield visitor
        assert visitor.faults == [], "\n".join(visitor.faults)
    finally:
        context.close()
