"""The Celery app: its settings, then the tasks and schedules of every slice.

worker:     celery -A celery_app worker -Q processing
dispatcher: celery -A celery_app worker -Q webhooks,maintenance -P threads -c 32 -B
"""

from __future__ import annotations

import gc
import importlib
import os
import threading
from concurrent.futures import Future
from typing import Any

import shared.observing  # noqa: F401  # before structlog

# isort: split
import structlog
from celery import Celery, current_task, signals
from celery.concurrency.prefork import TaskPool as PreforkPool

from shared import slices
from shared.contracts import MAINTENANCE_QUEUE, MAKE_OUTPUT, PROCESS_JOB, PROCESSING_QUEUE
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext, TaskDeclaration, declared_tasks
from shared.observing import tracing
from shared.observing.logging import configure_logging, is_text, log_whatever_is_written
from shared.observing.metrics_server import MetricsServer
from shared.settings import get_settings
from shared.worker import large_places, memory_limit, shutdown
from shared.worker.alive import call_while_working, touch
from shared.worker.celery_repairs import repair_celery
from shared.worker.celery_settings import HARD_LIMIT_MARGIN_S, create_celery
from shared.worker.presence import ANNOUNCE_EVERY_S, Presence, Role
from shared.worker.runtime import CHILD_POOL, DISPATCHER_POOL, Runtime
from shared.worker.schedule import Schedule, run_in_thread
from shared.worker.stoppable import StoppableWorker, list_queues

SIGNALS = {PROCESS_JOB.name, MAKE_OUTPUT.name}
"""Tasks whose messages say that something waits, and not what is done."""

log = structlog.get_logger(__name__)

log_whatever_is_written()
repair_celery()
settings = get_settings()
app: Celery = create_celery(settings)
app.Worker = app.subclass_with_self(StoppableWorker, name="Worker")
_runtime: Runtime | None = None
_runtime_lock = threading.Lock()
_pool_limits = CHILD_POOL
_presence: Presence | None = None
_metrics_server = MetricsServer()


def get_runtime() -> Runtime:
    """Return this process's runtime, which is created at its first task."""
    global _runtime  # noqa: PLW0603  # there is one for each process
    with _runtime_lock:
        if _runtime is None or _runtime.pid != os.getpid():
            _runtime = Runtime(settings, **_pool_limits)
        return _runtime


def _register(declaration: TaskDeclaration) -> None:
    limit_s, ending_s = declaration.time_limit_s(settings), declaration.ending_s(settings)

    def run(**payload: Any) -> None:  # noqa: ANN401  # JSON, validated by the payload's model
        parsed = declaration.ref.payload.model_validate(payload)
        runtime = get_runtime()
        named = _describe_message(current_task.request, payload) if declaration.ref.name in SIGNALS else {}

        async def call(context: TaskContext) -> None:
            structlog.contextvars.bind_contextvars(**{name: value for name, value in named.items() if value is not None})
            await _call(declaration, context, parsed)

        if declaration.detached:
            runtime.start(call, timeout_s=limit_s)
        else:
            runtime.run(call, timeout_s=limit_s, ending_s=ending_s)

    app.task(name=declaration.ref.name, soft_time_limit=limit_s, time_limit=limit_s + ending_s + HARD_LIMIT_MARGIN_S, queue=declaration.ref.queue)(run)
    if declaration.every_s is not None:
        app.conf.beat_schedule[declaration.ref.name] = {
            "task": declaration.ref.name,
            "schedule": declaration.every_s,
            "options": {"queue": declaration.ref.queue, "expires": max(declaration.every_s, 5.0)},
        }


def _start_periodic(name: str) -> Future[None]:
    declaration = next(each for each in declared_tasks() if each.ref.name == name)
    return get_runtime().start(lambda context: _call(declaration, context, Nothing()), timeout_s=declaration.time_limit_s(settings))


async def _call(declaration: TaskDeclaration, context: TaskContext, payload: Any) -> None:  # noqa: ANN401  # typed where it is declared
    if declaration.every_s is None:
        await declaration.function(context, payload)
        return
    async with context.database.sole_run(declaration.ref.name) as sole:
        if sole:
            await declaration.function(context, payload)


