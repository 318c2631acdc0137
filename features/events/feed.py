"""Read what has changed once for all event streams of a process, a few times a second while there are any.

A poll rather than LISTEN: NOTIFY takes a lock of the whole database at each commit, and LISTEN needs a connection of its own, which no pooler can share.
What has changed is asked by snapshots of the database, so nothing is passed over however long a transaction takes to commit.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from features.events import queries
from features.events.metrics import STREAMS, STREAMS_ENDED
from features.events.problems import TooManyStreams
from features.events.types import Change, JobState, Snapshot, Told
from shared.concurrency.grouping import Grouping
from shared.db.errors import is_database_unavailable
from shared.db.models import ENDED
from shared.jobs.schemas import JobEvent

if TYPE_CHECKING:
    from shared.db.session import Database
    from shared.web.auth import Viewer

POLL_S = 0.3
"""Pause between two looks at the database; an event is told within a second of its commit."""
MAX_PENDING = 1000
"""Most jobs that a stream's client may be behind; beyond that the stream ends, and the client goes on with `Last-Event-ID`."""
STATES_AT_ONCE = 100
"""Jobs that are read and written as JSON before other work of the process gets its turn."""
MAX_OPEN_JOBS = 1000
"""Jobs that have not ended and are told at once on a new stream of all jobs; the list of jobs has the others."""
CATCHING_UP = 4
"""Streams that read at the same time what their clients have missed: when a process ends, all its clients come back at once."""

log = structlog.get_logger(__name__)


