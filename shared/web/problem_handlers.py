"""Make an application answer every expected failure with a problem: its own and the framework's."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from shared.storage.base import StoreAway, StoreRefuses
from shared.texts import MAX_TEXT_CHARACTERS, shorten
from shared.web.problems import (
    MAX_PARTS,
    METHODS,
    BadRequest,
    BodyTooLarge,
    ClientTooSlow,
    InvalidPart,
    JobNotFound,
    Problem,
    StorageUnavailable,
    describe_invalid,
    describe_unexpected,
    make_slug,
    respond,
)

if TYPE_CHECKING:
    from fastapi import Response

log = structlog.get_logger(__name__)


def install_problem_handlers(app: FastAPI) -> None:
    """Make `app` answer every expected failure with a problem: its own and the framework's."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(StoreAway, _on_store_away)
    app.add_exception_handler(StoreRefuses, _on_store_away)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.to_response()


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return BodyTooLarge(headers={"Connection": "close"}).to_response()
    if status is HTTPStatus.REQUEST_TIMEOUT:
        return ClientTooSlow(error.detail, headers={"Connection": "close"}).to_response()
    if status is HTTPStatus.BAD_REQUEST:  # the framework says no more of a body that is not text, or nested too deeply
        return BadRequest(errors=[InvalidPart(field="body", message="The body is not JSON in UTF-8, or it is nested too deeply.")]).to_response()
    details = {
        HTTPStatus.NOT_FOUND: ("not-found", "There is nothing at this path; the paths that exist are listed at /docs."),
        HTTPStatus.METHOD_NOT_ALLOWED: ("method-not-allowed", "This path does not support this method; see the Allow header."),
    }
    slug, detail = details.get(status, (make_slug(status), str(error.detail)))
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_list_methods(request))
    return respond(status, slug, status.phrase.capitalize(), detail, headers=headers)


async def _on_store_away(_: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    log.error("a stored file could not be used", reason=error.strerror)
    return StorageUnavailable().to_response()


async def _on_unexpected(request: Request, error: Exception) -> Response:
    return describe_unexpected(error, path=request.url.path)


def _list_methods(request: Request) -> list[str]:
    """Return every method that the path supports: its handlers may be in several slices, and the framework lists only those of one."""
    routes = request.app.routes
    return [method for method in METHODS if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)]


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(tuple(item["loc"]) == ("path", "job_id") for item in found):
        return JobNotFound().to_response()
    parts = [describe_invalid(item) for item in found[:MAX_PARTS]]
    names = ", ".join(sorted({part.field or "" for part in parts}))
    more = f" (and {len(found) - MAX_PARTS} more)" if len(found) > MAX_PARTS else ""
    return BadRequest(
        shorten(f"Correct these and send the request again: {names}", MAX_TEXT_CHARACTERS - len(more) - 1) + f"{more}.", errors=parts
    ).to_response()
