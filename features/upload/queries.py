"""The upload slice's SQL: one insert, and which files on disk belong to a job."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from features.upload.schemas import JobCreate
from shared.db.models import Job
from shared.job_state import RING_AGAIN_S

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


async def insert_job(session: AsyncSession, *, create: JobCreate) -> Job | None:
    """The new job, QUEUED; None where its idempotency key is taken."""
    statement = (
        insert(Job)
        .values(
            id=create.id,
            filename=create.filename,
            file_size=create.file_size,
            file_type=create.file_type,
            sha256=create.sha256,
            webhook_url=create.options.webhook_url,
            schema_given=create.options.table_schema,
            dialect=create.options.dialect,
            encoding=create.options.encoding,
            submitted_by=create.submitted_by,
            idempotency_key=create.idempotency_key,
            fingerprint=create.fingerprint,
            next_ring_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, RING_AGAIN_S),
        )
        .on_conflict_do_nothing()
        .returning(Job)
    )
    return (await session.scalars(statement)).one_or_none()


async def get_job_by_key(session: AsyncSession, *, submitted_by: str | None, idempotency_key: str) -> Job | None:
    """The job that this key was used for, if it still exists."""
    statement = select(Job).where(
        func.coalesce(Job.submitted_by, "") == (submitted_by or ""),
        Job.idempotency_key == idempotency_key,
        Job.deleted_at.is_(None),
    )
    return (await session.scalars(statement)).one_or_none()


async def list_known_ids(session: AsyncSession, *, job_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of `job_ids` that have a row, deleted or not."""
    return set((await session.scalars(select(Job.id).where(Job.id.in_(job_ids)))).all())
