"""Collect messages in a transaction; they are sent after its commit (`shared.db.session`) and dropped on a rollback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from shared.messages.refs import Payload, TaskRef
from shared.observing import tracing

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

P = TypeVar("P", bound=Payload)
_MESSAGES = "messages"


@dataclass(frozen=True)
class Message:
    """A task to run, collected in a transaction."""

    task: str
    queue: str
    payload: Mapping[str, Any]
    expires_s: float | None = None
    request_id: str | None = None
    """The id of the request that caused it, for the log."""
    traceparent: str | None = None
    """The span that caused it, if there is one: sending it becomes a part of its trace."""


def get_request_id() -> str | None:
    """Return the id of the request that is being answered, if there is one."""
    request_id: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return request_id


def enqueue(
    session: AsyncSession, ref: TaskRef[P], payload: P, *, expires_s: float | None = None, request_id: str | None = None, traceparent: str | None = None
) -> None:
    """Send `payload` to `ref` after this transaction has committed; a rollback drops it.

    `request_id` and `traceparent` override those of the request that is being answered.
    """
    message = Message(
        task=ref.name,
        queue=ref.queue,
        payload=payload.model_dump(mode="json"),
        expires_s=expires_s,
        request_id=request_id or get_request_id(),
        traceparent=traceparent or tracing.get_traceparent(),
    )
    session.info.setdefault(_MESSAGES, []).append(message)


def take_messages(session: AsyncSession) -> Sequence[Message]:
    """Return the messages collected in `session` and remove them from it."""
    messages: Sequence[Message] = session.info.pop(_MESSAGES, [])
    return messages
