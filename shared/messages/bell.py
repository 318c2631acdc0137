"""Wake whoever waits for a queue to get a message but has one already, and so reads no other from it; a worker that may not use its message yet.

A signal of Redis that is sent beside the message. One that is lost costs time only: whoever waits looks by itself as well.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub


def bell_of(queue: str) -> str:
    """Return the name of the channel that is told of each message in `queue`."""
    return f"rowgate:bell:{queue}"


class Bell:
    """Hears that messages were sent to a queue; nothing is listened to before the first `wait`."""

    def __init__(self, redis: Redis, queue: str) -> None:
        self._redis = redis
        self._channel = bell_of(queue)
        self._heard: PubSub | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_listening()

    async def wait(self, seconds: float) -> None:
        """Return when a message was sent, at the latest after `seconds`; the first call returns at once, since something may have been sent before it."""
        try:
            if self._heard is None:
                self._heard = self._redis.pubsub(ignore_subscribe_messages=True)
                await self._heard.subscribe(self._channel)
            else:
                await self._heard.get_message(timeout=seconds)
        except RedisError:
            await self._stop_listening()
            await asyncio.sleep(seconds)

    async def _stop_listening(self) -> None:
        heard, self._heard = self._heard, None
        if heard is not None:
            await heard.aclose()  # type: ignore[no-untyped-call]  # redis-py
