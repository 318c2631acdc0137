"""The two kinds of event streams: of one job until it has ended, and of all jobs of a viewer.

The process's `Feed` tells each of them what changes from now on. A stream reads the state before that by itself, after it was added to the feed, so that it
misses nothing; what comes from both is recognised by its version and sent once. No connection is held while a stream waits.
"""

from __future__ import annotations

import random
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import structlog

from features.events import queries
from features.events.feed import STATES_AT_ONCE, Feed, Listener, tell_deleted, tell_state
from features.events.types import ChangePlace, Snapshot, Told, Version
from shared.db.errors import is_database_unavailable
from shared.web.event_stream import COMMENT_EVERY_S, format_comment, format_event, format_start

if TYPE_CHECKING:
    from shared.db.session import Database
    from shared.web.auth import Viewer

MAX_REMEMBERED = 10_000
"""Jobs of which a stream remembers what it read by itself, so as not to tell it twice."""

log = structlog.get_logger(__name__)


class _Stream(ABC):
    """What both kinds have in common; see `shared.web.event_stream.Source`."""

    def __init__(self, feed: Feed, *, viewer: Viewer, job_id: uuid.UUID | None) -> None:
        self._feed = feed
        self._listener = Listener(viewer=viewer, job_id=job_id)

    def open(self) -> None:
        """Begin to listen. Raises `TooManyStreams`."""
        self._feed.add(self._listener)

    def close(self) -> None:
        """Listen no more."""
        self._feed.remove(self._listener)

    def end(self) -> None:
        """End the stream, because the process stops."""
        self._listener.end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what is sent to the client; ends if the database does not answer, since the client goes on with another stream."""
        yield format_start()
        try:
            while (base := await self._feed.wait_ready(self._listener, COMMENT_EVERY_S)) is None and not self._listener.is_over:
                yield format_comment()
            if base is not None:
                async for block in self._tell(base):
                    yield block
        except Exception as error:
            if not is_database_unavailable(error):
                raise
            log.info("an event stream ended, because the database does not answer")

    @abstractmethod
    def _tell(self, base: Snapshot) -> AsyncIterator[bytes]:
        """Yield the events; everything after `base` is told by the feed."""

    async def _batches(self) -> AsyncIterator[Sequence[Told]]:
        """Yield what is told, as it comes, until the stream is over; an empty batch if nothing was told for `COMMENT_EVERY_S`, or a bit less.

        Otherwise clients that came at the same time, as after a restart, would get their comments at the same moment for ever.
        """
        patience_s = COMMENT_EVERY_S * random.uniform(0.8, 1.0)  # noqa: S311  # no secret
        while True:
            await self._listener.wait(patience_s)
            if self._listener.is_over:  # what waits is left to the client's next stream
                return
            yield self._listener.take()


class JobStream(_Stream):
    """The events of one job. Their ids are its versions; the stream ends when the job has ended and none of its outputs is being made."""

    def __init__(self, feed: Feed, *, viewer: Viewer, job_id: uuid.UUID, seen: Version | None) -> None:
        super().__init__(feed, viewer=viewer, job_id=job_id)
        self._viewer = viewer
        self._job_id = job_id
        self._seen = seen

    async def _tell(self, base: Snapshot) -> AsyncIterator[bytes]:
        del base  # what was read comes after it
        told = await self._read()
        if told.version is None or told.version != self._seen:
            yield _format(told)
        last = told
        if last.is_last:
            return
        async for batch in self._batches():
            if not batch:
                yield format_comment()
            for told in batch:
                if told.version is None or last.version is None or told.version > last.version:
                    yield _format(told)
                    last = told
                    if told.is_last:
                        return

    async def _read(self) -> Told:
        state = await self._feed.read_state(self._job_id, viewer=self._viewer)
        return tell_deleted(self._job_id) if state is None else tell_state(state)


def _format(told: Told) -> bytes:
    return format_event(told.event, told.data, id=str(told.version or ""))


class JobsStream(_Stream):
    """The events of all jobs of a viewer, without an end. Their ids are snapshots of the database: what the client has been told."""

    def __init__(self, feed: Feed, database: Database, *, viewer: Viewer, seen: Snapshot | None) -> None:
        super().__init__(feed, viewer=viewer, job_id=None)
        self._database = database
        self._viewer = viewer
        self._seen = seen
        self._read: dict[uuid.UUID, Version | None] = {}

    async def _tell(self, base: Snapshot) -> AsyncIterator[bytes]:
        if self._seen is None or self._seen.next_id > base.next_id:  # of another database, or of none
            for told in map(self._remember, await self._feed.read_open_jobs(self._viewer)):
                yield format_event(told.event, told.data, id="")
        else:
            async for told in self._list_missed(self._seen, base):
                yield format_event(told.event, told.data, id=str(self._seen))
        yield format_comment(id=str(base))
        until = base
        async for batch in self._batches():
            before, until = until, self._listener.told_until or until
            fresh = [told for told in batch if not self._was_read(told)]
            for told in fresh:
                # Only with the last of them does the client have all of it.
                yield format_event(told.event, told.data, id=str(until if told is fresh[-1] else before))
            if not fresh:
                yield format_comment(id=str(until))

    async def _list_missed(self, seen: Snapshot, base: Snapshot) -> AsyncIterator[Told]:
        """Yield the jobs that were changed between the two snapshots, page by page, so that no connection is held while the client reads."""
        place: ChangePlace | None = None
        while True:
            async with self._feed.catching_up, self._database.snapshot() as session:
                changes = await queries.list_changes(session, since=seen, until=base, viewer=self._viewer, after=place, limit=STATES_AT_ONCE)
                deleted = {change.job_id for change in changes if change.is_deleted}
                fresh = {change.job_id for change in changes} - deleted - self._read.keys()
                states = await queries.list_states(session, job_ids=fresh)
            for told in (*map(tell_deleted, deleted), *map(tell_state, states)):
                yield self._remember(told)
            if len(changes) < STATES_AT_ONCE:
                return
            place = ChangePlace(changes[-1].changed_in, changes[-1].job_id)

    def _remember(self, told: Told) -> Told:
        if len(self._read) < MAX_REMEMBERED:
            self._read[told.job_id] = told.version
        return told

    def _was_read(self, told: Told) -> bool:
        """Whether the stream has told this by itself, or something newer."""
        if told.job_id not in self._read:
            return False
        version = self._read[told.job_id]
        if version is None or (told.version is not None and told.version <= version):
            return True
        del self._read[told.job_id]
        return False
