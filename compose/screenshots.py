"""Take the README's pictures of the page: the errors of the demo's file in light, its rules in dark.

    python -m compose.screenshots

Starts a stack of its own, in a temporary folder. Needs Chromium (`python -m compose.browser`).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from compose.browser import find_browser
from compose.demo import SAMPLE
from compose.local import ROOT, StackFailed, running_stack
from compose.services import ServiceFailed

FOLDER = ROOT / "docs" / "images"
MAX_BYTES = 300_000
"""Of both pictures together."""


def take(browser: Browser, url: str) -> list[Path]:
    """Send the file through the page, and return the pictures."""
    pictures = [FOLDER / "page-light.png", FOLDER / "page-dark.png"]
    for picture, scheme, view in zip(pictures, ("light", "dark"), ("", "?view=schema"), strict=True):
        context = browser.new_context(viewport={"width": 1000, "height": 760 if view else 1010}, color_scheme="light" if scheme == "light" else "dark")
        page = context.new_page()
        page.goto(url)
        page.locator("input[type=file][multiple]").set_input_files(SAMPLE)
        page.wait_for_selector("tr.current")
        if view:
            page.goto(page.url.partition("?")[0] + view)
            page.wait_for_selector(".schema select")
        page.screenshot(path=picture)
        context.close()
    return pictures


def main() -> int:
    """Take the pictures; return the exit code."""
    found = find_browser()
    if found is None:
        print("screenshots: there is no Chromium here (Debian: apt-get install chromium)", file=sys.stderr)  # noqa: T201  # a command's report
        return 1
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rowgate-pictures-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # if root runs this, PostgreSQL runs as nobody, which must be able to reach its data
        os.environ["RUN_DIR"] = folder
        try:
            with running_stack() as stack, sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
                pictures = take(browser, stack.url)
                browser.close()
        except (StackFailed, ServiceFailed, OSError) as problem:
            print(f"screenshots: {problem}", file=sys.stderr)  # noqa: T201  # as above
            return 1
    size = sum(picture.stat().st_size for picture in pictures)
    print(f"{', '.join(str(picture.relative_to(ROOT)) for picture in pictures)}: {size:,} bytes")  # noqa: T201  # as above
    return 0 if size <= MAX_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