class Listener:
    """The events of one stream that have not been sent yet: of one job, or of all jobs of a viewer. Of each job only its newest state is kept."""

    def __init__(self, *, viewer: Viewer, job_id: uuid.UUID | None) -> None:
        self.viewer = viewer
        self.job_id = job_id
        self.is_over = False
        self.told_until: Snapshot | None = None
        """The snapshot up to which everything has been told or is pending."""
        self._pending: dict[uuid.UUID, Told] = {}
        self._wake = asyncio.Event()

    def end(self) -> None:
        """End the stream: the process stops, or its client reads too slowly."""
        self.is_over = True
        self._wake.set()

    def tell(self, told: Sequence[Told], until: Snapshot) -> None:
        """Add what is to be told, all of it up to `until`."""
        for each in told:
            self._pending.pop(each.job_id, None)  # so that its place is after what was changed before
            self._pending[each.job_id] = each
        self.told_until = until
        if len(self._pending) > MAX_PENDING:
            STREAMS_ENDED.inc()
            self._pending.clear()
            self.end()
        if told:
            self._wake.set()

    async def wait(self, timeout_s: float) -> None:
        """Wait until there is something to tell, or the stream is over, or that time has passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()

    def wake(self) -> None:
        """Have whoever waits look again."""
        self._wake.set()

    def take(self) -> Sequence[Told]:
        """Return what waits, the oldest change first, and forget it."""
        self._wake.clear()
        taken = list(self._pending.values())
        self._pending.clear()
        return taken


class Feed:
    """The changes of jobs, for all event streams of this process."""

    def __init__(self, database: Database, *, max_streams: int) -> None:
        self._database = database
        self._max_streams = max_streams
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._snapshot: Snapshot | None = None
        self._is_away = False
        self._states: Grouping[uuid.UUID, JobState | None] = Grouping(self._read_states, max_items=STATES_AT_ONCE, patience_s=None)
        self._open_jobs: Grouping[Viewer, Sequence[Told]] = Grouping(self._read_open_jobs, max_items=STATES_AT_ONCE, patience_s=None)
        self.catching_up = asyncio.Semaphore(CATCHING_UP)

    def add(self, listener: Listener) -> None:
        """Begin to tell this listener. Raises `TooManyStreams`."""
        if len(self._listeners) >= self._max_streams:
            raise TooManyStreams
        self._listeners.add(listener)
        STREAMS.inc()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="feed of events")

    def remove(self, listener: Listener) -> None:
        """Tell this listener nothing more."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            STREAMS.dec()

    async def wait_ready(self, listener: Listener, timeout_s: float) -> Snapshot | None:
        """Return a snapshot; every later change is told to those that were added before.

        None: the database did not answer in that time, or the stream is over.
        """
        if self._snapshot is None:
            await listener.wait(timeout_s)  # the first look wakes it
        return self._snapshot

    async def read_state(self, job_id: uuid.UUID, *, viewer: Viewer) -> JobState | None:
        """Return the state of a job that the viewer may see; None if there is none. What is asked for at the same time is read together."""
        state = await self._states.do(job_id)
        return state if state is not None and (viewer.sees_all or state.job.submitted_by == viewer.name) else None

    async def read_open_jobs(self, viewer: Viewer) -> Sequence[Told]:
        """Return what is told of the viewer's jobs that have not ended, the newest at most; what is asked for at the same time is read once for each viewer."""
        return await self._open_jobs.do(viewer)

    async def aclose(self) -> None:
        """End every stream, and the poll."""
        for listener in self._listeners:
            listener.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._states.aclose()
        await self._open_jobs.aclose()

    async def _read_states(self, job_ids: Sequence[uuid.UUID]) -> Sequence[JobState | None]:
        async with self._database.snapshot() as session:
            found = {state.job.id: state for state in await queries.list_states(session, job_ids=set(job_ids))}
        return [found.get(job_id) for job_id in job_ids]

    async def _read_open_jobs(self, viewers: Sequence[Viewer]) -> Sequence[Sequence[Told]]:
        found: dict[Viewer, Sequence[Told]] = {}
        async with self._database.snapshot() as session:
            for viewer in viewers:
                if viewer not in found:
                    found[viewer] = [tell_state(state) for state in await queries.list_open(session, viewer=viewer, limit=MAX_OPEN_JOBS)]
        return [found[viewer] for viewer in viewers]

    async def _run(self) -> None:
        while self._listeners:
            since = self._snapshot
            try:
                await self._look(since)
                self._is_away = False
            except Exception as error:  # noqa: BLE001  # whatever it is, streams of other jobs go on, and it is tried again
                self._snapshot = since
                self._note(error)
            await asyncio.sleep(POLL_S)
        self._task = self._snapshot = None

    def _note(self, error: Exception) -> None:
        if not is_database_unavailable(error):
            log.error("changes of jobs could not be read", exc_info=error)
        elif not self._is_away:
            self._is_away = True
            log.warning("the database does not answer; event streams go on when it is back", reason=repr(error))

    async def _look(self, since: Snapshot | None) -> None:
        """Tell every listener what has been committed since the last look."""
        async with self._database.snapshot() as session:
            now = await queries.read_snapshot(session)
            if since is not None and now.next_id < since.next_id:
                # This is another database than before, for example a restored one, so nothing is known of what clients have seen of it.
                for listener in self._listeners:
                    listener.end()
                since = None
            changes = [] if since is None else await queries.list_changes(session, since=since, until=now)
            audiences = self._find_audiences(changes)
            self._snapshot = now  # whoever is added from here on is told what comes after it
            told = {change.job_id: tell_deleted(change.job_id) for change in changes if change.is_deleted and change.job_id in audiences}
            job_ids = [job_id for job_id in audiences if job_id not in told]
            for first in range(0, len(job_ids), STATES_AT_ONCE):
                states = await queries.list_states(session, job_ids=job_ids[first : first + STATES_AT_ONCE])
                told |= {state.job.id: tell_state(state) for state in states}
                await asyncio.sleep(0)
        shares: dict[Listener, list[Told]] = defaultdict(list)
        for job_id, audience in audiences.items():
            if job_id in told:  # else it was deleted by hand
                for listener in audience:
                    shares[listener].append(told[job_id])
        for listener in self._listeners:
            listener.tell(shares.get(listener, ()), now)
            if since is None:
                listener.wake()

    def _find_audiences(self, changes: Collection[Change]) -> dict[uuid.UUID, list[Listener]]:
        """Return who is told of which jobs, in the order of their last changes; without jobs that nobody listens to."""
        of_one: dict[uuid.UUID, list[Listener]] = defaultdict(list)
        of_all: list[Listener] = []
        for listener in self._listeners:
            if listener.job_id is None:
                of_all.append(listener)
            else:
                of_one[listener.job_id].append(listener)
        found: dict[uuid.UUID, list[Listener]] = {}
        for change in changes:
            audience = [*of_one.get(change.job_id, ()), *(listener for listener in of_all if change.is_for(listener.viewer))]
            if audience:
                found.pop(change.job_id, None)
                found[change.job_id] = audience
        return found


def tell_state(state: JobState) -> Told:
    """Return what is told of a job: what `GET` shows of it, without its schema."""
    shown = JobEvent.model_validate(state.job)
    shown.queue_position = state.queue_position
    is_last = state.job.status in ENDED and not state.has_open_outputs
    return Told(job_id=state.job.id, event="job", data=shown.model_dump_json(by_alias=True), version=state.version, is_last=is_last)


def tell_deleted(job_id: uuid.UUID) -> Told:
    """Return what is told of a job that was deleted."""
    return Told(job_id=job_id, event="deleted", data=f'{{"id":"{job_id}"}}', version=None, is_last=True)
