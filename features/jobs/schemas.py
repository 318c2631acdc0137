"""Request and response bodies for jobs: the list, and changes to one job."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from shared.jobs.schemas import JobEntry
from shared.web.schemas import Read
from shared.web.webhook_address import MAX_URL_CHARACTERS

MAX_LABELS = 16


def _refuse_nul(text: str) -> str:
    """PostgreSQL's text and JSON types cannot hold NUL."""
    if "\0" in text:
        raise ValueError("A NUL character is not allowed.")
    return text


LabelName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_refuse_nul)]
LabelValue = Annotated[str, StringConstraints(max_length=255), AfterValidator(_refuse_nul)]


class JobList(Read):
    """One page of jobs, newest first, without their schemas: `GET /api/jobs/{job_id}/schema` has each."""

    total: int
    page: int
    page_size: int
    total_pages: int
    jobs: list[JobEntry]


class JobUpdate(BaseModel):
    """Changes to a job. Absent members stay as they are; null clears a member."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", json_schema_extra={"examples": [{"labels": {"team": "sales"}}]})

    external_id: Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_refuse_nul)] | None = Field(
        None, description="The client's own id for the job", examples=["order-import-4711"]
    )
    labels: Annotated[dict[LabelName, LabelValue], Field(max_length=MAX_LABELS)] | None = Field(
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
