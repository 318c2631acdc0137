"""A proxy before the S3 store that fails chosen requests: it refuses, hangs, is slow, or answers with an error of the store."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Action = Literal["refuse", "hang", "slow", "error", "forbid", "skew", "full", "cut"]
SLOW_S = 0.15
_ANSWERS = {
    "error": (500, b"<Error><Code>InternalError</Code></Error>"),
    "forbid": (403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"),
    "skew": (403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>"),
    "full": (507, b"<Error><Code>XMinioStorageFull</Code></Error>"),
}


@dataclass(eq=False)
class _Fault:
    action: Action
    words: tuple[str, ...]
    times: int | None
    released: threading.Event = field(default_factory=threading.Event)
    hits: int = 0

    def takes(self, line: str) -> bool:
        """Whether this request is one that fails: it has all of the words, and it is not one too many."""
        if not all(word in line for word in self.words) or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


class StoreProxy:
    """Listens on 127.0.0.1 and forwards each request as it is, signature included, in threads."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._host, self._target_port = str(parts.hostname), int(parts.port or 0)
        self._faults: list[_Fault] = []
        self.lines: list[str] = []
        """Method, path and query of each request."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            self._answer(handler)

        for method in ("GET", "PUT", "POST", "HEAD", "DELETE"):
            setattr(Handler, f"do_{method}", answer)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """Say nothing of clients that went away."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def failing(self, action: Action, *words: str, times: int | None = None) -> Iterator[_Fault]:
        """Fail requests whose line has all the words during the block, or so many of them; what hangs goes on at the end."""
        fault = _Fault(action, words, times)
        self._faults.append(fault)
        try:
            yield fault
        finally:
            self._faults.remove(fault)
            fault.released.set()

    def close(self) -> None:
        for fault in self._faults:
            fault.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        line = f"{handler.command} {handler.path}"
        self.lines.append(line)
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        fault = next((fault for fault in list(self._faults) if fault.takes(line)), None)
        action = fault.action if fault is not None else None
        if action == "refuse":
            handler.close_connection = True
            return
        if action == "hang" and fault is not None:
            fault.released.wait(60)
        if action == "slow":
            time.sleep(SLOW_S)
        if action in _ANSWERS:
            status, content = _ANSWERS[action]
            self._send(handler, status, [("Content-Length", str(len(content)))], content)
            return
        with suppress(OSError, http.client.HTTPException):
            status, headers, content = self._forward(handler, body)
            if action == "cut":
                self._send(handler, status, headers, content[: len(content) // 2])
                handler.close_connection = True
                return
            self._send(handler, status, headers, content)
            return
        handler.close_connection = True  # the store itself is away

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self._host, self._target_port, timeout=30)
        try:
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() not in {"connection", "expect"}:
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() not in {"connection", "transfer-encoding", "date", "server"}]
            if response.getheader("content-length") is None:
                headers.append(("Content-Length", str(len(content))))
            return response.status, headers, content
        finally:
            connection.close()

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        handler.send_response(status)
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)
