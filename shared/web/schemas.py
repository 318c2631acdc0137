"""What all answers have in common: how they are read from rows, and how times look."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and a `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


UtcTime = Annotated[datetime, PlainSerializer(format_time, return_type=str, when_used="json")]


class Read(BaseModel):
    """Base of every answer: read from rows, unknown attributes left out."""

    model_config = ConfigDict(from_attributes=True)
