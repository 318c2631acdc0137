"""Middleware around every request: a request id, a deadline for the application's work, security headers, a log line, and metrics."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import structlog
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect

from shared.concurrency.pausing_timeout import PausingTimeout
from shared.observing import metrics, tracing
from shared.texts import MAX_SHOWN_CHARACTERS, escape_control, quote_briefly
from shared.web.body_limit import BOUNDED_BY_ENDPOINT, BodyLimits
from shared.web.parameters import InputRules, announces_body
from shared.web.problems import METHODS, BadRequest, BodyTooLarge, InvalidPart, Problem, describe_status, describe_unexpected
from shared.web.request_log import RequestLog
from shared.web.request_trace import close_span, open_span

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shared.observing.tracing import Span
    from shared.settings import Settings

DEADLINE_S = 9.0
CLIENT_GONE = 499
"""The status, in log and metrics, of a request whose client went away before its answer began; nginx uses it too."""
DOCS_FILES = "/docs-files"
"""Path of the scripts for the page at /docs, served here so that it needs no internet."""
_PAGES = ("/docs", DOCS_FILES)
_SECURITY_HEADERS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}
_POLICY = "default-src 'none'; frame-ancestors 'none'"
_POLICY_OF_PAGES = (
    "default-src 'none'; connect-src 'self'; font-src 'self' data:; img-src 'self' data:; frame-ancestors 'none';"
    " script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

log = structlog.get_logger(__name__)


def find_null_parameter(query: bytes) -> str | None:
    """Return the name of the first parameter with a NUL character in its name or value, which no text in the database can hold; None if there is none."""
    pair = next((pair for pair in query.split(b"&") if b"%00" in pair), None) if b"%00" in query else None
    return None if pair is None else quote_briefly(escape_control(unquote_plus(pair.partition(b"=")[0][: 3 * MAX_SHOWN_CHARACTERS + 3].decode("latin-1"))))


class GuardMiddleware:
    """Turns unhandled exceptions into problems, and ends a request after `DEADLINE_S` if something that it depends on hangs.

    Time spent waiting for the client, for its body or while it reads, does not count towards the deadline. A body has limits of its own (`BodyLimits`).
    """

    def __init__(self, app: ASGIApp, *, limits: BodyLimits, rules: InputRules) -> None:
        self._app = app
        self._limits, self._rules = limits, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, or answer on its behalf if it fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._find_refusal(scope)
        if refusal is not None:
            await refusal.to_response()(scope, receive, send)
            return
        scope["query_string"] = self._rules.drop_empty(scope)
        started = False
        receive_body = _BodyReader(scope, receive, self._limits)
        try:
            async with PausingTimeout(DEADLINE_S) as deadline:

                async def receive_without_clock() -> Message:
                    deadline.stop()
                    try:
                        return await receive_body()
                    finally:
                        deadline.start()

                async def send_without_clock(message: Message) -> None:
                    nonlocal started
                    started = True
                    deadline.stop()
                    await send(message)

                await self._app(scope, receive_without_clock, send_without_clock)
        except ClientDisconnect:
            log.info("client went away", path=scope["path"])
        except Exception as error:
            if started:
                raise
            await describe_unexpected(error, path=scope["path"])(scope, receive, send)

    def _find_refusal(self, scope: Scope) -> Problem | None:
        """Return what is wrong with a request as its head shows it; None if nothing is."""
        if self._limits.is_announced_too_large(scope):
            return BodyTooLarge(headers={"Connection": "close"})
        null = find_null_parameter(scope["query_string"])
        if null is not None:
            wrong = InvalidPart(field=null, message="The parameter has a NUL character (%00) in it; leave that out.")
            return BadRequest(f"Correct these and send the request again: {null}.", errors=[wrong])
        problem = self._rules.find_problem(scope)
        if problem is not None and announces_body(scope):
            problem.headers["Connection"] = "close"  # nobody reads the body
        return problem


class _BodyReader:
    """Receives a request's body within the limits of its endpoint; what it raises is raised inside the endpoint that reads the body."""

    def __init__(self, scope: Scope, receive: Receive, limits: BodyLimits) -> None:
        self._scope, self._receive, self._limits = scope, receive, limits
        self._left_bytes: int | None = None
        self._ends_at: float | None = None

    async def __call__(self) -> Message:
        """Return the next message. Raises `HTTPException` 413 if the body is too large, 408 if it takes too long."""
        if self._left_bytes is None:
            self._left_bytes = self._limits.find(self._scope)
            if self._left_bytes != BOUNDED_BY_ENDPOINT:
                self._ends_at = asyncio.get_running_loop().time() + self._limits.timeout_s
        message = await (self._receive() if self._ends_at is None else self._receive_until(self._ends_at))
        if not message.get("more_body", False):
            self._ends_at = None  # the body has ended; whoever waits now waits for the client to go away
        self._left_bytes -= len(message.get("body", b""))
        if self._left_bytes < 0:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message

    async def _receive_until(self, end: float) -> Message:
        try:
            async with asyncio.timeout_at(end):
                return await self._receive()
        except TimeoutError:
            message = f"The body did not end within {self._limits.timeout_s:g} seconds; send the request again over a faster connection."
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, message) from None


