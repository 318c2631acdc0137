"""Common base of all response bodies: how they are read from rows, and how times are written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer


def format_time(moment: datetime) -> str:
    """Format a time as RFC 3339 in UTC, with microseconds and a `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


UtcTime = Annotated[datetime, PlainSerializer(format_time, return_type=str, when_used="json")]


class Read(BaseModel):
    """Base of every response body: read from a row's attributes, leaving out those it does not declare."""

    model_config = ConfigDict(from_attributes=True)
