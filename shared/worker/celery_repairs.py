"""Repairs to Celery 5.6.3 with kombu 5.7.0 and redis-py 8: what kept a worker from coming back after connections had died without a word."""

from __future__ import annotations

from queue import Empty
from typing import Any

from celery.concurrency.asynpool import AsynPool
from kombu.transport.redis import Channel, QoS

_receive_one = Channel._receive_one  # noqa: SLF001  # there is no other way in
_ack = QoS.ack
_track_child_process = AsynPool._track_child_process  # noqa: SLF001


def repair_celery() -> None:
    """Put the repairs in place, in a process that runs tasks; doing so twice is fine.

    - kombu reads from its pub/sub connection without a time limit whenever its event loop says that the descriptor is readable. When that number was
      another connection's by then, nothing was there: the worker's main process waited for ever, alive to see, and took no more jobs.
    - kombu keeps a message that could not be acknowledged among those that are being worked on: a slot is lost until the next reconnect.
    - Celery exits where a child had ended while it reconnected: https://github.com/celery/celery/issues/9250, half repaired in kombu (pull 2623).
    """
    Channel._receive_one = _receive_if_there  # noqa: SLF001
    QoS.ack = _ack_or_let_go
    AsynPool._track_child_process = _track_if_alive  # noqa: SLF001


def _receive_if_there(channel: Any, client: Any) -> Any:  # noqa: ANN401  # kombu is untyped
    try:
        nothing = client.connection is not None and not client.connection.can_read(timeout=0)
    except channel.connection_errors:
        channel._in_listen = None  # noqa: SLF001  # as where the read itself fails
        raise
    if nothing:
        raise Empty
    return _receive_one(channel, client)


def _ack_or_let_go(qos: Any, delivery_tag: str) -> None:  # noqa: ANN401
    try:
        _ack(qos, delivery_tag)
    except Exception:
        # The broker gives it out again after the visibility timeout, and its job is then found to be over.
        super(QoS, qos).ack(delivery_tag)
        raise


def _track_if_alive(pool: Any, process: Any, hub: Any) -> None:  # noqa: ANN401
    if getattr(process, "_sentinel_poll", process) is not None:  # None: it was seen to end, and is about to be replaced
        _track_child_process(pool, process, hub)
