"""The body of a webhook, and response bodies about a job's deliveries."""

from __future__ import annotations

import uuid
from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from features.webhooks.models import DeliveryStatus
from shared.contracts import EventName
from shared.db.models import JobStatus, OutputStatus
from shared.jobs.examples import COMPLETED_AT, COUNTS, JOB, JOB_ID, SHA256
from shared.web.schemas import Read, UtcTime

MAX_ATTEMPTS = 50
"""Most attempts of one delivery that are shown."""
MAX_DELIVERIES = MAX_ATTEMPTS_OF_ALL = 1000
"""Most deliveries, and most attempts of all of them, in one answer."""

_DELIVERY: dict[str, Any] = {
    "id": "3f0e6a52-9d1b-4a07-8f5c-6b2e7d410c93",
    "event": "job.completed",
    "url": "https://example.com/hooks/rowgate",
    "status": "DELIVERED",
    "created_at": COMPLETED_AT,
    "attempts": [
        {
            "number": 1,
            "started_at": "2026-11-23T18:36:08.402118Z",
            "duration_ms": 1500,
            "status_code": None,
            "error": "Timeout: no whole answer within 1.5 s",
            "response_excerpt": None,
        },
        {"number": 2, "started_at": "2026-11-23T18:36:10.405990Z", "duration_ms": 38, "status_code": 204, "error": None, "response_excerpt": ""},
    ],
}
_OUTPUT: dict[str, Any] = {
    "name": "rejected.xlsx",
    "status": "QUEUED",
    "size_bytes": None,
    "row_count": None,
    "sha256": None,
    "error_message": None,
    "url": f"/api/jobs/{JOB_ID}/outputs/rejected.xlsx",
}
COMPLETED: dict[str, Any] = {
    "type": "job.completed",
    "job_id": JOB_ID,
    "status": "COMPLETED",
    "valid": False,
    **{name: JOB[name] for name in ("filename", "external_id", "labels")},
    **COUNTS,
    "error_message": None,
    "completed_at": COMPLETED_AT,
    "outputs": [_OUTPUT],
}
FAILED = {
    **COMPLETED,
    "type": "job.failed",
    "status": "FAILED",
    "rows_processed": 0,
    "rows_failed": 0,
    "error_count": 0,
    "error_message": "The file is empty.",
    "outputs": [],
}
CANCELLED = {**COMPLETED, "type": "job.cancelled", "status": "CANCELLED", "outputs": []}
OUTPUTS_READY = {**COMPLETED, "type": "job.outputs_ready", "outputs": [{**_OUTPUT, "status": "READY", "size_bytes": 6342, "row_count": 2, "sha256": SHA256}]}


WebhookEvent: TypeAlias = Literal[EventName, "job.outputs_ready"]


class WebhookOutput(Read):
    """An output that was asked for with the file, as it stands when the event happens."""

    name: str = Field(description="Kind and format")
    status: OutputStatus
    size_bytes: int | None = Field(None, description="Null until READY")
    row_count: int | None = Field(None, description="Rows (of `errors`: records) in it; null until READY")
    sha256: str | None = Field(None, description="SHA-256 of the file, in hexadecimal; null until READY")
    error_message: str | None = Field(None, description="Why a FAILED output could not be made")
    url: str = Field(description="Where the file is, on this service", json_schema_extra={"format": "uri-reference"})


class WebhookBody(Read):
    """What a webhook is told: the event, and the job as it stood then."""

    model_config = ConfigDict(json_schema_extra={"examples": [COMPLETED]})

    type: WebhookEvent = Field(description="The event")
    job_id: uuid.UUID
    status: JobStatus
    valid: bool | None = Field(description="Whether the job is COMPLETED without any error, header included")
    filename: str = Field(description="The name that the client gave")
    external_id: str | None = Field(description="The client's own id for the job")
    labels: dict[str, str] = Field(description="The client's own labels for the job: short strings by name")
    rows_processed: int
    rows_failed: int = Field(description="Rows with at least one error")
    error_count: int = Field(description="Errors found; exact, even if not every error was stored")
    error_message: str | None = Field(description="Why a FAILED job failed, in words for the uploader")
    completed_at: UtcTime | None = Field(description="When the job ended")
    outputs: list[WebhookOutput] = Field(description="Those that were asked for with the file; empty if none can be made")


class DeliveryAttemptRead(Read):
    """One POST to the webhook."""

    number: int = Field(description="Counted from 1, over all rounds")
    started_at: UtcTime
    duration_ms: int
    status_code: int | None = Field(description="Null if no answer came")
    error: str | None = Field(description="Why no answer came, at most 1,000 characters; null if one did", examples=["ConnectError: connection refused"])
    response_excerpt: str | None = Field(description="The first 1,000 characters of the answer")


class DeliveryRead(Read):
    """One event of a job, and the attempts to deliver it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY]})

    id: uuid.UUID = Field(description="The webhook-id: the same in every retry and redelivery")
    event: str = Field(examples=["job.completed"])
    url: str
    status: DeliveryStatus
    created_at: UtcTime
    attempts: list[DeliveryAttemptRead] = Field(description=f"The last {MAX_ATTEMPTS} at most, the first of them first")


class DeliveryList(Read):
    """The deliveries of a job, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"deliveries": [_DELIVERY]}]})

    deliveries: list[DeliveryRead] = Field(
        description=f"The newest {MAX_DELIVERIES:,} at most; of more than {MAX_ATTEMPTS_OF_ALL:,} attempts in all, those of older ones are left out"
    )
