"""Concurrent actors: their answers and the job's final state equal those of some sequential order of the same actions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.models import Job, JobStatus
from shared.db.session import Database, open_database
from shared.jobs import job_state
from shared.jobs.job_state import Progress
from shared.messages.outbox import Message
from shared.settings import Settings
from tests.factories import Factory

pytestmark = pytest.mark.slow

MAX_CRASHES = 3
MAX_AT_ONCE = 4
PROGRESS = Progress(percent=50, rows_processed=5, rows_failed=1, total_rows=None, error_count=0, errors_stored=0, error_tally=[])


@dataclass(frozen=True)
class State:
    """A job's state as far as transitions depend on it; `renewed`: its lease is no longer the one that had expired when the round began."""

    status: JobStatus = JobStatus.QUEUED
    attempt: int = 0
    crashes: int = 0
    ends: int = 0
    renewed: bool = False


@dataclass(frozen=True)
class Act:
    """One action of an actor; `behind`: how many attempts older a worker's claim is than the job's when the round begins."""

    name: str
    behind: int = 0


WORKERS_ACTS = ("renew", "checkpoint", "finish", "fail", "release", "count_crash")
OPTIONS: dict[str, dict[str, Any]] = {
    "claim": {"lease_s": 30},
    "renew": {"lease_s": 30},
    "checkpoint": {"progress": PROGRESS, "lease_s": 30},
    "finish": {"progress": PROGRESS},
    "fail": {"progress": PROGRESS, "message": "m"},
    "count_crash": {"max_crashes": MAX_CRASHES},
}
"""The arguments of each function, besides the job and the attempt."""
ACTS = st.one_of(
    st.builds(Act, st.sampled_from(["claim", "cancel", "retry", "take_back"])),
    st.builds(Act, st.sampled_from(WORKERS_ACTS), st.sampled_from([0, 0, 0, 1, -1])),
)
ROUNDS = st.lists(st.lists(ACTS, min_size=1, max_size=MAX_AT_ONCE), min_size=1, max_size=12)


def leave(state: State, to: JobStatus, *, crashes: int | None = None) -> State:
    crashes = state.crashes if crashes is None else crashes
    if to is JobStatus.QUEUED:
        return replace(state, status=to, attempt=state.attempt + 1, crashes=crashes)
    return replace(state, status=to, ends=state.ends + 1, crashes=crashes)


def crash(state: State) -> State:
    crashes = state.crashes + 1
    return leave(state, JobStatus.FAILED if crashes >= MAX_CRASHES else JobStatus.QUEUED, crashes=crashes)


def renew(state: State) -> State:
    return replace(state, renewed=True)


BY_THE_HOLDER: dict[str, Callable[[State], State]] = {
    "renew": renew,
    "checkpoint": renew,
    "finish": lambda state: leave(state, JobStatus.COMPLETED),
    "fail": lambda state: leave(state, JobStatus.FAILED),
    "release": lambda state: leave(state, JobStatus.QUEUED),
    "count_crash": crash,
}


def step(state: State, act: Act, beginning: State) -> tuple[bool, State]:
    """The model: return whether the action takes effect, and the job's state after it."""
    runs = state.status is JobStatus.PROCESSING
    after: State | None = None
    if act.name in BY_THE_HOLDER and runs and state.attempt == beginning.attempt - act.behind:
        after = BY_THE_HOLDER[act.name](state)
    elif act.name == "claim" and state.status is JobStatus.QUEUED:
        after = replace(state, status=JobStatus.PROCESSING, attempt=state.attempt + 1, renewed=True)
    elif act.name == "cancel" and runs:
        after = leave(state, JobStatus.CANCELLED)
    elif act.name == "retry" and state.status in {JobStatus.FAILED, JobStatus.CANCELLED}:
        after = leave(state, JobStatus.QUEUED, crashes=0)
    elif act.name == "take_back" and runs and state.attempt == beginning.attempt and not state.renewed:
        after = crash(state)
    return (False, state) if after is None else (True, after)


def explains(order: Sequence[int], acts: Sequence[Act], told: Sequence[bool], beginning: State, end: State) -> bool:
    state = beginning
    for index in order:
        happened, state = step(state, acts[index], beginning)
        if happened != told[index]:
            return False
    return replace(state, renewed=False) == end


class Actors:
    """One job in a real database, with one transaction for each actor."""

    def __init__(self, database: Database, job: Job, sent: list[Message]) -> None:
        self._database = database
        self._job = job
        self._sent = sent

    async def at_once(self, acts: Sequence[Act]) -> tuple[State, list[bool], State]:
        """Run the actions concurrently; return the job before, each action's answer, and the job after."""
        async with self._database.unit_of_work() as session:
            over = Job.lease_expires_at - job_state._seconds(3600)
            await session.execute(update(Job).where(Job.id == self._job.id, Job.lease_expires_at.is_not(None)).values(lease_expires_at=over))
        beginning = await self.look()
        async with self._database.unit_of_work() as session:
            expired = await job_state.list_expired(session)
        together = asyncio.Barrier(len(acts))
        told = await asyncio.gather(*(self._act(act, beginning, expired, together) for act in acts))
        return beginning, told, await self.look()

    async def look(self) -> State:
        async with self._database.unit_of_work() as session:
            job = (await session.scalars(select(Job).where(Job.id == self._job.id))).one()
        ends = sum(message.task == "webhooks.send_delivery" for message in self._sent)
        return State(job.status, job.attempt, job.crashes, ends)

    async def _act(self, act: Act, beginning: State, expired: Sequence[job_state.ExpiredLease], together: asyncio.Barrier) -> bool:
        async with self._database.unit_of_work() as session:
            await session.execute(select(1))  # opens the connection before the actions start
            await together.wait()
            return bool(await self._transition(session, act, beginning, expired))

    async def _transition(self, session: AsyncSession, act: Act, beginning: State, expired: Sequence[job_state.ExpiredLease]) -> object:
        if act.name == "take_back":
            return [lease for lease in expired if await job_state.take_back(session, expired=lease, max_crashes=MAX_CRASHES, pause_s=0)]
        if act.name == "claim":  # whatever waits, which can only be this job
            return await job_state.claim(session, **OPTIONS[act.name])
        named: dict[str, Any] = {"job_id": self._job.id, **OPTIONS.get(act.name, {})}
        if act.name in BY_THE_HOLDER:
            named["attempt"] = beginning.attempt - act.behind
        return await getattr(job_state, act.name)(session, **named)


@pytest.mark.usefixtures("clean")
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(rounds=ROUNDS)
def test_actors_at_the_same_moment_are_as_one_after_another(settings: Settings, rounds: list[list[Act]]) -> None:
    async def play() -> None:
        sent: list[Message] = []

        async def send(messages: Sequence[Message]) -> bool:
            sent.extend(messages)
            return True

        database = open_database(settings, send=send, application_name="actors", pool_size=MAX_AT_ONCE, max_overflow=0)
        try:
            job = await Factory(database, settings).job(content=None, webhook_url="http://127.0.0.1:9/")
            actors = Actors(database, job, sent)
            for acts in rounds:
                beginning, told, end = await actors.at_once(acts)
                assert any(explains(order, acts, told, beginning, end) for order in permutations(range(len(acts)))), (beginning, acts, told, end)
        finally:
            async with database.unit_of_work() as session:
                await session.execute(update(Job).values(status=JobStatus.CANCELLED, lease_expires_at=None))
            await database.close()

    asyncio.run(play())
