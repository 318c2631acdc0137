"""Regenerate requirements.lock: the newest releases that the requirements and requirements-hold.txt allow, as one set of exact pins.

    python -m compose.lock

Works in a temporary environment and leaves the one in use alone.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Exact pins of everything that is installed, for Python 3.11 and later; made by 'make lock'.\n"
SOURCES = ("requirements.txt", "requirements-local.txt", "requirements-dev.txt")


def wanted() -> list[str]:
    """Return the lower bounds of all requirement files, without their references to the lock and to each other."""
    lines = [line.strip() for name in SOURCES for line in (ROOT / name).read_text().splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def resolve() -> list[str]:
    """Install the requirements in a fresh environment and list everything that was installed, as `name==version`."""
    with tempfile.TemporaryDirectory(prefix="rowgate-lock-") as folder:
        bounds = Path(folder) / "bounds.txt"
        bounds.write_text("\n".join(wanted()) + "\n")
        environment = Path(folder) / "venv"
        python = str(environment / "bin" / "python")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)  # noqa: S603  # this interpreter
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
        hold = str(ROOT / "requirements-hold.txt")
        subprocess.run([*pip, "install", "--quiet", "--upgrade", "-r", str(bounds), "-c", hold], check=True)  # noqa: S603  # as above
        listed = subprocess.run([*pip, "freeze", "--exclude", "pip"], check=True, capture_output=True, text=True)  # noqa: S603  # as above
        return listed.stdout.splitlines()


def main() -> int:
    """Write the lock file; return the exit code."""
    if sys.version_info[:2] != (3, 11):
        oldest = "The lock must be made with Python 3.11, the oldest supported version: make lock PYTHON=/path/to/python3.11"
        print(oldest, file=sys.stderr)  # noqa: T201  # a command's report
        return 1
    pins = sorted(resolve(), key=str.lower)
    (ROOT / "requirements.lock").write_text(HEADER + "\n".join(pins) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
