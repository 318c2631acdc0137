"""A real PgBouncer in transaction mode before the tests' PostgreSQL: the program that PGBOUNCER names, or one on the PATH."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from compose.launch import NOBODY
from compose.processes import Child, Command, wait_until
from compose.services import free_port


def find_pgbouncer() -> str:
    """Return the program; skips the test if there is none."""
    program = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer")
    if program is None:
        pytest.skip("there is no pgbouncer here; set PGBOUNCER to the program (Debian's package has it)")
    return program


@contextmanager
def running_pgbouncer(database_url: str, *, server_connections: int = 20, port: int | None = None, **settings: str) -> Iterator[str]:
    """Run a PgBouncer before the server of `database_url` and yield the URL that leads through it."""
    program, port, place = find_pgbouncer(), port or free_port(), urlsplit(database_url)
    folder = Path(tempfile.mkdtemp(prefix="rowgate-pgbouncer-"))
    users, configuration = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{place.username}" "{place.password}"\n')
    written = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": str(users),
        "pool_mode": "transaction",
        "default_pool_size": str(server_connections),
        "max_client_conn": "1000",
        **settings,
    }
    lines = [f"{name} = {value}" for name, value in written.items()]
    configuration.write_text(f"[databases]\n* = host=127.0.0.1 port={place.port}\n[pgbouncer]\n" + "\n".join(lines) + "\n")
    for path in (folder, users, configuration):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if os.geteuid() == 0:  # it does not run as root
            os.chown(path, NOBODY, NOBODY)
    identity = "nobody" if os.geteuid() == 0 else "own"
    child = Child(Command(name="pgbouncer", arguments=[program, str(configuration)], identity=identity, directory=Path("/")), log_file=folder / "log")
    try:
        assert wait_until(lambda: any("process up" in line for line in child.last_lines), timeout_s=10), list(child.last_lines)
        yield place._replace(netloc=f"{place.username}:{place.password}@127.0.0.1:{port}").geturl()
    finally:
        child.stop()
        shutil.rmtree(folder, ignore_errors=True)
