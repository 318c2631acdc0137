"""Internal data types of the slice."""

from __future__ import annotations

import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A worker's claim on a job; every write of the worker is fenced by it."""

    job_id: uuid.UUID
    attempt: int
    lease_s: float
