"""What a hostile client can do over HTTP: judged by memory, descriptors and processor time of a real API process, and by whether it still answers others."""

from __future__ import annotations

import base64
import itertools
import json
import select
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import pytest

from compose.processes import wait_until
from shared.web.http_protocol import MAX_HEAD_BYTES, MAX_HEADERS, MAX_WAITING_REQUESTS
from tests.e2e.conftest import Api, running_api
from tests.hostile.process import count_descriptors, read_memory
from tests.services import Servers

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is the judge")
MEBIBYTE = 2**20
SLOTS = 8
ALTERED = {
    "shared.web.http_protocol.HEAD_TIMEOUT_S": 1.5,
    "shared.web.http_protocol.BODY_TIMEOUT_S": 1.0,
    "shared.web.http_protocol.WRITE_TIMEOUT_S": 1.5,
    "shared.web.http_protocol.LOOK_S": 0.1,
    "shared.web.http_protocol.MAX_CONNECTIONS": 100,
    "shared.web.http_protocol.UNREAD_BYTES_OF_ALL": 2 * MEBIBYTE,
    "features.upload.receive.RATE_GRACE_S": 2.5,
    "features.upload.lingering.LINGER_S": 0.2,
}
SETTINGS = {"MAX_CONCURRENT_UPLOADS": str(SLOTS), "MAX_UPLOAD_SIZE_BYTES": str(2 * MEBIBYTE)}
PATIENCE_S = 30.0
"""Far longer than the altered deadlines, and shorter than for ever."""
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="people.csv"\r\n\r\nid,name\n1,Ada\n'
END = b"\r\n--b--\r\n"
UPLOAD = b"POST /api/files/upload HTTP/1.1\r\nhost: rowgate\r\ncontent-type: multipart/form-data; boundary=b\r\n"
LIVE = b"GET /api/health/live HTTP/1.1\r\nhost: rowgate\r\n\r\n"
LARGE = b"GET /docs-files/swagger-ui-bundle.js HTTP/1.1\r\nhost: rowgate\r\n\r\n"


@pytest.fixture(scope="module")
def api(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    changes = ",".join(f"{name}={value}" for name, value in ALTERED.items())
    program = ("tests.hostile.altered", changes, "uvicorn")
    with running_api(servers, tmp_path_factory.mktemp("hostile"), program=program, **SETTINGS) as running:
        for path in ("/openapi.json", "/api/jobs", "/docs-files/swagger-ui-bundle.js"):  # what is loaded or made at the first request
            assert running.client.get(path).is_success
        yield running


@contextmanager
def unharmed(api: Api, *, memory: int) -> Iterator[None]:
    """Assert that afterwards the process answers, holds no more descriptors than before, and at most `memory` bytes more at any time during the block."""
    api.client.get("/api/health/live")
    held, descriptors = read_memory(api.pid), count_descriptors(api.pid)
    with ThreadPoolExecutor(1) as pool:
        done: list[bool] = []
        peak = pool.submit(watch_peak, api.pid, done)
        try:
            yield
            assert api.client.get("/api/health/live").is_success
            assert wait_until(lambda: count_descriptors(api.pid) <= descriptors + 1, timeout_s=PATIENCE_S), count_descriptors(api.pid) - descriptors
        finally:
            done.append(True)
        assert peak.result() - held <= memory, f"{(peak.result() - held) / MEBIBYTE:.0f} MiB"


def watch_peak(pid: int, done: list[bool]) -> int:
    peak = 0
    while not done:
        peak = max(peak, read_memory(pid))
        time.sleep(0.02)
    return peak


def connect(api: Api, *, receive_bytes: int | None = None) -> socket.socket:
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(PATIENCE_S)
    connection.connect(("127.0.0.1", api.port))
    return connection


def send_while_heard(connection: socket.socket, data: bytes, *, at_most: int) -> int:
    """Send `data` again and again until the connection is closed or answers, at most `at_most` bytes; return how many were sent."""
    sent = 0
    with suppress(ConnectionError):
        while sent < at_most and not select.select([connection], [], [], 0)[0]:
            sent += connection.send(data)
    return sent


def read_all(connection: socket.socket) -> bytes:
    """Read until the connection is closed."""
    received = bytearray()
    with suppress(ConnectionError):
        while data := connection.recv(65_536):
            received += data
    return bytes(received)


def drip(connection: socket.socket, data: bytes) -> bytes:
    """Send `data` again and again, slowly, until the connection is closed; return what was received. Fails if it stays open."""
    received, begun = bytearray(), time.monotonic()
    while time.monotonic() - begun < PATIENCE_S:
        try:
            connection.sendall(data)
            while select.select([connection], [], [], 0.1)[0]:
                if not (more := connection.recv(65_536)):
                    return bytes(received)
                received += more
        except ConnectionError:
            return bytes(received)
    raise AssertionError("the connection is still open")


def assert_problem(answer: bytes, status: int, slug: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:300]
    assert b"\r\ncontent-type: application/problem+json" in head
    assert json.loads(body)["type"] == f"/problems/{slug}"


@pytest.mark.parametrize(
    "endless",
    [b"x-trailer: " + b"y" * 1000 + b"\r\n", b"a:\r\n" * 1000, b"x" * 4000],
    ids=["trailers", "short trailers", "one trailer"],
)
def test_trailers_without_end_are_a_431(api: Api, endless: bytes) -> None:
    with unharmed(api, memory=32 * MEBIBYTE), connect(api) as connection:
        begin = b"0\r\n" + (b"x-trailer: " if b":" not in endless else b"")
        connection.sendall(UPLOAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(FILE), FILE) + begin)
        sent = send_while_heard(connection, endless, at_most=64 * MEBIBYTE)
        assert sent < 32 * MEBIBYTE
        assert_problem(read_all(connection), 431, "headers-too-large")


