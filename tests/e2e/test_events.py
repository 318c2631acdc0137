"""Event streams over a real server: how they begin, and how they end if the process stops or their client is gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from compose.processes import wait_until
from tests.e2e.conftest import Api, running_api
from tests.services import Servers

ALTERED = {"features.events.streams.COMMENT_EVERY_S": 0.02, "shared.web.http_protocol.STREAM_WRITE_TIMEOUT_S": 1.0, "shared.web.http_protocol.LOOK_S": 0.1}


@pytest.fixture
def api(servers: Servers, tmp_path: Path) -> Iterator[Api]:
    (tmp_path / "api").mkdir()
    with running_api(servers, tmp_path / "api") as running:
        yield running


def read_events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, object]]]:
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_stream_begins_at_once_tells_within_a_second_and_ends_with_the_process(api: Api) -> None:
    job_id = api.client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}).json()["job_id"]
    with httpx.stream("GET", f"{api.url}/api/jobs/{job_id}/events", timeout=20) as answer, httpx.stream("GET", f"{api.url}/api/events", timeout=20) as of_all:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events, all_events = read_events(answer), read_events(of_all)
        assert next(events)[1]["status"] == next(all_events)[1]["status"] == "QUEUED"
        assert api.client.post(f"/api/jobs/{job_id}/cancel").status_code == 202
        cancelled_at = time.monotonic()
        assert next(events)[1]["status"] == next(all_events)[1]["status"] == "CANCELLED"
        assert time.monotonic() - cancelled_at < 1 + 9  # nine seconds for a slow machine
        assert list(events) == []
        os.kill(api.pid, signal.SIGTERM)
        stopped_at = time.monotonic()
        assert list(all_events) == []  # it ends properly, with its last chunk
        assert time.monotonic() - stopped_at < 1 + 9


def test_stream_of_a_dead_client_is_freed(servers: Servers, tmp_path: Path) -> None:
    """Nothing of what is sent to it is acknowledged: as with a machine that has vanished, with a client whose buffer is full."""
    (tmp_path / "api").mkdir()
    changes = ",".join(f"{name}={value}" for name, value in ALTERED.items())
    with running_api(servers, tmp_path / "api", program=("tests.hostile.altered", changes, "uvicorn"), MAX_EVENT_STREAMS="2") as api, ExitStack() as stack:
        dead, alive = stack.enter_context(socket.socket()), stack.enter_context(socket.socket())
        dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the smallest that the system has
        for peer in (dead, alive):
            peer.connect(("127.0.0.1", api.port))
            peer.sendall(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
            assert peer.recv(15) == b"HTTP/1.1 200 OK"
        reader = stack.enter_context(ThreadPoolExecutor(1)).submit(read_all, alive)
        assert api.client.get("/api/events").status_code == 503

        def is_free() -> bool:
            with httpx.stream("GET", f"{api.url}/api/events", timeout=10) as answer:
                return answer.status_code == 200

        assert wait_until(is_free, timeout_s=20)
        assert not reader.done()
        alive.shutdown(socket.SHUT_RDWR)
        assert reader.result(10).count(b"still here") > 50


def read_all(peer: socket.socket) -> bytes:
    received = bytearray()
    while block := peer.recv(65536):
        received += block
    return bytes(received)
