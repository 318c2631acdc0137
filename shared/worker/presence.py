"""Which workers and dispatchers are running: the main process of each announces itself in Redis every few seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import structlog
from redis import Redis, RedisError

from shared.messages.redis_client import redis_place

if TYPE_CHECKING:
    from redis.asyncio import Redis as AsyncRedis

    from shared.settings import Settings

Role = Literal["worker", "dispatcher"]

ANNOUNCE_EVERY_S = 10.0
GONE_AFTER_S = 35.0
"""A process counts as gone after this time, in which it has missed three announcements."""
FORGOTTEN_AFTER_S = 3600.0

log = structlog.get_logger(__name__)


def make_key(role: Role) -> str:
    """Return the key of the sorted set of all processes of a role, scored by when they were last seen."""
    return f"rowgate:present:{role}s"


class Presence:
    """One process's sign of life. `announce` is called from Celery's own loop every `ANNOUNCE_EVERY_S`, so it stops if that loop hangs."""

    def __init__(self, settings: Settings, *, role: Role, name: str) -> None:
        self._key = make_key(role)
        self._name = name
        self._redis: Redis = Redis.from_url(
            **redis_place(settings),
            socket_timeout=settings.redis_timeout_s,
            socket_connect_timeout=settings.redis_timeout_s,
            decode_responses=True,
        )

    def announce(self) -> None:
        """Announce this process; remove processes not seen for `FORGOTTEN_AFTER_S`."""
        now = time.time()
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.zadd(self._key, {self._name: now})
                pipeline.zremrangebyscore(self._key, 0, now - FORGOTTEN_AFTER_S)
                pipeline.execute()
        except RedisError as error:
            log.warning("presence not announced", reason=repr(error))

    def withdraw(self) -> None:
        """Remove this process from the set because it ends; close the connection."""
        try:
            self._redis.zrem(self._key, self._name)
        except RedisError as error:
            log.warning("presence not withdrawn", reason=repr(error))
        self._redis.close()


async def count_present(redis: AsyncRedis, *, role: Role) -> int:
    """Count the processes of a role that were seen within `GONE_AFTER_S`."""
    count: int = await redis.zcount(make_key(role), time.time() - GONE_AFTER_S, "+inf")
    return count
