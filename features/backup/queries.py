"""The backup slice's SQL: what is in the database, in one snapshot of it; and the few changes after a restore."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, text, update

from features.backup.types import FileEntry
from shared.db.models import Job, Output, OutputStatus
from shared.jobs.storage import output_path, stored_path

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncSession

BATCH_ROWS = 10_000


async def export_snapshot(session: AsyncSession) -> str:
    """Return the name by which other connections see the database as this transaction does (PostgreSQL, "Snapshot Synchronization Functions")."""
    name: str = (await session.scalars(select(func.pg_export_snapshot()))).one()
    return name


async def list_tables(session: AsyncSession) -> Sequence[str]:
    """Return the names of all tables."""
    return (await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"))).all()


async def count_rows(session: AsyncSession) -> Mapping[str, int]:
    """Count the rows of each table; reads all of them."""
    counts = {}
    for table in await list_tables(session):
        counts[table] = (await session.scalars(text(f'SELECT count(*) FROM "{table}"'))).one()  # noqa: S608  # a table's own name
    return counts


async def has_jobs(session: AsyncSession) -> bool:
    """Whether there is any job, deleted ones included."""
    if "jobs" not in await list_tables(session):
        return False
    return bool(await session.scalar(text("SELECT EXISTS (SELECT FROM jobs)")))


async def list_others(session: AsyncSession) -> Sequence[str]:
    """Return the names of the service's processes that are connected to this database."""
    statement = text("SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^rowgate-(api|tasks)'")
    return (await session.scalars(statement)).all()


async def list_files(session: AsyncSession, upload_dir: Path) -> AsyncIterator[FileEntry]:
    """Yield every file that the database knows of: those of jobs that clients see, and of their outputs that are there."""
    jobs = select(Job.id, Job.filename, Job.sha256).where(Job.deleted_at.is_(None)).execution_options(yield_per=BATCH_ROWS)
    async for job in await session.stream(jobs):
        path = stored_path(upload_dir, job.id, job.filename)
        yield FileEntry(path=str(path.relative_to(upload_dir)), sha256=job.sha256, job_id=job.id)
    outputs = (
        select(Output.id, Output.job_id, Output.claim, Output.name, Output.sha256)
        .where(Output.status == OutputStatus.READY, Output.expired_at.is_(None))
        .execution_options(yield_per=BATCH_ROWS)
    )
    async for output in await session.stream(outputs):
        path = output_path(upload_dir, job_id=output.job_id, output_id=output.id, claim=output.claim, name=output.name)
        yield FileEntry(path=str(path.relative_to(upload_dir)), sha256=output.sha256, job_id=output.job_id, output_id=output.id)


async def list_kept(session: AsyncSession, *, job_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of the jobs that clients still see."""
    return set((await session.scalars(select(Job.id).where(Job.id.in_(job_ids), Job.deleted_at.is_(None)))).all())


async def drop_tables(session: AsyncSession) -> None:
    """Remove everything from a database that has no job, so that a dump can be restored into it."""
    await session.execute(text("DROP SCHEMA public CASCADE"))
    await session.execute(text("CREATE SCHEMA public"))


async def delete_jobs(session: AsyncSession, *, job_ids: Collection[uuid.UUID]) -> None:
    """Delete jobs with everything of theirs."""
    await session.execute(delete(Job).where(Job.id.in_(job_ids)), execution_options={"synchronize_session": False})


async def lose_outputs(session: AsyncSession, *, output_ids: Collection[uuid.UUID]) -> None:
    """Note that the content of outputs is gone, so that it is made anew when it is asked for."""
    statement = update(Output).where(Output.id.in_(output_ids)).values(expired_at=func.now())
    await session.execute(statement, execution_options={"synchronize_session": False})
