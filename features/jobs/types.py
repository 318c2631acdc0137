"""Internal data types of the slice."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time

from shared.db.models import JobStatus
from shared.formats import list_extensions
from shared.texts import quote_briefly


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


def parse_file_type(text: str) -> str:
    """Return an extension in lower case. Raises `ValueError` if no format has it."""
    extensions = list_extensions()
    if text.lower() not in extensions:
        raise ValueError(f"There is no file type {quote_briefly(text)!r}; there are {', '.join(extensions)}.")
    return text.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list; None does not restrict."""

    status: JobStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    name_part: str | None = None
    """Part of the file's name, in any case."""
    external_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that a job must have, with these values."""
    file_type: str | None = None

    @property
    def is_counted(self) -> bool:
        """Whether the totals of jobs by status and submitter tell how many there are."""
        return replace(self, status=None) == JobFilter()


@dataclass(frozen=True, slots=True)
class JobPlace:
    """The sort key of a job, where one page ends and the next begins."""

    created_at: datetime
    id: uuid.UUID
