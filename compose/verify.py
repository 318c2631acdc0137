"""Prove the containers: build them, bring them up, send a file through them, see its errors and its webhook, stop and start them again.

    python -m compose.verify

Works in a project of its own with volumes of its own, and removes both. Skipped, with the reason, where no Docker engine answers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from compose.local import ROOT
from compose.services import free_port

SERVICES = {"api", "worker", "dispatcher", "db", "redis"}
START_TIMEOUT_S = 240
STEP_TIMEOUT_S = 60.0
TABLE = b"id,amount\n" + b"".join(b"%d,%d\n" % (number, number * 3) for number in range(1, 20)) + b"20,many\n"

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
    """Something that must hold does not; the message says what."""


class Stack:
    """One Compose project: the real files, a receiver of webhooks beside them, and the leave to call it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        extra = folder / "receiver.json"
        allow = {"environment": {"WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "true"}}
        receiver = {"image": "python:3.13-slim", "command": ["python3", "-c", RECEIVER], "networks": ["outside"], "init": True}
        extra.write_text(json.dumps({"services": {"receiver": receiver, "api": allow, "dispatcher": allow}}))
        self._command = ["docker", "compose", "--progress", "quiet", "-p", f"rowgate-verify-{os.getpid()}", "-f", str(ROOT / "compose.yaml"), "-f", str(extra)]

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run `docker compose`; its standard output. Raises Unproven where it fails."""
        environment = {**os.environ, "PORT": str(self.port)}
        result = subprocess.run([*self._command, *arguments], check=False, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own command
        if check and result.returncode != 0:
            raise Unproven(f"'docker compose {' '.join(arguments)}' failed.")
        return result.stdout

    def up(self) -> None:
        """Start everything and wait until all of it is healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", str(START_TIMEOUT_S), "--quiet-pull")
        states = [json.loads(line) for line in self.compose("ps", "--format", "json").splitlines()]
        healthy = {state["Service"] for state in states if state["Health"] == "healthy"}
        require(healthy >= SERVICES, f"Not healthy: {', '.join(sorted(SERVICES - healthy))}.")

    def down(self) -> None:
        """Stop everything; what was stored stays."""
        self.compose("down")

    def remove(self) -> None:
        """Leave nothing behind: no containers, volumes or images."""
        self.compose("down", "--remove-orphans", "--volumes", "--rmi", "local", check=False)


def require(condition: object, message: str) -> None:
    """Raise Unproven with `message` unless `condition` holds."""
    if not condition:
        raise Unproven(message)


def say(message: str) -> None:
    """Print one line about what is going on."""
    print(f"compose-test: {message}", flush=True)  # noqa: T201  # a command's report


def wait_for(client: httpx.Client, path: str, what: str, condition: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
    """Ask for `path` until its JSON satisfies `condition`; raises Unproven after a minute."""
    deadline = time.monotonic() + STEP_TIMEOUT_S
    while True:
        answer: Mapping[str, Any] = client.get(path).raise_for_status().json()
        if condition(answer):
            return answer
        require(time.monotonic() < deadline, f"{what} did not happen within {STEP_TIMEOUT_S:.0f} s: {answer}")
        time.sleep(0.25)


def prove_a_file_goes_through(client: httpx.Client) -> str:
    """Upload a table with one bad cell and follow it to its end and to its webhook; the job's id."""
    fields = {"webhook_url": "http://receiver:9000/done"}
    answer = client.post("/api/files/upload", files={"file": ("table.csv", TABLE, "text/csv")}, data=fields)
    require(answer.status_code == httpx.codes.ACCEPTED, f"The upload answered {answer.status_code}: {answer.text}")
    job_id = str(answer.json()["job_id"])
    job = wait_for(client, f"/api/jobs/{job_id}", "The end of the job", lambda job: job["status"] not in {"QUEUED", "PROCESSING"})
    require((job["status"], job["rows_processed"], job["rows_failed"]) == ("COMPLETED", 20, 1), f"The job ended as {job}")
    errors = client.get(f"/api/jobs/{job_id}/errors").raise_for_status().json()["errors"]
    found = [(error["row_number"], error["column_name"], error["error_type"], error["raw_value"]) for error in errors]
    require(found == [(21, "amount", "type-error", "many")], f"The errors are {found}")
    wait_for(
        client,
        f"/api/jobs/{job_id}/deliveries",
        "The webhook's arrival",
        lambda answer: [delivery["status"] for delivery in answer["deliveries"]] == ["DELIVERED"],
    )
    return job_id


def prove_containment(stack: Stack) -> None:
    """The containers of the application are not root, and their file systems are read-only."""
    for service in ("api", "worker", "dispatcher"):
        require(stack.compose("exec", "-T", service, "id", "-u").strip() == "10001", f"{service} does not run as the user 10001.")
        written = stack.compose("exec", "-T", service, "sh", "-c", "touch /app/x 2>/dev/null && echo written || true")
        require(not written.strip(), f"{service} can write to its own code.")


def prove(stack: Stack) -> None:
    """Everything, in order."""
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=15.0) as client:
        say("building")
        stack.compose("build", "--quiet")
        say("starting")
        stack.up()
        require(client.get("/api/health").json()["status"] == "healthy", "The service does not call itself healthy.")
        say("sending a file")
        job_id = prove_a_file_goes_through(client)
        prove_containment(stack)
        say("stopping and starting again")
        stack.down()
        stack.up()
        require(client.get(f"/api/jobs/{job_id}").status_code == httpx.codes.OK, "The job did not survive a restart.")


def engine_problem() -> str | None:
    """Why containers cannot be tried here, or None."""
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
    """Prove the containers; the exit code."""
    problem = engine_problem()
    if problem is not None:
        say(f"skipped: {problem}")
        return 0
    with tempfile.TemporaryDirectory(prefix="rowgate-verify-") as folder:
        stack = Stack(Path(folder))
        try:
            prove(stack)
        except (Unproven, httpx.HTTPError) as failure:
            sys.stdout.write(stack.compose("logs", "--tail", "40", check=False))
            say(f"failed: {failure}")
            return 1
        finally:
            say("removing it")
            stack.remove()
    say("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
