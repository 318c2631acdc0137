"""Start an S3 store to try and to test with, SeaweedFS from its wheel, as a child of this process, on free ports of 127.0.0.1."""

from __future__ import annotations

import json
import signal
import sysconfig
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from compose.processes import Child, Command
from compose.services import (
    DATABASE,
    MAX_SOCKET_FOLDER,
    Service,
    ServiceFailed,
    free_port,
    plain_environment,
    read_or_make_password,
    start_on_free_port,
    write_secret,
)

GRPC_OFFSET = 10_000
"""A part of SeaweedFS looks for another at the port of that one plus this, whatever it was told."""


@dataclass(frozen=True, kw_only=True)
class Store(Service):
    """A running S3 store; `url` is its endpoint."""

    bucket: str
    access_key_id: str
    secret_access_key: str

    def list_settings(self, prefix: str = "") -> dict[str, str]:
        """Return the settings of a service that keeps its files in the store, below a prefix."""
        return {
            "STORAGE_URL": f"s3://{self.bucket}/{prefix}".rstrip("/"),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            # SeaweedFS compresses text that it does not encrypt, which makes reading it take six times the processor time.
            "AWS_SERVER_SIDE_ENCRYPTION": "AES256",
        }

    def open(self, prefix: str | None = None) -> S3Store:
        """Return a client, for what looks at the store past the service."""
        return S3Store(
            self.bucket,
            prefix=prefix,
            endpoint=self.url,
            region="us-east-1",
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            client_options={"allow_http": True},
        )


def start_store(run_dir: Path) -> Store:
    """Start SeaweedFS with the bucket `rowgate`, and return it when it answers; its files are in `run_dir`/store. Raises `ServiceFailed`.

    The store's own ports, beside that of S3, need no key; like all of them they are open to this machine only.
    """
    run_dir = run_dir.resolve()
    data = run_dir / "store"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = read_or_make_password(run_dir / "store-password")
    identity = {"name": "rowgate", "credentials": [{"accessKey": DATABASE, "secretKey": secret}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    write_secret(run_dir / "store.json", json.dumps({"identities": [identity]}))
    # A path in a deep folder is too long for a socket (108 bytes).
    sockets = run_dir if len(str(run_dir)) < MAX_SOCKET_FOLDER else Path(tempfile.mkdtemp(prefix="rowgate-store-"))

    def start(port: int) -> Child:
        parts = ("master", "volume", "filer", "s3")
        ports = {f"{part}.port": free_port() for part in parts} | {f"{part}.port.grpc": free_port() for part in parts} | {"s3.port": port}
        ports["admin.port"] = next(port for port in iter(free_port, None) if port + GRPC_OFFSET < 2**16)
        options = {
            "dir": data, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "bucket": DATABASE, "s3.config": run_dir / "store.json",
            "s3.port.iceberg": 0, "s3.port.lance": 0, "s3.iam": "false", "webdav": "false", "admin.ui": "false",
            "master.telemetry": "false", "filer.localSocket": sockets / "store-filer.socket", "s3.localSocket": sockets / "store-s3.socket",
            **ports,
        }  # fmt: skip
        command = Command(
            name="store",
            arguments=[str(_find_program("weed")), "mini", *(f"-{name}={value}" for name, value in options.items())],
            environment=plain_environment(),
            stop_signals=((signal.SIGTERM, 15.0),),
            orphan_signal=signal.SIGTERM,
            directory=data,
        )
        return Child(command, log_file=run_dir / "logs" / "store.log")

    service = start_on_free_port(start, lambda port: f"http://127.0.0.1:{port}", is_ready=lambda _, url: _store_is_ready(url, DATABASE, secret))
    return Store(service.url, service.child, bucket=DATABASE, access_key_id=DATABASE, secret_access_key=secret)


def _store_is_ready(url: str, key_id: str, secret: str) -> bool:
    store = S3Store(
        DATABASE,
        endpoint=url,
        region="us-east-1",
        access_key_id=key_id,
        secret_access_key=secret,
        client_options={"allow_http": True, "timeout": timedelta(seconds=2)},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    )
    try:
        obstore.put(store, ".ready", b"")
        obstore.delete(store, ".ready")
    except (BaseError, OSError):
        return False
    return True


def _find_program(name: str) -> Path:
    program = Path(sysconfig.get_path("scripts")) / name
    if not program.exists():
        raise ServiceFailed(f"The program {name} is not installed: run 'make env'.")
    return program
