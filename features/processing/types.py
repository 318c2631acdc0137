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


class ClaimLost(Exception):  # a state, not a mistake
    """This worker no longer holds what it claimed: it was cancelled, taken back or deleted. Nothing more may be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputHold:
    """A worker's claim on an output; every write of the worker is fenced by it."""

    output_id: uuid.UUID
    claim: int
    lease_s: float
