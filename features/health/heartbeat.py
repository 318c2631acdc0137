"""Heartbeats in Redis: when the schedule last ticked, and when a worker last answered it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis.asyncio import Redis

EVERY_S = 10.0
SILENT_AFTER_S = 45.0
DISPATCHER_KEY = "rowgate:seen:dispatcher"
WORKER_KEY = "rowgate:seen:worker"


async def record(redis: Redis, key: str) -> None:
    """Record that the part that `key` stands for is alive now."""
    await redis.set(key, datetime.now(UTC).isoformat(), ex=3600)


async def read(redis: Redis) -> tuple[datetime | None, datetime | None]:
    """Return when the dispatcher and a worker were last seen; None if not within the last hour."""
    dispatcher, worker = await redis.mget(DISPATCHER_KEY, WORKER_KEY)
    return _parse(dispatcher), _parse(worker)


def _parse(value: str | bytes | None) -> datetime | None:
    return datetime.fromisoformat(str(value)) if value else None
