"""The API's command: real processes that start, are killed, hang, are left alone, and end."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.services import free_port
from shared.settings import Settings
from tests.paths import ROOT

pytestmark = pytest.mark.slow
START_S = 60.0


@dataclass
class Running:
    """An API in processes of its own."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def children(self) -> list[int]:
        """The processes that serve."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"descriptor_judge" not in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log's lines about one event."""
        return [line for line in map(json.loads, self.log.read_text().splitlines()) if line["event"] == event]

    def is_ready(self, processes: int) -> bool:
        return len(self.lines("a process of the API serves")) >= processes


def wait(condition: Callable[[], bool], timeout_s: float = START_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(settings: Settings, folder: Path, **changes: str) -> Running:
    port, log = free_port(), folder / "api.log"
    own = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "UPLOAD_DIR": str(settings.upload_folder), "LOG_FORMAT": "json"}
    environment = {**os.environ, **own, "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"), "API_PROCESSES": "2", **changes}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "shared.web.serve", "--port", str(port)]
        return Running(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True), port, log)


@contextmanager
def running(settings: Settings, folder: Path, **changes: str) -> Iterator[Running]:
    api = start(settings, folder, **changes)
    try:
        wait(lambda: api.process.poll() is not None or api.is_ready(int(changes.get("API_PROCESSES", "2"))))
        assert api.process.poll() is None, api.log.read_text()
        yield api
    finally:
        with suppress(ProcessLookupError):
            os.killpg(api.process.pid, signal.SIGKILL)
        api.process.wait()


def test_settings_that_make_no_sense_end_it_before_anything_else_is_done(settings: Settings, tmp_path: Path) -> None:
    api = start(settings, tmp_path, CHUNK_ROWS="none", API_KEYS=",", DATABASE_URL="postgresql://u@127.0.0.1:1/d")
    assert api.process.wait(30) == 2
    lines = [json.loads(line) for line in api.log.read_text().splitlines()]
    assert [(line["level"], line["event"].partition(":")[0]) for line in lines] == [("error", "CHUNK_ROWS"), ("error", "API_KEYS")]


def test_database_that_cannot_be_migrated_ends_it(settings: Settings, tmp_path: Path) -> None:
    api = start(settings, tmp_path, DATABASE_URL="postgresql://u:hidden@127.0.0.1:1/d")
    assert api.process.wait(60) == 1
    assert api.lines("the database could not be brought up to date: the API does not start")
    assert "hidden" not in api.log.read_text()


def test_port_that_is_taken_ends_it(settings: Settings, tmp_path: Path, clean: None) -> None:
    with running(settings, tmp_path) as api:
        environment = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "UPLOAD_DIR": str(settings.upload_folder)}
        command = [sys.executable, "-m", "shared.web.serve", "--port", str(api.port)]
        second = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 1
    [line] = second.stderr.splitlines()
    assert (json.loads(line)["event"], json.loads(line)["port"]) == ("the API cannot listen", api.port)


ASKED_AT_THE_START = """
import gc, os, signal, sys
from shared.web import serve

def ask(*_):
    os.kill(os.getpid(), signal.SIGTERM)

def ask_in_a_block():
    try:
        ask()
    except Exception:
        pass

serve._migrate_beside = lambda work: True
serve.load_application = serve.process_slots.count_nothing_here = serve.start_judging = lambda: None
{patch}
sys.argv[1:] = ["--port", "0"]
sys.exit(serve.main())
"""


