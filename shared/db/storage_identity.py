"""Which stored files belong to this database: the id that their marker repeats, and whether any were ever marked with it."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import exists, func, select, text, update

from shared.db.models import Job, Storage

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class StorageIdentity:
    """The id, and whether some folder has been marked with it."""

    storage_id: uuid.UUID
    is_marked: bool


async def get_identity(session: AsyncSession) -> StorageIdentity | None:
    """Return the database's id; None if its migrations have not come that far."""
    if await session.scalar(text("SELECT to_regclass('storage')")) is None:
        return None
    row = (await session.execute(select(Storage.storage_id, Storage.marked_at))).one_or_none()
    return None if row is None else StorageIdentity(row.storage_id, row.marked_at is not None)


async def note_marked(session: AsyncSession) -> None:
    """Record that a folder has been marked; the first time counts."""
    await session.execute(update(Storage).where(Storage.marked_at.is_(None)).values(marked_at=func.now()))


async def has_jobs(session: AsyncSession) -> bool:
    """Whether there is any job that clients see, and whose file should be there therefore."""
    return bool(await session.scalar(select(exists().where(Job.deleted_at.is_(None)))))


async def has_any_of(session: AsyncSession, *, job_ids: Collection[uuid.UUID]) -> bool:
    """Whether at least one of these ids is that of a job."""
    return bool(await session.scalar(select(exists().where(Job.id.in_(job_ids)))))
