"""Start a part of the service with alterations: `python -m tests.faults.altered NAME[=VALUE],… MODULE ARGUMENT…`.

The real program runs (`celery`, `uvicorn`), but something is altered before it starts: its clock is moved, it dies at a certain point, or one of its
protections is removed to prove that a test then fails.
"""

from __future__ import annotations

import datetime as dt
import faulthandler
import os
import runpy
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from shared import slices

POISON = "poison.csv"
"""A file whose name ends like this kills its worker, with the alteration `poison`."""
CRASH = "crash.csv"
"""The check of a file whose name ends like this raises what nobody expects, with the alteration `crash`."""
HANG = "hang.csv"
"""The check of a file whose name ends like this never returns, with the alteration `hang`."""
HOG = "hog.csv"
"""The check of a file whose name ends like this uses memory without end, with the alteration `hog`."""


def hurry(_: str) -> None:
    """Run sweeps every second, and shorten what they wait for and the time given to a silent broker, so that tests wait less."""
    from shared.jobs import job_state, suspects
    from shared.messages import tasks
    from shared.worker import celery_settings

    often_s = 5.0
    declare, create_celery = tasks.task, celery_settings.create_celery

    def declare_often(ref: Any, *, every_s: float | None = None, **rest: Any) -> Any:
        return declare(ref, every_s=1.0 if every_s is not None and every_s <= often_s else every_s, **rest)

    def create_impatient(settings: Any) -> Any:
        app = create_celery(settings)
        app.conf.broker_transport_options |= {"socket_timeout": 3.0, "health_check_interval": 3}
        return app

    from datetime import timedelta

    from shared.storage import s3

    s3.SILENCE, s3.RETRIED_FOR, s3.RETRIES = timedelta(seconds=1.5), timedelta(seconds=4), 1
    setattr(tasks, "task", declare_often)  # noqa: B010  # a function of another signature
    celery_settings.create_celery = create_impatient
    job_state.FIRST_RING_INTERVAL_S = 3.0
    suspects.MARGIN_S = 0.5


def sweep_soon(_: str) -> None:
    """Take what nobody has written to for a second for left over; `UPLOAD_IDLE_TIMEOUT_S` may say longer."""
    from shared import slices

    slices.load_declarations("features")
    from features.upload import tasks

    tasks.UNTOUCHED_S = tasks.SECOND_LOOK_S = 1.0


