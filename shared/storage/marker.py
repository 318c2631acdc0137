"""The marker of a store: a small file with the id of the database that the files belong to.

With it a folder that is not mounted, or a store that is another's, is told from one that is empty.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.storage.base import Storage

MAX_MARKER_BYTES = 4096
"""So much of a marker is read, whatever lies under its name."""
_ABOUT = "These are the files of one Rowgate database, the one with this id. Keep this file with them: without it the service stops."


class MarkerUnreadable(Exception):
    """There is a marker, but no id can be read from it."""


async def read_marker(storage: Storage) -> uuid.UUID | None:
    """Return the id in the marker; None if there is none. Raises `MarkerUnreadable`, or `OSError` if the store cannot be read."""
    content = await storage.read_marker()
    if content is None:
        return None
    try:
        return uuid.UUID(json.loads(content)["storage_id"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MarkerUnreadable from error


async def write_marker(storage: Storage, storage_id: uuid.UUID, *, replace: bool = False) -> None:
    """Mark the store durably. A marker that is there stays unless `replace`; several processes may call this at once. Raises `OSError`."""
    content = {"storage_id": str(storage_id), "written_at": datetime.now(UTC).isoformat(timespec="seconds"), "about": _ABOUT}
    await storage.write_marker((json.dumps(content, indent=2) + "\n").encode(), replace=replace)
