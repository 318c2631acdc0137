"""Alembic's environment: connects as the service does, and lets only one migration run at a time, under an advisory lock."""

from __future__ import annotations

import asyncio

import asyncpg
import sqlalchemy as sa
from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared import slices
from shared.db.base import Base
from shared.db.models import IS_VIEW, Job
from shared.observing.logging import configure_logging, log_whatever_is_written
from shared.settings import get_settings

MIGRATION_LOCK = 7_262_411_935
"""The advisory lock's key: an arbitrary number that must stay the same in every version of the service."""

log_whatever_is_written()
configure_logging(get_settings())
assert Job.metadata is Base.metadata
slices.load("features", "models")


def _is_compared(item: object, _name: str | None, _kind: str, _reflected: bool, _compare_to: object) -> bool:  # noqa: FBT001  # Alembic's interface
    """Whether migrations and models must agree on this; views are made by hand."""
    return not getattr(item, "info", {}).get(IS_VIEW, False)


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True, transaction_per_migration=False, include_object=_is_compared)
    with context.begin_transaction():
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.run_migrations()


async def _run() -> None:
    url = get_settings().database_url

    async def connect() -> asyncpg.Connection:
        # Connects as the service does, so that the URL's parameters (such as sslmode) mean the same as to PostgreSQL.
        return await asyncpg.connect(dsn=url.replace("+asyncpg", "", 1), timeout=10)

    engine = create_async_engine(url, poolclass=NullPool, async_creator=connect)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate)
            await connection.commit()
    finally:
        await engine.dispose()


if context.is_offline_mode():
    context.configure(url=get_settings().database_url, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(_run())
