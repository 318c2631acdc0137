"""Turn a stored file into a job in the database, once per idempotency key."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from features.upload import metrics, queries
from features.upload.problems import KeyReused
from features.upload.receive import ReceivedFile
from features.upload.schemas import JobCreate
from features.upload.types import AcceptedJob
from shared.concurrency.grouping import Grouping
from shared.contracts import PROCESS_JOB, ProcessJob
from shared.db.errors import is_database_unavailable
from shared.messages.outbox import enqueue, get_request_id
from shared.observing.tracing import get_traceparent, span
from shared.storage.names import name_file

if TYPE_CHECKING:
    from shared.db.session import Database
    from shared.storage.base import Storage
    from shared.web.auth import Viewer


@dataclass(slots=True, kw_only=True, eq=False)
class Insertion:
    """A job to insert. Once its insertion has begun, the code that inserts it removes its file if that fails."""

    create: JobCreate
    name: str
    """Of its stored file."""
    request_id: str | None
    has_begun: bool = False


log = structlog.get_logger(__name__)

_LATER_FIELDS = {"outputs", "external_id", "labels"}
"""Fields that count only if they are sent, so that a request without them has the fingerprint that it had before there were such fields."""
MAX_IN_GROUP = 32
PATIENCE_S = 0.05
"""How long a group of jobs waits for the previous group before it runs beside it."""


class Intake:
    """State shared by all uploads of one application: the groups that make jobs without an idempotency key durable together."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self.database, self.storage = database, storage
        insert = partial(insert_together, database, storage)
        self.insertions: Grouping[Insertion, AcceptedJob] = Grouping(insert, max_items=MAX_IN_GROUP, patience_s=PATIENCE_S)

    async def aclose(self) -> None:
        """Wait for all groups that are still running or waiting."""
        await self.insertions.aclose()


async def accept_file(intake: Intake, received: ReceivedFile, *, viewer: Viewer, idempotency_key: str | None) -> tuple[AcceptedJob, bool]:
    """Return the committed job for `received`, and whether it is new.

    If the idempotency key already has a job, that job is returned and the newly received file is removed. Raises `KeyReused` if that job had another
    file or other fields.
    """
    create = JobCreate(
        id=received.job_id,
        filename=received.filename,
        file_size=received.size,
        file_type=received.file_type,
        sha256=received.sha256,
        options=received.options,
        submitted_by=viewer.name,
        idempotency_key=idempotency_key,
        fingerprint=_fingerprint(received) if idempotency_key is not None else None,
        traceparent=get_traceparent(),
    )
    name = name_file(received.job_id, received.filename)
    job = await require_inserted(intake, Insertion(create=create, name=name, request_id=get_request_id()))
    if job.id == create.id:
        metrics.UPLOADS.labels(file_type=job.file_type).inc()
        metrics.UPLOADED_BYTES.inc(job.file_size)
        return job, True
    await remove_file(intake.storage, name)
    if job.fingerprint != create.fingerprint:
        raise KeyReused(f"The Idempotency-Key {idempotency_key!r} belongs to job {job.id}, which had another file or other fields; use a new key.")
    return job, False


async def require_inserted(intake: Intake, insertion: Insertion) -> AcceptedJob:
    """Return the committed job of an insertion, or the one that has its idempotency key already; if the insertion fails, its file is removed."""
    try:
        with span("insert job"):
            # A job with a key is inserted alone: it may have to wait for another transaction that inserts the same key, and in a group the other jobs
            # would wait with it, or two groups would deadlock.
            if insertion.create.idempotency_key is None:
                return await intake.insertions.do(insertion)
            return await _insert_or_find(intake, insertion)
    finally:
        if not insertion.has_begun:
            await asyncio.shield(remove_file(intake.storage, insertion.name))


async def insert_together(database: Database, storage: Storage, insertions: Sequence[Insertion]) -> Sequence[AcceptedJob | BaseException]:
    """Insert jobs without an idempotency key in one transaction; if the database refuses it, insert each alone so that only the faulty ones fail."""
    inserted: dict[uuid.UUID, AcceptedJob] = {}
    try:
        await _insert(database, insertions, inserted)
    except BaseException as error:
        # The jobs were inserted and the COMMIT failed. It may still have taken effect, so the files are left for the sweep to decide on.
        if inserted:
            raise
        if len(insertions) > 1 and isinstance(error, Exception) and not is_database_unavailable(error):
            alone = await asyncio.gather(*(insert_together(database, storage, [insertion]) for insertion in insertions), return_exceptions=True)
            return [result if isinstance(result, BaseException) else result[0] for result in alone]
        await asyncio.shield(_remove_files(storage, insertions))
        raise
    return [inserted[insertion.create.id] for insertion in insertions]


async def _insert(database: Database, insertions: Sequence[Insertion], inserted: dict[uuid.UUID, AcceptedJob]) -> None:
    """Insert the jobs and add them to `inserted`, by id, before the commit; jobs whose key is taken are left out."""
    for insertion in insertions:
        insertion.has_begun = True
    async with database.unit_of_work() as session:
        inserted |= await queries.insert_jobs(session, creates=[insertion.create for insertion in insertions])
        for insertion in insertions:
            if insertion.create.id in inserted:
                message = ProcessJob(job_id=insertion.create.id)
                enqueue(session, PROCESS_JOB, message, request_id=insertion.request_id, traceparent=insertion.create.traceparent)


async def _insert_or_find(intake: Intake, insertion: Insertion) -> AcceptedJob:
    """Return the job with this idempotency key: the new one, or the one that already has the key."""
    inserted: dict[uuid.UUID, AcceptedJob] = {}
    create = insertion.create
    assert create.idempotency_key is not None
    try:
        while True:
            await _insert(intake.database, [insertion], inserted)
            if create.id in inserted:
                return inserted[create.id]
            async with intake.database.reading() as session:
                job = await queries.get_job_by_key(session, submitted_by=create.submitted_by, idempotency_key=create.idempotency_key)
            if job is not None:  # otherwise that job was deleted a moment ago and the key is free again
                return job
    except BaseException:
        if not inserted:
            await asyncio.shield(remove_file(intake.storage, insertion.name))
        raise


async def _remove_files(storage: Storage, insertions: Sequence[Insertion]) -> None:
    for insertion in insertions:
        await remove_file(storage, insertion.name)


async def remove_file(storage: Storage, name: str) -> None:
    """Remove a file that has no job; what cannot be removed is left to the sweep."""
    try:
        await storage.remove(name)
    except OSError as error:
        log.warning("a file without a job is left to the sweep", reason=error.strerror)


def _fingerprint(received: ReceivedFile) -> str:
    """Hash the file and its fields: equal for equal requests (draft-ietf-httpapi-idempotency-key-header, "Idempotency Fingerprint")."""
    fields = received.options.model_dump(exclude=_LATER_FIELDS) | received.options.model_dump(include=_LATER_FIELDS, exclude_defaults=True)
    payload = [received.sha256, received.filename, fields]
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
