from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection
from kombu.transport.redis import Channel

from shared.listening import bound_listening
from shared.settings import Settings


@pytest.fixture
def channel(settings: Settings) -> Iterator[Any]:
    """A channel that has subscribed, and heard that it has."""
    bound_listening()
    with Connection(settings.redis_url) as connection, connection.channel() as channel:
        channel.subclient.subscribe("news")
        assert channel.subclient.connection.can_read(timeout=5)
        Channel._receive(channel)
        yield channel


def test_listening_when_nothing_is_there_does_not_wait_for_it(channel: Any) -> None:
    listening = threading.Thread(target=Channel._receive, args=(channel,), daemon=True)
    listening.start()
    listening.join(5)
    assert not listening.is_alive()


def test_connection_that_has_ended_is_made_anew(channel: Any) -> None:
    channel._in_listen = channel.subclient.connection
    channel.client.client_kill_filter(_type="pubsub")
    with pytest.raises(channel.connection_errors):
        while True:
            Channel._receive(channel)
    assert channel._in_listen is None
