"""Repairs to Celery 5.6.3 with kombu 5.7.0 and redis-py 8: faults that kept a worker from recovering after its connections had died silently."""

from __future__ import annotations

from queue import Empty
from typing import Any

from celery.concurrency.asynpool import AsynPool
from kombu.transport.redis import Channel, QoS

_receive_one = Channel._receive_one  # noqa: SLF001  # there is no public hook
_ack = QoS.ack
_track_child_process = AsynPool._track_child_process  # noqa: SLF001


def repair_celery() -> None:
    """Apply the repairs to this process, which runs tasks; may be called twice.

    - kombu reads from its pub/sub connection without a time limit whenever its event loop reports the descriptor as readable. If the descriptor's number
      belonged to another connection by then, there was nothing to read: the worker's main process waited for ever, looked alive, and took no more jobs.
    - kombu counts a message that could not be acknowledged as still being worked on, so a slot is lost until the next reconnect.
    - Celery exits if a child has ended while it reconnects: https://github.com/celery/celery/issues/9250, half repaired in kombu (pull 2623).
    """
    Channel._receive_one = _receive_if_there  # noqa: SLF001
    QoS.ack = _ack_or_let_go
    AsynPool._track_child_process = _track_if_alive  # noqa: SLF001


def _receive_if_there(channel: Any, client: Any) -> Any:  # noqa: ANN401  # kombu is untyped
    try:
        nothing = client.connection is not None and not client.connection.can_read(timeout=0)
    except channel.connection_errors:
        channel._in_listen = None  # noqa: SLF001  # as kombu does if the read itself fails
        raise
    if nothing:
        raise Empty
    return _receive_one(channel, client)


def _ack_or_let_go(qos: Any, delivery_tag: str) -> None:  # noqa: ANN401
    try:
        _ack(qos, delivery_tag)
    except Exception:
        # The broker redelivers the message after the visibility timeout; by then its job has ended, so nothing is done twice.
        super(QoS, qos).ack(delivery_tag)
        raise


def _track_if_alive(pool: Any, process: Any, hub: Any) -> None:  # noqa: ANN401
    if getattr(process, "_sentinel_poll", process) is not None:  # None: its end was already noticed, and it is about to be replaced
        _track_child_process(pool, process, hub)
