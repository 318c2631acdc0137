"""Request and response bodies for jobs: the list, and changes to one job."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, field_validator

from shared.jobs.examples import ENTRY
from shared.jobs.schemas import MAX_LABELS, ExternalId, JobEntry, Labels
from shared.web.schemas import Read
from shared.web.webhook_address import WEBHOOK_URL


class JobList(Read):
    """One page of jobs, newest first, without their schemas: `GET /api/jobs/{job_id}/schema` has each."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"total": 1, "page": 1, "page_size": 50, "total_pages": 1, "next_cursor": None, "jobs": [ENTRY]}]}
    )

    total: int
    page: int
    page_size: int
    total_pages: int
    next_cursor: str | None = Field(description="Send it as cursor to get the next page, as fast as page 1; null on the last page")
    jobs: list[JobEntry]


class JobUpdate(BaseModel):
    """Changes to a job. Absent members stay as they are; null clears a member."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", json_schema_extra={"examples": [{"labels": {"team": "sales"}}]})

    external_id: ExternalId | None = Field(None, description="The client's own id for the job", examples=["order-import-4711"])
    labels: Labels | None = Field(
        None, description=f"Up to {MAX_LABELS} short strings by name; they replace all present labels of the job", examples=[{"team": "sales"}]
    )
    webhook_url: Annotated[str, StringConstraints(strip_whitespace=True), WithJsonSchema(WEBHOOK_URL)] | None = Field(
        None, description="Where to send a webhook when the job has ended; can only be changed before that"
    )

    @field_validator("webhook_url")
    @classmethod
    def _drop_empty(cls, url: str | None) -> str | None:
        """Treat an empty URL as none, like the upload form does."""
        return url or None
