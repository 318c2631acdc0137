"""The path of the repository."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from shared.storage.names import MARKER, TRASH_FOLDER

ROOT = Path(__file__).resolve().parent.parent


def list_stored(upload_dir: Path) -> list[Path]:
    """Return what lies in an upload folder, without its marker and its trash."""
    return sorted(path for path in upload_dir.iterdir() if not path.name.startswith(MARKER) and path.name != TRASH_FOLDER)


def write_mark(folder: Path, storage_id: uuid.UUID) -> None:
    """Mark a folder as that of the database with this id, whatever its marker says."""
    (folder / MARKER).write_text(json.dumps({"storage_id": str(storage_id)}), encoding="utf-8")


def read_mark(folder: Path) -> uuid.UUID | None:
    """Return the id in the folder's marker; None if it has none."""
    marker = folder / MARKER
    return uuid.UUID(json.loads(marker.read_text(encoding="utf-8"))["storage_id"]) if marker.exists() else None
