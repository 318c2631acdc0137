"""Repairs to Celery 5.6.3 with kombu 5.7.0 and redis-py 8: faults that kept a worker from recovering, or ended it at a message that is none."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from queue import Empty
from typing import Annotated, Any, Literal

import structlog
from celery.apps import worker as worker_program
from celery.concurrency.asynpool import AsynPool
from kombu.transport import redis as transport
from kombu.transport.redis import Channel, QoS
from kombu.transport.virtual import Transport
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from shared.observing.raw_output import write_line

log = structlog.get_logger(__name__)

_receive_one = Channel._receive_one  # noqa: SLF001  # there is no public hook
_ack = QoS.ack
_track_child_process = AsynPool._track_child_process  # noqa: SLF001
_brpop_read = Channel._brpop_read  # noqa: SLF001
_loads = transport.loads
_deliver = Transport._deliver  # noqa: SLF001


class _DeliveryInfo(BaseModel):
    exchange: str
    routing_key: str


class _Properties(BaseModel):
    delivery_tag: str
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64"]
    priority: int | None = None
    reply_to: str | None = None
    correlation_id: str | None = None


class _Headers(BaseModel):
    """What Celery uses of a task's headers outside of the task (message protocol 2)."""

    task: str | None = None
    id: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    eta: str | None = Field(None, pattern=r"^\d{4}-\d\d-\d\dT")
    expires: str | float | None = None
    retries: int | None = None
    timelimit: tuple[float | None, float | None] | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    origin: str | None = None
    request_id: str | None = None


def _decode(body: object) -> Any:  # noqa: ANN401  # JSON
    if not isinstance(body, str):
        raise ValueError("not base64")  # noqa: TRY004  # pydantic's way
    try:
        return json.loads(base64.b64decode(body, validate=True))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


class _Envelope(BaseModel):
    """A message as kombu puts it into a Redis list."""

    body: Annotated[tuple[list[Any], dict[str, Any], dict[str, Any]] | dict[str, Any], BeforeValidator(_decode)]
    """A task's arguments, or a command to the worker."""
    headers: _Headers
    properties: _Properties
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")


class _NotAMessage(ValueError):
    """What a Redis list held is no message."""


def repair_celery() -> None:
    """Apply the repairs to this process, which runs tasks; may be called twice.

    - kombu reads from its pub/sub connection without a time limit whenever its event loop reports the descriptor as readable. If the descriptor's number
      belonged to another connection by then, there was nothing to read: the worker's main process waited for ever, looked alive, and took no more jobs.
    - kombu counts a message that could not be acknowledged as still being worked on, so a slot is lost until the next reconnect.
    - Celery exits if a child has ended while it reconnects: https://github.com/celery/celery/issues/9250, half repaired in kombu (pull 2623).
    - Celery writes to the descriptor of standard output what it does after a signal. These are lines of the log now.
    - Celery exits if an entry of a queue's list is not JSON or not a message. It is logged and dropped: the rows of the database say what is to be done.
    """
    worker_program.safe_say = _say
    Channel._brpop_read = _read_if_message  # noqa: SLF001
    transport.loads = _load
    Transport._deliver = _deliver_if_message  # noqa: SLF001
    Channel._receive_one = _receive_if_there  # noqa: SLF001
    QoS.ack = _ack_or_let_go
    AsynPool._track_child_process = _track_if_alive  # noqa: SLF001


def _say(message: object, _stream: object = None) -> None:
    write_line(str(message), level="info", logger=worker_program.__name__)  # in the handler of a signal, where the log may be in use


def _receive_if_there(channel: Any, client: Any) -> Any:  # noqa: ANN401  # kombu is untyped
    try:
        nothing = client.connection is not None and not client.connection.can_read(timeout=0)
    except channel.connection_errors:
        channel._in_listen = None  # noqa: SLF001  # as kombu does if the read itself fails
        raise
    if nothing:
        raise Empty
    return _drop_if_not_a_message(_receive_one, channel, client)


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


def _read_if_message(channel: Any, **options: Any) -> Any:  # noqa: ANN401
    return _drop_if_not_a_message(_brpop_read, channel, **options)


def _drop_if_not_a_message(read: Callable[..., Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
    try:
        return read(*arguments, **options)
    except _NotAMessage as problem:
        log.warning("dropped an entry of a queue that is no message", reason=str(problem))
        raise Empty from problem


def _load(text: Any) -> Any:  # noqa: ANN401
    try:
        return _loads(text)
    except (ValueError, RecursionError) as error:
        raise _NotAMessage("it is not JSON") from error


def _deliver_if_message(virtual: Any, message: Any, queue: str) -> None:  # noqa: ANN401
    try:
        _Envelope.model_validate(message)
    except ValidationError as invalid:
        raise _NotAMessage(_describe(invalid)) from invalid
    _deliver(virtual, message, queue)


def _describe(invalid: ValidationError) -> str:
    """Return which parts of an entry are wrong, without their contents."""
    return ", ".join(sorted({".".join(map(str, error["loc"])) or "it is no object" for error in invalid.errors(include_input=False)}))
