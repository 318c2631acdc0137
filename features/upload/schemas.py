"""Schemas of the upload slice: the answer to an upload, its form fields (checked, and as OpenAPI describes them), and the job to insert."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, computed_field

from shared.db.models import JobStatus
from shared.descriptors.problems import MAX_DEPTH, MAX_DESCRIPTOR_BYTES
from shared.descriptors.table_schema import MAX_FIELDS
from shared.formats import list_extensions, list_formats
from shared.jobs.examples import ACCEPTED, JOB_ID, WAITING
from shared.jobs.schemas import MAX_LABELS, JobRead
from shared.output_names import OUTPUT_NAMES
from shared.web.schemas import Read, UtcTime
from shared.web.webhook_address import MAX_URL_CHARACTERS, WEBHOOK_URL

SCHEMA_EXAMPLE = '{"fields": [{"name": "age", "type": "integer", "constraints": {"minimum": 18}}]}'
DIALECT_EXAMPLE = '{"delimiter": ";"}'


class UploadRead(Read):
    """The answer to an accepted upload; follow the job at `Location`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"job_id": JOB_ID, **ACCEPTED}]})

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
    outputs: tuple[str, ...] = ()
    """Names of the outputs to make as soon as the job has ended, without repeats."""
    external_id: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)


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
    idempotency_key: str | None = None
    fingerprint: str | None = None
    checked_again_from: uuid.UUID | None = None
    traceparent: str | None = None
    """The span of the request, of which the job's is a part."""


def _split_names(given: object) -> object:
    """Take names that are separated by commas for a list."""
    return given.split(",") if isinstance(given, str) else given


class CheckAgain(BaseModel):
    """How to check a stored file again. An absent member is taken from the job; null means to find it out anew, or to have none."""

    # The example changes no rule, because pages such as /docs fill it in.
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"outputs": ["rejected.xlsx"]}]})

    table_schema: dict[str, Any] | None = Field(None, alias="schema", description=f"A Frictionless Table Schema, such as `{SCHEMA_EXAMPLE}`; null: infer one")
    dialect: dict[str, Any] | None = Field(None, description=f"A Frictionless Table Dialect, such as `{DIALECT_EXAMPLE}`; null: detect it")
    encoding: str | None = Field(None, description="An encoding name, such as `cp1252`; null: detect it")
    webhook_url: Annotated[str, WithJsonSchema(WEBHOOK_URL)] | None = Field(
        None, description="Where to send a webhook when the new job has ended; null: nowhere"
    )
    outputs: Annotated[list[str], BeforeValidator(_split_names, json_schema_input_type=list[str] | str)] | None = Field(
        None, description="Outputs to make as soon as the new job has ended, as a list or separated by commas; null: none"
    )


_NEW_ID = "c0a1b2d3-7f64-4f0e-9b35-1d2e3f4a5b6c"


class CheckAgainRead(JobRead):
    """The new job, which checks the stored file of another one; follow it at `Location`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**WAITING, "id": _NEW_ID, "checked_again_from": JOB_ID, "job_id": _NEW_ID}]})

    @computed_field(description="The same as id, named as in the answer to an upload")  # type: ignore[prop-decorator]  # pydantic's way
    @property
    def job_id(self) -> uuid.UUID:
        """The job's id."""
        return self.id


_DESCRIPTOR_BOUNDS = f"At most {MAX_DESCRIPTOR_BYTES:,} bytes and {MAX_DEPTH} levels"
# Swagger UI, which serves /docs, fills every text field of a form with its first example, else its default, else its example, else a text that it makes up of
# the type: "string". What it fills in is sent, as an encoding or schema that nobody chose. So each text field has the example "", since an empty field
# counts as absent, and says in its description what to write. JSON has no `contentMediaType`: for a field with one, Swagger UI wants a file.
_EMPTY: dict[str, Any] = {"examples": [""]}
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
        "description": "Where to send a webhook when the job has ended; http or https, a public address: `https://example.com/hooks/rowgate`",
        **_EMPTY,
    },
    "schema": {
        "type": "string",
        "description": f"A Frictionless Table Schema (v1 or v2) as JSON: `{SCHEMA_EXAMPLE}`; without it one is inferred. "
        f"{_DESCRIPTOR_BOUNDS}, {MAX_FIELDS:,} fields",
        **_EMPTY,
    },
    "dialect": {
        "type": "string",
        "description": f"A Frictionless Table Dialect as JSON: `{DIALECT_EXAMPLE}`; without it the dialect is detected. {_DESCRIPTOR_BOUNDS}",
        **_EMPTY,
    },
    "encoding": {"type": "string", "description": "An encoding name, such as `cp1252`; without it the encoding is detected", **_EMPTY},
    "outputs": {
        "type": "string",
        "description": "Outputs to make as soon as the job has ended, separated by commas: `rejected.xlsx,valid.csv`. "
        f"There are {', '.join(f'`{name}`' for name in OUTPUT_NAMES)}",
        **_EMPTY,
    },
    "external_id": {
        "type": "string",
        "maxLength": 255,
        "description": "Your own id for the job: `order-import-4711`; shown with it, searchable in the list, sent in the webhook",
        **_EMPTY,
    },
    "labels": {
        "type": "string",
        "description": f'Your own labels for the job: a JSON object of up to {MAX_LABELS} short strings by name, `{{"team": "sales"}}`; '
        "shown, searchable and sent like external_id",
        **_EMPTY,
    },
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
