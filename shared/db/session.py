"""The database engine and the unit of work, which is the only place that commits and sends the collected messages after the commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from shared.current_secrets import current_secrets
from shared.db.connecting import choose_statement_options, connect
from shared.db.errors import DatabaseUnavailable
from shared.messages.outbox import Message, take_messages
from shared.observing import metrics

if TYPE_CHECKING:
    from shared.settings import Settings

Send = Callable[[Sequence[Message]], Awaitable[bool]]
"""Sends messages, and returns whether the broker took all of them."""


MIGRATION_LOCK = 7_262_411_935
"""Key of the advisory lock under which the database is migrated or restored: an arbitrary number, which must stay the same in every version."""
SENT = "sent"
"""Key in `session.info`, set once the unit of work is over: whether the broker took every message of it."""


@dataclass(frozen=True)
class Database:
    """The engine of one process (and one event loop), and the function that sends the messages collected by its transactions."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    send: Send

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that is committed at the end of the block and rolled back by an exception. Messages are sent after the commit.

        A broker that is down is not an error here: the rows are the outbox, and a periodic task rings again.
        """
        async with self.sessions() as session:
            async with session.begin():
                yield session
            messages = take_messages(session)
        session.info[SENT] = await self.send(messages) if messages else True

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open a session for statements that only read; each runs by itself, which saves the two round trips of a transaction."""
        async with self.sessions() as session:
            await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """Open a session whose statements only read, and all see the database as the first of them did."""
        async with self.sessions() as session:
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @asynccontextmanager
    async def sole_run(self, name: str) -> AsyncIterator[bool]:
        """Yield whether this is the only running block with this name, in any process (uses an advisory lock of PostgreSQL)."""
        async with self._try_lock("hashtextextended(:key, 0)", name) as sole:
            yield sole

    @asynccontextmanager
    async def sole_migration(self) -> AsyncIterator[bool]:
        """Yield whether nothing migrates or restores the database meanwhile, in any process; an API that starts waits for the end of the block."""
        async with self._try_lock(":key", MIGRATION_LOCK) as sole:
            yield sole

    @asynccontextmanager
    async def _try_lock(self, expression: str, key: str | int) -> AsyncIterator[bool]:
        """Hold a lock of a transaction, which stays open during the block: behind a pooler one of a session would be left to other clients."""
        async with self.engine.connect() as connection:
            sole = bool(await connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({expression})"), {"key": key}))
            if sole:
                # It also replaces the statement before, whose snapshot would keep rows from being vacuumed.
                await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            else:
                await connection.rollback()
            yield sole
            await connection.rollback()

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def open_database(
    settings: Settings,
    *,
    send: Send,
    application_name: str,
    pool_size: int,
    max_overflow: int,
    command_timeout_s: float | None = None,
) -> Database:
    """Return a database whose pool opens connections when they are first needed."""
    secrets = current_secrets(settings)

    async def connect_to_one(**_: object) -> asyncpg.Connection[asyncpg.Record]:
        """Connect with the present password or, until the server knows it, with the one that worked last."""
        refused: list[str] = []
        try:
            while True:
                urls = secrets.database_urls()
                # The server may have learned the present one while the other was tried, so that is tried again after it.
                url = next((url for url in urls if url not in refused), urls[0])
                try:
                    connection = await connect(
                        url,
                        settings,
                        application_name=application_name,
                        timeout_s=settings.db_connect_timeout_s,
                        command_timeout_s=command_timeout_s,
                    )
                except asyncpg.InvalidAuthorizationSpecificationError:  # a wrong password is a kind of it
                    refused.append(url)
                    secrets.refresh("database_url")
                    known = len(secrets.database_urls())
                    if len(refused) >= (known if known == 1 else known + 1):
                        raise
                else:
                    secrets.note_connected(url)
                    return connection
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseUnavailable(str(error) or type(error).__name__) from error

    engine = create_async_engine(
        settings.database_url,
        connect_args={"async_creator_fn": connect_to_one, **choose_statement_options(settings)},
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=settings.db_pool_timeout_s,
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,
    )
    _measure_pool(engine, limit=pool_size + max_overflow)
    return Database(engine=engine, sessions=async_sessionmaker(engine, expire_on_commit=False, close_resets_only=False), send=send)


def _measure_pool(engine: AsyncEngine, *, limit: int) -> None:
    metrics.POOL_LIMIT.set(limit)
    event.listen(engine.sync_engine, "checkout", lambda *_: metrics.POOL_CHECKED_OUT.inc())
    event.listen(engine.sync_engine, "checkin", lambda *_: metrics.POOL_CHECKED_OUT.dec())


async def ping(session: AsyncSession) -> None:
    """Make one round trip to the database."""
    await session.execute(text("SELECT 1"))
