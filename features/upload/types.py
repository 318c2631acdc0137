"""Internal data types of the slice."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from shared.db.models import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedJob:
    """The part of a committed job that its client is told, and the fingerprint of the request that created it."""

    id: uuid.UUID
    status: JobStatus
    filename: str
    file_size: int
    file_type: str
    created_at: datetime
    fingerprint: str | None
