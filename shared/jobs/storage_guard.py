"""Make sure that the upload folder is the one of this database, and works, before anything is accepted, claimed or swept.

A share that is not mounted looks like an empty folder, and a database that was restored on another machine meets a folder of somebody else: in both, sweeping
would remove files that are wanted, and a job would fail although its file is safe elsewhere.
"""

from __future__ import annotations

import asyncio
import errno
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from shared.db import storage_identity
from shared.db.errors import is_database_unavailable
from shared.db.storage_identity import StorageIdentity
from shared.jobs.storage import is_disk_full, list_job_files
from shared.jobs.storage_marker import MARKER, MarkerUnreadable, read_marker, require_writable, write_marker
from shared.observing.frames import describe_frames
from shared.observing.metrics import STORAGE_LOST
from shared.web.problems import StorageUnavailable

if TYPE_CHECKING:
    from shared.db.session import Database
    from shared.messages.tasks import TaskContext

TIMEOUT_S = 0.7
"""How long a look waits for the folder; a network file system whose server is gone never answers."""
SLOW_S = 10.0
"""So long after its last answer a folder that does not answer in time is slow; after that it is lost."""
FRESH_S = 3.0
"""How long an answer counts; an API looks once a second, so that no request waits for a look."""
WRITABLE_S = 5.0
"""How long it counts that a file could be made."""
IDENTITY_S = 30.0
"""How long the database's id counts; it changes when another database is restored."""
WATCH_S = 10.0
API_WATCH_S = 1.0
SAMPLE_FILES = 1000
"""So many files of a folder without a marker are compared with the jobs."""

log = structlog.get_logger(__name__)


