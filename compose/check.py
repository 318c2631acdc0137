"""Run every check of the code, all of them even if one fails, and say at the end which failed.

python -m compose.check
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CHECKS = {
    "lint": ("ruff", "check", "."),
    "format": ("ruff", "format", "--check", "."),
    "types": ("mypy", "."),
    "import contracts": ("lint-imports",),
    "migrations": ("python", "-m", "compose.check_migrations"),
    "Dockerfile": ("hadolint", "compose/Dockerfile"),
    "Kubernetes": ("python", "-m", "compose.check_kubernetes"),
}
"""What is checked, and the tool of the environment that does it."""


def main() -> int:
    """Run all checks; 1 if one failed."""
    results = {name: run(name, *command) for name, command in CHECKS.items()}
    failed = [name for name, (is_good, _) in results.items() if not is_good]
    say("")
    for name, (is_good, seconds) in results.items():
        say(f"  {'ok    ' if is_good else 'FAILED'}  {name:<17} {seconds:5.1f} s   {' '.join(CHECKS[name])}")
    say(f"check: {len(failed)} of {len(results)} failed: {', '.join(failed)}" if failed else f"check: all {len(results)} passed")
    return 1 if failed else 0


def run(name: str, tool: str, *arguments: str) -> tuple[bool, float]:
    """Whether a check passed, and how long it took."""
    say(f"== {name}: {tool} {' '.join(arguments)}")
    started = time.monotonic()
    result = subprocess.run([BIN / tool, *arguments], cwd=ROOT, check=False)  # noqa: S603  # the tools of the project's environment
    return result.returncode == 0, time.monotonic() - started


def say(line: str) -> None:
    """Print a line of the report, in its place among the output of the tools."""
    print(line, flush=True)  # noqa: T201  # a command's report


if __name__ == "__main__":
    sys.exit(main())
