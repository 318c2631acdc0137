"""One Compose project under test, and the words in which a check says what must hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from ipaddress import IPv4Network
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from compose.local import ROOT
from compose.services import free_port
from shared.settings import Settings

SERVICES = {"api", "worker", "dispatcher", "db", "redis"}
SETTINGS = {name.upper() for name in Settings.model_fields} | {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "COMPOSE_PROFILES", "STORAGE"}
START_TIMEOUT_S = 240
STEP_TIMEOUT_S = 120.0
SLOW_WORKER = {"CHUNK_ROWS": "100", "PROGRESS_INTERVAL_S": "0.5", "JOB_LEASE_S": "5"}
"""Settings that make a job last long enough to be disturbed."""
SMALL = {"API_PROCESSES": "2", "WORKER_SLOTS": "2", "DB_CONNECT_TIMEOUT_S": "9", "DB_POOL_TIMEOUT_S": "9"}
"""Settings for a machine that has a lot to do at the same time."""
TROUBLE = re.compile(r"traceback|\[error|\[critical|\"level\": ?\"(error|critical)\"|(?<![a-z])(ERROR|FATAL|PANIC):", re.IGNORECASE)
NETWORKS = ("inside", "outside", "front", "database", "queue", "files", "monitoring")
SUBNETS = tuple(IPv4Network("198.18.0.0/15").subnets(new_prefix=26))
"""Addresses for tests (RFC 2544). By itself an engine has 30 networks to give; three stacks need 21 of them, and those of a run that was killed are kept."""
NUMBERS = count(os.getpid() * 28)
"""Of subnets: another run at the same time begins elsewhere."""
STARTED = time.monotonic()

RECEIVER = """
import http.server

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

