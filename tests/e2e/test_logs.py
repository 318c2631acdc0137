"""Every line that any process writes with LOG_FORMAT=json is a line of JSON: when all goes well, when it is stopped, and when it fails."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.processes import wait_until
from compose.services import free_port
from tests.paths import ROOT
from tests.services import Servers

SECRET = "geheim-4711"
API = ["-m", "shared.web.serve"]
CELERY = ["-m", "celery", "-A", "celery_app", "worker"]
WORKER = [*CELERY, "-Q", "processing", "-c", "2", "-n", "worker-of-logs@%h"]
DISPATCHER = [*CELERY, "-Q", "webhooks,maintenance", "-P", "threads", "-c", "4", "-B", "-n", "dispatcher-of-logs@%h"]
MIGRATION = ["-m", "alembic", "upgrade", "head"]


class Process:
    """A program of the service whose two streams go to files."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        self._streams = [folder / "stdout", folder / "stderr"]
        STARTED.append(self)
        with self._streams[0].open("wb") as stdout, self._streams[1].open("wb") as stderr:
            self._process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        """Kill it if it still runs, as it does if its test has failed."""
        self._process.kill()
        self._process.wait()

    def children(self) -> set[int]:
        """Return the pids of its children that run what it runs; of the API not multiprocessing's own helper."""
        pids = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return {int(pid) for pid in pids if "resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_text()}

    def wait_for(self, event: str, *, timeout_s: float = 60) -> None:
        assert wait_until(lambda: event in self.text(), timeout_s=timeout_s), self.text()

    def text(self) -> str:
        return "".join(stream.read_text() for stream in self._streams)

    def end(self, *signals: signal.Signals) -> list[dict[str, Any]]:
        """Send the signals, wait for the end, and return every line as it was parsed."""
        for number in signals:
            self._process.send_signal(number)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        lines = [dict(json.loads(line)) for line in self.text().splitlines()]
        assert all({"timestamp", "level", "event", "logger"} <= line.keys() for line in lines), lines
        assert SECRET not in self.text()
        return lines


STARTED: list[Process] = []


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    while STARTED:
        STARTED.pop().kill()


EXAMPLE_JOB, EXAMPLE_REQUEST = "549910e9-5cd2-47a9-abde-af4c878305ff", "order-77"
"""As the document has them."""
DOCKER = """docker() {
    cat "$LOGS/api.log" "$LOGS/worker.log" "$LOGS/dispatcher.log"
}
"""
"""Stands for Docker in pasted commands: what `docker compose logs` shows, from the files of the local stack."""


def list_searches() -> dict[str, str]:
    """Return the commands of the document's section on logs, by the comment above each."""
    section = (ROOT / "docs/operations.md").read_text().partition("### Logs")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    lines = block[1].splitlines()
    return {comment.removeprefix("# "): command for comment, command in zip(lines[::2], lines[1::2], strict=True)}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """Run the local stack, do what the document's searches look for, and yield a function that runs the search below a comment."""
    folder = tmp_path_factory.mktemp("told")
    keys = {"API_KEYS": "alice:alices-key-1234567", "LOG_FORMAT": "json", "RUN_DIR": str(folder / "run"), "PORT": str(free_port()), "ENV_FILE": ""}
    # Its own process group, so that the stack's supervisor alone gets the signal.
    with (folder / "output").open("w") as output:
        stack = subprocess.Popen([sys.executable, "-m", "compose.local"], cwd=ROOT, env={**os.environ, **keys}, stdout=output, stderr=output)
    try:
        assert wait_until(lambda: "Rowgate is up" in (folder / "output").read_text() or stack.poll() is not None, timeout_s=120)
        job_id = do_what_is_told(httpx.Client(base_url=f"http://127.0.0.1:{keys['PORT']}", headers={"X-API-Key": "alices-key-1234567"}, timeout=30))
    finally:
        stack.terminate()
        stack.wait(60)
    searches = list_searches()

    def search(comment: str) -> list[dict[str, Any]]:
        [command] = [command for each, command in searches.items() if each.startswith(comment)]
        command = command.replace(EXAMPLE_JOB, job_id)
        result = subprocess.run(
            ["sh", "-c", DOCKER + command], env={"PATH": os.environ["PATH"], "LOGS": str(folder / "run/logs")}, capture_output=True, text=True, check=False
        )
        assert result.stderr == ""
        return [dict(json.loads(line)) for line in result.stdout.splitlines()]

    yield search
    for log in ("api", "worker", "dispatcher", "migration"):
        for line in (folder / f"run/logs/{log}.log").read_text().splitlines():
            json.loads(line)


def do_what_is_told(client: httpx.Client) -> str:
    def send_slowly() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\n'
        time.sleep(1.1)
        yield b'1,2\n\r\n--x\r\nContent-Disposition: form-data; name="webhook_url"\r\n\r\nhttp://127.0.0.1:9/\r\n--x--\r\n'

    headers = {"Content-Type": "multipart/form-data; boundary=x", "X-Request-ID": EXAMPLE_REQUEST}
    job_id = str(client.post("/api/files/upload", content=send_slowly(), headers=headers).raise_for_status().json()["job_id"])
    deliveries = f"/api/jobs/{job_id}/deliveries"
    assert wait_until(lambda: any(each["status"] == "EXHAUSTED" for each in client.get(deliveries).json()["deliveries"]), timeout_s=60)
    client.delete(f"/api/jobs/{job_id}").raise_for_status()
    return job_id


def test_searches_of_the_document_find_what_they_say(told: Callable[[str], list[dict[str, Any]]]) -> None:
    story = [line["event"] for line in told("What happened to a job")]
    milestones = ["request", "job claimed", "job completed", "webhook attempt", "audit: delete"]
    assert [event for event in dict.fromkeys(story) if event in milestones] in (milestones, ["job claimed", "request", *milestones[2:]])
    [deleted] = told("Who deleted or cancelled it")
    assert (deleted["key"], deleted["client"]) == ("alice", "127.0.0.1")
    assert [line["event"] for line in told("Everything that was done with a key")] == ["audit: delete"]
    assert {"request", "job completed", "webhook attempt"} <= {line["event"] for line in told("Everything that belongs to one request")}
    [given_up] = told("Webhooks that were given up")
    assert (given_up["outcome"], given_up["level"], given_up["receiver"]) == ("EXHAUSTED", "warning", "127.0.0.1:9")
    [ended] = told("How jobs ended")
    assert (ended["event"], ended["rows"], ended["errors"]) == ("job completed", 1, 0)
    assert ended["seconds"] > 0
    assert [line["path"] for line in told("Requests that took a second") if line["method"] == "POST"] == ["/api/files/upload"]
    assert given_up in told("Whatever needs a look")


@pytest.fixture
def environment(servers: Servers, clean: None, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "ENV_FILE": "",
        "LOG_FORMAT": "json",
        "API_PROCESSES": "2",
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "UPLOAD_DIR": str(tmp_path / "uploads"),
        "WORKER_SHUTDOWN_TIMEOUT_S": "1",
        "API_KEYS": "alice:alices-key-1234567,boss:bosses-key-1234567:admin",
    }


def test_api_that_loses_a_process(environment: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    process = Process([*API, "--port", str(port)], tmp_path, environment)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": "alices-key-1234567"}, timeout=30)
    assert wait_until(lambda: is_answered(client), timeout_s=60), process.text()
    children = process.children()
    os.kill(max(children), signal.SIGKILL)
    assert wait_until(lambda: bool(process.children() - children), timeout_s=30), process.text()
    assert wait_until(lambda: is_answered(client), timeout_s=60), process.text()
    assert client.delete(f"/api/jobs/{uuid.uuid4()}").status_code == 404
    [request] = [line for line in process.end(signal.SIGTERM) if line["event"] == "request"]
    assert (request["status"], request["level"], request["key"], request["client"]) == (404, "info", "alice", "127.0.0.1")


def is_answered(client: httpx.Client) -> bool:
    try:
        return client.get("/api/health/live").status_code == 200
    except httpx.TransportError:
        return False


def test_api_without_a_database(environment: dict[str, str], tmp_path: Path) -> None:
    environment["DATABASE_URL"] = f"postgresql://u:{SECRET}@127.0.0.1:1/none"
    lines = Process([*API, "--port", str(free_port())], tmp_path, environment).end()
    assert any("could not be brought up to date" in line["event"] for line in lines), lines


def test_worker_that_loses_a_child_and_is_stopped(environment: dict[str, str], tmp_path: Path) -> None:
    process = Process(WORKER, tmp_path, environment)
    process.wait_for("ready.")
    children = process.children()
    os.kill(min(children), signal.SIGKILL)
    assert wait_until(lambda: len(process.children() - children) == 1, timeout_s=30), process.text()
    events = [line["event"] for line in process.end(signal.SIGTERM)]
    assert any("Warm shutdown" in event for event in events)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGQUIT])
