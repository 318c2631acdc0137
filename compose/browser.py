"""See to it that there is a browser for the tests of the page, for `.ci/run` and for whoever wants to run them.

    python -m compose.browser

As root on Debian, Chromium is installed if it is not there (about 300 MB). Otherwise says what is missing and exits 0: those tests are skipped then.
"""

from __future__ import annotations

import os
import shutil
import sys

from compose.debian import install

NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium", "fonts-dejavu-core")


def find_browser() -> str | None:
    """Return the path of a Chromium: `CHROMIUM`, or what is installed; None if there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def main() -> int:
    """Install Chromium if it is not there; return 0."""
    reason = None if find_browser() else install(*PACKAGES)
    print(f"skipped: the page is tested in Chromium, but {reason}" if reason else f"The tests open the page with {find_browser()}")  # noqa: T201  # a command's report
    return 0


if __name__ == "__main__":
    sys.exit(main())
