"""A job as clients see it."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from shared.db.models import JobStatus
from shared.jobs import examples
from shared.web.schemas import NoteCode, Read, UtcTime

MAX_LABELS = 16


def _refuse_nul(text: str) -> str:
    """PostgreSQL's text and JSON types cannot hold NUL."""
    if "\0" in text:
        raise ValueError("A NUL character is not allowed.")
    return text


ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_refuse_nul)]
LabelName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_refuse_nul)]
LabelValue = Annotated[str, StringConstraints(max_length=255), AfterValidator(_refuse_nul)]
Labels = Annotated[dict[LabelName, LabelValue], Field(max_length=MAX_LABELS)]


class SourceRead(Read):
    """What was found in the file; values that its format does not have are null."""

    encoding: str | None = Field(None, examples=["utf-8"])
    delimiter: str | None = Field(None, examples=[","])
    quote_char: str | None = Field(None, examples=['"'])
    sheet: str | None = Field(None, examples=["Orders"])
    header_row: int | None = Field(None, description="The header's row in the file or sheet, counted from 1", examples=[1])


class NoteRead(Read):
    """What a person should know about how the file was read, and no error."""

    code: NoteCode
    message: str = Field(description="One plain sentence that names the way out: the dialect or schema property to send")
    row_number: int | None = Field(None, examples=[3])
    column_name: str | None = None


class JobEntry(Read):
    """A job in its current state, as lists show it."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ENTRY]})

    id: uuid.UUID
    filename: str = Field(description="The name that the client gave", examples=["orders.csv"])
    file_size: int = Field(description="Bytes", examples=[1048576])
    file_type: str = Field(description="The file's extension", examples=["csv"])
    status: JobStatus
    progress: int = Field(ge=0, le=100, description="Per cent; 100 only when COMPLETED")
    rows_processed: int
    rows_failed: int = Field(description="Rows with at least one error")
    total_rows: int | None = Field(description="Null until known")
    error_count: int = Field(description="Errors found; exact, even if not every error was stored")
    errors_truncated: bool = Field(description="Whether some errors were counted but not stored")
    error_message: str | None = Field(description="Why a FAILED job failed, in words for the uploader")
    webhook_url: str | None
    created_at: UtcTime
    started_at: UtcTime | None
    completed_at: UtcTime | None
    updated_at: UtcTime = Field(description="When what is shown of the job last changed")
    attempt: int = Field(
        description="Rises with each claim of a worker and with each return to the queue; the job's errors and outputs are those of this attempt"
    )
    valid: bool | None = Field(description="Whether the job is COMPLETED without any error, header included; null until it has ended")
    source: SourceRead | None = Field(description="What was found in the file; null until the file was opened")
    notes: list[NoteRead] | None = Field(description="How the file was read, as far as that is no error: at most 50 notes; null until the file was opened")
    sha256: str = Field(description="SHA-256 of the file, in hexadecimal", examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    submitted_by: str | None = Field(description="Name of the API key that sent the file, if keys are configured")
    external_id: str | None = Field(description="The client's own id for the job", examples=["order-import-4711"])
    labels: dict[str, str] = Field(description="The client's own labels for the job: short strings by name", examples=[{"team": "sales"}])
    checked_again_from: uuid.UUID | None = Field(description="The job whose stored file this job checks again; null for an upload")


class JobEvent(JobEntry):
    """A job in its current state, as events tell it."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.JOB]})

    queue_position: int | None = Field(
        None,
        description="While QUEUED, the job's place among the waiting jobs of the same submitter, oldest first, from 1. Submitters take turns, "
        "and a small file may overtake a large one. Not in lists; null past 10,000, and during a pause after a fault of the service",
        examples=[3],
    )


class JobRead(JobEvent):
    """A job in its current state."""

    table_schema: dict[str, Any] | None = Field(
        serialization_alias="schema",
        description="The Table Schema that is used, given or inferred; null until known",
    )
