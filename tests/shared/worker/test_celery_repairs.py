from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery.concurrency.asynpool import AsynPool
from kombu import Connection
from kombu.asynchronous import Hub
from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.settings import Settings
from shared.worker.celery_repairs import repair_celery


@pytest.fixture
def channel(settings: Settings) -> Iterator[Any]:
    repair_celery()
    with Connection(settings.redis_url) as connection, connection.channel() as channel:
        yield channel


@pytest.fixture
def listening(channel: Any) -> Any:
    """A channel that has subscribed and has received the confirmation."""
    channel.subclient.subscribe("news")
    assert channel.subclient.connection.can_read(timeout=30)
    Channel._receive(channel)
    return channel


def test_listening_when_nothing_is_there_does_not_wait_for_it(listening: Any) -> None:
    thread = threading.Thread(target=Channel._receive, args=(listening,), daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_connection_that_has_ended_is_made_anew(listening: Any) -> None:
    listening._in_listen = listening.subclient.connection
    listening.client.client_kill_filter(_type="pubsub")
    with pytest.raises(listening.connection_errors):
        while True:
            Channel._receive(listening)
    assert listening._in_listen is None


def test_message_that_cannot_be_acknowledged_takes_no_slot(channel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_tag: str) -> None:
        raise RedisConnectionError

    channel.queue_declare("once")
    channel.basic_publish(channel.prepare_message("{}"), exchange="", routing_key="once")
    channel.basic_qos(0, 1, False)
    message = channel.basic_get("once")
    assert not channel.qos.can_consume()
    monkeypatch.setattr(channel.qos, "_remove_from_indices", fail)
    with pytest.raises(RedisConnectionError):
        channel.basic_ack(message.delivery_tag)
    assert channel.qos.can_consume()
    monkeypatch.undo()
    channel.qos.restore_visible()
    channel.queue_purge("once")


def test_child_that_has_ended_is_no_reason_to_exit() -> None:
    repair_celery()
    AsynPool._track_child_process(object(), SimpleNamespace(_sentinel_poll=None), Hub())
