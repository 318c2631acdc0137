"""What goes over the wire of health."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.schemas import Read, UtcTime


class PartHealth(Read):
    """One part that the API cannot do without."""

    status: Literal["healthy", "unhealthy"]
    latency_ms: float | None = Field(description="Of a round trip; null where no answer came")


class WorkersHealth(Read):
    """Information only: how long ago the chain from the schedule to a worker was last seen to work."""

    status: Literal["alive", "silent", "unknown"] = Field(description="unknown: Redis cannot be asked")
    dispatcher_seen_at: UtcTime | None = None
    worker_seen_at: UtcTime | None = Field(None, description="When a worker last had a free slot to answer in, or committed a running job's lease")


class HealthRead(Read):
    """Whether the service can do its work."""

    status: Literal["healthy", "unhealthy"]
    database: PartHealth
    redis: PartHealth
    workers: WorkersHealth


class LiveRead(Read):
    """The process answers."""

    status: Literal["alive"] = "alive"
