"""Uploads byte by byte over real sockets, and with real curl: what a misbehaving client sees, and what is left on disk."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compose.processes import wait_until
from shared.web.http_protocol import HEAD_TIMEOUT_S, MAX_HEAD_BYTES
from tests.e2e.conftest import Api, running_api
from tests.paths import list_stored
from tests.services import Servers

LIMIT = 2 * 2**20
ALLOWANCE = 2**20
"""Bytes allowed for everything other than the file."""
IDLE_S = 4.0
CSV = b"id,name\n1,Ada\n2,Grace\n"
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="people.csv"\r\n\r\n'
END = b"\r\n--b--\r\n"
curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any
    seen: bytes

    def assert_problem(self, status: int, slug: str) -> None:
        assert (self.status, self.headers["content-type"], self.body["type"]) == (status, "application/problem+json", f"/problems/{slug}"), self.seen


@pytest.fixture(scope="module")
def api(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    limits = {"MAX_UPLOAD_SIZE_BYTES": str(LIMIT), "UPLOAD_IDLE_TIMEOUT_S": str(IDLE_S)}
    with running_api(servers, tmp_path_factory.mktemp("wire"), **limits) as running:
        yield running


def count_jobs(api: Api) -> int:
    return int(api.client.get("/api/jobs").json()["total"])


def assert_left(api: Api, jobs: int) -> None:
    """Assert that this many jobs with their files exist, and nothing else."""
    assert wait_until(lambda: len(list_stored(api.uploads)) == jobs, timeout_s=10), list_stored(api.uploads)
    assert count_jobs(api) == jobs


def connect(api: Api) -> socket.socket:
    return socket.create_connection(("127.0.0.1", api.port), timeout=30)


@pytest.fixture
def jobs(api: Api) -> int:
    """The number of jobs before the test."""
    return count_jobs(api)


def head(*lines: str, boundary: str = "b") -> bytes:
    first = "POST /api/files/upload HTTP/1.1", "host: rowgate", f"content-type: multipart/form-data; boundary={boundary}"
    return "".join(f"{line}\r\n" for line in (*first, *lines, "")).encode()


def with_length(body: bytes, *lines: str, boundary: str = "b") -> bytes:
    return head(f"content-length: {len(body)}", *lines, boundary=boundary) + body


def read_answer(connection: socket.socket) -> Answer:
    """Read one answer by its length; the connection may be closed after that."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        data = connection.recv(65_536)
        assert data, seen
        seen += data
    start, _, body = seen.partition(b"\r\n\r\n")
    status, *lines = start.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "content-length" in headers:
        while len(body) < int(headers["content-length"]):
            body += connection.recv(65_536)
    else:
        while not body.endswith(b"0\r\n\r\n") and (data := connection.recv(65_536)):
            body += data
        body = body[body.find(b"{") : body.rfind(b"}") + 1]
    return Answer(int(status.split()[1]), headers, json.loads(body), seen)


def exchange(api: Api, *pieces: bytes, pause_s: float = 0.0) -> Answer:
    with connect(api) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_s)
        return read_answer(connection)


@pytest.mark.parametrize("expect", [["expect: 100-continue"], []])
def test_length_over_the_limit_is_refused_before_a_byte_of_the_body_is_sent(api: Api, jobs: int, expect: list[str]) -> None:
    answer = exchange(api, head(f"content-length: {LIMIT + ALLOWANCE + 1}", *expect))
    answer.assert_problem(413, "file-too-large")
    assert not answer.seen.startswith(b"HTTP/1.1 100")
    assert answer.headers["connection"] == "close"
    assert_left(api, jobs)


def test_client_that_sends_all_the_same_hears_why_it_is_refused(api: Api, jobs: int) -> None:
    size = 16 * 2**20
    with connect(api) as connection:
        connection.sendall(head(f"content-length: {size}") + FILE)
        with suppress(ConnectionError):
            connection.sendall(bytes(size - len(FILE)))
        read_answer(connection).assert_problem(413, "file-too-large")
    assert_left(api, jobs)