def move_clock(seconds: str) -> None:
    """Move the time of day `seconds` ahead for Celery and the service; monotonic clocks are unaffected."""
    # Extensions in C that bind the true class have to be imported before it is replaced; none of these reads the clock.
    import asyncpg
    import pandas as pd
    import pyarrow as pa

    assert asyncpg
    assert pd
    assert pa
    ahead_s = float(seconds)
    now, now_ns, clock = time.time, time.time_ns, time.clock_gettime

    class Kind(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, Moved.__base__)  # type: ignore[arg-type]  # it has one

    class Moved(dt.datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return cls.fromtimestamp(time.time(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.fromtimestamp(time.time(), dt.UTC).replace(tzinfo=None)

    time.time = lambda: now() + ahead_s
    time.time_ns = lambda: now_ns() + int(ahead_s * 1e9)
    time.clock_gettime = lambda which: clock(which) + (ahead_s if which == time.CLOCK_REALTIME else 0.0)
    setattr(dt, "datetime", Moved)  # noqa: B010  # a subclass replaces its parent


def pause(seconds: str) -> None:
    """Make every chunk take `seconds` longer."""
    _before_each_report(lambda _name, _number: time.sleep(float(seconds)))


def pause_outputs(seconds: str) -> None:
    """Make every chunk of an output take `seconds` longer."""
    from features.processing import engine

    read = engine.Inspection.checked_rows

    def read_slowly(self: engine.Inspection) -> Iterator[engine.CheckedRows]:
        for rows in read(self):
            time.sleep(float(seconds))
            yield rows

    setattr(engine.Inspection, "checked_rows", read_slowly)  # noqa: B010  # a method


def die_completing(moment: str) -> None:
    """Kill the worker when the file of an output is written: `before` it is stored or `after` that, at its first claim; or `always`, before that."""
    from features.processing import make_output

    store: Any = make_output._store

    async def store_and_die(storage: Any, path: Any, target: str, *arguments: Any, **named: Any) -> None:
        is_first = "-1-" in target.rpartition("/")[2][36:39]
        if moment == "always" or (moment == "before" and is_first):
            die()
        await store(storage, path, target, *arguments, **named)
        if moment == "after" and is_first:
            die()

    setattr(make_output, "_store", store_and_die)  # noqa: B010  # as above


def poison(_: str) -> None:
    """Make a file whose name ends in `POISON` kill its worker after part of it has been read and committed."""

    def kill_late(name: str, number: int) -> None:
        if name.endswith(POISON) and number > 10:
            time.sleep(0.02)
        if name.endswith(POISON) and number > 40:
            die()

    _before_each_report(kill_late)


def crash(_: str) -> None:
    """Make the check of a file whose name ends in `CRASH` raise an exception that nobody expects."""

    def stumble(name: str, number: int) -> None:
        if name.endswith(CRASH) and number > 1:
            raise RuntimeError("made by a test")

    _before_each_report(stumble)


def hang(limit_margin_s: str) -> None:
    """Make the check of a file whose name ends in `HANG` run for ever, in a thread that cannot be cancelled.

    A child is killed `limit_margin_s` after its job's time limit.
    """
    from shared.worker import celery_settings

    _before_each_report(lambda name, number: time.sleep(3600 if name.endswith(HANG) and number == 30 else 0))
    from features.processing import tasks  # imported here, because it binds what is altered above

    celery_settings.HARD_LIMIT_MARGIN_S = float(limit_margin_s) / 2
    tasks.ENDING_S = float(limit_margin_s) / 2


def hog(_: str) -> None:
    """Make the check of a file whose name ends in `HOG` take more and more memory, and go on for ever when there is no more."""

    def take(name: str, number: int) -> None:
        taken = []
        while name.endswith(HOG) and number == 2:
            with suppress(MemoryError):
                taken.append(bytearray(2**20))
            time.sleep(0.002)

    _before_each_report(take)


def _before_each_report(act: Callable[[str, int], None]) -> None:
    from features.processing import engine

    inspect_file = engine.inspect_file

    def inspect(path: Any, **options: Any) -> Any:
        inspection = inspect_file(path, **options)
        reports = inspection.reports

        def act_first() -> Iterator[Any]:
            for number, report in enumerate(reports()):
                act(path.name, number)
                yield report

        setattr(inspection, "reports", act_first)  # noqa: B010  # a method of one object
        return inspection

    setattr(engine, "inspect_file", inspect)  # noqa: B010  # a looser signature


def spill_early(size_bytes: str) -> None:
    """Make data go to disk when it outgrows `size_bytes` of memory."""
    from features.processing.readers import base

    setattr(base, "ReadLimits", partial(base.ReadLimits, spill_threshold_bytes=int(size_bytes)))  # noqa: B010  # run.py only calls it


def die(*_: object, **__: object) -> None:
    """Kill this process with SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_row(_: str) -> None:
    """Kill the API when the file is on disk but its job is not inserted."""
    slices.load_declarations("features")  # as every process does first
    from features.upload import queries

    queries.insert_jobs = die  # type: ignore[assignment]


def die_before_commit(_: str) -> None:
    """Kill the API when the job is inserted but not committed."""
    slices.load_declarations("features")
    from features.upload import queries

    insert = queries.insert_jobs

    async def insert_and_die(*arguments: Any, **named: Any) -> None:
        await insert(*arguments, **named)
        die()

    queries.insert_jobs = insert_and_die  # type: ignore[assignment]


def die_before_message(_: str) -> None:
    """Kill the process when a transaction is committed but its messages are not sent."""
    from shared.messages.broker import Broker

    Broker.send = die  # type: ignore[assignment]


def commit_slowly(seconds: str) -> None:
    """Wait `seconds` between the last statement of a transaction that sends messages and its commit."""
    from sqlalchemy import event
    from sqlalchemy.orm import Session

    from shared.db.session import SENT
    from shared.messages import outbox

    def wait(session: Session) -> None:
        if session.info.keys() & {outbox._MESSAGES, SENT}:
            time.sleep(float(seconds))

    event.listen(Session, "before_commit", wait)


def wait_for_answers(seconds: str) -> None:
    """Make each webhook attempt wait `seconds` for its answer."""
    slices.load_declarations("features")  # as every process does first
    from features.webhooks import deliver, queries

    deliver.ATTEMPT_S = float(seconds)
    queries.ATTEMPT_LEASE_S = 2 * float(seconds)


def drop_fence(_: str) -> None:
    """Remove a protection: a worker may write whatever its attempt is."""
    from sqlalchemy import and_

    from shared.db.models import Job, JobStatus
    from shared.jobs import job_state

    job_state._is_held = lambda job_id, attempt: and_(Job.id == job_id, Job.status == JobStatus.PROCESSING)


def drop_output_fence(_: str) -> None:
    """Remove a protection: a worker may end an output whatever its claim is."""
    from sqlalchemy import and_

    from shared.db.models import Output, OutputStatus
    from shared.jobs import output_state

    output_state._is_held = lambda output_id, claim: and_(Output.id == output_id, Output.status == OutputStatus.RUNNING)


def drop_lease_check(_: str) -> None:
    """Remove a protection: the sweep considers the lease of every running job expired."""
    from sqlalchemy import select

    from shared.db.models import Job, JobStatus
    from shared.jobs import job_state

    long_ago = dt.datetime.fromtimestamp(0, dt.UTC)

    async def list_running(session: Any, *, limit: int = 1000) -> Sequence[job_state.ExpiredLease]:
        running = await session.execute(select(Job.id, Job.attempt).where(Job.status == JobStatus.PROCESSING).limit(limit))
        return [job_state.ExpiredLease(job_id=row.id, attempt=row.attempt, expired_at=long_ago) for row in running]

    async def take_back(session: Any, *, expired: job_state.ExpiredLease, max_crashes: int, pause_s: float) -> job_state.TakenBack | None:
        del pause_s
        return await job_state.count_crash(session, job_id=expired.job_id, attempt=expired.attempt, max_crashes=max_crashes)

    job_state.list_expired = list_running
    job_state.take_back = take_back


def drop_take_back(_: str) -> None:
    """Remove a protection: no lease is ever found expired."""
    from shared.jobs import job_state

    async def list_none(session: Any, *, limit: int = 1000) -> Sequence[job_state.ExpiredLease]:
        return []

    job_state.list_expired = list_none


def send_before_commit(_: str) -> None:
    """Remove a protection: messages are sent before their transaction is committed."""
    from shared.db.session import SENT, Database
    from shared.messages.outbox import take_messages

    @asynccontextmanager
    async def unit_of_work(self: Database) -> AsyncIterator[Any]:
        async with self.sessions() as session, session.begin():
            yield session
            messages = take_messages(session)
            session.info[SENT] = await self.send(messages) if messages else True

    Database.unit_of_work = unit_of_work  # type: ignore[method-assign]


ALTERATIONS: dict[str, Callable[[str], None]] = {
    function.__name__: function
    for function in (
        hurry,
        sweep_soon,
        move_clock,
        pause,
        pause_outputs,
        die_completing,
        poison,
        crash,
        hang,
        hog,
        spill_early,
        die_before_row,
        die_before_commit,
        die_before_message,
        commit_slowly,
        wait_for_answers,
        drop_fence,
        drop_output_fence,
        drop_lease_check,
        drop_take_back,
        send_before_commit,
    )
}


def main() -> None:
    """Alter this process, then become the program."""
    names, module, *arguments = sys.argv[1:]
    # The clock is altered first, before anything binds the true one.
    for each in sorted(names.split(","), key=lambda each: not each.startswith(move_clock.__name__)):
        name, _, value = each.partition("=")
        ALTERATIONS[name](value)
    faulthandler.register(signal.SIGUSR2)  # shows where a hanging process is
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
