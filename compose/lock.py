"""Regenerate requirements.lock (the service) and requirements-dev.lock (local servers and tools): exact pins with the hashes of all files of a release.

    python -m compose.lock           # the newest releases that the requirements and requirements-hold.txt allow
    python -m compose.lock --keep    # what is pinned now stays as it is, as far as the requirements allow

One resolution holds for every Python from 3.11 on and for every platform; where they differ, a pin carries a marker.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVICE_LOCK, DEV_LOCK = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
SERVICE = ("requirements.txt",)
EVERYTHING = (*SERVICE, "requirements-local.txt", "requirements-dev.txt")
OLDEST = "3.11"
HEADERS = {
    SERVICE_LOCK: "# What the service runs with: exact pins for Python 3.11 and later, with the hashes that pip verifies; made by 'make lock'.\n",
    DEV_LOCK: "# The same for local servers, tests and tools: what requirements.lock does not have; made by 'make lock'.\n",
}


def read_bounds(names: Sequence[str]) -> list[str]:
    """Return the lower bounds of requirement files, without their references to the locks and to each other."""
    lines = [line.strip() for name in names for line in (ROOT / name).read_text().splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def read_pins(text: str) -> dict[str, str]:
    """Return the pins of a lock by name, each with its marker and its hashes, as it stands in the file."""
    pins = re.findall(r"^([A-Za-z0-9][\w.-]*)(==.*\n(?:[ \t]+.*\n)*)", text, re.MULTILINE)
    return {name: name + rest for name, rest in pins}


def resolve(bounds: Sequence[str], constraints: Sequence[Path], *, preferred: str) -> dict[str, str]:
    """Return the pins that meet the bounds; those of `preferred` are kept if they do."""
    with tempfile.TemporaryDirectory(prefix="rowgate-lock-") as folder:
        source, output = Path(folder) / "bounds.txt", Path(folder) / "lock.txt"
        source.write_text("\n".join(bounds) + "\n")
        output.write_text(preferred)
        uv = str(Path(sys.executable).with_name("uv"))
        # The file must not name the index or the command line that it was made with.
        silent = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
        wanted = ["--universal", "--python-version", OLDEST, "--generate-hashes"]
        limits = [argument for path in constraints for argument in ("--constraint", str(path))]
        command = [uv, "pip", "compile", *silent, *wanted, *limits, str(source), "--output-file", str(output)]
        subprocess.run(command, check=True)  # noqa: S603  # a tool of the project's environment
        return read_pins(output.read_text())


def write(path: Path, pins: dict[str, str]) -> None:
    """Write a lock, by name."""
    path.write_text(HEADERS[path] + "".join(pins[name] for name in sorted(pins)))


def main() -> int:
    """Write both locks; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the locks anew.")
    parser.add_argument("--keep", action="store_true", help="keep the versions that are pinned now")
    arguments = parser.parse_args()
    preferred = "".join(path.read_text() for path in (SERVICE_LOCK, DEV_LOCK) if path.exists()) if arguments.keep else ""
    try:
        everything = resolve(read_bounds(EVERYTHING), [ROOT / "requirements-hold.txt"], preferred=preferred)
        with tempfile.TemporaryDirectory(prefix="rowgate-lock-") as folder:
            same = Path(folder) / "everything.txt"
            same.write_text("".join(everything.values()))
            service = resolve(read_bounds(SERVICE), [same], preferred="")
    except subprocess.CalledProcessError as failure:
        return failure.returncode  # uv has said why
    write(SERVICE_LOCK, service)
    write(DEV_LOCK, {name: pin for name, pin in everything.items() if name not in service})
    return 0


if __name__ == "__main__":
    sys.exit(main())
