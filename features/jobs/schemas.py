"""Request and response bodies for jobs: the list, and changes to one job."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from shared.jobs.schemas import MAX_LABELS, ExternalId, JobEntry, Labels
from shared.web.schemas import Read
from shared.web.webhook_address import MAX_URL_CHARACTERS


class JobList(Read):
    """One page of jobs, newest first, without their schemas: `GET /api/jobs/{job_id}/schema` has each."""

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
    webhook_url: Annotated[str, StringConstraints(strip_whitespace=True)] | None = Field(
        None,
        description="URL to notify when the job ends; can only be changed before that",
        examples=["https://example.com/hooks/rowgate"],
        json_schema_extra={"maxLength": MAX_URL_CHARACTERS},  # `require_acceptable` sees to it
    )

    @field_validator("webhook_url")
    @classmethod
    def _drop_empty(cls, url: str | None) -> str | None:
        """Treat an empty URL as none, like the upload form does."""
        return url or None
