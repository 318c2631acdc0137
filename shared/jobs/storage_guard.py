"""Make sure that the stored files are those of this database, and can be reached, before anything is accepted, claimed or swept.

A share that is not mounted looks like an empty folder, and a database that was restored on another machine meets a folder of somebody else: in both, sweeping
would remove files that are wanted, and a job would fail although its file is safe elsewhere.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from shared.db import storage_identity
from shared.db.errors import is_database_unavailable
from shared.db.storage_identity import StorageIdentity
from shared.jobs.stored_files import get_storage
from shared.observing.frames import describe_frames
from shared.observing.metrics import STORAGE_LOST
from shared.storage.base import is_disk_full
from shared.storage.marker import MarkerUnreadable, read_marker, write_marker
from shared.storage.names import MARKER, find_job_id
from shared.web.problems import StorageUnavailable

if TYPE_CHECKING:
    from shared.db.session import Database
    from shared.messages.tasks import TaskContext
    from shared.storage.base import Storage

SLOW_S = 10.0
"""So long after its last answer a store that does not answer in time is slow; after that it is lost."""
FRESH_LOOKS = 3
"""For how many intervals of an API's looks an answer counts, so that no request waits for a look."""
IDENTITY_S = 30.0
"""How long the database's id counts; it changes when another database is restored."""
WATCH_S = 5.0
"""The interval of a worker's looks, so that one of them may be slow before `SLOW_S` are over."""
API_WATCH_S = 0.0
"""The least interval of an API's looks; the store has one of its own."""
SAMPLE_FILES = 1000
"""About so many files of a store without a marker are compared with the jobs."""

log = structlog.get_logger(__name__)


