"""Task declarations: `@task` only collects them, and `celery_app.py` makes Celery tasks of them.

A task stays a plain coroutine function, which a test can call directly.
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
    """The objects that a running task gets besides its payload; there is one of each per process."""

    settings: Settings
    database: Database
    redis: Redis
    kept: dict[type[Any], Any] = field(default_factory=dict, compare=False, repr=False)

    def keep(self, kind: type[K], make: Callable[[], K]) -> K:
        """Return this process's only instance of `kind`, made by `make` on first use; concurrent tasks share it."""
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
    preload: Sequence[str]
    """Modules that the task imports when it runs, and that a process which runs it imports before it forks; other processes never do."""
    detached: bool
    """Whether it runs beside other tasks on the process's event loop, without taking a worker slot."""


_tasks: dict[str, TaskDeclaration] = {}


def task(
    ref: TaskRef[P],
    *,
    time_limit_s: float | SettingsValue = 60.0,
    ending_s: float | SettingsValue = 0.0,
    every_s: float | None = None,
    preload: Sequence[str] = (),
    detached: bool = False,
) -> Callable[[Callable[[TaskContext, P], Awaitable[None]]], Callable[[TaskContext, P], Awaitable[None]]]:
    """Declare the decorated coroutine function as the task `ref`.

    With `every_s` it also runs periodically (with `Nothing`), in one process at a time. A `detached` task's message is acknowledged when it starts, and it
    takes no worker slot while it waits; this is for work that is recorded in the database and found again after its process has died.
    Modules that only this task needs, and that are heavy, it imports itself, and names them in `preload`.
    Raises `ValueError` if two modules declare the same task.
    """

    def as_function(value: float | SettingsValue) -> SettingsValue:
        return value if callable(value) else lambda _settings: value

    def declare(function: Callable[[TaskContext, P], Awaitable[None]]) -> Callable[[TaskContext, P], Awaitable[None]]:
        known = _tasks.get(ref.name)
        if known is not None and known.function.__module__ != function.__module__:
            raise ValueError(f"task {ref.name!r} is declared twice: in {known.function.__module__} and {function.__module__}")
        _tasks[ref.name] = TaskDeclaration(
            ref=ref,
            function=function,
            time_limit_s=as_function(time_limit_s),
            ending_s=as_function(ending_s),
            every_s=every_s,
            preload=preload,
            detached=detached,
        )
        return function

    return declare


def declared_tasks() -> Sequence[TaskDeclaration]:
    """Return every declared task of the slices loaded so far."""
    return list(_tasks.values())
