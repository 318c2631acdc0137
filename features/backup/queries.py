"""The backup slice's SQL: what is in the database, in one snapshot of it; and the few changes after a restore."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from features.backup.types import FileEntry
from shared import slices
from shared.db.base import Base
from shared.db.models import Job, Output, OutputStatus
from shared.storage.names import name_file, name_output

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from features.backup.types import Manifest

BATCH_ROWS = 10_000
ALEMBIC_TABLE = "alembic_version"
_DROP_OWN = """
DO $$
DECLARE statement text;
BEGIN
    FOR statement IN
        SELECT format('DROP %s IF EXISTS public.%I CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, relname)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND relname IN ({own})
        UNION ALL
        SELECT DISTINCT format('DROP FUNCTION IF EXISTS %s CASCADE', tgfoid::regprocedure)
        FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal AND relnamespace = 'public'::regnamespace AND relname IN ({own})
        UNION ALL
        SELECT DISTINCT format('DROP TYPE IF EXISTS %s CASCADE', atttypid::regtype)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_type ON pg_type.oid = atttypid
        WHERE relnamespace = 'public'::regnamespace AND relname IN ({own}) AND typtype = 'e'
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;
"""


@cache
def list_own_tables() -> Sequence[str]:
    """Return the names of the service's own tables and views: those of the models of every slice, and Alembic's."""
    slices.load("features", "models")
    return sorted([ALEMBIC_TABLE, *Base.metadata.tables])


def write_removal() -> str:
    """Return the statement that removes what the service has made in a database that has no job."""
    return _DROP_OWN.replace("{own}", ", ".join(f"'{name}'" for name in list_own_tables()))


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


async def list_foreign_tables(session: AsyncSession) -> Sequence[str]:
    """Return the tables and views in the database that are not the service's own, nor an extension's."""
    statement = text("""
        SELECT relname FROM pg_class AS found
        WHERE relnamespace = to_regnamespace('public') AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relname <> ALL (:own)
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = found.oid AND classid = 'pg_class'::regclass AND deptype = 'e')
        ORDER BY relname
    """)
    return (await session.scalars(statement, {"own": [*list_own_tables()]})).all()


async def get_server_version(session: AsyncSession) -> int:
    """Return the major version of PostgreSQL."""
    return int((await session.scalars(text("SHOW server_version_num"))).one()) // 10_000


async def list_files(session: AsyncSession) -> AsyncIterator[FileEntry]:
    """Yield every file that the database knows of: those of jobs that clients see, and of their outputs that are there."""
    jobs = select(Job.id, Job.filename, Job.sha256).where(Job.deleted_at.is_(None)).execution_options(yield_per=BATCH_ROWS)
    async for job in await session.stream(jobs):
        yield FileEntry(path=name_file(job.id, job.filename), sha256=job.sha256, job_id=job.id)
    outputs = (
        select(Output.id, Output.job_id, Output.claim, Output.name, Output.sha256)
        .where(Output.status == OutputStatus.READY, Output.expired_at.is_(None))
        .execution_options(yield_per=BATCH_ROWS)
    )
    async for output in await session.stream(outputs):
        name = name_output(job_id=output.job_id, output_id=output.id, claim=output.claim, name=output.name)
        yield FileEntry(path=name, sha256=output.sha256, job_id=output.job_id, output_id=output.id)


async def list_kept(session: AsyncSession, *, job_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of the jobs that clients still see."""
    return set((await session.scalars(select(Job.id).where(Job.id.in_(job_ids), Job.deleted_at.is_(None)))).all())


_CHECK = """
DO $$ BEGIN
    IF (SELECT count(*) FROM "{table}") <> {rows} THEN RAISE EXCEPTION 'it has not the rows that it should have, in: {table}'; END IF;
END $$;
"""


def write_settlement(manifest: Manifest) -> str:
    """Return the statements that end a restore: no row may be missing, and what was deleted while the backup was made is taken out."""
    checks = "".join(_CHECK.replace("{table}", table).replace("{rows}", str(rows)) for table, rows in manifest.rows.items() if table.isidentifier())
    deleted = ", ".join(f"'{job_id}'" for job_id in manifest.deleted_jobs)
    return "\n".join(
        [
            "",
            "SELECT set_config('search_path', 'public', true);",  # the triggers need it
            checks,
            f"DELETE FROM jobs WHERE id IN ({deleted});" if deleted else "",  # noqa: S608  # UUIDs
            "UPDATE storage SET marked_at = coalesce(marked_at, now());" if "storage" in manifest.rows else "",
            "",
        ]
    )