def test_client_that_waits_for_the_word_to_begin_gets_it(api: Api, jobs: int) -> None:
    body = FILE + CSV + END
    with connect(api) as connection:
        connection.sendall(head(f"content-length: {len(body)}", "expect: 100-continue"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert read_answer(connection).status == 202
    assert_left(api, jobs + 1)


def test_body_without_a_length_is_limited_while_it_comes(api: Api, jobs: int) -> None:
    def chunk(data: bytes) -> bytes:
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    with connect(api) as connection:
        connection.sendall(head("transfer-encoding: chunked") + chunk(FILE))
        with suppress(ConnectionError):
            for _ in range(40):
                connection.sendall(chunk(b"1,2\n" * 16_384))
        read_answer(connection).assert_problem(413, "file-too-large")
    assert_left(api, jobs)
    answer = exchange(api, head("transfer-encoding: chunked"), chunk(FILE), *(chunk(CSV[at : at + 1]) for at in range(len(CSV))), chunk(END), b"0\r\n\r\n")
    assert (answer.status, answer.body["file_size"]) == (202, len(CSV))
    assert_left(api, jobs + 1)


def test_client_that_closes_its_half_in_the_middle_leaves_nothing(api: Api, jobs: int) -> None:
    with connect(api) as connection:
        connection.sendall(head("content-length: 1000000") + FILE + CSV * 20_000)
        assert wait_until(lambda: any(path.name.endswith(".part") for path in list_stored(api.uploads)), timeout_s=10)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b""
    assert_left(api, jobs)


def test_client_that_is_cut_off_leaves_nothing(api: Api, jobs: int) -> None:
    with connect(api) as connection:
        connection.sendall(head("content-length: 1000000") + FILE + CSV * 20_000)
        assert wait_until(lambda: any(path.name.endswith(".part") for path in list_stored(api.uploads)), timeout_s=10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # closes with a reset
    assert_left(api, jobs)


def test_client_that_sends_nothing_more_gets_a_408(api: Api, jobs: int) -> None:
    begun = time.monotonic()
    exchange(api, head("content-length: 1000") + FILE + CSV).assert_problem(408, "client-too-slow")
    assert time.monotonic() - begun >= IDLE_S
    assert_left(api, jobs)


def test_client_that_drips_gets_a_408(api: Api, jobs: int) -> None:
    """A client that sends a byte now and then is not idle, and would hold its slot for ever."""
    with connect(api) as connection:
        connection.sendall(head("content-length: 100000") + FILE)
        connection.settimeout(0.1)
        seen, begun = b"", time.monotonic()
        while not seen and time.monotonic() - begun < 20:
            with suppress(ConnectionError):
                connection.sendall(b"x")
            with suppress(TimeoutError):
                seen = connection.recv(65_536)
        assert seen.startswith(b"HTTP/1.1 408"), seen
        connection.settimeout(10)
        assert f"Less than 8,192 bytes arrived in {IDLE_S:g} seconds".encode() in seen + connection.recv(65_536)
    assert_left(api, jobs)


def test_slow_client_that_sends_enough_is_heard_out(api: Api, jobs: int) -> None:
    pieces = [b"1,2\n" * 2500] * 16  # 10 kB every half second, for twice the idle time
    answer = exchange(api, head(f"content-length: {len(FILE) + 160_000 + len(END)}") + FILE, *pieces, END, pause_s=0.5)
    assert (answer.status, answer.body["file_size"]) == (202, 160_000)
    assert_left(api, jobs + 1)


@pytest.mark.parametrize(
    "body",
    [
        FILE.replace(b"--b", b"--x") + CSV + END,  # not the boundary of the header
        FILE + CSV,
        FILE + CSV + b"\r\n--b",
        FILE + CSV + b"\r\n--b-",
        b"--b--\r\n",
        b"",
    ],
    ids=["other-boundary", "no-final-boundary", "half-a-boundary", "boundary-without-its-end", "no-parts", "nothing"],
)
def test_body_that_is_no_whole_form_is_a_400_and_leaves_nothing(api: Api, jobs: int, body: bytes) -> None:
    answer = exchange(api, with_length(body))
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert_left(api, jobs)


def test_ten_thousand_tiny_parts_are_refused(api: Api, jobs: int) -> None:
    body = b"".join(b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n' % number for number in range(10_000)) + b"--b--\r\n"
    answer = exchange(api, with_length(body))
    answer.assert_problem(400, "malformed-body")
    assert "parts" in answer.body["detail"]
    assert_left(api, jobs)


def test_part_with_a_header_of_1_mb_is_refused(api: Api, jobs: int) -> None:
    body = FILE.replace(b"people", b"p" * 2**20) + CSV + END
    exchange(api, with_length(body)).assert_problem(400, "malformed-body")
    assert_left(api, jobs)


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES + 1, 2**20])
@pytest.mark.parametrize("ended", [True, False])
def test_request_with_a_huge_head_is_refused(api: Api, size: int, ended: bool) -> None:
    with connect(api) as connection:
        request = head(f"x-large: {'a' * size}", "content-length: 0")
        with suppress(ConnectionError):
            connection.sendall(request if ended else request[:-4])
        read_answer(connection).assert_problem(431, "headers-too-large")


def test_large_body_where_none_is_taken_is_refused_before_it_is_sent(api: Api) -> None:
    for method, path in (("POST", f"/api/jobs/{'0' * 8}-0000-4000-8000-{'0' * 12}/retry"), ("GET", "/api/jobs"), ("DELETE", "/nothing")):
        answer = exchange(api, f"{method} {path} HTTP/1.1\r\nhost: rowgate\r\ncontent-length: {2**40}\r\n\r\n".encode())
        answer.assert_problem(413, "body-too-large")
        assert answer.headers["connection"] == "close"


def test_request_that_is_no_http_is_a_problem(api: Api) -> None:
    exchange(api, b"NONSENSE\r\n\r\n").assert_problem(400, "malformed-request")
    exchange(api, head("transfer-encoding: chunked"), b"no number\r\n").assert_problem(400, "malformed-request")


def test_head_that_does_not_end_is_a_408(api: Api) -> None:
    begun = time.monotonic()
    with connect(api) as silent, connect(api) as talking:
        talking.sendall(b"GET /api/health/live HTTP/1.1\r\nhost: rowgate\r\n")
        while time.monotonic() - begun < HEAD_TIMEOUT_S - 2:
            time.sleep(1)
            talking.sendall(b"x-more: 1\r\n")
        read_answer(talking).assert_problem(408, "client-too-slow")
        assert silent.recv(1000) == b""
    assert HEAD_TIMEOUT_S - 1 < time.monotonic() - begun < HEAD_TIMEOUT_S + 20


def test_body_that_does_not_end_is_a_408(api: Api) -> None:
    begun = time.monotonic()
    with connect(api) as silent, connect(api) as dripping:
        for connection in (silent, dripping):
            connection.sendall(
                f"PATCH /api/jobs/{uuid.uuid4()} HTTP/1.1\r\nhost: rowgate\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n".encode()
            )
        while time.monotonic() - begun < IDLE_S - 0.5:
            time.sleep(0.2)
            dripping.sendall(b" ")
        for connection in (silent, dripping):
            answer = read_answer(connection)
            answer.assert_problem(408, "client-too-slow")
            assert f"{IDLE_S:g} seconds" in answer.body["detail"]
            assert answer.headers["connection"] == "close"
    assert IDLE_S - 0.5 < time.monotonic() - begun < IDLE_S + 20


def test_one_connection_carries_many_requests(api: Api, jobs: int) -> None:
    with connect(api) as connection:
        for _ in range(3):
            connection.sendall(with_length(FILE + CSV + END))
            assert read_answer(connection).status == 202
    assert_left(api, jobs + 3)


def test_requests_that_are_sent_in_one_go_are_answered_one_by_one(api: Api, jobs: int) -> None:
    with connect(api) as connection:
        connection.sendall(with_length(FILE + CSV + END) * 3)
        received = b""
        while received.count(b"\r\n\r\n{") < 3 or not received.endswith(b"}"):
            received += connection.recv(65_536)
        assert received.count(b"HTTP/1.1 202 ") == 3
    assert_left(api, jobs + 3)


def test_connections_at_the_same_time_keep_their_own_bytes(api: Api, jobs: int) -> None:
    contents = [make_rows(seed) for seed in range(6)]
    bodies = [with_length(FILE + content + END) for content in contents]
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(api)) for _ in bodies]
        for start in range(0, max(map(len, bodies)), 10_000):
            for connection, body in zip(connections, bodies, strict=True):
                connection.sendall(body[start : start + 10_000])
        answers = [read_answer(connection) for connection in connections]
    for content, answer in zip(contents, answers, strict=True):
        assert_stored(api, answer, content)
    assert_left(api, jobs + len(bodies))


