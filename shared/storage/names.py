"""How stored files are called, wherever they lie: names with slashes, below `UPLOAD_DIR` or below the prefix in a bucket."""

from __future__ import annotations

import re
import unicodedata
import uuid
from datetime import UTC, date, datetime, timedelta

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SAFE_NAME_LENGTH = 100

PARTIAL_SUFFIX = ".part"
"""Ends the name of a file, or folder, that is still being written."""
TRASH_FOLDER = "trash"
"""Has a folder for each day (`2026-11-30`) on which files without a job were moved there."""
OUTPUTS_FOLDER = "outputs"
"""Has a folder for each job that has outputs, named by the job's id."""
MARKER = ".rowgate-storage"
"""The file that says whose these files are."""


def safe_filename(filename: str) -> str:
    """Return `filename` as at most 100 ASCII letters, digits, dots, dashes and underscores, with its extension kept; never empty."""
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    stem, dot, extension = plain.rpartition(".")
    if not dot:
        stem, extension = plain, ""
    stem = _UNSAFE.sub("_", stem).strip("._-") or "file"
    extension = _UNSAFE.sub("", extension)[:10]
    return f"{stem[: _SAFE_NAME_LENGTH - len(extension) - 1]}{dot}{extension}"


def name_file(job_id: uuid.UUID, filename: str) -> str:
    """Return the name of a job's file: `{job_id}_{safe filename}`."""
    return f"{job_id}_{safe_filename(filename)}"


def find_job_id(name: str) -> uuid.UUID | None:
    """Return the id of the job whose file would have this name; None if none would."""
    head, separator, _ = name.partition("_")
    try:
        return uuid.UUID(head) if separator else None
    except ValueError:
        return None


def name_outputs(job_id: uuid.UUID) -> str:
    """Return the name of the folder of a job's outputs: `outputs/{job_id}`; it need not exist."""
    return f"{OUTPUTS_FOLDER}/{job_id}"


def name_output(*, job_id: uuid.UUID, output_id: uuid.UUID, claim: int, name: str) -> str:
    """Return the name of an output's content as one claim of it makes it: two claims never write to the same file."""
    return f"{name_outputs(job_id)}/{output_id}-{claim}-{name}"


def name_in_trash(name: str) -> str:
    """Return the name of a file that goes to the trash today (UTC)."""
    return f"{TRASH_FOLDER}/{datetime.now(UTC).date().isoformat()}/{name}"


def has_expired(day: str, *, days: float) -> bool:
    """Whether a folder of the trash, named after its day, ended more than `days` ago; one that was not made here never does."""
    try:
        ended_at = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) + timedelta(days=1)
    except ValueError:
        return False
    return datetime.now(UTC) - ended_at > timedelta(days=days)
