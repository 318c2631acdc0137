"""Test the containers: build them, bring them up, send files through them, kill and restart parts of them, stop, start and scale them.

    python -m compose.verify

Works in a separate Compose project with its own volumes, and removes both. Skipped, with the reason, if no Docker engine answers.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import xlwt

from compose.local import ROOT
from compose.services import free_port

SERVICES = {"api", "worker", "dispatcher", "db", "redis"}
START_TIMEOUT_S = 240
STEP_TIMEOUT_S = 120.0
HEADINGS, BAD_ROW = ("id", "amount"), 21
TESTS_INSIDE = ("tests/shared/test_settings.py", "tests/features/jobs")
"""A part of the test suite, to save time; `docker compose run --rm tests` runs all of it."""
LONG_ROWS = 1_000_000
SLOW_WORKER = {"CHUNK_ROWS": "100", "PROGRESS_INTERVAL_S": "0.5", "JOB_LEASE_S": "5"}
"""Settings that make a job last long enough to be disturbed."""
TROUBLE = re.compile(r"traceback|\[error|\[critical|\"level\": ?\"(error|critical)\"|(?<![a-z])(ERROR|FATAL|PANIC):", re.IGNORECASE)

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
    """One Compose project: the real files, a webhook receiver next to them, permission to call it, and a worker that works in small steps."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        extra = folder / "receiver.json"
        allow = {"environment": {"WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "true"}}
        receiver = {"image": "python:3.13-slim", "command": ["python3", "-c", RECEIVER], "networks": ["outside"], "init": True}
        services = {"receiver": receiver, "api": allow, "dispatcher": allow, "worker": {"environment": SLOW_WORKER}}
        extra.write_text(json.dumps({"services": services}))
        self._command = ["docker", "compose", "--progress", "quiet", "-p", f"rowgate-verify-{os.getpid()}", "-f", str(ROOT / "compose.yaml"), "-f", str(extra)]

    def compose(self, *arguments: str, check: bool = True, **environment: str) -> str:
        """Run `docker compose` and return its standard output. Raises `Unproven` if it fails, unless `check` is off."""
        variables = {**os.environ, "PORT": str(self.port), **environment}
        result = subprocess.run([*self._command, *arguments], check=False, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own command
        if check and result.returncode != 0:
            raise Unproven(f"'docker compose {' '.join(arguments)}' failed.")
        return result.stdout

    def up(self, *options: str) -> None:
        """Start everything and wait until all of it is healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", str(START_TIMEOUT_S), "--quiet-pull", *options)
        healthy = {name for name, states in self.health().items() if set(states) == {"healthy"}}
        require(healthy >= SERVICES, f"Not healthy: {', '.join(sorted(SERVICES - healthy))}.")

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
        self.compose("--profile", "tests", "down", "--remove-orphans", "--volumes", "--rmi", "local", check=False)


def require(condition: object, message: str) -> None:
    """Raise `Unproven` with `message` unless `condition` holds."""
    if not condition:
        raise Unproven(message)


def require_page(client: httpx.Client) -> None:
    """Raise `Unproven` unless the page and all that it loads are served."""
    page = client.get("/")
    found = re.findall(r'(?:href|src)="(/app/[^"]+)"', page.text)
    require(page.is_success and found, f"The page is not served: {page.status_code}.")
    for path in found:
        require(client.get(path).is_success, f"The page's {path} is not served.")


def say(message: str) -> None:
    """Print one line of progress with the time."""
    print(f"compose-test: {time.monotonic() - STARTED:4.0f} s  {message}", flush=True)  # noqa: T201  # a command's report


STARTED = time.monotonic()


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


def make_csv(rows: int) -> bytes:
    """Make a CSV table with one bad cell, in row 21."""
    lines = [",".join(HEADINGS), *(f"{number},{'many' if number == BAD_ROW - 1 else number * 3}" for number in range(1, rows + 1))]
    return ("\n".join(lines) + "\n").encode()


def make_xlsx(folder: Path) -> bytes:
    """Make the same table as an XLSX workbook."""
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet()
    for row in csv.reader(make_csv(20).decode().splitlines()):
        sheet.append([int(cell) if cell.isdecimal() else cell for cell in row])
    workbook.save(folder / "table.xlsx")
    return (folder / "table.xlsx").read_bytes()


def make_xls(folder: Path) -> bytes:
    """Make the same table as an XLS workbook."""
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("table")
    for number, row in enumerate(csv.reader(make_csv(20).decode().splitlines())):
        for column, cell in enumerate(row):
            sheet.write(number, column, int(cell) if cell.isdecimal() else cell)
    workbook.save(str(folder / "table.xls"))
    return (folder / "table.xls").read_bytes()


def send(client: httpx.Client, name: str, content: bytes) -> str:
    """Upload a file and return the job's id."""
    # RE2 has no look-ahead, so each of these values is checked separately and a long file takes some seconds on any machine.
    schema = {"fields": [{"name": "id", "type": "string", "constraints": {"pattern": "(?=[0-9])[0-9]+"}}, {"name": "amount", "type": "integer"}]}
    fields = {"webhook_url": "http://receiver:9000/done", "schema": json.dumps(schema)}
    answer = client.post("/api/files/upload", files={"file": (name, content)}, data=fields)
    require(answer.status_code == httpx.codes.ACCEPTED, f"The upload of {name} answered {answer.status_code}: {answer.text}")
    return str(answer.json()["job_id"])


def prove_end(client: httpx.Client, job_id: str, *, rows: int) -> None:
    """Check that the job ends with the one error that its file has, and that its webhook arrives."""
    job = wait_for(client, f"/api/jobs/{job_id}", "The end of the job", lambda job: job.get("status") not in {"QUEUED", "PROCESSING"})
    require((job["status"], job["rows_processed"], job["rows_failed"]) == ("COMPLETED", rows, 1), f"The job ended as {job}")
    errors = client.get(f"/api/jobs/{job_id}/errors").raise_for_status().json()["errors"]
    found = [(error["row_number"], error["column_name"], error["error_type"], error["raw_value"]) for error in errors]
    require(found == [(BAD_ROW, "amount", "type-error", "many")], f"The errors are {found}")
    wait_for(
        client,
        f"/api/jobs/{job_id}/deliveries",
        "The webhook's arrival",
        lambda answer: [delivery["status"] for delivery in answer["deliveries"]] == ["DELIVERED"],
    )


def start_long_job(client: httpx.Client) -> str:
    """Start a job that runs for some seconds; return its id once it is running."""
    job_id = send(client, "long.csv", make_csv(LONG_ROWS))
    wait_for(client, f"/api/jobs/{job_id}", "The start of the job", lambda job: 0 < job["rows_processed"] < LONG_ROWS)
    return job_id


def prove_containment(stack: Stack) -> None:
    """Check that the application does not run as root, that no container can write to its file system, and that none is published by mistake."""
    for service in ("api", "worker", "dispatcher"):
        require(stack.compose("exec", "-T", service, "id", "-u").strip() == "10001", f"{service} does not run as the user 10001.")
    for service in SERVICES:
        written = stack.compose("exec", "-T", service, "sh", "-c", "touch /etc/x 2>/dev/null && echo written || true")
        require(not written.strip(), f"{service} can write to its own file system.")
    secrets = {"api": ("WEBHOOK_SECRET",), "worker": ("API_KEYS", "WEBHOOK_SECRET"), "dispatcher": ("API_KEYS",)}
    for service, names in secrets.items():
        found = stack.compose("run", "--rm", "--no-deps", "-T", service, "env", API_KEYS=f"ada:{'k' * 32}", WEBHOOK_SECRET="A" * 32)
        require(not any(f"{name}=" in found for name in names), f"{service} is given a secret that it does not use.")
        require(service == "worker" or f"{'API_KEYS' if service == 'api' else 'WEBHOOK_SECRET'}=" in found, f"{service} is not given the secret that it uses.")
    ask = "SELECT rolsuper FROM pg_roles WHERE rolname = 'rowgate'"
    is_superuser = stack.compose("exec", "-T", "db", "psql", "-U", "rowgate", "-d", "rowgate", "-Atc", ask)
    require(is_superuser.strip() == "f", "The application is a superuser of its database.")
    anonymous = stack.compose("exec", "-T", "redis", "redis-cli", "ping", check=False)
    require("NOAUTH" in anonymous, "Redis answers without a password.")
    require('"event": "published"' in stack.compose("logs", "--no-color", "api"), "The API does not say where it is published.")
    ask = "python3 -c 'import shared.settings; shared.settings.get_settings()' 2>&1 || true"
    answer = stack.compose("run", "--rm", "--no-deps", "-T", "api", "sh", "-c", ask, PUBLISH_ADDRESS="0.0.0.0")  # noqa: S104  # this must be refused
    require("set API_KEYS" in answer, "An API without keys can be published everywhere.")


def prove_metrics(stack: Stack, client: httpx.Client) -> None:
    """Check that every part serves metrics."""
    require("rowgate_uploads_total" in client.get("/metrics").text, "The API shows no metrics.")
    for service, name in (("worker", "rowgate_rows_processed_total"), ("dispatcher", "rowgate_webhook_attempts_total")):
        fetch = f"import urllib.request as r; print(r.urlopen('http://{service}:9100/metrics', timeout=5).read().decode())"
        require(name in stack.compose("exec", "-T", "api", "python3", "-c", fetch), f"The {service} shows no {name}.")


def prove_recovery(stack: Stack, client: httpx.Client) -> None:
    """Check that jobs survive the death of their worker, and a restart of Redis and the database."""
    say("killing the worker in the middle of a job")
    job_id = start_long_job(client)
    # Kills the program rather than its init, so that the container ends and is restarted by Docker.
    stack.compose("exec", "-T", "worker", "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)", check=False)
    prove_end(client, job_id, rows=LONG_ROWS)
    say("restarting Redis and the database under a job")
    job_id = start_long_job(client)
    stack.compose("restart", "redis", "db")
    prove_end(client, job_id, rows=LONG_ROWS)
    stack.up()
    prove_end(client, send(client, "table.csv", make_csv(20)), rows=20)


def prove(stack: Stack, folder: Path) -> None:
    """Run all checks, in order."""
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=30.0) as client:
        stack.compose("--profile", "tests", "config", "-q")
        say("building")
        stack.compose("build", "--quiet")
        say("starting")
        begun = datetime.now(UTC)
        stack.up()
        require(client.get("/api/health").json()["status"] == "healthy", "The service does not call itself healthy.")
        require_page(client)
        say("sending a file of each type")
        for name, content in (("table.csv", make_csv(20)), ("table.xlsx", make_xlsx(folder)), ("table.xls", make_xls(folder))):
            kept = send(client, name, content)
            prove_end(client, kept, rows=20)
        prove_containment(stack)
        prove_metrics(stack, client)
        stack.require_quiet_logs(since=begun)
        prove_recovery(stack, client)
        say("stopping and starting again, with three workers")
        stack.down()
        begun = datetime.now(UTC)
        stack.up("--scale", "worker=3")
        require(stack.health()["worker"] == ["healthy"] * 3, "There are not three healthy workers.")
        require(client.get(f"/api/jobs/{kept}").status_code == httpx.codes.OK, "The job did not survive a restart.")
        for job_id in [send(client, "table.csv", make_csv(20)) for _ in range(12)]:
            prove_end(client, job_id, rows=20)
        stack.require_quiet_logs(since=begun)
        say("running tests inside")
        stack.compose("run", "--rm", "-T", "--quiet-pull", "tests", "python", "-m", "pytest", "-q", *TESTS_INSIDE)


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
        stack = Stack(Path(folder))
        try:
            prove(stack, Path(folder))
        except (Unproven, httpx.HTTPError) as failure:
            sys.stdout.write(stack.compose("logs", "--tail", "40", check=False))
            say(f"failed: {failure}")
            return 1
        finally:
            say("removing everything")
            stack.remove()
    say("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
