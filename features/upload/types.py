"""Internal data types of the slice."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from shared.db.models import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedJob:
    """Of a job that was committed, what its client is told, and the fingerprint of the request that made it."""

    id: uuid.UUID
    status: JobStatus
    filename: str
    file_size: int
    file_type: str
    created_at: datetime
    fingerprint: str | None
