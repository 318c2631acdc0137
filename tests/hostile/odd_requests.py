"""Requests that no well-behaved client sends: random bytes of HTTP, made of pieces that are likely to meet a weak place."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence

METHODS = ["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "FOO", "\x7f", "A" * 5_000]
JOB = "00000000-0000-4000-8000-000000000000"
PATHS = [
    "/", "/api/jobs", f"/api/jobs/{JOB}", f"/api/jobs/{JOB}/errors", f"/api/jobs/{JOB}/errors/summary", f"/api/jobs/{JOB}/schema",
    f"/api/jobs/{JOB}/retry", f"/api/jobs/{JOB}/deliveries", f"/api/jobs/{JOB}/deliveries/redeliver", "/api/files/upload", "/api/health",
    "/api/health/live", "/docs", "/openapi.json", "/docs-files/../main.py", "/api/jobs/%00", "/api/jobs/%ff%fe", "/api/jobs/" + "9" * 3_000,
    "//api//jobs", "/api/jobs/..%2f..%2f", "*", "http://other.example/api/jobs", "/api/jobs;x=1", "/\xff", "/api/jobs/" + "%2e" * 500,
]  # fmt: skip
NAMES = ["page", "page_size", "status", "from_date", "to_date", "cursor", "error_type", "column_name", "q", "x" * 300, "%00", "page%00"]
VALUES = [
    "1", "-1", "0", "1e999", "9" * 400, "NaN", "", "%00", "%ff", "%F0%9F%98%80", "true", "null", "2026-02-30", "9999-12-31T23:59:60Z", "0001-01-01", "'; --",
    "W10", "WzEsMl0", "W251bGxd", "WzFlOTk5XQ", "e30", "%ED%A0%80", "[]", "A" * 4_000, "COMPLETED", "completed", "+" * 50, "&" * 20,
]  # fmt: skip
HEADERS: Sequence[tuple[str, str]] = [
    ("host", "rowgate"), ("host", ""), ("host", "a" * 3_000), ("content-type", "application/json"), ("content-type", "multipart/form-data"),
    ("content-type", "multipart/form-data; boundary=" + "b" * 200), ("content-type", 'multipart/form-data; boundary="'), ("content-type", ";" * 2_000),
    ("content-length", "5"), ("content-length", "-1"), ("content-length", "0" * 3_000 + "5"), ("content-length", "9" * 30), ("content-length", "0x5"),
    ("transfer-encoding", "chunked"), ("transfer-encoding", "gzip, chunked"), ("transfer-encoding", "identity"), ("expect", "100-continue"),
    ("expect", "200-maybe"), ("upgrade", "websocket"), ("upgrade", "h2c"), ("connection", "upgrade"), ("connection", "close, keep-alive"),
    ("sec-websocket-key", "x" * 24), ("x-api-key", "\xff\xfe"), ("x-api-key", "k" * 3_000), ("authorization", "Bearer " + "x" * 500),
    ("authorization", "Basic !!"),
    ("idempotency-key", "\x01"), ("idempotency-key", "i" * 300), ("x-request-id", "\x1b[31m"), ("x-request-id", "r" * 200),
    ("accept-encoding", "gzip;q=0," * 300),
    ("origin", "null"), ("origin", "https://evil.example"), ("access-control-request-method", "\xff"), ("range", "bytes=0-,5-1,-9" + ",1-2" * 500),
    ("cookie", "a=" + "b;" * 1_500), ("traceparent", "00-0-0-0"), ("x", ""), ("", "x"), ("a b", "c"), ("x" * 3_000, "y"),
]  # fmt: skip
TEXTS = [
    b"", b"{}", b"[]", b"null", b"5", b'"x"', b"\xff\xfe", b"{" * 3_000, b"[" * 100_000, b'{"a":' * 3_000, b'{"external_id": "\\u0000"}', b"1" * 50_000,
    b'{"labels": {"a": "b", "a": "c"}}', b'{"external_id": "\\ud800"}', b'{"external_id": 1e999}', b'{"webhook_url": "http://[::1"}',
    b'{"x": 1}', b"\x00" * 100,
]  # fmt: skip
DISPOSITIONS = [
    'form-data; name="file"; filename="a.csv"', 'form-data; name="file"; filename="a.xlsx"', 'form-data; name="file"', 'form-data; name="schema"',
    'form-data; name="dialect"', 'form-data; name="webhook_url"', 'form-data; name="encoding"', 'form-data; name="unknown"', "form-data", "attachment; x",
    'form-data; name="file"; filename*=idna\'\'%ff.csv', "form-data; name=file; filename*=undefined''a.csv",
    "form-data; name=file; filename*0=a; filename*1=.csv",
    "form-data; name=file; filename*999999999999999999999=a", 'form-data; name="file"; filename="' + "\\" * 2_000 + '"', "form-data; " + ";" * 3_500,
    'form-data; name="\x00"; filename="\x00.csv"', 'form-data; name="file"; filename="../../etc/passwd.csv"',
    'form-data; name="file"; filename="' + "é" * 1_500 + '.csv"',
]  # fmt: skip
CONTENTS = [
    b"a,b\n1,2\n", b"", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"<html>", b"\x00" * 1_000, b'"' * 999, b"\r" * 999, b"\xff\xfea\x00",
    b'{"fields": [{"name": "a", "type": "integer"}]}', b'{"fields": ' + b"[" * 5_000, b'{"delimiter": "\\u0000"}', b"utf-7", b"idna", b"http://127.0.0.1/",
    b'{"fields": [{"name": "a", "constraints": {"pattern": "(((((a*)*)*)*)*)$"}}]}', b'{"fields": [{"name": "a", "constraints": {"minimum": 1e99999}}]}',
]  # fmt: skip


def make_request(seed: int) -> bytes:
    """Return the bytes of one request; the same seed makes the same one. It may be incomplete, and what it announces may not be what follows."""
    chance = random.Random(seed)
    make: Callable[[random.Random], bytes] = chance.choice([_plain, _plain, _upload, _upload, _chunked, _noise])
    request = make(chance)
    if chance.random() < 0.15:
        request = request[: chance.randrange(len(request) + 1)]
    if chance.random() < 0.15:
        changed = bytearray(request)
        for _ in range(chance.randrange(1, 6)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        request = bytes(changed)
    return request


def _head(chance: random.Random, method: str, path: str, headers: Sequence[tuple[str, str]]) -> bytes:
    query = "&".join(f"{chance.choice(NAMES)}={chance.choice(VALUES)}" for _ in range(chance.choice([0, 0, 0, 0, 1, 2, 40])))
    version = chance.choice(["2.0", "0.9", "1.1 "]) if chance.random() < 0.1 else chance.choice(["1.1", "1.1", "1.0"])
    line = f"{method} {path}{'?' + query if query else ''} HTTP/{version}"
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in headers), "", ""]).encode("utf-8" if chance.random() < 0.5 else "latin-1", "replace")


def _some_headers(chance: random.Random, *always: tuple[str, str]) -> list[tuple[str, str]]:
    chosen = [*always, *chance.choices(HEADERS, k=chance.choice([0, 0, 0, 1, 1, 5]))]
    chance.shuffle(chosen)
    return chosen


def _plain(chance: random.Random) -> bytes:
    body = chance.choice(TEXTS)
    headers = _some_headers(chance, ("host", "rowgate"), ("content-type", "application/json"), ("content-length", str(len(body))))
    method = chance.choice(METHODS) if chance.random() < 0.4 else chance.choice(METHODS[:4])
    return _head(chance, method, chance.choice(PATHS), headers) + body


def _upload(chance: random.Random) -> bytes:
    parts = [b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\n1,2\n\r\n'] if chance.random() < 0.6 else []
    for _ in range(chance.choice([0, 0, 1, 1, 2, 3, 40])):
        extra = chance.choice(["", "\r\ncontent-type: text/csv; charset=idna", "\r\nx: " + "y" * 5_000, "\r\ncontent-transfer-encoding: base64"])
        parts.append(f"--b\r\ncontent-disposition: {chance.choice(DISPOSITIONS)}{extra}\r\n\r\n".encode() + chance.choice(CONTENTS) + b"\r\n")
    body = b"".join(parts) + chance.choice([b"--b--\r\n", b"--b--", b"", b"--b"])
    always = ("host", "rowgate"), ("content-type", "multipart/form-data; boundary=b"), ("content-length", str(len(body)))
    return _head(chance, "POST", "/api/files/upload", always if chance.random() < 0.6 else _some_headers(chance, *always)) + body


def _chunked(chance: random.Random) -> bytes:
    head = _head(chance, chance.choice(["POST", "PATCH", "GET"]), chance.choice(PATHS), [("host", "rowgate"), ("transfer-encoding", "chunked")])
    sizes = ["5", "0", "ffffffffffffffff", "-1", "5;" + "x" * 3_000, "g", " 5", "00005"]
    chunks = [f"{chance.choice(sizes)}\r\nhello\r\n".encode() for _ in range(chance.choice([1, 3, 200]))]
    trailers = chance.choice([b"\r\n", b"x: y\r\n\r\n", b"x: y\r\n" * 3_000 + b"\r\n", b"content-length: 5\r\n\r\n"])
    return head + b"".join(chunks) + b"0\r\n" + trailers


def _noise(chance: random.Random) -> bytes:
    return chance.choice(
        [
            chance.randbytes(chance.randrange(1, 3_000)),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(500),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + chance.randbytes(50),
            b"\r\n" * chance.randrange(1, 2_000),
            b"GET /api/health/live HTTP/1.1\r\nhost: rowgate\r\n\r\n" * chance.randrange(1, 60),
            b"GET / HTTP/1.1\r\n" + b"x: " + b"y" * 100_000,
            json.dumps({"method": "GET"}).encode(),
        ]
    )