class StorageGuard:
    """Looks at the folder of one process, at most once a second. With `may_adopt`, a folder without a marker is marked if it can only be the right one."""

    def __init__(self, database: Database, upload_dir: Path, *, may_adopt: bool = False) -> None:
        self._database, self._upload_dir, self._may_adopt = database, upload_dir, may_adopt
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")
        self._lock = asyncio.Lock()
        self._looking: asyncio.Future[uuid.UUID | str | None] | None = None
        self._problem: str | None = None
        self._looked_at = self._identified_at = self._written_at = float("-inf")
        self._identity: StorageIdentity | None = None
        self._told: str | None = None
        self._found: uuid.UUID | None = None
        self._answered_at = float("-inf")

    async def find_problem(self, *, fresh: bool = False) -> str | None:
        """Return why the folder must not be used, in one sentence for operators; None if all is well.

        `fresh`: look now, and ask the database for its id, whatever was found a moment ago.
        """
        if not fresh and time.monotonic() - self._looked_at < FRESH_S:
            return self._problem  # without waiting for a look that goes on
        return await self._find_problem(fresh=fresh, max_age_s=0.0 if fresh else FRESH_S)

    async def _find_problem(self, *, fresh: bool, max_age_s: float) -> str | None:
        async with self._lock:
            if time.monotonic() - self._looked_at >= max_age_s:
                self._problem = await self._look(fresh=fresh)
                self._looked_at = time.monotonic()
                self._tell()
            return self._problem

    async def require(self) -> None:
        """Raise `StorageUnavailable` if the folder must not be used."""
        if await self.find_problem() is not None:
            raise StorageUnavailable

    async def watch(self, *, every_s: float) -> None:
        """Look every `every_s` seconds until cancelled, so that no request has to, and log and metrics tell of a folder that nobody asks for."""
        while True:
            try:
                await self._find_problem(fresh=False, max_age_s=API_WATCH_S / 2)
            except Exception as error:  # noqa: BLE001  # whatever it is, the watch goes on
                if not is_database_unavailable(error):
                    log.error("the upload folder could not be looked at", exception=describe_frames(error))  # noqa: TRY400  # without its message
            await asyncio.sleep(every_s)

    def close(self) -> None:
        """End the thread; one that hangs is left behind."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _tell(self) -> None:
        STORAGE_LOST.set(self._problem is not None)
        if self._problem == self._told:
            return
        if self._problem is None:
            log.info("the upload folder can be used again")
        else:
            log.error("the upload folder must not be used: nothing is accepted, claimed or removed", reason=self._problem, upload_dir=str(self._upload_dir))
        self._told = self._problem

    async def _look(self, *, fresh: bool) -> str | None:
        found = await self._look_at_folder()
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
            found = await self._look_at_folder()
        return found if isinstance(found, str) else await self._judge(found, identity)

    async def _judge(self, found: uuid.UUID | None, identity: StorageIdentity | None) -> str | None:
        """Return what is wrong with a folder that has the id `found` in its marker, or has none; it is marked if it may be."""
        if identity is None:
            return "The database has not been migrated to this version yet."
        if found == identity.storage_id:
            if not identity.is_marked:
                await self._note_marked(identity)
            return None
        if found is not None:
            return f"UPLOAD_DIR belongs to another database: its marker {MARKER} has the id {found}, and this database has {identity.storage_id}."
        if identity.is_marked:
            return f"UPLOAD_DIR has no marker ({MARKER}), so it is not the folder that this database's files are in. Is the disk or share mounted?"
        return await self._adopt(identity) if self._may_adopt else "UPLOAD_DIR has not been marked by an API yet."

    async def _look_at_folder(self) -> uuid.UUID | str | None:
        """Return the id in the marker, None if there is none, or a sentence if the folder cannot be used whatever its marker says."""
        if self._looking is None or self._looking.done():
            # One that still runs is waited for again: a file system that hangs gets no queue of looks.
            self._looking = asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        done, _ = await asyncio.wait({self._looking}, timeout=TIMEOUT_S)
        if not done:
            is_slow = self._found is not None and time.monotonic() - self._answered_at < SLOW_S
            return self._found if is_slow else f"UPLOAD_DIR does not answer within {SLOW_S:g} seconds."
        found = self._looking.result()
        if not isinstance(found, str):
            self._found, self._answered_at = found, time.monotonic()
        return found

    def _read(self) -> uuid.UUID | str | None:
        found: uuid.UUID | None = None
        try:
            found = read_marker(self._upload_dir)
            if found is not None and time.monotonic() - self._written_at > WRITABLE_S:
                require_writable(self._upload_dir)
                self._written_at = time.monotonic()
        except MarkerUnreadable:
            return f"The marker {MARKER} of UPLOAD_DIR is damaged. `python -m features.backup adopt` writes it anew."
        except OSError as error:
            if found is not None and is_disk_full(error):  # has limits and messages of its own
                return found
            doing = "read" if error.errno in {errno.ENOENT, errno.EIO, errno.ESTALE, errno.ENOTDIR} else "written"
            return f"UPLOAD_DIR cannot be {doing}: {error.strerror}."
        return found

    def _sample(self) -> set[uuid.UUID]:
        """Return the ids of some jobs whose files lie in the folder, which is made if it is not there."""
        self._upload_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {entry[0] for entry in islice(list_job_files(self._upload_dir), SAMPLE_FILES)}

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
        """Mark a folder without a marker for a database that never had one, if what is in both fits together; else return why not."""
        try:
            ids = await asyncio.to_thread(self._sample)
        except OSError as error:
            return f"UPLOAD_DIR cannot be made or read: {error.strerror}."
        async with self._database.reading() as session:
            has_jobs = await storage_identity.has_jobs(session)
            fits = await storage_identity.has_any_of(session, job_ids=ids) if ids else not has_jobs
        if not fits:
            if ids:
                return "UPLOAD_DIR holds files, and the database knows none of them: is it the right database, and was it restored?"
            return "The database has jobs, and UPLOAD_DIR has no file of any: is the disk or share mounted?"
        try:
            await asyncio.to_thread(write_marker, self._upload_dir, identity.storage_id)
        except OSError as error:
            return f"UPLOAD_DIR cannot be written: {error.strerror}."
        await self._note_marked(identity)
        log.info("the upload folder is marked as that of this database", storage_id=str(identity.storage_id))
        return None


def get_guard(context: TaskContext) -> StorageGuard:
    """Return the guard of a process that runs tasks."""
    return context.keep(StorageGuard, lambda: StorageGuard(context.database, context.settings.upload_dir))