class PlainFailureMiddleware:
    """Turns failures that the framework answers in plain text into problems, for example a `Range` that a static file does not have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and answer in its place if its answer is a failure in plain text."""
        is_replaced = False

        async def send_problem(message: Message) -> None:
            nonlocal is_replaced
            if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
                headers = Headers(scope=message)
                is_replaced = headers.get("content-type", "text/plain").startswith("text/")
                if is_replaced:
                    kept = {name: value for name, value in headers.items() if name == "content-range" or not name.startswith(("content-", "transfer-"))}
                    await describe_status(HTTPStatus(message["status"]), headers=kept)(scope, receive, send)
            if not is_replaced:
                await send(message)

        await self._app(scope, receive, send_problem if scope["type"] == "http" else send)


class RequestMiddleware:
    """Gives each request an id (the client's `X-Request-ID` if it is well-formed), adds security headers, logs it, and measures it."""

    def __init__(self, app: ASGIApp, *, logs_reads: bool) -> None:
        self._app = app
        self._logs_reads = logs_reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, then log and measure the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with open_span(scope) as span:
            await self._answer(scope, receive, send, span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        sent = Headers(scope=scope).get("x-request-id", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else str(uuid.uuid4())
        request_log = RequestLog(scope, request_id=request_id, logs_reads=self._logs_reads)
        start, status, is_stream, sent_bytes = time.perf_counter(), 0, False, 0
        metrics.HTTP_IN_PROGRESS.inc()

        async def send_with_id(message: Message) -> None:
            nonlocal status, is_stream, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                is_stream = headers.get("content-type", "").startswith("text/event-stream")
                if is_stream:  # a span that ends with the stream would be told of hours later
                    close_span(span, scope, route=_get_route(scope), status=status, find_job=request_log.find_job)
                headers["X-Request-ID"] = request_id
                for name, value in _SECURITY_HEADERS.items():
                    headers[name] = value
                is_page = scope["path"].startswith(_PAGES)
                headers.setdefault("Content-Security-Policy", _POLICY_OF_PAGES if is_page else _POLICY)
                headers.setdefault("Cache-Control", "no-cache" if is_page else "no-store")
            else:
                sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
            status = status or CLIENT_GONE
        except BaseException as error:
            status = status or HTTPStatus.INTERNAL_SERVER_ERROR
            if isinstance(error, Exception):
                tracing.record_error(error)
            raise
        finally:
            duration_s = time.perf_counter() - start
            route = _get_route(scope)
            method = scope["method"] if scope["method"] in METHODS else "other"  # clients may invent methods
            metrics.HTTP_IN_PROGRESS.dec()
            if not is_stream:  # one is open for as long as its client likes
                metrics.HTTP_SECONDS.labels(method=method, route=route or "unmatched", status=str(status)).observe(duration_s)
            close_span(span, scope, route=route, status=status, find_job=request_log.find_job)
            request_log.end(route=route or "unmatched", status=status, duration_s=duration_s, sent_bytes=sent_bytes)


def _get_route(scope: Scope) -> str | None:
    path: str | None = getattr(scope.get("route"), "path", None)
    return path


def add_middleware(app: FastAPI, settings: Settings, *, routes: Sequence[APIRoute]) -> None:
    """Wrap `app`: `RequestMiddleware` outermost, then `PlainFailureMiddleware`, CORS if any other origin is allowed, and `GuardMiddleware`.

    Pages of other origins may send what `routes` declare: their methods and the headers that they take.
    """
    app.add_middleware(GuardMiddleware, limits=BodyLimits(routes, timeout_s=settings.upload_idle_timeout_s), rules=InputRules(routes))
    if settings.allowed_origins:
        declared = {name.title() for route in routes for name in _list_headers(route.dependant)}
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=sorted({method for route in routes for method in route.methods or ()}),
            allow_headers=sorted({"X-API-Key", "Authorization", "X-Request-ID", "Traceparent"} | declared),
            expose_headers=["Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Location", "Retry-After", "X-Request-ID"],
        )
    app.add_middleware(PlainFailureMiddleware)
    app.add_middleware(RequestMiddleware, logs_reads=settings.log_reads)


def _list_headers(dependant: Dependant) -> Iterator[str]:
    """Yield the headers that an endpoint takes, itself or through a dependency."""
    for field in dependant.header_params:
        yield field.alias
    for dependency in dependant.dependencies:
        yield from _list_headers(dependency)
