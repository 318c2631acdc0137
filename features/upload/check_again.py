"""Make a new job of a file that is stored already: no second upload, and no second copy if the file system can give a file two names."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from features.upload.accept import Insertion, remove_file, require_inserted
from features.upload.options import check_descriptor, check_encoding, check_outputs, check_webhook_url
from features.upload.problems import InvalidUpload
from features.upload.schemas import CheckAgain, JobCreate, UploadOptions
from features.upload.storing import explain_failure
from shared.db.models import Job
from shared.jobs.queries import require_job
from shared.messages.outbox import get_request_id
from shared.observing.tracing import get_traceparent
from shared.storage.names import name_file
from shared.web.problems import FileGone, InvalidPart, StorageUnavailable

if TYPE_CHECKING:
    from features.upload.accept import Intake
    from shared.descriptors.judging import Kind
    from shared.settings import Settings
    from shared.web.auth import Viewer


async def check_again(intake: Intake, *, job_id: uuid.UUID, viewer: Viewer, given: CheckAgain, settings: Settings, client: str) -> Job:
    """Return the new job, which is committed and has a file of its own.

    Raises `JobNotFound`, `InvalidUpload` with every problem of what is given, `FileGone`, `TooManyUploads`, `DiskFull` or `StorageUnavailable`.
    """
    async with intake.database.reading() as session:
        job = await require_job(session, job_id=job_id, viewer=viewer, load=[Job.schema_given, Job.dialect])
    options, problems = await _choose_options(job, given, settings=settings, client=client)
    if problems:
        raise InvalidUpload(problems[0].message if len(problems) == 1 else None, errors=problems)
    new_id = uuid.uuid4()
    name = name_file(new_id, job.filename)
    create = JobCreate(
        id=new_id,
        filename=job.filename,
        file_size=job.file_size,
        file_type=job.file_type,
        sha256=job.sha256,
        options=options,
        submitted_by=viewer.name,
        checked_again_from=job.id,
        traceparent=get_traceparent(),
    )
    try:
        with explain_failure(intake.storage):
            await asyncio.shield(intake.storage.copy(name_file(job.id, job.filename), name))
    except FileNotFoundError as error:
        raise FileGone from error
    except StorageUnavailable:
        await remove_file(intake.storage, name)  # it may have been copied all the same
        raise
    await require_inserted(intake, Insertion(create=create, name=name, request_id=get_request_id()))
    async with intake.database.reading() as session:
        return await require_job(session, job_id=new_id, viewer=viewer, load=[Job.schema_given, Job.schema_inferred])


async def _choose_options(job: Job, given: CheckAgain, *, settings: Settings, client: str) -> tuple[UploadOptions, Sequence[InvalidPart]]:
    """Return the options of the new job, and every problem of what is given; what is not given is taken from the job."""
    problems: list[InvalidPart] = []
    changes: dict[str, Any] = {}
    for name in given.model_fields_set:
        value = getattr(given, name)
        if name in ("table_schema", "dialect"):
            kind: Kind = "schema" if name == "table_schema" else "dialect"
            changes[name] = None if value is None else await check_descriptor(kind, _encode(value), problems, client)
        elif name == "encoding":
            changes[name] = check_encoding(value, problems) if value is not None and value.strip() else None
        elif name == "webhook_url":
            changes[name] = check_webhook_url(value, settings, problems) if value is not None and value.strip() else None
        else:
            changes[name] = check_outputs(value or (), problems)
    taken = {
        "webhook_url": job.webhook_url,
        "table_schema": job.schema_given,
        "dialect": job.dialect,
        "encoding": job.encoding,
        "outputs": tuple(job.outputs_wanted),
        "external_id": job.external_id,
        "labels": job.labels,
    }
    return UploadOptions(**taken | changes), problems


def _encode(descriptor: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(descriptor, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can write
        return json.dumps(descriptor, separators=(",", ":")).encode()
