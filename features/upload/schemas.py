"""Schemas of the upload slice: the answer to an upload, its form fields (checked, and as OpenAPI describes them), and the job to insert."""

from __future__ import annotations

import uuid
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.db.models import JobStatus
from shared.descriptors.problems import MAX_DEPTH, MAX_DESCRIPTOR_BYTES
from shared.descriptors.table_schema import MAX_FIELDS
from shared.formats import list_extensions, list_formats
from shared.web.schemas import Read, UtcTime
from shared.web.webhook_address import MAX_URL_CHARACTERS


class UploadRead(Read):
    """The answer to an accepted upload; follow the job at `Location`."""

    job_id: uuid.UUID = Field(validation_alias="id")
    status: JobStatus
    filename: str = Field(examples=["orders.csv"])
    file_size: int = Field(description="Bytes", examples=[1048576])
    file_type: str = Field(examples=["csv"])
    created_at: UtcTime


class UploadOptions(BaseModel):
    """The form fields other than the file, after they have been checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook_url: str | None = None
    table_schema: dict[str, Any] | None = None
    dialect: dict[str, Any] | None = None
    encoding: str | None = None


class JobCreate(BaseModel):
    """A job to insert: a file that is on disk, and what to do with it."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    id: uuid.UUID
    filename: str
    file_size: int
    file_type: str
    sha256: str
    options: UploadOptions
    submitted_by: str | None
    idempotency_key: str | None
    fingerprint: str | None


_DESCRIPTOR_BOUNDS = f"At most {MAX_DESCRIPTOR_BYTES:,} bytes and {MAX_DEPTH} levels"
_FORM_FIELDS: dict[str, dict[str, Any]] = {
    "file": {
        "type": "string",
        "format": "binary",
        "description": f"Exactly one file, named {' or '.join(f'.{extension}' for extension in list_extensions())}",
    },
    "webhook_url": {
        "type": "string",
        "format": "uri",
        "maxLength": MAX_URL_CHARACTERS,
        "description": "Where to send a webhook when the job has ended; http or https, a public address",
        "examples": ["https://example.com/hooks/rowgate"],
    },
    "schema": {
        "type": "string",
        "contentMediaType": "application/json",
        "description": f"A Frictionless Table Schema (v1 or v2) as JSON; without it one is inferred. {_DESCRIPTOR_BOUNDS}, {MAX_FIELDS:,} fields",
        "examples": ['{"fields": [{"name": "age", "type": "integer", "constraints": {"minimum": 18}}]}'],
    },
    "dialect": {
        "type": "string",
        "contentMediaType": "application/json",
        "description": f"A Frictionless Table Dialect as JSON; without it the dialect is detected. {_DESCRIPTOR_BOUNDS}",
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
                "encoding": {"file": {"contentType": ", ".join(name for file_format in list_formats() for name in file_format.media_types)}},
            },
        },
    },
}
"""The form as the OpenAPI document describes it. The endpoint parses the stream itself, so the framework does not know the form."""

OPTION_NAMES = frozenset(_FORM_FIELDS) - {"file"}
