"""Test the containers: build them, bring them up, send files through them, kill and restart parts of them, stop, start and scale them.

    python -m compose.verify

Works in a separate Compose project with its own volumes, and removes both. Skipped, with the reason, if no Docker engine answers.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx

from compose.verify.backup import prove_backup
from compose.verify.containment import prove_containment
from compose.verify.elsewhere import prove_elsewhere, prove_name
from compose.verify.faults import prove_faults
from compose.verify.image import prove_image
from compose.verify.jobs import prove_jobs
from compose.verify.monitoring import prove_monitoring, start_monitoring
from compose.verify.recovery import prove_recovery
from compose.verify.releases import prove_releases
from compose.verify.rolling import prove_rolling
from compose.verify.rotation import prove_rotation
from compose.verify.serving import prove_serving
from compose.verify.stack import Stack, Unproven, say
from compose.verify.storage import prove_storage
from compose.verify.store import prove_store
from compose.verify.suite import prove_suite


def prove(stack: Stack, folder: Path) -> None:
    """Run all checks. What needs no quiet machine goes on beside the others."""
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=30.0) as client, ThreadPoolExecutor() as beside:
        stack.compose("--profile", "*", "config", "--quiet")
        prove_name(folder)
        say("building")
        stack.compose("build", "--quiet")
        say("starting")
        begun = datetime.now(UTC)
        stack.up()
        start_monitoring(stack)
        kept = prove_jobs(client, folder)
        prove_serving(stack, client)
        prove_containment(stack)
        prove_image(stack)
        prove_monitoring(stack)
        stack.require_quiet_logs(since=begun)
        others = [beside.submit(prove_suite, stack), beside.submit(prove_elsewhere, folder)]
        prove_recovery(stack, client)
        for other in others:
            other.result()
        others = [beside.submit(prove_rotation, folder), beside.submit(prove_store, folder)]
        prove_storage(stack, client)
        prove_faults(stack, client)
        for other in others:
            other.result()
        prove_rolling(stack)
        prove_backup(stack, client, folder, kept=kept)
        prove_releases(stack, client, folder)


def engine_problem() -> str | None:
    """Return why the containers cannot be tested here; None if they can."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)  # noqa: S603  # fixed commands
        except FileNotFoundError:
            return "docker is not installed"
        except subprocess.TimeoutExpired:
            return f"'{' '.join(command)}' does not answer"
        if result.returncode != 0:
            return f"'{' '.join(command)}' fails: {(result.stderr.strip().splitlines() or ['no reason given'])[-1]}"
    return None


def main() -> int:
    """Test the containers and return the exit code."""
    problem = engine_problem()
    if problem is not None:
        say(f"skipped: {problem}")
        return 0
    with tempfile.TemporaryDirectory(prefix="rowgate-verify-") as folder:
        try:
            with Stack(Path(folder)) as stack:
                prove(stack, Path(folder))
                say("removing everything")
        except (Unproven, httpx.HTTPError) as failure:
            say(f"failed: {failure}")
            return 1
    say("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
