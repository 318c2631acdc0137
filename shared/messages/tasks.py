"""Task declarations: `@task` only collects them; `celery_app.py` makes Celery tasks of them.

So a test can call a task as the plain coroutine function that it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from shared.messages.refs import Payload, TaskRef

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from shared.db.session import Database
    from shared.settings import Settings

P = TypeVar("P", bound=Payload)
K = TypeVar("K")


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
    """When it is reached, the task is told (`shared.worker.time_limit`) and has `ending_s` to end by itself."""
    ending_s: SettingsValue
    """After that the coroutine is cancelled; a process that does not come back is killed `HARD_LIMIT_MARGIN_S` later."""
    every_s: float | None
    detached: bool
    """It goes on beside others on the process's event loop and takes no slot of the worker."""


_tasks: dict[str, TaskDeclaration] = {}


def task(
    ref: TaskRef[P],
    *,
    time_limit_s: float | SettingsValue = 60.0,
    ending_s: float | SettingsValue = 0.0,
    every_s: float | None = None,
    detached: bool = False,
) -> Callable[[Callable[[TaskContext, P], Awaitable[None]]], Callable[[TaskContext, P], Awaitable[None]]]:
    """Declare the decorated coroutine function as what runs `ref`; with `every_s` it is also run periodically (with `Nothing`), by one process at a time.

    `detached`: its message is acknowledged when it starts and it takes no slot while it waits; for work that the database remembers and that is
    looked for when its process has died.
    """

    def as_function(value: float | SettingsValue) -> SettingsValue:
        return value if callable(value) else lambda _settings: value

    def declare(function: Callable[[TaskContext, P], Awaitable[None]]) -> Callable[[TaskContext, P], Awaitable[None]]:
        known = _tasks.get(ref.name)
        if known is not None and known.function.__module__ != function.__module__:
            raise ValueError(f"task {ref.name!r} is declared twice: in {known.function.__module__} and {function.__module__}")
        _tasks[ref.name] = TaskDeclaration(
            ref=ref, function=function, time_limit_s=as_function(time_limit_s), ending_s=as_function(ending_s), every_s=every_s, detached=detached
        )
        return function

    return declare


def declared_tasks() -> Sequence[TaskDeclaration]:
    """Every task of the slices that were loaded."""
    return list(_tasks.values())
