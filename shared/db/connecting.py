"""How one connection to PostgreSQL is made: what it asks of the server, its TLS, and what is different behind a pooler that works in transaction mode.

Such a pooler (PgBouncer with `pool_mode=transaction`) may give each transaction of a client another connection to the server. So nothing may be left behind at
the server for a later transaction: no prepared statement with a name, no setting, no lock. Statements are then sent without a name; asyncpg sends the
statement and its values without a Sync between the two, so that both reach the same server also where there is no transaction.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

if TYPE_CHECKING:
    from shared.settings import Settings

_KEEPALIVES = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
"""The server ends the connections of a vanished machine after a minute; by default that takes two hours."""

_PLANNER = {"jit": "off", "random_page_cost": "1.1"}
"""For short statements and solid-state disks: with PostgreSQL's default `random_page_cost` of 4 it reads a whole table to find the rows of one page."""

_OWN_PID = re.compile(r"-[0-9]+$")
_REFUSED_BY_POOLER, _WRONG_PASSWORD = "unsupported startup parameter", "authentication failed"
"""What PgBouncer says, in words alone: its code for both is that of a violated protocol (08P01)."""


async def connect(
    url: str, settings: Settings, *, application_name: str | None, timeout_s: float, command_timeout_s: float | None = None
) -> asyncpg.Connection[asyncpg.Record]:
    """Connect to the server of a `DATABASE_URL`; without an `application_name` nothing is asked of the server, as a migration needs it.

    Raises whatever asyncpg raises, also behind a pooler `asyncpg.InvalidPasswordError` for a wrong password, and `OSError` for an untrusted certificate.
    """
    dsn, tls = choose_tls(url.replace("+asyncpg", "", 1))
    try:
        return await asyncpg.connect(
            dsn=dsn,
            ssl=tls,
            timeout=timeout_s,
            command_timeout=command_timeout_s,
            server_settings=choose_server_settings(settings, application_name),
            statement_cache_size=0 if is_pooled(settings) else 100,
        )
    except asyncpg.ProtocolViolationError as error:
        if _REFUSED_BY_POOLER in str(error):
            raise asyncpg.InterfaceError(f"{error}: this is a pooler; set DATABASE_POOLER=transaction") from error
        if _WRONG_PASSWORD in str(error):
            raise asyncpg.InvalidPasswordError(str(error)) from error
        raise


def is_pooled(settings: Settings) -> bool:
    """Whether each transaction may get another connection to the server."""
    return settings.database_pooler == "transaction"


def choose_server_settings(settings: Settings, application_name: str | None) -> dict[str, str]:
    """Return what a connection asks of the server when it begins. A pooler knows only the name, and would set it anew for each process that has its own."""
    if application_name is None:
        return {}
    if is_pooled(settings):
        return {"application_name": _OWN_PID.sub("", application_name)}
    return {"application_name": application_name, **_PLANNER, **_KEEPALIVES}


def choose_statement_options(settings: Settings) -> dict[str, Any]:
    """Return what SQLAlchemy's dialect is told of prepared statements."""
    if not is_pooled(settings):
        return {}
    return {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}  # a name that is empty


def choose_tls(url: str) -> tuple[str, ssl.SSLContext | None]:
    """Return the URL as asyncpg reads it, and the TLS that it does not know: `sslrootcert=system` trusts whom the system trusts (libpq 16)."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if ("sslrootcert", "system") not in pairs:
        return url, None
    kept = [pair for pair in pairs if pair[0] not in {"sslmode", "sslrootcert"}]
    return parts._replace(query=urlencode(kept)).geturl(), ssl.create_default_context()
