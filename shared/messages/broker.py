"""Send messages within a time limit. Without Celery and kombu, which take 6 MiB in every API process."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from shared.messages.bell import bell_of
from shared.messages.outbox import Message
from shared.messages.redis_client import explain, open_redis
from shared.observing import metrics, tracing
from shared.settings import Settings

PAUSE_AFTER_FAILURE_S = 1.0

log = structlog.get_logger(__name__)


class Broker:
    """Sends messages from one process, within a time limit. Messages that cannot be sent are logged and left to the periodic ring."""

    def __init__(self, settings: Settings) -> None:
        self._redis = open_redis(settings)
        self._timeout_s = settings.redis_timeout_s
        self._paused_until = 0.0

    async def send(self, messages: Sequence[Message]) -> bool:
        """Send all messages and return True, or log why that failed and return False; takes at most twice the Redis timeout."""
        if time.monotonic() < self._paused_until:
            metrics.MESSAGES_UNSENT.inc(len(messages))
            log.warning("messages left to the periodic ring: the broker failed a moment ago", messages=len(messages))
            return False
        packed: dict[str, list[str]] = {}
        for message in messages:
            packed.setdefault(message.queue, []).append(_pack(message))
        spans = [_open_span(message) for message in messages if message.traceparent is not None]
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for queue, texts in packed.items():
                        pipeline.lpush(queue, *texts)
                        pipeline.publish(bell_of(queue), "")
                    _require_taken(await pipeline.execute(raise_on_error=False))
        except Exception as error:  # noqa: BLE001  # whatever is wrong with the broker, the rows are the outbox
            metrics.MESSAGES_UNSENT.inc(len(messages))
            self._paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
            log.warning("messages left to the periodic ring: the broker did not take them", messages=len(messages), reason=explain(error))
            for span in spans:
                span.fail(type(error).__name__)
            return False
        finally:
            for span in spans:
                span.end()
        return True

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()


def _pack(message: Message) -> str:
    """Return the message as Celery would make it, in the form in which kombu would put it into its queue.

    Source: message protocol 2, https://docs.celeryq.dev/en/stable/internals/protocol.html. kombu has a thread, looks up its bindings before each message
    and declares its queues, which took a third of an upload's time.
    """
    task_id = str(uuid.uuid4())
    arguments = dict(message.payload)
    headers: dict[str, Any] = {
        "lang": "py",
        "task": message.task,
        "id": task_id,
        "shadow": None,
        "eta": None,
        "expires": None if message.expires_s is None else (datetime.now(UTC) + timedelta(seconds=message.expires_s)).isoformat(),
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": task_id,
        "parent_id": None,
        "argsrepr": "()",
        "kwargsrepr": repr(arguments),
        "origin": f"gen{os.getpid()}@{socket.gethostname()}",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    body = [[], arguments, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    envelope = {
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers | ({"request_id": message.request_id} if message.request_id else {}),
        "properties": {
            "correlation_id": task_id,
            "reply_to": "",
            "body_encoding": "base64",
            "delivery_info": {"exchange": message.queue, "routing_key": message.queue},
            "delivery_mode": 2,
            "delivery_tag": str(uuid.uuid4()),
            "priority": 0,
        },
    }
    return json.dumps(envelope)


def _require_taken(answers: Sequence[object]) -> None:
    """Raise what Redis answered if it did not take messages. Of each queue's two answers the second is about its bell; one that is refused costs time only."""
    for answer in answers[::2]:
        if isinstance(answer, Exception):
            raise answer


def _open_span(message: Message) -> tracing.Span:
    return tracing.span(f"send {message.task}", kind="producer", parent=message.traceparent, attributes=tracing.describe_message("send", queue=message.queue))
