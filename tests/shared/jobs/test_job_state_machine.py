"""Transitions in any order by any number of actors, checked against a model of a dozen lines (real database)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.models import Job, JobStatus
from shared.db.session import open_database
from shared.jobs import job_state
from shared.jobs.job_state import Progress
from shared.messages.outbox import Message
from shared.settings import Settings

pytestmark = pytest.mark.slow

MAX_CRASHES = 3
PROGRESS = Progress(percent=50, rows_processed=5, rows_failed=1, total_rows=None, error_count=0, errors_stored=0, error_tally=[])


def make_machine(config: Settings) -> type[RuleBasedStateMachine]:
    class Machine(RuleBasedStateMachine):
        """One job, workers with old and new claims, clients, and the sweep."""

        def __init__(self) -> None:
            super().__init__()
            self.runner = asyncio.Runner()
            self.sent: list[Message] = []

            async def send(messages: Any) -> bool:
                self.sent.extend(messages)
                return True

            self.database = open_database(config, send=send, application_name="machine", pool_size=2, max_overflow=0)
            self.status, self.crashes, self.ends = JobStatus.QUEUED, 0, 0
            self.claims: list[int] = []
            self.current: int | None = None

        @initialize()
        def make_job(self) -> None:
            self.job_id = uuid.uuid4()

            async def insert(session: AsyncSession) -> None:
                await session.execute(delete(Job))  # those of earlier runs would be claimed
                session.add(Job(id=self.job_id, filename="a.csv", file_size=1, file_type="csv", sha256="0" * 64, webhook_url="http://127.0.0.1:9/"))

            self.run(insert)

        def run(self, function: Callable[[AsyncSession], Coroutine[Any, Any, Any]]) -> Any:
            async def in_transaction() -> Any:
                async with self.database.unit_of_work() as session:
                    return await function(session)

            return self.runner.run(in_transaction())

        def expect_held(self, attempt: int, happened: object, *, to: JobStatus | None) -> None:
            """A worker's transition takes effect exactly if the worker holds the current claim."""
            assert bool(happened) == (self.current == attempt)
            if happened and to is not None:
                self.leave(to)

        def leave(self, to: JobStatus) -> None:
            self.current = None
            self.status = to
            self.ends += to is not JobStatus.QUEUED

        @rule()
        def claim(self) -> None:
            job = self.run(lambda session: job_state.claim(session, lease_s=30))
            assert (job is not None) == (self.status is JobStatus.QUEUED)
            if job is not None:
                assert job.attempt not in self.claims
                self.claims.append(job.attempt)
                self.current, self.status = job.attempt, JobStatus.PROCESSING

        @precondition(lambda self: self.claims)
        @rule(data=st.data(), name=st.sampled_from(["renew", "checkpoint", "finish", "fail", "release", "crash"]))
        def work(self, data: st.DataObject, name: str) -> None:
            attempt = data.draw(st.sampled_from(self.claims))
            held: dict[str, Any] = {"job_id": self.job_id, "attempt": attempt}
            match name:
                case "renew":
                    self.expect_held(attempt, self.run(lambda s: job_state.renew(s, **held, lease_s=30)), to=None)
                case "checkpoint":
                    self.expect_held(attempt, self.run(lambda s: job_state.checkpoint(s, **held, progress=PROGRESS, lease_s=30)), to=None)
                case "finish":
                    self.expect_held(attempt, self.run(lambda s: job_state.finish(s, **held, progress=PROGRESS)), to=JobStatus.COMPLETED)
                case "fail":
                    self.expect_held(attempt, self.run(lambda s: job_state.fail(s, **held, message="m", progress=PROGRESS)), to=JobStatus.FAILED)
                case "release":
                    self.expect_held(attempt, self.run(lambda s: job_state.release(s, **held)), to=JobStatus.QUEUED)
                case "crash":
                    taken = self.run(lambda s: job_state.count_crash(s, **held, max_crashes=MAX_CRASHES))
                    self.expect_held(attempt, taken, to=self.count_crash(attempt) if taken else None)

        def count_crash(self, attempt: int | None) -> JobStatus:
            assert self.current == attempt
            self.crashes += 1
            return JobStatus.FAILED if self.crashes >= MAX_CRASHES else JobStatus.QUEUED

        @rule(expired=st.booleans())
        def sweep(self, expired: bool) -> None:
            if expired and self.status is JobStatus.PROCESSING:
                self.run(lambda s: s.execute(update(Job).where(Job.id == self.job_id).values(lease_expires_at=Job.lease_expires_at - job_state._seconds(60))))
            leases = self.run(job_state.list_expired)
            taken = [self.run(partial(job_state.take_back, expired=lease, max_crashes=MAX_CRASHES, pause_s=0)) for lease in leases]
            assert bool(taken) == (expired and self.status is JobStatus.PROCESSING)
            if taken:
                self.leave(self.count_crash(self.current))

        @rule()
        def cancel(self) -> None:
            happened = self.run(lambda s: job_state.cancel(s, job_id=self.job_id))
            assert happened == (self.status is JobStatus.PROCESSING)
            if happened:
                self.leave(JobStatus.CANCELLED)

        @rule()
        def retry(self) -> None:
            happened = self.run(lambda s: job_state.retry(s, job_id=self.job_id))
            assert happened == (self.status in {JobStatus.FAILED, JobStatus.CANCELLED})
            if happened:
                self.status, self.crashes = JobStatus.QUEUED, 0

        @invariant()
        def database_agrees(self) -> None:
            if not hasattr(self, "job_id"):
                return
            job = self.run(lambda s: s.scalar(select(Job).where(Job.id == self.job_id)))
            assert (job.status, job.crashes) == (self.status, self.crashes)
            assert (job.completed_at is not None) == (job.status in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})
            assert (job.lease_expires_at is not None) == (job.status is JobStatus.PROCESSING)
            assert (job.progress == 100) == (job.status is JobStatus.COMPLETED)
            assert sum(message.task == "webhooks.send_delivery" for message in self.sent) == self.ends

        def teardown(self) -> None:
            async def close() -> None:
                async with self.database.unit_of_work() as session:
                    await session.execute(update(Job).values(status=JobStatus.CANCELLED))
                await self.database.close()

            self.runner.run(close())
            self.runner.close()

    return Machine


@pytest.mark.usefixtures("clean")
def test_no_order_of_transitions_confuses_a_job(settings: Settings) -> None:
    run_state_machine_as_test(make_machine(settings), settings=EXAMPLES)


EXAMPLES = settings(max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
