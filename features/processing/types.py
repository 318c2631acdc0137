"""Internal data types of the slice."""

from __future__ import annotations

import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A claim on a job; every write of its worker is fenced with it."""

    job_id: uuid.UUID
    attempt: int
    lease_s: float