def test_dispatcher_that_is_stopped(stop: signal.Signals, environment: dict[str, str], tmp_path: Path) -> None:
    process = Process(DISPATCHER, tmp_path, environment)
    process.wait_for("ready.")
    lines = process.end(stop)
    assert any("shutdown" in line["event"] for line in lines)


def test_worker_without_its_broker(environment: dict[str, str], tmp_path: Path) -> None:
    environment["REDIS_URL"] = f"redis://:{SECRET}@127.0.0.1:1/0"
    process = Process(WORKER, tmp_path, environment)
    process.wait_for("Cannot connect to redis://***@127.0.0.1:1/0")
    process.end(signal.SIGTERM, signal.SIGQUIT)


def test_migration_that_succeeds_and_one_without_a_database(environment: dict[str, str], tmp_path: Path) -> None:
    assert all(line["level"] == "info" for line in Process(MIGRATION, tmp_path, environment).end())
    environment["DATABASE_URL"] = f"postgresql://u:{SECRET}@127.0.0.1:1/none"
    *_, line = Process(MIGRATION, tmp_path, environment).end()
    assert (line["level"], line["event"]) == ("critical", "uncaught exception")
    assert "ConnectionRefusedError" in line["exception"]


@pytest.mark.parametrize("program", [API, WORKER, DISPATCHER, MIGRATION], ids=["api", "worker", "dispatcher", "migration"])
def test_setting_that_makes_no_sense(program: Sequence[str], environment: dict[str, str], tmp_path: Path) -> None:
    environment["CHUNK_ROWS"] = "many"
    lines = Process(program, tmp_path, environment).end()
    assert any("CHUNK_ROWS" in line["event"] and line["level"] == "error" for line in lines), lines


