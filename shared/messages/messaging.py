"""How slices talk: tasks that are sent after the commit, events that are heard within the transaction.

`@task` and `@subscribe` only collect declarations; `celery_app.py` makes Celery tasks of them. So the API can load every slice without Celery's worker
machinery, and a test can call a task as the plain coroutine function that it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.db.session import Database
    from shared.settings import Settings


class Payload(BaseModel):
    """What a message carries: ids, never state; the task reads the state again."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Nothing(Payload):
    """The payload of a task that needs none, as periodic ones do."""


P = TypeVar("P", bound=Payload)
K = TypeVar("K")


@dataclass(frozen=True)
class TaskRef(Generic[P]):
    """A task's name, its queue and what it is given: enough to send it without importing it."""

    name: str
    queue: str
    payload: type[P]


@dataclass(frozen=True)
class Message:
    """A task to be run, collected in a transaction."""

    task: str
    queue: str
    payload: Mapping[str, Any]
    expires_s: float | None = None
    request_id: str | None = None
    """Of the request that it goes back to, for the log."""


@dataclass(frozen=True)
class TaskContext:
    """What a running task is given beside its payload; one of each per process."""

    settings: Settings
    database: Database
    redis: Redis
    kept: dict[type[Any], Any] = field(default_factory=dict, compare=False, repr=False)

    def keep(self, kind: type[K], make: Callable[[], K]) -> K:
        """The one `kind` of this process, made when it is first asked for: what tasks that run side by side share."""
        if kind not in self.kept:
            self.kept[kind] = make()
        kept: K = self.kept[kind]
        return kept


TaskFunction = Callable[[TaskContext, Any], Awaitable[None]]
SettingsValue = Callable[["Settings"], float]


@dataclass(frozen=True)
class TaskDeclaration:
    """A task as its slice declared it."""

    ref: TaskRef[Any]
    function: TaskFunction
    time_limit_s: SettingsValue
    """After so long the coroutine is cancelled; the process is killed `HARD_LIMIT_MARGIN_S` later."""
    every_s: float | None
    detached: bool
    """It goes on beside others on the process's event loop and takes no slot of the worker."""


_tasks: dict[str, TaskDeclaration] = {}
_subscribers: dict[type[Any], list[Callable[[AsyncSession, Any], Awaitable[None]]]] = defaultdict(list)
_MESSAGES = "messages"


def task(
    ref: TaskRef[P],
    *,
    time_limit_s: float | SettingsValue = 60.0,
    every_s: float | None = None,
    detached: bool = False,
) -> Callable[[Callable[[TaskContext, P], Awaitable[None]]], Callable[[TaskContext, P], Awaitable[None]]]:
    """Declare the decorated coroutine function as what runs `ref`; with `every_s` it is also run periodically (with `Nothing`), by one process at a time.

    `detached`: its message is acknowledged when it starts and it takes no slot while it waits; for work that the database remembers and that is
    looked for when its process has died.
    """
    limit: SettingsValue = time_limit_s if callable(time_limit_s) else lambda _settings: time_limit_s

    def declare(function: Callable[[TaskContext, P], Awaitable[None]]) -> Callable[[TaskContext, P], Awaitable[None]]:
        known = _tasks.get(ref.name)
        if known is not None and known.function.__module__ != function.__module__:
            raise ValueError(f"task {ref.name!r} is declared twice: in {known.function.__module__} and {function.__module__}")
        _tasks[ref.name] = TaskDeclaration(ref=ref, function=function, time_limit_s=limit, every_s=every_s, detached=detached)
        return function

    return declare


def declared_tasks() -> Sequence[TaskDeclaration]:
    """Every task of the slices that were loaded."""
    return list(_tasks.values())


E = TypeVar("E")


def subscribe(event: type[E]) -> Callable[[Callable[[AsyncSession, E], Awaitable[None]]], Callable[[AsyncSession, E], Awaitable[None]]]:
    """Call the decorated coroutine function for every `event`, within the transaction that published it."""

    def register(function: Callable[[AsyncSession, E], Awaitable[None]]) -> Callable[[AsyncSession, E], Awaitable[None]]:
        _subscribers[event].append(function)
        return function

    return register


async def publish(session: AsyncSession, event: object) -> None:
    """Let every subscriber do its part in this transaction; one that fails rolls all of it back."""
    for function in _subscribers[type(event)]:
        await function(session, event)


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
