"""From a file on disk to a job in the database: once for each idempotency key."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from features.upload import queries
from features.upload.problems import KeyReused
from features.upload.receive import ReceivedFile
from features.upload.schemas import AcceptedJob, JobCreate
from shared import metrics
from shared.contracts import PROCESS_JOB, ProcessJob
from shared.messaging import enqueue
from shared.storage import remove_file, stored_path

if TYPE_CHECKING:
    from pathlib import Path

    from shared.auth import Viewer
    from shared.db.session import Database


async def accept_file(database: Database, received: ReceivedFile, *, viewer: Viewer, idempotency_key: str | None, upload_dir: Path) -> tuple[AcceptedJob, bool]:
    """The committed job of `received`, and whether it is new; a file that came a second time is removed. Raises `KeyReused`."""
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
    )
    path = stored_path(upload_dir, received.job_id, received.filename)
    job = await _insert_or_find(database, create, path)
    if job.id == create.id:
        metrics.UPLOADS.labels(file_type=job.file_type).inc()
        metrics.UPLOADED_BYTES.inc(job.file_size)
        return job, True
    await remove_file(path)
    if job.fingerprint != create.fingerprint:
        raise KeyReused(f"The Idempotency-Key {idempotency_key!r} belongs to job {job.id}, which had another file or other fields; use a new key.")
    return job, False


async def _insert_or_find(database: Database, create: JobCreate, path: Path) -> AcceptedJob:
    job: AcceptedJob | None = None
    try:
        while job is None:
            async with database.unit_of_work() as session:
                job = await queries.insert_job(session, create=create)
                if job is not None:
                    enqueue(session, PROCESS_JOB, ProcessJob(job_id=job.id))
                elif create.idempotency_key is not None:
                    job = await queries.get_job_by_key(session, submitted_by=create.submitted_by, idempotency_key=create.idempotency_key)
    except BaseException:
        # Where the COMMIT itself failed it may still have arrived: the sweep decides about the file then.
        if job is None:
            await asyncio.shield(remove_file(path))
        raise
    return job


def _fingerprint(received: ReceivedFile) -> str:
    """The same for the same file and fields (draft-ietf-httpapi-idempotency-key-header, "Idempotency Fingerprint")."""
    payload = [received.sha256, received.filename, asdict(received.options)]
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
