"""The marker of an upload folder: a small file with the id of the database that the folder belongs to.

With it a folder that is not mounted, or that is another's, is told from one that is empty. Functions run in a thread: a network file system may hang.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path

from shared.jobs.storage import sync_folder

MARKER = ".rowgate-storage"
_ABOUT = "This folder holds the files of one Rowgate database, the one with this id. Keep this file with them: without it the service stops."
MAX_MARKER_BYTES = 4096


class MarkerUnreadable(Exception):
    """There is a marker, but no id can be read from it."""


def read_marker(upload_dir: Path) -> uuid.UUID | None:
    """Return the id in the folder's marker; None if it has no marker. Raises `MarkerUnreadable`, or `OSError` if the folder cannot be read."""
    try:
        with (upload_dir / MARKER).open("rb") as file:
            content = file.read(MAX_MARKER_BYTES)
    except FileNotFoundError:
        return None
    try:
        return uuid.UUID(json.loads(content)["storage_id"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MarkerUnreadable from error


def write_marker(upload_dir: Path, storage_id: uuid.UUID, *, replace: bool = False) -> None:
    """Mark the folder durably. A marker that is there stays unless `replace`; several processes may call this at once. Raises `OSError`."""
    content = {"storage_id": str(storage_id), "written_at": datetime.now(UTC).isoformat(timespec="seconds"), "about": _ABOUT}
    new = upload_dir / f"{MARKER}.{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}"
    try:
        with new.open("w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if replace or not (upload_dir / MARKER).exists():
            new.rename(upload_dir / MARKER)
        sync_folder(upload_dir)
    finally:
        new.unlink(missing_ok=True)


def require_writable(upload_dir: Path) -> None:
    """Make a file in the folder and remove it. Raises `OSError` if that cannot be done."""
    probe = upload_dir / f"{MARKER}.probe.{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}"
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    probe.unlink(missing_ok=True)