@pytest.mark.parametrize(
    "patch",
    [
        "serve.start_judging = ask",
        "serve.gc.collect = ask",
        "serve.process_slots.count_nothing_here = ask_in_a_block",
        "serve.open_listener = ask",
    ],
)
def test_signal_at_any_point_of_the_start_ends_it_without_a_word(patch: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "ENV_FILE": "", "UPLOAD_DIR": str(tmp_path)}
    environment |= {"DATABASE_URL": "postgresql://u@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    program = ASKED_AT_THE_START.format(patch=patch)
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_only_a_port_that_cannot_be_opened_is_told_as_one(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "ENV_FILE": "", "UPLOAD_DIR": str(tmp_path)}
    environment |= {"DATABASE_URL": "postgresql://u@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    program = ASKED_AT_THE_START.format(patch="def fail(): raise FileNotFoundError('a folder')\nserve.process_slots.count_nothing_here = fail")
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 1
    assert "cannot listen" not in ended.stdout + ended.stderr
    assert "a folder" in ended.stderr


def test_process_that_is_killed_is_replaced_and_the_others_go_on(settings: Settings, tmp_path: Path, clean: None) -> None:
    with running(settings, tmp_path) as api:
        before = api.children()
        assert len(before) == 2
        for victim in before:
            os.kill(victim, signal.SIGKILL)
            time.sleep(0.2)
            assert httpx.get(f"{api.url}/api/health/live").status_code == 200
            wait(lambda victim=victim: victim not in api.children() and len(api.children()) == 2)  # type: ignore[misc]  # bound now
        wait(lambda: api.is_ready(4))
        assert not set(before) & set(api.children())
        assert [line["exit_code"] for line in api.lines("a process of the API has ended and is replaced")] == [-9, -9]
        text = httpx.get(f"{api.url}/metrics").text
        assert len(re.findall(r'rowgate_db_pool_limit{pid="\d+"} 60', text)) == 2
        assert 'pid="-1"' not in text
        api.process.send_signal(signal.SIGTERM)
        assert api.process.wait(20) == 0


def test_all_processes_share_one_that_judges_schemas(settings: Settings, tmp_path: Path, clean: None) -> None:
    with running(settings, tmp_path, API_PROCESSES="3") as api:
        schema = json.dumps({"fields": [{"name": "a", "type": "string", "constraints": {"pattern": "(a|b)*"}}]})
        for _ in range(12):  # each over a connection of its own, so that every process has its turn
            answer = httpx.post(f"{api.url}/api/files/upload", files={"file": ("a.csv", b"a\nb\n")}, data={"schema": schema + " " * _})
            assert answer.status_code == 202, answer.text
        below = Path(f"/proc/{api.process.pid}/task/{api.process.pid}/children").read_text().split()
        assert len(below) == 3 + 1
        assert not any(Path(f"/proc/{pid}/task/{pid}/children").read_text().split() for pid in api.children())


def test_processes_stop_if_the_one_that_started_them_is_killed(settings: Settings, tmp_path: Path, clean: None) -> None:
    with running(settings, tmp_path) as api:
        children = api.children()
        api.process.kill()
        api.process.wait()
        wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 20)


def get(api: Running, path: str, connection: http.client.HTTPConnection | None = None) -> tuple[int, str | None]:
    connection = connection or http.client.HTTPConnection("127.0.0.1", api.port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers.get("connection")


def test_draining_api_answers_all_requests_and_is_not_ready(settings: Settings, tmp_path: Path, clean: None) -> None:
    with running(settings, tmp_path, API_PROCESSES="1", API_DRAIN_S="6") as api:
        kept = http.client.HTTPConnection("127.0.0.1", api.port, timeout=30)
        assert [get(api, path, kept) for path in ("/api/health/ready", "/api/jobs")] == [(200, None)] * 2
        with httpx.stream("GET", f"{api.url}/api/events", timeout=10) as stream:
            lines = stream.iter_lines()
            next(lines)
            api.process.send_signal(signal.SIGTERM)
            asked_at = time.monotonic()
            list(lines)
            assert time.monotonic() - asked_at < 4
        assert get(api, "/api/jobs", kept) == (200, "close")
        found = []
        while api.process.poll() is None and time.monotonic() - asked_at < 5:
            found += [get(api, "/api/health/ready"), get(api, "/api/health/live"), get(api, "/api/jobs")]
            time.sleep(0.05)
        assert set(found[::3]) == {(503, "close")}
        assert set(found[1::3] + found[2::3]) == {(200, "close")}
        assert len(found) > 10
        assert api.process.wait(30) == 0
        assert time.monotonic() - asked_at >= 6


def test_without_draining_and_after_sigint_it_stops_at_once(settings: Settings, tmp_path: Path, clean: None) -> None:
    for number, drain_s in ((signal.SIGTERM, "0"), (signal.SIGINT, "60")):
        folder = tmp_path / number.name
        folder.mkdir()
        with running(settings, folder, API_DRAIN_S=drain_s) as api:
            api.process.send_signal(number)
            assert api.process.wait(30) == 0  # long before it would have drained


def test_keys_change_in_all_processes_while_a_client_asks_and_none_of_its_requests_fails(settings: Settings, tmp_path: Path, clean: None) -> None:
    keys = tmp_path / "keys"
    old, new, third = ("ann:" + letter * 24 for letter in "ont")

    def write(*entries: str) -> None:
        (tmp_path / "new").write_text("\n".join(entries))
        (tmp_path / "new").replace(keys)

    def ask(entry: str, times: int = 40) -> set[int]:
        """Each over a connection of its own, so that every process has its turn."""
        return {httpx.get(f"{api.url}/api/jobs", headers={"X-API-Key": entry.partition(":")[2]}).status_code for _ in range(times)}

    write(old)
    with running(settings, tmp_path, API_PROCESSES="4", API_KEYS_FILE=str(keys)) as api:
        assert ask(old) == {200}
        write(old, new)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            assert ask(old, 5) == {200}
        assert ask(new) == {200}
        keys.write_text("cut")
        for _ in range(5):
            assert ask(new, 10) == {200}
            time.sleep(0.5)
        refused = api.lines("a changed secret was not taken up; the one before stays in use")
        assert 1 <= len(refused) <= 5  # once in each process that was asked, and in the one that they are forked from
        assert "cut" not in api.log.read_text()
        os.kill(api.children()[0], signal.SIGKILL)
        wait(lambda: api.is_ready(5))
        assert ask(new) == {200}  # also by the process that was started with a file that is of no use
        write(third)
        wait(lambda: ask(third) == {200} and ask(new) == {401}, 15)


SUPERVISED = """
import os, sys, time
from shared.web import supervisor
supervisor.SHORTEST_PAUSE_S, supervisor.SILENT_TICKS, supervisor.TICK_S = 0.05, 5, 0.1
started = []

def serve(reporter):
    {body}

sys.exit(supervisor.Supervisor(serve, processes=2, stop_within_s=1.0).run())
"""


def supervise(body: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    program = SUPERVISED.format(body=body.strip().replace("\n", "\n    "))
    environment = {**os.environ, "MARK": str(tmp_path / "mark")}
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize(("ending", "code"), [("return 3", 3), ("sys.exit(3)", 3), ("raise RuntimeError", 1), ("os.abort()", 1), ("return 0", 1)])
def test_process_that_cannot_start_ends_all_with_its_exit_code(tmp_path: Path, ending: str, code: int) -> None:
    assert supervise(ending, tmp_path).returncode == code


def test_process_that_hangs_or_dies_is_replaced_and_one_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    """The first two say nothing any more or die; the next ones live, and the last asks the parent to stop and does not stop itself."""
    result = supervise(
        """
import signal
import socket
number = os.path.getsize(os.environ["MARK"]) if os.path.exists(os.environ["MARK"]) else 0
with open(os.environ["MARK"], "a") as mark: mark.write("x")
reporter.ready()
if number == 0: time.sleep(60)
if number == 1: return 7
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for tick in range(600):
    reporter.beat()
    time.sleep(0.1)
    if os.path.getsize(os.environ["MARK"]) >= 4 and tick == 5: os.kill(os.getppid(), signal.SIGTERM)
""",
        tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert "hangs and is killed" in result.stderr + result.stdout
    assert (tmp_path / "mark").read_text() == "xxxx"


def test_nobody_can_connect_while_the_last_requests_end(settings: Settings, tmp_path: Path, clean: None) -> None:
    with running(settings, tmp_path) as api, socket.create_connection(("127.0.0.1", api.port)) as client:
        client.sendall(b"POST /api/files/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n--b\r\n")
        time.sleep(0.5)
        api.process.send_signal(signal.SIGTERM)
        wait(lambda: is_refused(api.port), 10)
        assert api.process.poll() is None


def is_refused(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return False
    except ConnectionRefusedError:
        return True