@pytest.mark.parametrize(
    ("code", "event", "level"),
    [
        ("raise ValueError('spoiled')", "uncaught exception", "critical"),
        ("import threading; t = threading.Thread(target=lambda: 1 / 0, name='t'); t.start(); t.join()", "uncaught exception in a thread", "critical"),
        ("import asyncio; asyncio.run(forgotten())", "Task exception was never retrieved", "error"),
        ("import traceback\ntry: 1 / 0\nexcept Exception: traceback.print_exc()", "ZeroDivisionError: division by zero", "error"),
        ("print('printed', end='')", "printed", "info"),
        ("import warnings; warnings.warn('mind the gap')", "mind the gap", "warning"),
        ("import multiprocessing as m; p = m.get_context('fork').Process(target=lambda: 1 / 0); p.start(); p.join()", "Process ForkProcess-1:", "warning"),
    ],
)
def test_whatever_else_a_process_may_write(code: str, event: str, level: str, environment: dict[str, str], tmp_path: Path) -> None:
    program = f"""
from shared.observing.logging import configure_logging, log_whatever_is_written
from shared.settings import get_settings
log_whatever_is_written()
configure_logging(get_settings())
async def failing(): 1 / 0
async def forgotten():
    import asyncio
    task = asyncio.create_task(failing())
    await asyncio.sleep(0.01)
{code}
"""
    lines = Process(["-c", program], tmp_path, environment).end()
    assert [line["level"] for line in lines if event in line["event"]] == [level], lines


def test_exception_before_the_log_is_set_up_is_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    program = "from shared.observing.logging import log_whatever_is_written as first\nfirst()\ntry: {}['a']\nexcept KeyError as e: raise ValueError('x') from e"
    [line] = Process(["-c", program], tmp_path, environment).end()
    assert (line["event"], line["level"]) == ("uncaught exception", "critical")
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert "KeyError: 'a'" in line["exception"]
    assert line["exception"].endswith("ValueError: x\n")
