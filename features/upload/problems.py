"""Problems that an upload can be answered with. Each docstring is the default `detail` that the client reads."""

from __future__ import annotations

from http import HTTPStatus

from shared.web.problems import BadRequest, InvalidPart, Problem


class InvalidUpload(BadRequest):
    """The upload was not accepted; correct what is listed and send it again."""

    slug = "invalid-upload"
    title = "Invalid upload"
    example_errors = (
        InvalidPart(field="encoding", message="There is no encoding 'utf-9'; try utf-8, cp1252 or utf-16."),
        InvalidPart(pointer="/schema/fields/0/name", message="A field must have a name."),
    )


class MalformedBody(BadRequest):
    """The body is not a complete multipart/form-data message; send the file as a form field named file."""

    slug = "malformed-body"
    title = "Malformed body"


class KeyReused(BadRequest):
    """This Idempotency-Key was used before with another file or other fields; use a new key for a new upload."""

    slug = "idempotency-key-reused"
    title = "Idempotency key reused"


class FileTooLarge(Problem):
    """The file is larger than this service accepts; split it and send the parts one by one."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    slug = "file-too-large"
    title = "File too large"


class TooManyUploads(Problem):
    """Too many uploads are under way; try again in a few seconds."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "too-many-uploads"
    title = "Too many uploads"


class TooManyOfYours(TooManyUploads):
    """Half of all upload slots are taken by your API key, or without keys by your address; wait until some of your uploads have ended."""


class DiskFull(Problem):
    """There is no room left for this file; try again later, or tell the operator."""

    status = HTTPStatus.INSUFFICIENT_STORAGE
    slug = "disk-full"
    title = "Insufficient storage"