http.server.HTTPServer(("0.0.0.0", 9000), Receiver).serve_forever()
"""


class Unproven(Exception):
    """Something that must hold does not hold; the message says what."""


class Stack:
    """One Compose project: the real files, a webhook receiver next to them, permission to call it, and a worker that works in small steps.

    `settings` stand for what `.env` has; a real `.env` is not read. A `with` block removes everything at its end, after it has shown what the containers said
    if it failed.
    """

    def __init__(self, folder: Path, *, name: str = "", services: Mapping[str, Any] | None = None, **settings: str) -> None:
        self.port, self.proxy_port = free_port(), free_port()
        ports = {"PORT": str(self.port), "PROXY_PORT": str(self.proxy_port), "PROMETHEUS_PORT": str(free_port())}
        self.settings = {**SMALL, **ports, **settings}
        self._folder = folder
        self.project = f"rowgate-verify-{os.getpid()}{name}"
        extra = folder / f"extra{name}.json"
        allow = {"environment": {"WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "true"}}
        receiver = {"image": "python:3.13-slim", "command": ["python3", "-c", RECEIVER], "networks": ["outside"], "init": True, "stop_signal": "SIGKILL"}
        soon = {"healthcheck": {"interval": "2s"}}
        ours = {"receiver": receiver, "api": allow, "api-2": allow, "dispatcher": {**allow, **soon}, "worker": {"environment": SLOW_WORKER, **soon}}
        networks = {name: {"ipam": {"config": [{"subnet": str(SUBNETS[next(NUMBERS) % len(SUBNETS)])}]}} for name in NETWORKS}
        extra.write_text(json.dumps({"services": {**ours, **(services or {})}, "networks": networks}))
        self._files: tuple[Path, ...] = (ROOT / "compose.yaml", extra)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            sys.stdout.write(self.compose("ps", "--all", check=False) + self.compose("logs", "--no-color", "--tail", "40", check=False))
        self.remove()

    @contextmanager
    def altered(self, services: Mapping[str, Any]) -> Iterator[None]:
        """Replace containers of these services by altered ones for the block, and by unaltered ones after it."""
        extra = self._folder / f"altered{len(self._files)}.json"
        extra.write_text(json.dumps({"services": services}))
        self._files = (*self._files, extra)
        try:
            self.compose("build", "--quiet", *services)
            self.up(*services, services=services)
            yield
        finally:
            self._files = self._files[:-1]
        self.up(*services, services=services)

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which `docker compose` means this project."""
        files = os.pathsep.join(map(str, self._files))
        kept = {name: value for name, value in os.environ.items() if name.upper() not in SETTINGS}
        return {**kept, "COMPOSE_PROJECT_NAME": self.project, "COMPOSE_FILE": files, "COMPOSE_ENV_FILES": os.devnull, **self.settings}

    def compose(self, *arguments: str, check: bool = True, **environment: str) -> str:
        """Run `docker compose` and return its standard output. Raises `Unproven` if it fails, unless `check` is off."""
        return run_compose(*arguments, environment={**self.environment, **environment}, check=check)

    def up(self, *options: str, services: Iterable[str] = SERVICES) -> None:
        """Start everything and wait until all of it is healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", str(START_TIMEOUT_S), "--quiet-pull", *options)
        healthy = {name for name, states in self.health().items() if set(states) == {"healthy"}}
        missing = set(services) - healthy
        require(not missing, f"Not healthy: {', '.join(sorted(missing))}.")

    def health(self) -> dict[str, list[str]]:
        """Return the health of each container, by service."""
        states = [json.loads(line) for line in self.compose("ps", "--format", "json").splitlines()]
        return {name: [state["Health"] for state in states if state["Service"] == name] for name in {state["Service"] for state in states}}

    def require_quiet_logs(self, *, since: datetime) -> None:
        """Raise `Unproven` if anything has logged an error since then."""
        logs = self.compose("logs", "--no-color", "--since", since.isoformat()).splitlines()
        lines = [line for line in logs if TROUBLE.search(line)]
        require(not lines, "There is trouble in the logs:\n  " + "\n  ".join(lines[:20]))

    def down(self) -> None:
        """Stop everything; what was stored stays."""
        self.compose("down")

    def remove(self) -> None:
        """Remove everything: containers, volumes and images."""
        self.compose("--profile", "*", "down", "--remove-orphans", "--volumes", "--rmi", "local", check=False)


def run_compose(*arguments: str, environment: Mapping[str, str], directory: Path = ROOT, check: bool = True) -> str:
    """Run `docker compose` and return its standard output. Raises `Unproven` if it fails, unless `check` is off."""
    command = ["docker", "compose", "--progress", "quiet", *arguments]
    result = subprocess.run(command, check=False, cwd=directory, env=environment, capture_output=True, text=True)  # noqa: S603  # our own command
    sys.stderr.write(result.stderr)
    if check and result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or ["It gave no reason."])[-1]
        raise Unproven(f"'docker compose {' '.join(arguments)}' failed: {reason}")
    return result.stdout


def require(condition: object, message: str) -> None:
    """Raise `Unproven` with `message` unless `condition` holds."""
    if not condition:
        raise Unproven(message)


def say(message: str) -> None:
    """Print one line of progress with the time."""
    print(f"compose-test: {time.monotonic() - STARTED:4.0f} s  {message}", flush=True)  # noqa: T201  # a command's report


def wait_for(client: httpx.Client, path: str, what: str, condition: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
    """Request `path` until its JSON satisfies `condition`, and return it; keeps trying if the service does not answer.

    Raises `Unproven` after two minutes.
    """
    deadline = time.monotonic() + STEP_TIMEOUT_S
    answer: Mapping[str, Any] = {}
    while True:
        try:
            response = client.get(path)
            answer = response.json()
            if response.is_success and condition(answer):
                return answer
        except (httpx.TransportError, ValueError) as error:
            answer = {"error": repr(error)}
        require(time.monotonic() < deadline, f"{what} did not happen within {STEP_TIMEOUT_S:.0f} s: {answer}")
        time.sleep(0.25)
