"""Make a new job of a file that is stored already: no second upload, and no second copy if the file system can give a file two names."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from features.upload.accept import Insertion, require_inserted
from features.upload.options import check_descriptor, check_encoding, check_outputs, check_webhook_url
from features.upload.problems import DiskFull, InvalidUpload
from features.upload.schemas import CheckAgain, JobCreate, UploadOptions
from shared.db.models import Job
from shared.jobs.queries import require_job
from shared.jobs.storage import PARTIAL_SUFFIX, is_disk_full, stored_path, sync_folder
from shared.messages.outbox import get_request_id
from shared.web.problems import FileGone, InvalidPart, StorageUnavailable

if TYPE_CHECKING:
    from features.upload.accept import Intake
    from shared.descriptors.judging import Kind
    from shared.settings import Settings
    from shared.web.auth import Viewer

log = structlog.get_logger(__name__)

_NO_SECOND_NAME = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES})
"""How file systems say that they give no file a second name, or not this one."""


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
    source, path = stored_path(settings.upload_dir, job.id, job.filename), stored_path(settings.upload_dir, new_id, job.filename)
    create = JobCreate(
        id=new_id,
        filename=job.filename,
        file_size=job.file_size,
        file_type=job.file_type,
        sha256=job.sha256,
        options=options,
        submitted_by=viewer.name,
        checked_again_from=job.id,
    )
    try:
        await asyncio.shield(asyncio.to_thread(give_second_name, source, path, min_free_bytes=settings.min_free_disk_bytes))
    except FileNotFoundError as error:
        raise FileGone from error
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull from error
        log.error("a file could not be given a second name", reason=error.strerror)  # noqa: TRY400  # says it all
        raise StorageUnavailable from error
    await require_inserted(intake, Insertion(create=create, path=path, request_id=get_request_id()))
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


def give_second_name(source: Path, path: Path, *, min_free_bytes: int) -> None:
    """Make the file at `source` also that at `path`, durably: by a second name (link(2)), or else by a copy. Runs in a thread.

    Raises `FileNotFoundError` if there is no such file, and `OSError`; then nothing is left at `path`.
    """
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno not in _NO_SECOND_NAME:
            raise
        _copy(source, path, min_free_bytes=min_free_bytes)
    sync_folder(path.parent)


def _copy(source: Path, path: Path, *, min_free_bytes: int) -> None:
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        with source.open("rb") as reader, partial.open("xb") as writer:
            if shutil.disk_usage(path.parent).free < min_free_bytes + os.fstat(reader.fileno()).st_size:
                raise OSError(errno.ENOSPC, "the reserve of free disk space is reached")
            shutil.copyfileobj(reader, writer, 2**20)
            writer.flush()
            os.fsync(writer.fileno())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
