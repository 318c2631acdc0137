"""Response bodies of the health slice."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from shared.db.migration_level import get_code_level
from shared.version import VERSION
from shared.web.schemas import Read, UtcTime

_LEVEL = get_code_level()
_SEEN_AT = "2026-11-23T18:36:00.104210Z"
HEALTHY: dict[str, Any] = {
    "status": "healthy",
    "database": {"status": "healthy", "latency_ms": 1.4},
    "redis": {"status": "healthy", "latency_ms": 0.6},
    "storage": {"status": "healthy", "reason": None},
    "workers": {"status": "alive", "dispatcher_seen_at": _SEEN_AT, "workers_alive": 4, "dispatchers_alive": 1, "worker_seen_at": _SEEN_AT},
    "details": {
        "version": VERSION,
        "database_version": "17.2",
        "redis_version": "8.0.0",
        "migration": {"status": "current", "database_level": _LEVEL, "code_level": _LEVEL},
        "upload_disk": {"free_bytes": 64_424_509_440, "size_bytes": 107_374_182_400},
    },
}
"""Everything works, as the document shows it."""
UNHEALTHY = {**HEALTHY, "status": "unhealthy", "redis": {"status": "unhealthy", "latency_ms": None}, "workers": {"status": "unknown"}}
"""Redis is away."""


class PartHealth(Read):
    """A part that the API cannot work without."""

    status: Literal["healthy", "unhealthy"]
    latency_ms: float | None = Field(description="Duration of a round trip; null if no answer came")


class StorageHealth(Read):
    """The folder of uploaded files, without which nothing is accepted or checked."""

    status: Literal["healthy", "unhealthy", "unknown"] = Field(
        description="unknown: the database does not answer, so that the folder's marker cannot be judged"
    )
    reason: str | None = Field(description="Why it must not be used; null if it may be")


class WorkersHealth(Read):
    """When the chain from the schedule to a worker was last seen working; does not affect the overall status."""

    status: Literal["alive", "silent", "unknown"] = Field(description="unknown: Redis does not answer")
    dispatcher_seen_at: UtcTime | None = None
    workers_alive: int | None = Field(None, description="Worker processes that gave a sign of life within 35 s; null if Redis does not answer")
    dispatchers_alive: int | None = Field(None, description="The same for dispatchers")
    worker_seen_at: UtcTime | None = Field(None, description="When a worker last had a free slot to answer in, or committed a running job's lease")


class MigrationHealth(Read):
    """How the database's schema compares with this code."""

    status: Literal["current", "behind", "ahead", "empty"] = Field(description="ahead: newer code has migrated the database, as in the middle of an upgrade")
    database_level: str | None = Field(examples=[_LEVEL])
    code_level: str = Field(examples=[_LEVEL])


class DiskHealth(Read):
    """The disk that holds the uploaded files."""

    free_bytes: int
    size_bytes: int


class HealthDetails(Read):
    """Further details for operators; values are null if no answer came in time."""

    version: str = Field(description="Version of this service", examples=[VERSION])
    database_version: str | None = Field(None, examples=["17.2"])
    redis_version: str | None = Field(None, description="The version of Redis that the server is compatible with", examples=["8.0.0"])
    migration: MigrationHealth | None = None
    upload_disk: DiskHealth | None = Field(None, description="Of the folder that files are kept in; null if they are in an object store")


class HealthRead(Read):
    """Whether the service can do its work."""

    model_config = ConfigDict(json_schema_extra={"examples": [HEALTHY]})

    status: Literal["healthy", "unhealthy"]
    database: PartHealth
    redis: PartHealth
    storage: StorageHealth
    workers: WorkersHealth
    details: HealthDetails | None = Field(description="null without a key, if keys are configured")


class LiveRead(Read):
    """The process answers."""

    status: Literal["alive"] = "alive"


class ReadyRead(Read):
    """The process takes requests."""

    status: Literal["ready"] = "ready"
