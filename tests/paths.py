"""The path of the repository."""

from __future__ import annotations

from pathlib import Path

from shared.jobs.storage import TRASH_FOLDER
from shared.jobs.storage_marker import MARKER

ROOT = Path(__file__).resolve().parent.parent


def list_stored(upload_dir: Path) -> list[Path]:
    """Return what lies in an upload folder, without its marker and its trash."""
    return sorted(path for path in upload_dir.iterdir() if not path.name.startswith(MARKER) and path.name != TRASH_FOLDER)
