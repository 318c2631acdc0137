"""Which workers and dispatchers are there: the main process of each says so in Redis, every few seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import structlog
from redis import Redis, RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis as AsyncRedis

    from shared.settings import Settings

Role = Literal["worker", "dispatcher"]

ANNOUNCE_EVERY_S = 10.0
GONE_AFTER_S = 35.0
"""Three announcements missed."""
FORGOTTEN_AFTER_S = 3600.0

log = structlog.get_logger(__name__)


def make_key(role: Role) -> str:
    """The sorted set of all processes of a role, by when they were last seen."""
    return f"rowgate:present:{role}s"


class Presence:
    """One process's sign of life. `announce` is called by what must be alive for it: Celery's own loop."""

    def __init__(self, settings: Settings, *, role: Role, name: str) -> None:
        self._key = make_key(role)
        self._name = name
        self._redis: Redis = Redis.from_url(
            settings.redis_url,
            socket_timeout=settings.redis_timeout_s,
            socket_connect_timeout=settings.redis_timeout_s,
            decode_responses=True,
        )
        self._next_at = 0.0

    def announce(self) -> None:
        """Say that this process is there, at most every `ANNOUNCE_EVERY_S`; forget those that have long been gone."""
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + ANNOUNCE_EVERY_S
        now = time.time()
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.zadd(self._key, {self._name: now})
                pipeline.zremrangebyscore(self._key, 0, now - FORGOTTEN_AFTER_S)
                pipeline.execute()
        except RedisError as error:
            log.warning("presence not announced", reason=repr(error))

    def withdraw(self) -> None:
        """Say that this process ends."""
        try:
            self._redis.zrem(self._key, self._name)
        except RedisError as error:
            log.warning("presence not withdrawn", reason=repr(error))
        self._redis.close()


async def count_present(redis: AsyncRedis, *, role: Role) -> int:
    """How many processes of a role were seen a moment ago."""
    count: int = await redis.zcount(make_key(role), time.time() - GONE_AFTER_S, "+inf")
    return count
