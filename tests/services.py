"""PostgreSQL and Valkey for one test session: the servers in DATABASE_URL and REDIS_URL, or else its own servers in a temporary folder.

Sessions may run side by side. The servers end with the session, even if the session is killed (see compose/launch.py).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from compose.object_store import Store, start_store
from compose.services import start_postgres, start_valkey


@dataclass(frozen=True)
class Servers:
    """The database and broker that the tests use; the tests own everything in them."""

    database_url: str
    redis_url: str


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Run the servers during the block; enter it from the main thread."""
    with ExitStack() as stack:
        database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
        if not (database_url and redis_url):
            folder = Path(tempfile.mkdtemp(prefix="rowgate-tests-"))
            folder.chmod(0o711)  # if root runs this, PostgreSQL runs as nobody, which must be able to reach its data
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if not database_url:
            postgres = start_postgres(folder, durable=False)
            stack.callback(postgres.stop)
            database_url = postgres.url
        if not redis_url:
            valkey = start_valkey(folder, durable=False)
            stack.callback(valkey.stop)
            redis_url = valkey.url
        yield Servers(database_url, redis_url)


@contextmanager
def running_store() -> Iterator[Store]:
    """Run an S3 store in a temporary folder during the block; enter it from the main thread."""
    folder = Path(tempfile.mkdtemp(prefix="rowgate-tests-"))
    try:
        store = start_store(folder)
        try:
            yield store
        finally:
            store.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
