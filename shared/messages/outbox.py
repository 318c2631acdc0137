"""Messages collected in a transaction: sent after its commit (`shared.db.session`), forgotten with a rollback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from shared.messages.refs import Payload, TaskRef

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

P = TypeVar("P", bound=Payload)
_MESSAGES = "messages"


@dataclass(frozen=True)
class Message:
    """A task to be run, collected in a transaction."""

    task: str
    queue: str
    payload: Mapping[str, Any]
    expires_s: float | None = None
    request_id: str | None = None
    """Of the request that it goes back to, for the log."""


def get_request_id() -> str | None:
    """The id of the request that is being answered here, if one is."""
    request_id: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return request_id


def enqueue(session: AsyncSession, ref: TaskRef[P], payload: P, *, expires_s: float | None = None, request_id: str | None = None) -> None:
    """Send `payload` to `ref` once this transaction has committed; a rollback forgets it. `request_id`: where it is not of the request here."""
    message = Message(
        task=ref.name,
        queue=ref.queue,
        payload=payload.model_dump(mode="json"),
        expires_s=expires_s,
        request_id=request_id or get_request_id(),
    )
    session.info.setdefault(_MESSAGES, []).append(message)


def take_messages(session: AsyncSession) -> Sequence[Message]:
    """What was collected in `session`, which forgets it."""
    messages: Sequence[Message] = session.info.pop(_MESSAGES, [])
    return messages
