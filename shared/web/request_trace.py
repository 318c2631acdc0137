"""The span of each request to the API: where the trace of an upload begins, or goes on from whoever sent it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from shared.observing import tracing
from shared.web.problems import METHODS

if TYPE_CHECKING:
    import uuid

    from starlette.types import Scope

    from shared.observing.tracing import Span

_TRACED = "/api/"
"""Pages, their files and the metrics are not traced."""
_UNTRACED = "/api/health"
"""Asked every few seconds by programs that watch."""
_OTHER, _ANY = "_OTHER", "HTTP"
"""As OpenTelemetry calls a method that clients have invented, and the span of such a request."""


def open_span(scope: Scope) -> Span:
    """Begin the span of a request, for a `with` block; none for what only programs ask that watch. Its path may hold anything, so it is not told."""
    if not tracing.is_on() or not scope["path"].startswith(_TRACED) or scope["path"].startswith(_UNTRACED):
        return tracing.NO_SPAN
    name = _name(scope)
    attributes = {"http.request.method": _OTHER if name == _ANY else name, "url.scheme": scope["scheme"], "network.protocol.version": scope["http_version"]}
    return tracing.span(name, kind="server", parent=Headers(scope=scope).get("traceparent"), attributes=attributes)


def close_span(span: Span, scope: Scope, *, route: str | None, status: int, find_job: Callable[[], uuid.UUID | None]) -> None:
    """Tell what became of a request, in the words of OpenTelemetry's conventions for HTTP. Only 5xx are failures of the service."""
    if span is tracing.NO_SPAN:
        return
    job_id = find_job()
    if route is not None:
        span.rename(f"{_name(scope)} {route}")
    span.set({"http.route": route, "http.response.status_code": status, "rowgate.job.id": None if job_id is None else str(job_id)})
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.fail(str(status))
    span.end()


def _name(scope: Scope) -> str:
    return str(scope["method"]) if scope["method"] in METHODS else _ANY
