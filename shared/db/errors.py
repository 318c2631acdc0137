"""Tell an unreachable database from a faulty statement."""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class DatabaseUnavailable(Exception):  # a state rather than a mistake, so not named an error
    """No connection to the database can be made."""


_AWAY = (
    asyncpg.exceptions.ConnectionDoesNotExistError,
    asyncpg.exceptions.ConnectionFailureError,
    asyncpg.exceptions.InterfaceError,
    asyncpg.exceptions.InternalClientError,
    asyncpg.exceptions.CannotConnectNowError,
    asyncpg.exceptions.AdminShutdownError,
    asyncpg.exceptions.CrashShutdownError,
    asyncpg.exceptions.TooManyConnectionsError,
    asyncpg.exceptions.QueryCanceledError,
    ConnectionError,
    TimeoutError,
)


def is_database_unavailable(error: BaseException) -> bool:
    """Whether `error` means that the database cannot be reached, does not answer in time, or closed the connection."""
    if isinstance(error, DatabaseUnavailable | PoolTimeoutError | OperationalError | InterfaceError):
        return True
    if isinstance(error, DBAPIError):
        cause = error.orig.__cause__ if error.orig is not None else None
        return error.connection_invalidated or isinstance(error.orig, _AWAY) or isinstance(cause, _AWAY)
    return isinstance(error, _AWAY)
