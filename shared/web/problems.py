"""Failures that a client can see, as `application/problem+json` (RFC 9457), and their description in the OpenAPI document.

Without FastAPI, which takes 8 MiB: workers import this module with the failures of their slices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

import structlog
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from shared.db.errors import is_database_unavailable
from shared.observing.tracing import record_error
from shared.texts import quote_briefly, shorten

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
MAX_PARTS = 50
"""How many of the things that are wrong with a request are listed; a body of 64 KiB can have thousands."""
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""The methods that an endpoint may have."""

log = structlog.get_logger(__name__)


class InvalidPart(BaseModel):
    """One thing that is wrong with the input."""

    model_config = ConfigDict(extra="forbid")

    field: str | None = Field(None, description="The form field, query parameter, header, or member of a JSON body")
    pointer: str | None = Field(None, description="JSON pointer (RFC 6901) whose first part is the field: `/schema/fields/2/type`")
    message: str = Field(description="One plain sentence")


class ProblemRead(BaseModel):
    """A failure, as defined by RFC 9457."""

    # Without examples: each response has one of its own, and what these said would be shown below every status.
    type: str = Field(description="Which problem it is, for programs: a URI reference that never changes", json_schema_extra={"format": "uri-reference"})
    title: str = Field(description="The problem in a few words")
    status: int = Field(description="The status of the response")
    detail: str = Field(description="One plain sentence that says what to do")
    errors: list[InvalidPart] | None = Field(None, description="For bad input: one entry for each problem found")


class Problem(Exception):  # named as in the RFC
    """A failure that is reported to the client. The docstring of a subclass is its default `detail`."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    slug: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "Bad request"
    example_errors: ClassVar[Sequence[InvalidPart]] = ()
    """What the example in the document lists, for a problem that lists what is wrong."""

    def __init__(self, detail: str | None = None, *, errors: Sequence[InvalidPart] = (), headers: Mapping[str, str] | None = None) -> None:
        self.detail = detail or " ".join((self.__doc__ or self.title).split())
        self.errors = list(errors)
        self.headers = dict(headers or {})
        super().__init__(self.detail)

    def to_response(self) -> JSONResponse:
        """Return the problem as a response."""
        return respond(self.status, self.slug, self.title, self.detail, self.errors, self.headers)


class BadRequest(Problem):
    """The request is malformed."""


class NotAuthenticated(Problem):
    """Send a valid API key in the X-API-Key header, or as Authorization: Bearer."""

    status = HTTPStatus.UNAUTHORIZED
    slug = "not-authenticated"
    title = "Not authenticated"


class NotAllowed(Problem):
    """This needs the key of an admin; the key that was sent is none."""

    status = HTTPStatus.FORBIDDEN
    slug = "not-allowed"
    title = "Not allowed"


class JobNotFound(Problem):
    """There is no job with this id; it may have been deleted."""

    status = HTTPStatus.NOT_FOUND
    slug = "job-not-found"
    title = "Job not found"


class FileGone(BadRequest):
    """The file of this job is no longer stored; upload it again."""

    slug = "file-gone"
    title = "File gone"


class ClientTooSlow(Problem):
    """Too little arrived for too long; send the request again over a faster connection."""

    status = HTTPStatus.REQUEST_TIMEOUT
    slug = "client-too-slow"
    title = "Client too slow"


class MalformedRequest(BadRequest):
    """The request is not HTTP."""

    slug = "malformed-request"
    title = "Malformed request"


class HeadersTooLarge(Problem):
    """The request's headers are larger than this service reads; send fewer or shorter headers."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    slug = "headers-too-large"
    title = "Headers too large"


class BodyTooLarge(Problem):
    """The body is larger than this endpoint takes; send a shorter one, or none if the endpoint takes none."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    slug = "body-too-large"
    title = "Body too large"


class Unavailable(Problem):
    """The service cannot answer right now; try again in a few seconds."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "unavailable"
    title = "Service unavailable"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": str(RETRY_AFTER_S)})


class StorageUnavailable(Unavailable):
    """The service cannot reach its files right now; nothing is lost. Try again in a minute, or tell whoever runs this service."""

    slug = "storage-unavailable"
    title = "Storage unavailable"


class Stopping(Unavailable):
    """This process has been asked to stop; send no more requests to it. What it has begun, it ends."""

    slug = "stopping"
    title = "Stopping"


class _Unexpected(Problem):
    """Something unexpected went wrong; the details are in the service's log."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    slug = "internal-error"
    title = "Internal error"


def responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Describe, for an endpoint's `responses=`, the problems that it can answer with; 400, 413, 500 and 503 are always included."""
    takes_body = any(problem.status == BodyTooLarge.status for problem in problems)
    possible = dict.fromkeys((*problems, BadRequest, *(() if takes_body else (BodyTooLarge,)), Unavailable, _Unexpected))
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in possible:
        by_status.setdefault(problem.status.value, []).append(problem)
    return {status: _document(those) for status, those in sorted(by_status.items())}


