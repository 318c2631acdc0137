"""The upload slice's SQL: one insert, and which files on disk belong to a job."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import fields
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from features.upload.schemas import AcceptedJob, JobCreate
from shared.db.models import Job
from shared.job_state import RING_AGAIN_S

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


_SHOWN = [getattr(Job, field.name) for field in fields(AcceptedJob)]
_GIVEN = [field.name for field in fields(JobCreate) if field.name != "options"] + ["webhook_url", "schema_given", "dialect", "encoding"]
# Made once: building it and finding it among compiled statements takes longer than running it.
_INSERT = (
    insert(Job.__table__)  # type: ignore[arg-type]  # a table
    .values({name: bindparam(name) for name in _GIVEN})
    .values(next_ring_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, RING_AGAIN_S))
    .on_conflict_do_nothing()
    .returning(*_SHOWN)
)


async def insert_job(session: AsyncSession, *, create: JobCreate) -> AcceptedJob | None:
    """The new job, QUEUED; None where its idempotency key is taken."""
    options = create.options
    given = {name: getattr(create, name) for name in _GIVEN if hasattr(create, name)}
    given |= {"webhook_url": options.webhook_url, "schema_given": options.table_schema, "dialect": options.dialect, "encoding": options.encoding}
    row = (await session.execute(_INSERT, given)).one_or_none()
    return None if row is None else AcceptedJob(**row._mapping)  # noqa: SLF001  # SQLAlchemy's own name for it


async def get_job_by_key(session: AsyncSession, *, submitted_by: str | None, idempotency_key: str) -> AcceptedJob | None:
    """The job that this key was used for, if it still exists."""
    statement = select(*_SHOWN).where(
        func.coalesce(Job.submitted_by, "") == (submitted_by or ""),
        Job.idempotency_key == idempotency_key,
        Job.deleted_at.is_(None),
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else AcceptedJob(**row._mapping)  # noqa: SLF001


async def list_known_ids(session: AsyncSession, *, job_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of `job_ids` that have a row, deleted or not."""
    return set((await session.scalars(select(Job.id).where(Job.id.in_(job_ids)))).all())
