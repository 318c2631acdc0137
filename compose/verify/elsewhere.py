"""Servers and workers elsewhere: the API's file starts no database of its own, and a worker runs from a file of its own."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from compose.local import ROOT
from compose.verify.jobs import make_csv, prove_end, send
from compose.verify.stack import SLOW_WORKER, Stack, require, run_compose, say

PASSWORD = "elsewhere"  # noqa: S105  # of servers that are gone a minute later
SERVERS = {
    "distant-db": {
        "image": "postgres:17",
        "environment": {"POSTGRES_USER": "rowgate", "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "rowgate"},
        "command": ["postgres", "-c", "max_connections=300", "-c", "fsync=off"],
        "networks": ["database"],
        "stop_signal": "SIGKILL",
        "healthcheck": {"test": ["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "rowgate"], "interval": "1s", "retries": 60},
    },
    "distant-redis": {"image": "redis:8", "command": ["redis-server", "--protected-mode", "no"], "networks": ["queue"], "stop_signal": "SIGKILL"},
}
"""They stand for servers of somebody else: in the networks that lead out."""
SETTINGS = {"DATABASE_URL": f"postgresql://rowgate:{PASSWORD}@distant-db:5432/rowgate", "REDIS_URL": "redis://distant-redis:6379/0"}


def prove_elsewhere(folder: Path) -> None:
    """Check a job of an API whose servers and whose workers are all elsewhere."""
    say("starting another stack, with servers and a worker elsewhere")
    settings = {"API_PROCESSES": "1", "WORKER_SLOTS": "1", **SETTINGS}
    with shared_folder() as uploads, Stack(folder, name="-elsewhere", services=SERVERS, UPLOAD_DIR=uploads, **settings) as stack:
        worker = WorkerAlone(stack, folder)
        try:
            stack.compose("up", "--detach", "--wait", "distant-db", "distant-redis")
            stack.up("--scale", "worker=0", services=("api", "dispatcher"))
            started = stack.health().keys()
            require(not {"db", "redis", "worker"} & started, f"These were started as well: {', '.join(started)}.")
            worker.up()
            with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=30.0) as client:
                prove_end(client, send(client, "table.csv", make_csv(20)), rows=20)
            say("a job was done with servers and a worker elsewhere")
        finally:
            worker.remove()


class WorkerAlone:
    """The project of compose/worker.yml, in the networks in which the distant servers are."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        networks = {name: {"name": f"{stack.project}_{name}_elsewhere", "external": True} for name in ("database", "queue")}
        extra = folder / "worker.json"
        extra.write_text(json.dumps({"services": {"worker": {"networks": list(networks), "environment": SLOW_WORKER}}, "networks": networks}))
        files = os.pathsep.join(map(str, (ROOT / "compose" / "worker.yml", extra)))
        self._environment: Mapping[str, str] = {
            **stack.environment,
            "COMPOSE_PROJECT_NAME": f"{stack.project}-worker",
            "COMPOSE_FILE": files,
            "METRICS_PORT": "0",
        }

    def up(self) -> None:
        """Start it and wait until it is healthy."""
        run_compose("up", "--detach", "--wait", environment=self._environment)

    def remove(self) -> None:
        """Remove its container, its volume and its image."""
        run_compose("down", "--volumes", "--rmi", "local", environment=self._environment, check=False)


@contextmanager
def shared_folder() -> Iterator[str]:
    """A folder of this machine that the containers' user may write to."""
    folder = tempfile.mkdtemp(prefix="rowgate-verify-uploads-")
    Path(folder).chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prove_name(folder: Path) -> None:
    """Check that a clone in a folder of another name is the same project, with the same volumes."""
    clone = folder / "another-name"
    shutil.copytree(ROOT / "compose", clone / "compose")
    shutil.copy(ROOT / "compose.yaml", clone)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    found = json.loads(run_compose("config", "--format", "json", environment=environment, directory=clone))
    require(found["name"] == "rowgate", f"In another folder the project is called {found['name']}.")
    volumes = {name: volume["name"] for name, volume in found["volumes"].items()}
    require(volumes.items() >= {"database": "rowgate_database", "uploads": "rowgate_uploads"}.items(), f"In another folder the volumes are {volumes}.")
