from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from shared.messages.bell import Bell
from shared.messages.broker import Broker
from shared.messages.outbox import Message
from shared.messages.redis_client import open_redis
from shared.settings import Settings

MESSAGE = Message(task="processing.process_job", queue="processing", payload={"job_id": "1"})


@pytest.fixture
async def redis(settings: Settings, clean: None) -> AsyncIterator[Redis]:
    opened = open_redis(settings)
    yield opened
    await opened.aclose()


async def test_whoever_waits_for_a_queue_hears_its_messages_at_once_and_those_of_no_other(settings: Settings, redis: Redis) -> None:
    broker = Broker(settings)
    try:
        async with Bell(redis, "processing") as bell, Bell(redis, "outputs") as other:
            for each in (bell, other):
                await each.wait(30)
                await each.wait(0.05)  # the answer to its subscription
            waiting = asyncio.create_task(bell.wait(30))
            start = time.monotonic()
            assert await broker.send([MESSAGE])
            await waiting
            assert time.monotonic() - start < 5
            start = time.monotonic()
            await other.wait(0.3)
            assert time.monotonic() - start >= 0.2
        assert await redis.llen("processing") == 1
    finally:
        await broker.aclose()


async def test_message_is_sent_although_its_bell_is_refused(settings: Settings, redis: Redis) -> None:
    """Users of Redis have no channels unless they are given some (ACL, `resetchannels`)."""
    await redis.execute_command("ACL", "SETUSER", "silent", "on", ">secret", "~*", "+@all", "resetchannels")  # type: ignore[no-untyped-call]  # redis-py
    parts = urlsplit(settings.redis_url)
    url = parts._replace(netloc=f"silent:secret@{parts.netloc.rpartition('@')[2]}").geturl()
    broker = Broker(settings.model_copy(update={"redis_url": url}))
    try:
        assert await broker.send([MESSAGE, replace(MESSAGE, queue="outputs")])
        assert await broker.send([MESSAGE])
        assert (await redis.llen("processing"), await redis.llen("outputs")) == (2, 1)
    finally:
        await broker.aclose()
        await redis.execute_command("ACL", "DELUSER", "silent")  # type: ignore[no-untyped-call]  # as above


async def test_waiting_takes_its_time_without_a_broker(settings: Settings) -> None:
    away = open_redis(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    start = time.monotonic()
    async with Bell(away, "processing") as bell:
        await bell.wait(0.2)
        await bell.wait(0.2)
    assert time.monotonic() - start >= 0.4
    await away.aclose()