def _document(problems: Sequence[type[Problem]]) -> dict[str, Any]:
    """Describe one response: with an example, or, if it can be one of several problems, with an example of each by name."""
    examples = {_name_example(problem): {"summary": problem.title, "value": _make_example(problem)} for problem in problems}
    [first, *others] = examples.values()
    content = {"schema": {"$ref": "#/components/schemas/ProblemRead"}, **({"examples": examples} if others else {"example": first["value"]})}
    return {"description": " / ".join(" ".join((problem.__doc__ or problem.title).split()) for problem in problems), "content": {MEDIA_TYPE: content}}


def _name_example(problem: type[Problem]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", problem.__name__).lower()


def _make_example(problem: type[Problem]) -> dict[str, Any]:
    raised = problem()
    return _make_body(raised.status, raised.slug, raised.title, raised.detail, raised.example_errors)


def respond(
    status: int,
    slug: str,
    title: str,
    detail: str,
    errors: Sequence[InvalidPart] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return a problem that has no class of its own, or one of a class."""
    content = _make_body(status, slug, title, detail, errors)
    return JSONResponse(content, status_code=int(status), headers=dict(headers or {}), media_type=MEDIA_TYPE)


def _make_body(status: int, slug: str, title: str, detail: str, errors: Sequence[InvalidPart]) -> dict[str, Any]:
    parts = [part.model_copy(update={"message": shorten(part.message)}) for part in errors]
    body = ProblemRead(type=f"/problems/{slug}", title=title, status=status, detail=shorten(detail), errors=parts or None)
    return body.model_dump(exclude_none=True)


def describe_status(status: HTTPStatus, *, headers: Mapping[str, str]) -> JSONResponse:
    """Return the problem for a failure of which only the status and headers are known."""
    details = {
        HTTPStatus.BAD_REQUEST: "A header of the request is malformed, or asks for what is not allowed; correct it and send the request again.",
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "The file does not have the bytes that the Range header asks for; ask for some that it has.",
    }
    return respond(status, make_slug(status), status.phrase.capitalize(), details.get(status, f"{status.description or status.phrase}."), headers=headers)


def make_slug(status: HTTPStatus) -> str:
    """Return the name of the problem that is no more than its status."""
    return "".join(letter if letter.isalnum() else "-" for letter in status.phrase.lower())


def describe_invalid(item: Mapping[str, Any]) -> InvalidPart:
    """Name what is wrong with a part of the input: its field, and, in a JSON body, its place; in words of this service if the framework's are about Python."""
    source, *place = item["loc"]
    kind, context = item["type"], item.get("ctx", {})
    if kind == "json_invalid":
        return InvalidPart(field="body", message=f"This is not JSON: {context.get('error', item['msg'])}.")
    if not place:
        if kind in {"missing", "model_type", "model_attributes_type", "dict_type"}:
            return InvalidPart(field=str(source), message="The body must be a JSON object, sent with Content-Type: application/json.")
        return InvalidPart(field=str(source), message=item["msg"])
    messages = {
        "extra_forbidden": "There is no such member.",
        "dict_type": "This must be a JSON object.",
        "list_type": "This must be a list.",
        "string_type": "This must be a text.",
        "int_parsing": "This must be a whole number.",
        "int_type": "This must be a whole number.",
        "too_long": f"At most {context.get('max_length')} are allowed.",
        "string_too_long": f"At most {context.get('max_length')} characters are allowed.",
        "string_too_short": f"At least {context.get('min_length')} {'character is' if context.get('min_length') == 1 else 'characters are'} required.",
        "value_error": str(context.get("error", item["msg"])),
    }
    field = quote_briefly(str(place[0]))
    if source != "body":
        return InvalidPart(field=field, message=messages.get(kind, item["msg"]))
    # pydantic marks the name of a member, instead of its value, by a last part of its own.
    members = [str(part) for part in place if part != "[key]"]
    pointer = "".join(f"/{quote_briefly(member).replace('~', '~0').replace('/', '~1')}" for member in members)
    return InvalidPart(field=field, pointer=pointer, message=messages.get(kind, item["msg"]))


def describe_unexpected(error: Exception, *, path: str) -> JSONResponse:
    """Log an unexpected failure and return its answer: 503 if the database is unreachable or something hangs, otherwise 500."""
    if is_database_unavailable(error):
        log.warning("the database, or something else behind this request, does not answer", path=path, reason=repr(error))
        return Unavailable().to_response()
    log.error("unexpected failure", path=path, exc_info=error)
    record_error(error)
    return _Unexpected().to_response()