class StorageGuard:
    """Looks at the store for one process. With `may_adopt`, a store without a marker is marked if it can only be the right one."""

    def __init__(self, database: Database, storage: Storage, *, may_adopt: bool = False) -> None:
        self._database, self._storage, self._may_adopt = database, storage, may_adopt
        self._fresh_s = FRESH_LOOKS * storage.look_every_s
        self._lock = asyncio.Lock()
        self._looking: asyncio.Future[uuid.UUID | str | None] | None = None
        self._problem: str | None = None
        self._looked_at = self._identified_at = self._written_at = float("-inf")
        self._identity: StorageIdentity | None = None
        self._told: str | None = None
        self._found: uuid.UUID | None = None
        self._answered_at = float("-inf")

    async def find_problem(self, *, fresh: bool = False) -> str | None:
        """Return why the stored files must not be used, in one sentence for operators; None if all is well.

        `fresh`: look now, and ask the database for its id, whatever was found a moment ago.
        """
        if not fresh and time.monotonic() - self._looked_at < self._fresh_s:
            return self._problem  # without waiting for a look that goes on
        return await self._find_problem(fresh=fresh, max_age_s=0.0 if fresh else self._fresh_s)

    async def _find_problem(self, *, fresh: bool, max_age_s: float) -> str | None:
        asked_at = time.monotonic()
        async with self._lock:
            # A look that ended while this one waited its turn is as good: of many that ask at once, nobody waits for more than two.
            if self._looked_at < asked_at and time.monotonic() - self._looked_at >= max_age_s:
                self._problem = await self._look(fresh=fresh)
                self._looked_at = time.monotonic()
                self._tell()
            return self._problem

    async def require(self) -> None:
        """Raise `StorageUnavailable` if the stored files must not be used."""
        if await self.find_problem() is not None:
            raise StorageUnavailable

    async def watch(self, *, every_s: float) -> None:
        """Look every `every_s` seconds until cancelled, so that no request has to, and log and metrics tell of a store that nobody asks for."""
        while True:
            try:
                await self._find_problem(fresh=False, max_age_s=every_s / 2)
            except Exception as error:  # noqa: BLE001  # whatever it is, the watch goes on
                if not is_database_unavailable(error):
                    log.error("the stored files could not be looked at", exception=describe_frames(error))  # noqa: TRY400  # without its message
            await asyncio.sleep(every_s)

    def _tell(self) -> None:
        STORAGE_LOST.set(self._problem is not None)
        if self._problem == self._told:
            return
        if self._problem is None:
            log.info("the stored files can be used again")
        else:
            log.error("the stored files must not be used: nothing is accepted, claimed or removed", reason=self._problem, place=self._storage.place)
        self._told = self._problem

    async def _look(self, *, fresh: bool) -> str | None:
        found = await self._look_at_store()
        if isinstance(found, str):
            return found
        try:
            identity = await self._identify(fresh=fresh or found is None or self._identity is None or found != self._identity.storage_id)
        except Exception as error:
            # It is asked for its id again as soon as it answers; until then what was known of it counts.
            if not is_database_unavailable(error) or self._identity is None:
                raise
            identity = self._identity
        if found is None and identity is not None and identity.is_marked:  # another process may have marked it between the two looks
            found = await self._look_at_store()
        return found if isinstance(found, str) else await self._judge(found, identity)

    async def _judge(self, found: uuid.UUID | None, identity: StorageIdentity | None) -> str | None:
        """Return what is wrong with a store that has the id `found` in its marker, or has none; it is marked if it may be."""
        if identity is None:
            return "The database has not been migrated to this version yet."
        if found == identity.storage_id:
            if not identity.is_marked:
                await self._note_marked(identity)
            return None
        if found is not None:
            return f"{self._storage.setting} belongs to another database: its marker {MARKER} has the id {found}, and this database has {identity.storage_id}."
        if identity.is_marked:
            return f"{self._storage.setting} has no marker ({MARKER}), so it is not where this database's files are. {self._hint}"
        return await self._adopt(identity) if self._may_adopt else f"{self._storage.setting} has not been marked by an API yet."

    async def _look_at_store(self) -> uuid.UUID | str | None:
        """Return the id in the marker, None if there is none, or a sentence if the folder cannot be used whatever its marker says."""
        if self._looking is None or self._looking.done():
            # One that still runs is waited for again: a store that hangs gets no queue of looks.
            self._looking = asyncio.ensure_future(self._read())
        timeout_s = self._storage.look_timeout_s
        done, _ = await asyncio.wait({self._looking}, timeout=timeout_s)
        if not done:
            is_slow = self._found is not None and time.monotonic() - self._answered_at < SLOW_S
            return self._found if is_slow else f"{self._storage.setting} does not answer within {timeout_s:g} seconds."
        found = self._looking.result()
        if not isinstance(found, str):
            self._found, self._answered_at = found, time.monotonic()
        return found

    async def _read(self) -> uuid.UUID | str | None:
        setting = self._storage.setting
        try:
            found = await read_marker(self._storage)
        except MarkerUnreadable:
            return f"The marker {MARKER} of {setting} is damaged. `python -m features.backup adopt` writes it anew."
        except OSError as error:
            return f"{setting} cannot be read: {error.strerror}."
        if found is None or time.monotonic() - self._written_at <= self._storage.writable_s:
            return found
        try:
            await self._storage.require_writable()
        except OSError as error:
            if not is_disk_full(error):  # that has limits and messages of its own
                return f"{setting} cannot be written: {error.strerror}."
        else:
            self._written_at = time.monotonic()
        return found

    @property
    def _hint(self) -> str:
        return "Is the disk or share mounted?" if self._storage.setting == "UPLOAD_DIR" else "Is it the right bucket and prefix?"

    async def _sample(self) -> set[uuid.UUID]:
        """Return the ids of some jobs whose files lie in the store, which is made if it can be and is not there."""
        await self._storage.prepare()
        found: set[uuid.UUID] = set()
        async for batch in self._storage.list_files():
            found |= {job_id for each in batch if (job_id := find_job_id(each.name)) is not None}
            if len(found) >= SAMPLE_FILES:
                break
        return found

    async def _identify(self, *, fresh: bool) -> StorageIdentity | None:
        if fresh or time.monotonic() - self._identified_at > IDENTITY_S:
            async with self._database.reading() as session:
                self._identity = await storage_identity.get_identity(session)
            self._identified_at = time.monotonic()
        return self._identity

    async def _note_marked(self, identity: StorageIdentity) -> None:
        async with self._database.unit_of_work() as session:
            await storage_identity.note_marked(session)
        self._identity = replace(identity, is_marked=True)

    async def _adopt(self, identity: StorageIdentity) -> str | None:
        """Mark a store without a marker for a database that never had one, if what is in both fits together; else return why not."""
        try:
            ids = await self._sample()
        except OSError as error:
            return f"{self._storage.setting} cannot be made or read: {error.strerror}."
        async with self._database.reading() as session:
            has_jobs = await storage_identity.has_jobs(session)
            fits = await storage_identity.has_any_of(session, job_ids=ids) if ids else not has_jobs
        if not fits:
            if ids:
                return f"{self._storage.setting} holds files, and the database knows none of them: is it the right database, and was it restored?"
            return f"The database has jobs, and {self._storage.setting} has no file of any. {self._hint}"
        try:
            await write_marker(self._storage, identity.storage_id)
        except OSError as error:
            return f"{self._storage.setting} cannot be written: {error.strerror}."
        await self._note_marked(identity)
        log.info("the stored files are marked as those of this database", storage_id=str(identity.storage_id))
        return None


def get_guard(context: TaskContext) -> StorageGuard:
    """Return the guard of a process that runs tasks."""
    return context.keep(StorageGuard, lambda: StorageGuard(context.database, get_storage(context)))
