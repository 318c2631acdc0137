"""The whole service under a mixture of hostile requests and files. `make hostile` runs the long form."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from compose.processes import wait_until
from tests.e2e.conftest import ENDED, Service, running_service
from tests.hostile.damage import damaged_files
from tests.hostile.files import KINDS
from tests.hostile.odd_requests import make_request
from tests.hostile.process import count_descriptors, list_descendants, read_memory
from tests.services import Servers

REQUESTS, FILES = int(os.environ.get("HOSTILE_REQUESTS", "50")), int(os.environ.get("HOSTILE_FILES", "12"))
SEED = int(os.environ.get("HOSTILE_SEED", "1"))
IS_LONG = "HOSTILE_REQUESTS" in os.environ
LIVE_S = 1.0 if IS_LONG else 10.0
"""The slowest answer of `GET /api/health/live` that is accepted; a machine that runs other tests beside this one may be slow by itself."""
ALLOWED_5XX = {503, 507}
MEBIBYTE = 2**20
MEMORY_LIMIT_MIB = 1024
SLACK_MIB = 64
MAX_SENTENCE = 1_000
FILE_BYTES = 300_000
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is the judge"),
    pytest.mark.slow,
    pytest.mark.timeout(180 + REQUESTS + 2 * FILES),
]


@pytest.fixture(scope="module")
def service(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    limits = {"WORKER_MEMORY_LIMIT_BYTES": str(MEMORY_LIMIT_MIB * MEBIBYTE), "UPLOAD_IDLE_TIMEOUT_S": "5"}
    with running_service(servers, tmp_path_factory.mktemp("hostile"), waits_for_worker=False, **limits) as running:
        for _ in range(20):  # what is loaded or made by the first requests
            for path in ("/openapi.json", "/api/jobs", "/docs", "/metrics"):
                assert running.client.get(path).is_success
        running.wait_for(running.upload("a.csv", b"a,b\n1,2\n"))
        yield running


@contextmanager
def answering(service: Service) -> Iterator[None]:
    """Ask whether the API is alive all the time, and assert that every answer comes within `LIVE_S`."""
    is_over = threading.Event()
    slowest = [0.0]

    def ask() -> None:
        with httpx.Client(base_url=service.url, timeout=60) as client:
            while not is_over.wait(0.1):
                begun = time.monotonic()
                assert client.get("/api/health/live").status_code == 200
                slowest[0] = max(slowest[0], time.monotonic() - begun)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield
        finally:
            is_over.set()
        asking.result()
    assert slowest[0] <= LIVE_S


def exchange(service: Service, request: bytes) -> bytes:
    """Send the bytes of a request, and return what comes back until the server is silent or closes."""
    address = urlsplit(service.url)
    answer = b""
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=0.5) as connection:
        try:
            connection.sendall(request)
            while len(answer) < 4 * MEBIBYTE:
                piece = connection.recv(2**16)
                if not piece:
                    break
                answer += piece
        except OSError:  # the server has closed, or waits for the rest of the request
            pass
    return answer


def test_hostile_requests_get_answers_and_leave_nothing(service: Service) -> None:
    api = service.pids["api"]
    before, descriptors = read_memory(api), count_descriptors(api)
    statuses: Counter[str] = Counter()
    bad: list[tuple[int, bytes]] = []
    with answering(service), ThreadPoolExecutor(8) as clients:
        seeds = range(SEED * 1_000_000, SEED * 1_000_000 + REQUESTS)
        for seed, answer in zip(seeds, clients.map(lambda seed: exchange(service, make_request(seed)), seeds), strict=True):
            status = answer[9:12].decode("latin-1")
            statuses[status] += 1
            head, _, _ = answer.partition(b"\r\n\r\n")
            is_error = status[:1] in {"4", "5"}
            if (status.startswith("5") and int(status) not in ALLOWED_5XX) or (is_error and b"application/problem+json" not in head):
                bad.append((seed, answer[:400]))
    print(dict(statuses))
    assert bad == []
    assert sum(statuses.values()) - statuses[""] > REQUESTS // 2
    assert wait_until(lambda: count_descriptors(api) <= descriptors + 4, timeout_s=60), (count_descriptors(api), descriptors)
    assert read_memory(api) <= before + SLACK_MIB * MEBIBYTE
    assert service.client.get("/api/health").status_code == 200


def make_files(folder: Path) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Yield the names, the contents and the form fields of damaged files, and of files that are slow or costly to read."""
    chance = random.Random(SEED)
    kinds = sorted(KINDS)
    chance.shuffle(kinds)
    for number, (suffix, content) in enumerate(damaged_files(FILES, seed=SEED)):
        if number % 4:
            yield f"damaged{suffix}", content, {}
            continue
        kind = KINDS[kinds[number // 4 % len(kinds)]]
        path = folder / f"kind{kind.suffix}"
        kind.make(path, FILE_BYTES)
        given = {"schema": None if kind.field is None else {"fields": [dict(kind.field)]}, "dialect": kind.dialect}
        fields = {name: json.dumps(value) for name, value in given.items() if value is not None}
        yield path.name, path.read_bytes(), fields | ({} if kind.encoding is None else {"encoding": kind.encoding})


class Peak:
    """The most memory that any process of a worker has been seen with."""

    def __init__(self, worker: int) -> None:
        self.bytes = 0
        self._worker = worker

    def look(self) -> None:
        for pid in list_descendants(self._worker):
            with suppress(OSError):  # it has ended meanwhile
                self.bytes = max(self.bytes, read_memory(pid))


def test_hostile_files_come_to_an_end_that_says_what_is_wrong(service: Service, tmp_path: Path) -> None:
    jobs: dict[str, str] = {}
    refused: Counter[int] = Counter()
    ends: Counter[str] = Counter()
    peak = Peak(service.pids["worker"])
    with answering(service):
        for name, content, fields in make_files(tmp_path):
            answer = service.client.post("/api/files/upload", files={"file": (name, content)}, data=fields)
            peak.look()
            if answer.status_code == 202:
                jobs[answer.json()["job_id"]] = name
            else:
                refused[answer.status_code] += 1
                assert answer.status_code == 400, answer.text
        for job_id, name in jobs.items():
            while (job := service.job(job_id))["status"] not in ENDED:
                peak.look()
                time.sleep(0.05)
            ends[job["status"]] += 1
            message = job["error_message"] or ""
            assert job["status"] in {"COMPLETED", "FAILED"}
            assert (job["status"] == "FAILED") == bool(message)
            assert len(message) <= MAX_SENTENCE
            assert "unexpectedly" not in message, (name, message, service.tail())
    print(dict(ends), dict(refused), f"{peak.bytes // MEBIBYTE} MiB at most in a process of the worker")
    assert ends["COMPLETED"] > 0
    assert ends["FAILED"] > 0
    assert peak.bytes <= (MEMORY_LIMIT_MIB + SLACK_MIB) * MEBIBYTE
    assert service.client.get("/api/health").status_code == 200
