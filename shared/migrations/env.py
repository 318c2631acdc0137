"""Alembic's environment: connects as the service does, and lets only one migration run at a time, under an advisory lock.

An upgrade of a database that newer code has migrated does nothing, so that the release before can be rolled back to. An upgrade waits for locks of tables
only for moments, since every request that needs the same table waits behind it, and begins again.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial

import asyncpg
import sqlalchemy as sa
import structlog
from alembic import context
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared import slices
from shared.db.base import Base
from shared.db.connecting import choose_statement_options, connect
from shared.db.migration_level import get_code_level, judge_level
from shared.db.models import IS_VIEW, Job
from shared.db.session import MIGRATION_LOCK
from shared.observing.logging import configure_logging, log_whatever_is_written
from shared.settings import get_settings

LOCK_TIMEOUT_S = 2.0
"""How long an upgrade waits for a table; requests that need the table wait as long."""
PAUSE_S = 1.0
TRIES = 60
LOCK_NOT_AVAILABLE = "55P03"
log = structlog.get_logger(__name__)

log_whatever_is_written()
configure_logging(get_settings())
assert Job.metadata is Base.metadata
slices.load("features", "models")


def _is_compared(item: object, _name: str | None, _kind: str, _reflected: bool, _compare_to: object) -> bool:  # noqa: FBT001  # Alembic's interface
    """Whether migrations and models must agree on this; views are made by hand."""
    return not getattr(item, "info", {}).get(IS_VIEW, False)


def _migrate(connection: Connection, *, is_upgrade: bool) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True, transaction_per_migration=False, include_object=_is_compared)
    with context.begin_transaction():
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        level = context.get_context().get_current_revision()
        if not is_upgrade:
            context.run_migrations()
            return
        if judge_level(level) == "ahead":
            log.warning("newer code has migrated the database: there is nothing to do", database_level=level, code_level=get_code_level())
            return
        start = time.monotonic()
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S * 1000:.0f}'"))
        context.run_migrations()
        reached = context.get_context().get_current_revision()
        if reached != level:
            log.info("the database was migrated", from_level=level, to_level=reached, seconds=round(time.monotonic() - start, 3))


async def _run() -> None:
    settings = get_settings()
    is_upgrade = _is_upgrade()

    async def connect_to_one(**_: object) -> asyncpg.Connection[asyncpg.Record]:
        # Connects as the service does, so that the URL's parameters (such as sslmode) mean the same as to PostgreSQL.
        return await connect(settings.database_url, settings, application_name=None, timeout_s=10)

    options = {"async_creator_fn": connect_to_one, **choose_statement_options(settings)}
    engine = create_async_engine(settings.database_url, poolclass=NullPool, connect_args=options)
    try:
        for tries_left in reversed(range(TRIES)):
            try:
                async with engine.connect() as connection:
                    await connection.run_sync(partial(_migrate, is_upgrade=is_upgrade))
                    await connection.commit()
            except DBAPIError as error:
                if tries_left == 0 or getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                    raise
                log.warning("a table is in use: the migration begins again in a moment", tries_left=tries_left)
                await asyncio.sleep(PAUSE_S)
            else:
                return
    finally:
        await engine.dispose()


def _is_upgrade() -> bool:
    """Whether this is `alembic upgrade`, or the same called from Python, and not a downgrade, a comparison or a question."""
    command = getattr(context.config.cmd_opts, "cmd", None)
    return command is None or command[0].__name__ == "upgrade"


if context.is_offline_mode():
    context.configure(url=get_settings().database_url, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(_run())