def test_chunk_extension_without_end_is_a_431(api: Api) -> None:
    with unharmed(api, memory=32 * MEBIBYTE), connect(api) as connection:
        connection.sendall(UPLOAD + b"transfer-encoding: chunked\r\n\r\n1;a=")
        assert send_while_heard(connection, b"x" * 4000, at_most=64 * MEBIBYTE) < 32 * MEBIBYTE
        assert_problem(read_all(connection), 431, "headers-too-large")


def test_trailers_after_an_answer_close_the_connection(api: Api) -> None:
    with unharmed(api, memory=32 * MEBIBYTE), connect(api) as connection:
        connection.sendall(b"GET /nothing HTTP/1.1\r\nhost: rowgate\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
        received = b""
        while not received.endswith(b"}"):
            received += connection.recv(65_536)
        assert send_while_heard(connection, b"x-trailer: " + b"y" * 1000 + b"\r\n", at_most=64 * MEBIBYTE) < 32 * MEBIBYTE
        received += read_all(connection)
    assert_problem(received, 404, "not-found")


def test_trailers_are_no_headers(api: Api) -> None:
    """A trailer such as an API key or a length must not count as if it had been in the head."""
    body = FILE + END
    with connect(api) as connection:
        connection.sendall(
            UPLOAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nidempotency-key: \x01\r\n\r\n" % (len(body), body)
        )
        assert read_all(connection).startswith(b"HTTP/1.1 400")
    with connect(api) as connection:
        connection.sendall(UPLOAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nx-request-id: abc\r\n\r\n" % (len(body), body))
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 202")
    assert b"x-request-id: abc" not in answer


def test_requests_whose_answers_nobody_reads_are_bounded(api: Api) -> None:
    with unharmed(api, memory=64 * MEBIBYTE), ExitStack() as stack:
        before = count_descriptors(api.pid)
        connections = [stack.enter_context(connect(api, receive_bytes=4096)) for _ in range(32)]
        for connection in connections:
            connection.settimeout(0.5)
            with suppress(ConnectionError, TimeoutError):
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100_000)
        assert wait_until(lambda: count_descriptors(api.pid) <= before + 1, timeout_s=PATIENCE_S)


@pytest.mark.parametrize("waiting", [MAX_WAITING_REQUESTS, MAX_WAITING_REQUESTS + 1])
def test_sixteen_requests_may_wait_on_a_connection(api: Api, waiting: int) -> None:
    with connect(api) as connection:
        connection.sendall(LIVE * waiting + LIVE.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        answers = read_all(connection).count(b"HTTP/1.1 200")
    assert answers == waiting + 1 if waiting == MAX_WAITING_REQUESTS else 1 <= answers <= waiting


def test_upload_behind_another_request_may_take_its_time(api: Api) -> None:
    body = FILE + END
    with connect(api) as connection:
        connection.sendall(LIVE + UPLOAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body[:10])
        for byte in body[10:60]:  # longer than a body may take whose request has its answer
            time.sleep(1.5 * ALTERED["shared.web.http_protocol.BODY_TIMEOUT_S"] / 50)
            connection.sendall(bytes([byte]))
        connection.sendall(body[60:])
        answers = read_all(connection)
    assert answers.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 202" in answers


def test_request_is_answered_though_what_follows_it_is_no_request(api: Api) -> None:
    body = FILE + END
    with connect(api) as connection:
        connection.sendall(UPLOAD + b"content-length: %d\r\n\r\n" % len(body) + body + b"\x00\x01 no request\r\n\r\n")
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 202")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_refusal_of_a_head_request_has_no_body(api: Api) -> None:
    with connect(api) as connection:
        connection.sendall(b"HEAD /api/jobs HTTP/1.1\r\nhost: a\r\nno header\r\n\r\n")
        assert read_all(connection).endswith(b"\r\n\r\n")


def test_idle_connections_lock_nobody_out(api: Api) -> None:
    before = count_descriptors(api.pid)
    with ExitStack() as stack:
        for number in range(400):
            connection = stack.enter_context(connect(api))
            if number % 2:
                connection.sendall(b"GET / HT")
            if number % 40 == 0:  # over a connection of its own: one that is idle may be closed at any time
                assert httpx.get(f"{api.url}/api/health/live", timeout=PATIENCE_S).is_success
                assert count_descriptors(api.pid) <= before + ALTERED["shared.web.http_protocol.MAX_CONNECTIONS"] + 5
    assert wait_until(lambda: count_descriptors(api.pid) <= before + 1, timeout_s=PATIENCE_S)


def test_answers_that_are_read_a_little_at_a_time_are_bounded_in_all(api: Api) -> None:
    with unharmed(api, memory=64 * MEBIBYTE), ExitStack() as stack:
        connections = [stack.enter_context(connect(api, receive_bytes=4096)) for _ in range(80)]
        for connection in connections:
            connection.sendall(LARGE * 8)
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_S and not any(is_gone(connection) for connection in connections):
            for connection in connections:
                with suppress(OSError):
                    connection.setblocking(False)
                    connection.recv(512)
            time.sleep(0.05)
        assert any(is_gone(connection) for connection in connections)


@pytest.mark.parametrize("last", [b"", b"connection: close\r\n"], ids=["kept", "closed"])
def test_answers_that_nobody_reads_are_given_up(api: Api, last: bytes) -> None:
    with unharmed(api, memory=64 * MEBIBYTE), ExitStack() as stack:
        connections = [stack.enter_context(connect(api, receive_bytes=4096)) for _ in range(8)]
        for connection in connections:
            connection.sendall(LARGE * 8 + LARGE.replace(b"\r\n\r\n", b"\r\n" + last + b"\r\n"))
        # The clients still hold their ends; it is the service that lets go.
        assert wait_until(lambda: all(is_gone(connection) for connection in connections), timeout_s=PATIENCE_S)


def is_gone(connection: socket.socket) -> bool:
    """Whether the connection has been reset, or closed with all of its answers in the system's buffers."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in {7, 8}  # TCP_CLOSE, TCP_CLOSE_WAIT


def test_answer_that_is_read_slowly_arrives_whole(api: Api) -> None:
    """The client takes several times the deadline for the whole answer, and never as long as that for a part."""
    received = bytearray()
    with connect(api, receive_bytes=4096) as connection:
        connection.sendall(LARGE * 7 + LARGE.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        begun = time.monotonic()
        while time.monotonic() - begun < 2 * ALTERED["shared.web.http_protocol.WRITE_TIMEOUT_S"]:
            received += connection.recv(65_536)
            time.sleep(0.02)
        received += read_all(connection)
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    length = int(next(line.partition(b":")[2] for line in head.split(b"\r\n") if line.startswith(b"content-length")))
    assert received.count(b"HTTP/1.1 200 OK") == 8
    assert rest.rpartition(b"\r\n\r\n")[2][-100:] == rest[:length][-100:]


@pytest.mark.parametrize(
    ("request_head", "data", "status"),
    [
        (b"GET /api/health/live HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n", b"x", 200),
        (b"GET /nothing HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 404),
        (b"PUT /api/jobs HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n", b"x", 405),
        (b"GET /api/jobs HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 60000\r\n\r\n", b"x", 200),
        (b"POST /nothing HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 60000\r\n\r\n", b"x", 404),
        (LIVE, b"\r\n", 200),
    ],
    ids=["get", "chunked", "wrong method", "websocket", "h2c", "blank lines"],
)
def test_body_that_drips_after_its_answer_is_cut(api: Api, request_head: bytes, data: bytes, status: int) -> None:
    with unharmed(api, memory=16 * MEBIBYTE), connect(api) as connection:
        connection.sendall(request_head)
        answer = drip(connection, data)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1


def test_connection_goes_on_after_a_body_that_no_endpoint_reads(api: Api) -> None:
    with connect(api) as connection:
        connection.sendall(b"GET /api/health/live HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n01234")
        for rest in (b"56789" + LIVE, b""):
            received = b""
            while not received.endswith(b"}"):
                piece = connection.recv(65_536)
                assert piece, received
                received += piece
            assert received.startswith(b"HTTP/1.1 200")
            connection.sendall(rest)


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"tls/1.0"])
def test_request_for_another_protocol_is_answered_as_if_it_had_not_asked(api: Api, protocol: bytes) -> None:
    """Its body is its own (RFC 9110, section 7.8), and no request is read out of it."""
    ask = b"connection: upgrade, http2-settings\r\nupgrade: " + protocol + b"\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    body = FILE + b"2,GET / HTTP/1.1\r\n\r\n" + END
    for pieces in (
        [UPLOAD + ask + b"content-length: %d\r\n\r\n" % len(body) + body + LIVE],
        [UPLOAD + ask + b"content-length: %d\r\n\r\n" % len(body), body, LIVE],
    ):
        with connect(api) as connection:
            received = b""
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.05)
            while received.count(b"HTTP/1.1 ") < 2:
                received += connection.recv(65_536)
        assert received.startswith(b"HTTP/1.1 202")
        assert b"HTTP/1.1 200" in received


def test_connect_is_refused(api: Api) -> None:
    with connect(api) as connection:
        connection.sendall(b"CONNECT 127.0.0.1:5432 HTTP/1.1\r\nhost: a\r\n\r\nsecret")
        assert_problem(read_all(connection), 400, "malformed-request")


@pytest.mark.parametrize("name", [b"a", b"x" * 50])
def test_headers_are_bounded_in_number(api: Api, name: bytes) -> None:
    with unharmed(api, memory=32 * MEBIBYTE), connect(api) as connection:
        with suppress(ConnectionError):
            connection.sendall(b"GET / HTTP/1.1\r\n" + (name + b":\r\n") * (MAX_HEADERS + 1) + b"\r\n")
        assert_problem(read_all(connection), 431, "headers-too-large")


LENGTHS = ("0" * 5000 + "5", "0" * 30, "5, 5", "+5", "-1", "0x5", "5.0", "", " ", "5 5", "\N{SUPERSCRIPT TWO}", "9" * 19, "9" * 5000, "18446744073709551616")


@pytest.mark.parametrize("path", ["/api/files/upload", "/api/jobs", "/nothing", "/", "/docs", "/metrics"])
def test_odd_lengths_are_answered_in_json(api: Api, path: str) -> None:
    for value in [*(["content-length: " + length] for length in LENGTHS), ["content-length: 5", "content-length: 6"], ["transfer-encoding: gzip"],
                  ["content-length: 5", "transfer-encoding: chunked"], ["transfer-encoding: chunked, identity"]]:  # fmt: skip
        with connect(api) as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n".encode() + "\r\n".join(value).encode("latin-1") + b"\r\n\r\nabcde")
            connection.shutdown(socket.SHUT_WR)
            answer = read_all(connection)
        head = answer.partition(b"\r\n\r\n")[0]
        status = int(head.split()[1])
        assert status in {400, 404, 405, 413}, (value, answer[:200])
        assert b"content-type: application/problem+json" in head, (value, answer[:200])


ODD = ("\x80\xff", "%00", "a" * 60_000, "=;,\"'\\" * 50, "bytes=9-1,,", "bytes=999999999-", "bytes=" + "0-1," * 5000, "9" * 5000, "0", "-1")
HEADERS = (
    "accept", "accept-encoding", "authorization", "content-type", "cookie", "expect", "forwarded", "host", "idempotency-key", "if-match", "if-modified-since",
    "if-none-match", "if-range", "last-event-id", "origin", "range", "x-api-key", "x-forwarded-for", "x-forwarded-proto", "x-request-id",
)  # fmt: skip
DATES = (
    "Mon, 99 Foo 99999999999999 99:99:99 GMT",
    "Mon, 01 Jan 99999 00:00:00 +9999",
    "1",
    "Mon, 01 Jan 0000 00:00:00 GMT",
    "Mon, 01 Jan 2024 00:00:00 " + "9" * 400,
)
TARGETS = (
    ("GET", "/docs-files/swagger-ui.css", HEADERS),
    ("PATCH", f"/api/jobs/{uuid.UUID(int=1)}", ("authorization", "content-type", "expect", "x-api-key")),
)


def test_no_header_makes_a_500_or_an_answer_in_plain_text(api: Api) -> None:
    for method, path, name in ((method, path, name) for method, path, names in TARGETS for name in names):
        for value in (*ODD, *(DATES if name.startswith("if-") else ())):
            headers = {b"host": b"a", name.encode(): value.encode("latin-1")}
            response = api.client.send(httpx.Request(method, f"{api.url}{path}", headers=list(headers.items())))
            assert is_well_answered(response), (method, path, name, value[:50], response.status_code, response.text[:200])


def is_well_answered(response: httpx.Response) -> bool:
    return response.status_code < 400 or (response.status_code < 500 and response.headers.get("content-type") == "application/problem+json")


def encode(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


GOOD_ID = str(uuid.UUID(int=1))
ROWS: list[Any] = [True, None, 1.5, "1", [1], {"a": 1}, 2**63, -(2**63), 10**400, 2**53 + 1]
COLUMNS: list[Any] = [False, None, 0.0, "", [], 2**31, 2**63, -1]
IDS: list[Any] = [None, 1, True, "", "\0", "\ud800", GOOD_ID + "\0", GOOD_ID * 2, [GOOD_ID], "0" * 1000]
SHAPES: list[Any] = [[], [1], [1, 1], [1, 1, GOOD_ID, 1], {}, None, 1, "x", [[1, 1, GOOD_ID]], [[]] * 100]
CURSORS = [
    *(encode([value, 1, GOOD_ID]) for value in ROWS),
    *(encode([1, value, GOOD_ID]) for value in COLUMNS),
    *(encode([1, 1, value]) for value in IDS),
    *(encode(value) for value in SHAPES),
    *(base64.urlsafe_b64encode(data).decode() for data in (b"[" * 20_000, b"[" + b"9" * 6000 + b",1,1]", b'[NaN,Infinity,"x"]', b"\xff\xfe[")),
    *("=", "a", "%F0", "\N{SUPERSCRIPT TWO}", "[1,1]"),
]  # fmt: skip


def test_cursor_of_wrong_values_is_a_400(api: Api) -> None:
    job_id = api.client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}).json()["job_id"]
    for cursor in CURSORS:
        response = api.client.get(f"/api/jobs/{job_id}/errors", params={"cursor": cursor})
        assert response.status_code in {200, 400}, (cursor[:100], response.text)
        if response.status_code == 200:
            assert [type(value) for value in json.loads(base64.urlsafe_b64decode(cursor + "=="))] == [int, int, str], cursor
        else:
            assert response.json()["errors"][0]["field"] == "cursor"


def test_parameter_that_the_database_cannot_hold_is_a_400(api: Api) -> None:
    job_id = api.client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}).json()["job_id"]
    for path, names in (
        (f"/api/jobs/{job_id}/errors", ("column_name", "error_type", "cursor", "page")),
        ("/api/jobs", ("status", "from_date", "to_date", "page_size")),
    ):
        for name, value in itertools.product(names, ("%00", "a%00b", "%ED%A0%80", "%FF", "9" * 5000, "1e999", "-0", "%E2%80%AE")):
            response = api.client.get(f"{path}?{name}={value}")
            assert is_well_answered(response), (path, name, value[:20], response.text)
            if "%00" in value:
                assert (response.status_code, response.json()["errors"][0]["field"]) == (400, name)
    for path in (
        "/%00",
        "/api/jobs/%00",
        "/docs-files/%00",
        "/docs-files/" + "a" * 5000,
        "/docs-files/%2e%2e/%2e%2e/main.py",
        "/%ED%A0%80",
        "/api/jobs/\N{SNOWMAN}",
    ):
        assert is_well_answered(api.client.get(path)), path


def upload_from(api: Api, address: str) -> httpx.Response:
    return api.client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}, headers={"x-forwarded-for": address})


@pytest.mark.parametrize("place", [lambda _: "192.0.2.7", lambda number: f"2001:db8::{number:x}"], ids=["one address", "one network"])
def test_drips_of_one_client_keep_nobody_else_out_and_end(api: Api, place: Callable[[int], str]) -> None:
    with ExitStack() as stack:
        dripping = [stack.enter_context(connect(api)) for _ in range(SLOTS // 2 + 1)]
        for number, connection in enumerate(dripping):
            connection.sendall(UPLOAD + f"x-forwarded-for: {place(number)}\r\ncontent-length: 2000000\r\n\r\n".encode() + FILE)
        answered = select.select(dripping, [], [], PATIENCE_S)[0]
        [refused] = [connection for connection in answered if connection.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 503"]
        assert upload_from(api, "198.51.100.1").status_code == 202
        dripping.remove(refused)
        refusal = read_all(refused)
        assert_problem(refusal, 503, "too-many-uploads")
        assert b"Half of all upload slots" in refusal
        assert b"retry-after: 5" in refusal
        with ThreadPoolExecutor(len(dripping)) as pool:  # ten kilobytes a second each: not idle, and too slow
            answers = list(pool.map(lambda connection: drip(connection, b"1,2\n" * 250), dripping))
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"slower than 32 KiB a second" in answer
    assert upload_from(api, place(1)).status_code == 202


def test_body_that_is_more_than_any_upload_ends_whatever_it_consists_of(api: Api) -> None:
    with connect(api) as connection:
        chunk = b"%x\r\n%s\r\n" % (65_536, bytes(65_536))
        connection.sendall(UPLOAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(FILE + END), FILE + END))
        assert send_while_heard(connection, chunk, at_most=64 * MEBIBYTE) < 32 * MEBIBYTE
        assert read_all(connection).startswith(b"HTTP/1.1 413")


def test_head_of_many_reads_is_bounded(api: Api) -> None:
    with unharmed(api, memory=16 * MEBIBYTE), connect(api) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nx: ")
        assert send_while_heard(connection, b"y" * 4000, at_most=64 * MEBIBYTE) < 32 * MEBIBYTE
        assert_problem(read_all(connection), 431, "headers-too-large")
    assert MAX_HEAD_BYTES == 64 * 1024
