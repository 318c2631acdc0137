"""What goes over the wire of an upload."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from shared.db.models import JobStatus
from shared.web.schemas import Read, UtcTime


class UploadRead(Read):
    """The answer to an accepted file; follow the job at `Location`."""

    job_id: uuid.UUID = Field(validation_alias="id")
    status: JobStatus
    filename: str = Field(examples=["orders.csv"])
    file_size: int = Field(description="Bytes", examples=[1048576])
    file_type: str = Field(examples=["csv"])
    created_at: UtcTime


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOptions:
    """The form fields beside the file, checked."""

    webhook_url: str | None = None
    table_schema: dict[str, Any] | None = None
    dialect: dict[str, Any] | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCreate:
    """A file that lies on disk, and what is to be done with it."""

    id: uuid.UUID
    filename: str
    file_size: int
    file_type: str
    sha256: str
    options: UploadOptions
    submitted_by: str | None
    idempotency_key: str | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedJob:
    """Of a job that was committed, what its client is told, and the fingerprint of the request that made it."""

    id: uuid.UUID
    status: JobStatus
    filename: str
    file_size: int
    file_type: str
    created_at: datetime
    fingerprint: str | None


_FORM_FIELDS: dict[str, dict[str, Any]] = {
    "file": {"type": "string", "format": "binary", "description": "A .csv, .xlsx or .xls file; exactly one"},
    "webhook_url": {
        "type": "string",
        "format": "uri",
        "maxLength": 500,
        "description": "Where to tell of the end of the job; http or https, a public address",
        "examples": ["https://example.com/hooks/rowgate"],
    },
    "schema": {
        "type": "string",
        "contentMediaType": "application/json",
        "description": "A Frictionless Table Schema (v1 or v2) as JSON; without it one is inferred",
        "examples": ['{"fields": [{"name": "age", "type": "integer", "constraints": {"minimum": 18}}]}'],
    },
    "dialect": {
        "type": "string",
        "contentMediaType": "application/json",
        "description": "A Frictionless Table Dialect as JSON; without it the dialect is detected",
        "examples": ['{"delimiter": ";"}'],
    },
    "encoding": {"type": "string", "description": "An encoding name; without it the encoding is detected", "examples": ["utf-8"]},
}

FORM_OPENAPI: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "title": "Upload", "required": ["file"], "additionalProperties": False, "properties": _FORM_FIELDS},
                "encoding": {"file": {"contentType": "text/csv, application/vnd.openxmlformats-officedocument.spreadsheetml.sheet, application/vnd.ms-excel"}},
            },
        },
    },
}
"""The form, for the OpenAPI document: the endpoint parses the stream itself, so the framework does not know it."""

OPTION_NAMES = frozenset(_FORM_FIELDS) - {"file"}
