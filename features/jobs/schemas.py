"""What goes over the wire of jobs: the list, and changes of one job."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from shared.jobs.schemas import JobRead
from shared.web.schemas import Read

MAX_LABELS = 16
_NO_NUL = r"^[^\x00]*$"
"""PostgreSQL's text and JSON cannot hold it."""
LabelName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_NO_NUL)]
LabelValue = Annotated[str, StringConstraints(max_length=255, pattern=_NO_NUL)]


class JobList(Read):
    """One page of jobs, newest first."""

    total: int
    page: int
    page_size: int
    total_pages: int
    jobs: list[JobRead]


class JobUpdate(BaseModel):
    """What a client may change of a job. A member that is absent stays as it is; null clears it."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", json_schema_extra={"examples": [{"labels": {"team": "sales"}}]})

    external_id: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_NO_NUL)] | None = Field(
        None, description="The client's own id of the job", examples=["order-import-4711"]
    )
    labels: Annotated[dict[LabelName, LabelValue], Field(max_length=MAX_LABELS)] | None = Field(
        None, description=f"Up to {MAX_LABELS} short strings by name; they replace those that the job has", examples=[{"team": "sales"}]
    )
    webhook_url: str | None = Field(
        None, max_length=500, description="Where to tell of the end of the job, until it has ended", examples=["https://example.com/hooks/rowgate"]
    )

    @field_validator("webhook_url")
    @classmethod
    def _strip(cls, url: str | None) -> str | None:
        """An empty URL is none, as in the form of an upload."""
        return (url or "").strip() or None