@signals.setup_logging.connect
def _configure_logging(**_: Any) -> None:  # noqa: ANN401
    configure_logging(settings)


@signals.celeryd_init.connect
def _choose_role(sender: str, instance: Any, options: dict[str, Any] | None = None, **_: Any) -> None:  # noqa: ANN401
    global _pool_limits, _presence  # noqa: PLW0603  # decided once, before the first task
    configure_logging(settings)  # Celery may log warnings before it sends setup_logging
    queues = list_queues((options or {}).get("queues"))
    is_dispatcher = MAINTENANCE_QUEUE in queues
    if is_dispatcher:
        _pool_limits = DISPATCHER_POOL
    for declaration in declared_tasks():
        if declaration.ref.queue in queues:
            for module in declaration.preload:
                importlib.import_module(module)
    role: Role = "dispatcher" if is_dispatcher else "worker"
    tracing.prepare(f"rowgate-{role}")
    if PROCESSING_QUEUE in queues:
        large_places.open_places(int((options or {}).get("concurrency") or settings.worker_slots))
    _presence = Presence(settings, role=role, name=sender)
    instance.quiet = not is_text(settings)  # Celery's banner is not JSON


@signals.worker_ready.connect
def _serve_metrics(sender: Any, **_: Any) -> None:  # noqa: ANN401
    _metrics_server.start(settings, has_children=isinstance(sender.pool, PreforkPool))


@signals.worker_before_create_process.connect
def _share_memory(**_: Any) -> None:  # noqa: ANN401
    """Keep what is there now out of garbage collections, which would write to each object, and so give each child a copy of its own."""
    gc.freeze()


@signals.worker_process_init.connect
def _prepare_child(**_: Any) -> None:  # noqa: ANN401
    _metrics_server.leave_to_parent()
    memory_limit.start_watch(settings.worker_memory_limit_bytes)


def _announce() -> None:
    if not Schedule.is_ticking():
        log.error("the schedule does not look at what is due: this process does not count as present")
        return
    if settings.alive_file is not None:
        touch(settings.alive_file)
    if _presence is not None:
        _presence.announce()


def _describe_message(request: Any, kwargs: dict[str, Any]) -> dict[str, str | None]:  # noqa: ANN401
    return {"job_id": kwargs.get("job_id"), "request_id": request.get("request_id")}


@signals.task_prerun.connect
def _name_task(task: Any, kwargs: dict[str, Any], **_: Any) -> None:  # noqa: ANN401
    """Name the task, job and request in every log line, including Celery's own; the coroutine on the event loop inherits this context.

    A message that only says that something waits may lead to another job than it was sent for, so Celery's own lines of it name neither.
    """
    known = {"task": task.name, **({} if task.name in SIGNALS else _describe_message(task.request, kwargs))}
    structlog.contextvars.bind_contextvars(**{name: value for name, value in known.items() if value is not None})


@signals.task_postrun.connect
def _forget_task(**_: Any) -> None:  # noqa: ANN401
    structlog.contextvars.clear_contextvars()


@signals.worker_shutting_down.connect
def _tell_children(**_: Any) -> None:  # noqa: ANN401
    shutdown.request_stop(within_s=settings.worker_shutdown_timeout_s)


@signals.worker_shutdown.connect
def _withdraw(**_: Any) -> None:  # noqa: ANN401
    if _presence is not None:
        _presence.withdraw()


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def _close_runtime(**_: Any) -> None:  # noqa: ANN401
    if _runtime is not None and _runtime.pid == os.getpid():
        _runtime.close()
    tracing.stop()


run_in_thread()
Schedule.start = _start_periodic
call_while_working(app, _announce, every_s=ANNOUNCE_EVERY_S)
app.conf.beat_schedule = {}
slices.load_declarations("features")
slices.load("features", "tasks")
for _declaration in declared_tasks():
    if _declaration.every_s is not None and _declaration.ref.payload is not Nothing:
        raise TypeError(f"{_declaration.ref.name}: a periodic task takes Nothing")
    _register(_declaration)
