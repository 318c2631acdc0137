"""Internal data types of the slice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from shared.db.models import JobStatus


@dataclass(frozen=True, slots=True)
class Moments:
    """A period of time, including both ends."""

    first: datetime
    last: datetime


def parse_moments(text: str) -> Moments:
    """Parse a date (its whole day in UTC) or a date-time (that moment; UTC if it has no zone). Raises `ValueError`."""
    text = text.strip()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        pass
    else:
        start = datetime.combine(day, time.min, UTC)
        return Moments(first=start, last=datetime.combine(day, time.max, UTC))
    try:
        # A plus sign that was not percent-encoded in the query arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("must be a date (2026-11-23) or a date-time (2026-11-23T10:00:00Z)") from error
    return Moments(first=moment, last=moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list."""

    status: JobStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    page: int
    page_size: int