def test_body_in_chunks_of_one_byte_that_come_all_at_once(api: Api, jobs: int) -> None:
    content = make_rows(7)[:100_000]
    answer = exchange(api, head("transfer-encoding: chunked") + b"".join(b"1\r\n%c\r\n" % byte for byte in FILE + content + END) + b"0\r\n\r\n")
    assert_stored(api, answer, content)
    assert_left(api, jobs + 1)


def make_rows(seed: int) -> bytes:
    return b"id,name\n" + b"".join(f"{number},{number * (seed + 3)}\n".encode() for number in range(30_000))


def assert_stored(api: Api, answer: Answer, content: bytes) -> None:
    assert answer.status == 202
    job = api.client.get(f"/api/jobs/{answer.body['job_id']}").json()
    assert (job["file_size"], job["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


@curl
@pytest.mark.parametrize("options", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"], ["-H", "Expect:"], ["--http1.0"]])
def test_curl_uploads(api: Api, jobs: int, tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "Menschen ü.csv"
    path.write_bytes(CSV * 10_000)
    answer = run_curl("-sS", "-w", "\n%{http_code}", *options, "-F", f"file=@{path}", "-F", "encoding=utf-8", f"{api.url}/api/files/upload")
    body, _, status = answer.rpartition("\n")
    assert status == "202"
    assert (json.loads(body)["filename"], json.loads(body)["file_size"]) == (path.name, path.stat().st_size)
    assert_left(api, jobs + 1)


@curl
@pytest.mark.parametrize("options", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"], ["-H", "Expect:"]])
def test_curl_hears_that_its_file_is_too_large(api: Api, jobs: int, tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(b"1,2\n" * (LIMIT // 2))
    answer = run_curl("-sS", "-w", "\n%{http_code}", *options, "-F", f"file=@{path}", f"{api.url}/api/files/upload")
    body, _, status = answer.rpartition("\n")
    assert (status, json.loads(body)["type"]) == ("413", "/problems/file-too-large")
    assert_left(api, jobs)


def run_curl(*arguments: str) -> str:
    done = subprocess.run(["curl", *arguments], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
