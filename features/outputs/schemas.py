"""Response bodies of the outputs slice."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field

from shared.db.models import OutputStatus
from shared.jobs.examples import COMPLETED_AT, JOB_ID, SHA256
from shared.output_names import OUTPUT_NAMES
from shared.web.schemas import ErrorType, Read, UtcTime

if TYPE_CHECKING:
    from shared.db.models import Job, Output

_READY: dict[str, Any] = {
    "name": "rejected.xlsx",
    "status": "READY",
    "progress": 100,
    "size_bytes": 6342,
    "row_count": 2,
    "sha256": SHA256,
    "error_message": None,
    "notes": [],
    "url": f"/api/jobs/{JOB_ID}/outputs/rejected.xlsx",
    "created_at": COMPLETED_AT,
    "completed_at": "2026-11-23T18:36:08.911503Z",
}
BEING_MADE = {**_READY, "status": "RUNNING", "progress": 40, "size_bytes": None, "row_count": None, "sha256": None, "completed_at": None}
"""An output as the document shows it while a worker makes it."""
_ERROR = {"column_number": 4, "error_type": "type-error", "error_message": "This value must be a whole number."}
_ROWS: dict[str, Any] = {
    "columns": ["order_id", "customer", "email", "quantity"],
    "rows": [
        {"row_number": 16, "cells": ["1015", "Grace Hopper", "grace@example.com", "3"], "errors": []},
        {"row_number": 17, "cells": ["1016", "Alan Turing", "alan@example.com", "two"], "errors": [_ERROR]},
    ],
    "next_from_row": 18,
}


class OutputRead(Read):
    """An output in its current state."""

    model_config = ConfigDict(json_schema_extra={"examples": [_READY]})

    name: str = Field(description="Kind and format", examples=["rejected.xlsx"])
    status: OutputStatus
    progress: int = Field(ge=0, le=100, description="Per cent; 100 only when READY")
    size_bytes: int | None = Field(description="Null until READY")
    row_count: int | None = Field(description="Rows (of `errors`: records) in it; null until READY")
    sha256: str | None = Field(description="SHA-256 of the file, in hexadecimal; null until READY")
    error_message: str | None = Field(description="Why a FAILED output could not be made")
    notes: list[str] = Field(description="What a person should know about the content: cells that were cut, sheets that were added")
    url: str = Field(description="Where the file is", json_schema_extra={"format": "uri-reference"})
    created_at: UtcTime
    completed_at: UtcTime | None


class OutputList(Read):
    """The outputs of a job, and those that it can have."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"outputs": [_READY], "available": list(OUTPUT_NAMES)}]})

    outputs: list[OutputRead] = Field(description="Those that were asked for, by name; without those whose content is gone")
    available: list[str] = Field(description="Names that can be asked for; empty if the job has not ended, or its rows were never read")


class RowErrorRead(Read):
    """One error of a row."""

    column_number: int | None = Field(description="Counted from 1; null for an error of the whole row")
    error_type: ErrorType
    error_message: str


class RowRead(Read):
    """One row as it stands in the file."""

    row_number: int = Field(description="The row as a spreadsheet shows it", examples=[2])
    cells: list[str | None] = Field(description="By place in the file, each at most 1,000 characters; null for a cell that is absent")
    errors: list[RowErrorRead]


class RowList(Read):
    """Some rows of the file, in its order."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ROWS]})

    columns: list[str | None] = Field(description="The labels of the columns, by place in the file; null where there is none")
    rows: list[RowRead]
    next_from_row: int | None = Field(description="Send it as from_row to go on; null if there are no more rows")


class RowsPending(Read):
    """The rows are being made ready."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "RUNNING", "progress": 40}]})

    status: OutputStatus
    progress: int = Field(ge=0, le=100, description="Per cent")


def describe_wanted(job: Job, name: str) -> OutputRead:
    """Return, as clients see it, an output that was asked for at upload and waits for the end of the job."""
    empty = {"size_bytes": None, "row_count": None, "sha256": None, "error_message": None, "completed_at": None}
    url = f"/api/jobs/{job.id}/outputs/{name}"
    return OutputRead(name=name, status=OutputStatus.QUEUED, progress=0, notes=[], url=url, created_at=job.created_at, **empty)


def read_output(output: Output, *, job_id: uuid.UUID) -> OutputRead:
    """Return the output as clients see it."""
    return OutputRead(
        name=output.name,
        status=output.status,
        progress=output.progress,
        size_bytes=output.size_bytes,
        row_count=output.row_count,
        sha256=output.sha256,
        error_message=output.error_message,
        notes=output.notes,
        url=f"/api/jobs/{job_id}/outputs/{output.name}",
        created_at=output.created_at,
        completed_at=output.completed_at,
    )
