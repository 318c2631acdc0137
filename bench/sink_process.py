"""Run the server of `bench.sinks` as a process, started in the same way as the service's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.measure import ROOT, Plan, RunFailed
from bench.stack import START_TIMEOUT_S
from compose.local import API_DEFAULTS
from compose.processes import Child, Command, wait_until
from compose.services import free_port


class Sinks:
    """A running sink: its URL, the folder for the files it stores, and its process id."""

    def __init__(self, url: str, folder: Path, pid: int) -> None:
        self.url, self.folder, self.pid = url, folder, pid


@contextmanager
def running_sinks(plan: Plan, **settings: str) -> Iterator[Sinks]:
    """Run the server with its own folder for files; `settings` are additional environment variables. Raises `RunFailed`."""
    folder, port = plan.data / "sink", free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = Command(
        name="sinks",
        arguments=[sys.executable, "-m", "uvicorn", "bench.sinks:app", "--port", str(port)],
        # UploadFile's own spool files go to the same disk as the copies.
        environment={**API_DEFAULTS, "SINK_DIR": str(folder), "TMPDIR": str(folder), **settings},
        directory=ROOT,
    )
    child = Child(command, log_file=plan.data / "sink.log")
    url = f"http://127.0.0.1:{port}"
    try:
        if not wait_until(lambda: _answers(url), timeout_s=START_TIMEOUT_S):
            raise RunFailed("The sink did not start:\n  " + "\n  ".join(child.last_lines))
        yield Sinks(url, folder, child.pid)
    finally:
        child.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False
