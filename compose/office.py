"""Open the workbooks that the service makes with LibreOffice, and compare the cells and comments that it finds.

    python -m compose.office [--install]

With `--install` it only sees to it that LibreOffice is there, for the tests that are run later. Needs soffice. As root on Debian it is installed if it is not
there (about 270 MB): unlike promtool it does not run from where it is merely unpacked. Otherwise says what is missing and exits 0.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

from compose.debian import install

PACKAGE = "libreoffice-calc-nogui"
TEST = "tests/features/processing/exporting/test_office.py"
_TEST_S = 300


def main() -> int:
    """Run the test; return its exit code, or 0 if it has to be skipped."""
    reason = None if shutil.which("soffice") else install(PACKAGE)
    if reason is not None:
        print(f"skipped: the workbooks are opened by LibreOffice, but {reason}")  # noqa: T201  # a command's report
        return 0
    if "--install" in sys.argv[1:]:
        print("LibreOffice is there: the tests open workbooks with it")  # noqa: T201  # as above
        return 0
    command = [sys.executable, "-m", "pytest", "-q", TEST]
    try:
        return subprocess.run(command, check=False, timeout=_TEST_S).returncode  # noqa: S603  # a fixed command
    except subprocess.TimeoutExpired:
        print(f"The test took longer than {_TEST_S} s.")  # noqa: T201  # as above
        return 1


if __name__ == "__main__":
    sys.exit(main())
